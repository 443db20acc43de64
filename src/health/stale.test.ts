import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { randomUUID } from 'node:crypto';
import { freshStore } from '../../test/database.ts';
import { aLoadBalancer, anAmphora, aTree } from '../../test/trees.ts';
import { makeLog } from '../platform/log.ts';
import type { Store } from '../store/store.ts';
import { SilenceWatch } from './stale.ts';

let store: Store;
let drop: () => Promise<void>;
let now: number;
let watch: SilenceWatch;
const timeoutMs = 10_000;

beforeEach(async () => {
  ({ store, drop } = await freshStore());
  now = Date.now();
  watch = new SilenceWatch({
    store,
    timeoutMs,
    share: 0.3,
    log: makeLog('test', 'silent'),
    clock: () => now,
  });
});
afterEach(() => drop());

/** Load balancers at rest, each with an amphora. */
async function serving(count: number): Promise<readonly string[]> {
  const ids = Array.from({ length: count }, () => randomUUID());
  for (const id of ids) {
    await store.trees.create(aTree({ loadBalancer: aLoadBalancer({ id }) }));
    await store.amphorae.save(anAmphora({ id: randomUUID(), loadBalancerId: id }));
  }
  await marked();
  return ids;
}

const hear = async (ids: readonly string[]): Promise<void> => {
  for (const id of ids) {
    for (const amphora of await store.amphorae.of(id)) await store.amphorae.heard(amphora.id, new Date(now));
  }
};

const marked = async (): Promise<readonly string[]> => {
  const claims = await store.work.claim('test', 100, 10_000);
  for (const claim of claims) await store.work.release(claim);
  return claims.map((claim) => claim.key).toSorted();
};

/** Time goes by, and the watch looks every second. */
async function pass(ms: number, heard: readonly string[] = []): Promise<void> {
  for (let gone = 0; gone < ms; gone += 1000) {
    now += 1000;
    await hear(heard);
    await watch.look();
  }
}

describe('The watch over silent amphorae', () => {
  it('points out the one that fell silent, once per timeout, and not the others', async () => {
    const [silent = '', ...others] = await serving(3);
    await hear([silent, ...others]);
    await pass(5000, [silent, ...others]);
    expect(await marked()).toEqual([]);
    await pass(timeoutMs + 2000, others);
    expect(await marked()).toEqual([silent]);
    await pass(5000, others);
    expect(await marked()).toEqual([]);
    await pass(timeoutMs, others);
    expect(await marked()).toEqual([silent]);
  });

  it('says nothing before it has listened for a whole timeout', async () => {
    await serving(1);
    now += 3_600_000;
    watch = new SilenceWatch({
      store,
      timeoutMs,
      share: 0.3,
      log: makeLog('test', 'silent'),
      clock: () => now,
    });
    await pass(timeoutMs - 1000);
    expect(await marked()).toEqual([]);
  });

  it('begins anew after it stood still itself', async () => {
    const ids = await serving(1);
    await pass(5000, ids);
    now += 60_000;
    await watch.look();
    await pass(timeoutMs - 1000);
    expect(await marked()).toEqual([]);
    expect(watch.listeningSince.getTime()).toBeGreaterThan(now - timeoutMs);
  });

  it('shows which are not replaced while many are silent, and no longer than that', async () => {
    const [lively = '', ...ids] = await serving(6);
    const statuses = async () =>
      Promise.all([lively, ...ids].map(async (id) => (await store.amphorae.of(id))[0]?.status));
    await pass(timeoutMs + 1000, [lively]);
    expect(await statuses()).toEqual(['ALLOCATED', ...ids.map(() => 'FAILOVER_STOPPED')]);
    const [first = '', ...others] = ids;
    await pass(1000, [lively, ...others]);
    expect(await statuses()).toEqual([lively, ...ids].map(() => 'ALLOCATED'));
    expect(
      (await store.amphorae.silentSince(new Date(now - timeoutMs))).map((row) => row.loadBalancerId),
    ).toEqual([first]);
  });

  it('has only a few looked at, in turn, when many are silent at once', async () => {
    const ids = await serving(6);
    await hear(ids);
    await pass(timeoutMs + 1000);
    const first = await marked();
    expect(first).toHaveLength(2);
    await pass(timeoutMs + 1000);
    const second = await marked();
    expect(second).toHaveLength(2);
    expect(second).not.toEqual(first);
  });
});
