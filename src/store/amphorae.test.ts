import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshStore } from '../../test/database.ts';
import { aListener, aLoadBalancer, aTree } from '../../test/trees.ts';
import type { Amphora } from '../lb/amphora.ts';
import { anAmphora } from './amphora.fixture.ts';
import type { Store, TrafficSample } from './store.ts';

let store: Store;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ store, drop } = await freshStore());
});
afterAll(() => drop());

const listenerIds = [randomUUID(), randomUUID()] as [string, string];
const projectId = 'project-of-amphorae';

async function loadBalancer(listeners: readonly string[] = []): Promise<string> {
  const id = randomUUID();
  await store.trees.create(
    aTree({
      loadBalancer: aLoadBalancer({ id, projectId }),
      listeners: listeners.map((listener, n) =>
        aListener({ id: listener, loadBalancerId: id, protocolPort: n + 1 }),
      ),
    }),
  );
  return id;
}

async function saved(changes: Partial<Amphora>): Promise<Amphora> {
  const amphora = anAmphora({ id: randomUUID(), ...changes });
  await store.amphorae.save(amphora);
  return amphora;
}

describe('an amphora', () => {
  it('is read back as it was saved, the first time and later', async () => {
    const loadBalancerId = await loadBalancer();
    const amphora = await saved({ loadBalancerId });
    expect(await store.amphorae.get(amphora.id)).toEqual(amphora);
    const changed = {
      ...amphora,
      appliedGeneration: 9,
      cachedZone: 'z',
      computeId: null,
      updatedAt: new Date(7),
    };
    await store.amphorae.save(changed);
    expect(await store.amphorae.get(amphora.id)).toEqual(changed);
    expect(await store.amphorae.of(loadBalancerId)).toEqual([changed]);
    expect(await store.lists.show('amphora', amphora.id)).toEqual(changed);
  });

  it('stays marked for a failover that was asked for while the loop worked with an older copy', async () => {
    const loadBalancerId = await loadBalancer();
    const [amphora, other] = [await saved({ loadBalancerId }), await saved({ loadBalancerId })];
    await store.trees.change(loadBalancerId, (tree) => {
      if (tree === undefined) throw new Error('gone');
      return { tree: { ...tree }, answer: undefined, outgoing: [amphora.id] };
    });
    await store.amphorae.save({ ...amphora, appliedGeneration: 9 });
    expect((await store.amphorae.get(amphora.id))?.outgoing).toBe(true);
    expect((await store.amphorae.get(other.id))?.outgoing).toBe(false);
  });

  it('keeps a heartbeat that came while the loop worked with an older copy', async () => {
    const amphora = await saved({ loadBalancerId: await loadBalancer() });
    const now = new Date();
    expect(await store.amphorae.heard(amphora.id, now)).toBe(true);
    await store.amphorae.save({ ...amphora, role: 'MASTER' });
    expect(await store.amphorae.get(amphora.id)).toEqual({
      ...amphora,
      role: 'MASTER',
      lastHeartbeatAt: now,
    });
    expect(await store.amphorae.heard(amphora.id, new Date(0))).toBe(true);
    expect((await store.amphorae.get(amphora.id))?.lastHeartbeatAt).toEqual(now);
  });

  it('that was deleted is nowhere to be seen', async () => {
    const loadBalancerId = await loadBalancer();
    const { id } = await saved({ loadBalancerId, status: 'DELETED' });
    expect(await store.amphorae.get(id)).toBeUndefined();
    expect(await store.amphorae.of(loadBalancerId)).toEqual([]);
    expect(await store.amphorae.heard(id, new Date())).toBe(false);
    expect(await store.lists.show('amphora', id)).toBeUndefined();
    expect(await store.lists.list('amphora', { filters: { loadBalancerId }, sort: [] })).toEqual([]);
  });

  it('that nobody knows is not heard', async () => {
    expect(await store.amphorae.heard(randomUUID(), new Date())).toBe(false);
    expect(await store.amphorae.heard('no uuid', new Date())).toBe(false);
  });

  it('is found by the project of its load balancer', async () => {
    const { id } = await saved({ loadBalancerId: await loadBalancer() });
    const found = async (project: string) =>
      (await store.lists.list('amphora', { filters: { id, projectId: project }, sort: [] }))?.length;
    expect(await found(projectId)).toBe(1);
    expect(await found('another')).toBe(0);
  });

  it('is silent when it serves and was not heard, nor born, since', async () => {
    const at = (minute: number) => new Date(Date.UTC(2030, 0, 1, 0, minute));
    const loadBalancerId = await loadBalancer();
    const early = { loadBalancerId, createdAt: at(0) };
    const before = await store.amphorae.countAllocated();
    const silent = await saved({ ...early, lastHeartbeatAt: at(1) });
    const never = await saved({ ...early, updatedAt: at(1) });
    await saved({ ...early, lastHeartbeatAt: at(3) });
    await saved({ ...early, updatedAt: at(3) });
    await saved({ ...early, status: 'BOOTING' });
    const found = await store.amphorae.silentSince(at(2));
    const here = found.filter((amphora) => amphora.loadBalancerId === loadBalancerId);
    expect(here.map(({ id }) => id).toSorted()).toEqual([silent.id, never.id].toSorted());
    expect(await store.amphorae.countAllocated()).toBe(before + 4);
  });
});

describe('statistics', () => {
  const sample = (listenerId: string, n: number, active = n): TrafficSample => ({
    listenerId,
    activeConnections: active,
    bytesIn: n * 10,
    bytesOut: n * 100,
    totalConnections: n,
    requestErrors: 0,
  });
  const totals = (n: number, active: number) => ({
    activeConnections: active,
    bytesIn: n * 10,
    bytesOut: n * 100,
    totalConnections: n,
    requestErrors: 0,
  });

  it('sum over amphorae and listeners, also those of amphorae that are gone', async () => {
    const [one, two] = listenerIds;
    const loadBalancerId = await loadBalancer(listenerIds);
    const old = await saved({ loadBalancerId });
    const young = await saved({ loadBalancerId });
    const { statistics } = store;
    expect(await statistics.ofListener(one)).toEqual(totals(0, 0));
    await statistics.record(old.id, loadBalancerId, [sample(one, 5), sample(two, 7)]);
    await statistics.record(old.id, loadBalancerId, [sample(one, 3, 1), sample(randomUUID(), 9)]);
    expect(await statistics.ofListener(one)).toEqual(totals(5, 1));

    await store.amphorae.save({ ...old, status: 'DELETED' });
    await statistics.record(young.id, loadBalancerId, [sample(one, 2)]);
    expect(await statistics.ofListener(one)).toEqual(totals(7, 2));
    expect(await statistics.ofLoadBalancer(loadBalancerId)).toEqual(totals(14, 2));
    expect(await statistics.ofAmphora(young.id)).toEqual([{ ...sample(one, 2), loadBalancerId }]);
    expect(await statistics.ofAmphora(randomUUID())).toEqual([]);

    await store.trees.settle(loadBalancerId, (now) => ({
      ...now,
      listeners: now.listeners.filter(({ id }) => id !== two),
    }));
    await statistics.record(young.id, loadBalancerId, [sample(two, 50)]);
    expect(await statistics.ofLoadBalancer(loadBalancerId)).toEqual(totals(7, 2));
  });

  it('count beyond 32 bits', async () => {
    const listenerId = randomUUID();
    const loadBalancerId = await loadBalancer([listenerId]);
    const { id } = await saved({ loadBalancerId });
    await store.statistics.record(id, loadBalancerId, [sample(listenerId, 2 ** 44)]);
    expect(await store.statistics.ofListener(listenerId)).toEqual(totals(2 ** 44, 2 ** 44));
  });
});
