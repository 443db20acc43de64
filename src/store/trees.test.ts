import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshStore } from '../../test/database.ts';
import type { Store } from './store.ts';

describe('x', () => {
  let store: Store;
  let drop: () => Promise<void>;
  beforeAll(async () => {
    const t = Date.now();
    ({ store, drop } = await freshStore());
    console.log('fresh', Date.now() - t);
    const t2 = Date.now();
    const b = await freshStore();
    console.log('again', Date.now() - t2);
    const t3 = Date.now();
    await b.drop();
    console.log('drop', Date.now() - t3);
  });
  afterAll(async () => {
    await drop();
  });
  it('reads nothing', async () => {
    expect(await store.trees.read(randomUUID())).toBeUndefined();
  });
});
