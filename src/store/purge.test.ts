import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Client } from 'pg';
import { freshStore, type TestDatabase } from '../../test/database.ts';
import { aLoadBalancer, aTree } from '../../test/trees.ts';
import { anAmphora } from './amphora.fixture.ts';
import type { Store } from './store.ts';

let store: Store;
let database: TestDatabase;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ store, database, drop } = await freshStore());
});
afterAll(() => drop());

const monday = new Date('2026-03-02T00:00:00Z');
const tuesday = new Date('2026-03-03T00:00:00Z');

/** A load balancer with an amphora; what is deleted is so since then. */
async function made(deleted: { readonly at?: Date; readonly amphoraAt?: Date }): Promise<string> {
  const id = randomUUID();
  await store.trees.create(aTree({ loadBalancer: aLoadBalancer({ id }) }));
  const { amphoraAt: updatedAt } = deleted;
  await store.amphorae.save(
    anAmphora({
      ...{ id: randomUUID(), loadBalancerId: id },
      ...(updatedAt && { status: 'DELETED' as const, updatedAt }),
    }),
  );
  const { at } = deleted;
  if (at !== undefined) {
    await store.trees.settle(id, (tree) => ({
      ...tree,
      loadBalancer: { ...tree.loadBalancer, provisioningStatus: 'DELETED', updatedAt: at },
    }));
  }
  return id;
}

async function rows(table: string): Promise<readonly string[]> {
  const client = new Client(database);
  await client.connect();
  const { rows: found } = await client.query<{ id: string }>(`select id from ${table}`);
  await client.end();
  return found.map(({ id }) => id);
}

it('what is deleted is forgotten when its time is over, a load balancer not before its amphorae', async () => {
  await made({ at: monday, amphoraAt: monday });
  const young = await made({ at: tuesday, amphoraAt: monday });
  const busy = await made({ at: monday, amphoraAt: tuesday });
  const alive = await made({});
  expect(await store.purge({ loadBalancersBefore: tuesday, amphoraeBefore: tuesday })).toBe(3);
  expect(new Set(await rows('load_balancers'))).toEqual(new Set([young, busy, alive]));
  expect(await rows('amphorae')).toHaveLength(2);
  const wednesday = new Date('2026-03-04T00:00:00Z');
  expect(await store.purge({ loadBalancersBefore: wednesday, amphoraeBefore: wednesday })).toBe(3);
  expect(await rows('load_balancers')).toEqual([alive]);
});
