import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  active,
  activeLoadBalancer,
  type Reply,
  startApi,
  type TestApi,
} from '../../src/api/client.fixture.ts';
import { illegalities } from './legal-tree.ts';

/** Clients at the same time: what comes of it could have come of one after the other. */

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const statuses = (replies: readonly Reply[]) => replies.map(({ status }) => status).toSorted((a, b) => a - b);
/** One winner; the others were told to come again. */
const oneWinner = (status: number, of: number): number[] => [
  status,
  ...Array.from({ length: of - 1 }, () => 409),
];
const atOnce = (times: number, ask: (n: number) => Promise<Reply>): Promise<Reply[]> =>
  Promise.all(Array.from({ length: times }, (_, n) => ask(n)));

const listener = (balancerId: string, port: number) =>
  api.member.post('/v2/lbaas/listeners', {
    listener: { loadbalancer_id: balancerId, protocol: 'TCP', protocol_port: port },
  });

type Change = (ids: Ids, n: number) => Promise<Reply>;
interface Ids {
  readonly balancer: string;
  readonly listener: string;
  readonly pool: string;
}

/** Each needs the lock, and each would do alone. */
const changes: readonly (readonly [string, number, Change])[] = [
  ['makes a listener', 201, ({ balancer }, n) => listener(balancer, 90 + n)],
  [
    'makes a pool',
    201,
    ({ balancer }, n) =>
      api.member.post('/v2/lbaas/pools', {
        pool: { name: `${n}`, loadbalancer_id: balancer, protocol: 'TCP', lb_algorithm: 'ROUND_ROBIN' },
      }),
  ],
  [
    'changes the load balancer',
    200,
    ({ balancer }, n) =>
      api.member.put(`/v2/lbaas/loadbalancers/${balancer}`, { loadbalancer: { name: `${n}` } }),
  ],
  [
    'changes the listener',
    200,
    ({ listener: id }, n) => api.member.put(`/v2/lbaas/listeners/${id}`, { listener: { name: `${n}` } }),
  ],
  [
    'takes the pool from the listener',
    200,
    ({ listener: id }) =>
      api.member.put(`/v2/lbaas/listeners/${id}`, { listener: { default_pool_id: null } }),
  ],
  [
    'changes the pool',
    200,
    ({ pool }, n) => api.member.put(`/v2/lbaas/pools/${pool}`, { pool: { tags: [`${n}`] } }),
  ],
  ['takes the listener away', 204, ({ listener: id }) => api.member.delete(`/v2/lbaas/listeners/${id}`)],
  ['takes the pool away', 204, ({ pool }) => api.member.delete(`/v2/lbaas/pools/${pool}`)],
  [
    'takes everything away',
    204,
    ({ balancer }) => api.member.delete(`/v2/lbaas/loadbalancers/${balancer}?cascade=true`),
  ],
  [
    'makes a member',
    201,
    ({ pool }, n) =>
      api.member.post(`/v2/lbaas/pools/${pool}/members`, {
        member: { address: `198.51.100.${n + 1}`, protocol_port: 80 },
      }),
  ],
  [
    'replaces all members',
    202,
    ({ pool }, n) =>
      api.member.put(`/v2/lbaas/pools/${pool}/members`, {
        members: [n, n + 1].map((host) => ({ address: `198.51.100.${host + 1}`, protocol_port: 80 })),
      }),
  ],
];

async function setUp(): Promise<Ids> {
  const balancer = await activeLoadBalancer(api);
  const pool = await active(api, balancer, '/v2/lbaas/pools', 'pool', {
    ...{ loadbalancer_id: balancer, protocol: 'TCP', lb_algorithm: 'ROUND_ROBIN' },
  });
  const listenerId = await active(api, balancer, '/v2/lbaas/listeners', 'listener', {
    ...{ loadbalancer_id: balancer, protocol: 'TCP', protocol_port: 80, default_pool_id: pool },
  });
  return { balancer, pool, listener: listenerId };
}

/** All of the load balancer as the API shows it; ids by the order of their first appearance, times as told or not. */
async function shown({ balancer }: Ids): Promise<unknown> {
  const body = async (path: string) => (await api.member.get(`/v2/lbaas/${path}`)).body;
  const of = `loadbalancer_id=${balancer}`;
  const [loadbalancer, listeners, pools, statuses] = [
    await body(`loadbalancers/${balancer}`),
    await body(`listeners?${of}&sort_key=created_at,protocol_port`),
    await body(`pools?${of}`),
    await body(`loadbalancers/${balancer}/status`),
  ];
  const members: unknown[] = [];
  for (const { id } of pools.pools as { id: string }[]) {
    members.push(await body(`pools/${id}/members?sort_key=address`));
  }
  const numbers = new Map<string, number>();
  const text = JSON.stringify({ members, loadbalancer, listeners, pools, statuses })
    .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => {
      if (!numbers.has(id)) numbers.set(id, numbers.size);
      return `#${numbers.get(id)}`;
    })
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/g, 'some time');
  // Those made at once stand in the order of their ids, which is any.
  return JSON.parse(text, (key, value: unknown) =>
    key === 'members' && Array.isArray(value) ? value.toSorted(byId) : value,
  );
}
const byId = (a: { id?: string }, b: { id?: string }): number => (a.id ?? '').localeCompare(b.id ?? '');

interface Outcome {
  /** Of the first and of the other change. */
  readonly statuses: readonly number[];
  readonly tree: unknown;
}

describe('Two changes of one load balancer at once', () => {
  const pairs = changes.flatMap((one, n) =>
    changes.slice(n).map((other) => [one[0], other[0], one, other] as const),
  );
  const inOrder = async (
    ask: (change: Change, ids: Ids, n: number) => Promise<Reply>,
    two: readonly Change[],
  ) => {
    const outcomes: Outcome[] = [];
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const ids = await setUp();
      const statuses: number[] = [];
      for (const n of order) statuses[n] = (await ask(two[n] as Change, ids, n)).status;
      outcomes.push({ statuses, tree: await shown(ids) });
    }
    return outcomes;
  };

  it.each(pairs)(
    '%s and %s: as one after the other, the later told to wait',
    async (_one, _other, [, first, one], [, second, other]) => {
      const ids = await setUp();
      const [a, b] = await Promise.all([one(ids, 0), other(ids, 1)]);
      expect([
        [first, 409],
        [409, second],
      ]).toContainEqual([a.status, b.status]);
      const loser = a.status === 409 ? a : b;
      expect(loser.body.faultstring).toMatch(/is immutable and cannot be updated|Invalid state PENDING_/);
      const tree = await api.store.trees.read(ids.balancer);
      expect(tree && illegalities(tree)).toEqual([]);
      const outcome = { statuses: [a.status, b.status], tree: await shown(ids) };
      expect(await inOrder((change, those, n) => change(those, n), [one, other])).toContainEqual(outcome);
    },
  );

  it.each(pairs)(
    '%s and %s, who wait and come again: as one after the other',
    async (_one, _other, one, other) => {
      /** Until the load balancer takes it. The loop is done with what was wished before each attempt. */
      const patiently = async (change: Change, ids: Ids, n: number): Promise<Reply> => {
        for (;;) {
          await api.settle(ids.balancer);
          const reply = await change(ids, n);
          if (reply.status !== 409) return reply;
        }
      };
      const ids = await setUp();
      const two = [one[2], other[2]];
      const replies = await Promise.all(two.map((change, n) => patiently(change, ids, n)));
      await api.settle(ids.balancer);
      const outcome = { statuses: replies.map(({ status }) => status), tree: await shown(ids) };
      const settledAfter = async (change: Change, those: Ids, n: number) => {
        const reply = await patiently(change, those, n);
        await api.settle(those.balancer);
        return reply;
      };
      expect(await inOrder(settledAfter, two)).toContainEqual(outcome);
    },
  );
});

describe('At once', () => {
  it('twenty listeners for one port have one winner', async () => {
    const balancerId = await activeLoadBalancer(api);
    expect(statuses(await atOnce(20, () => listener(balancerId, 80)))).toEqual(oneWinner(201, 20));
    await api.settle(balancerId);
    expect(statuses(await atOnce(20, () => listener(balancerId, 80)))).toEqual([...oneWinner(409, 20)]);
  });

  it('load balancers for one address have one winner', async () => {
    const subnet = api.cloud.addSubnet('203.0.113.0/24');
    const ports = api.cloud.ports.size;
    const replies = await atOnce(10, () =>
      api.member.post('/v2/lbaas/loadbalancers', {
        loadbalancer: { vip_subnet_id: subnet.id, vip_address: '203.0.113.77' },
      }),
    );
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(replies.filter(({ status }) => status >= 500)).toEqual([]);
    expect(api.cloud.ports.size).toBe(ports + 1);
  });

  it.each([0, 1, 3])('no more load balancers are made than the %i a quota allows', async (limit) => {
    const client = api.client(['member', 'reader']);
    const subnet = api.cloud.addSubnet('192.0.2.0/24');
    await api.admin.put(`/v2/lbaas/quotas/${client.projectId}`, { quota: { loadbalancer: limit } });
    const ports = api.cloud.ports.size;
    const replies = await atOnce(12, () =>
      client.post('/v2/lbaas/loadbalancers', { loadbalancer: { vip_subnet_id: subnet.id } }),
    );
    expect(statuses(replies)).toEqual([
      ...Array.from({ length: limit }, () => 201),
      ...Array.from({ length: 12 - limit }, () => 403),
    ]);
    expect(api.cloud.ports.size).toBe(ports + limit);
  });

  it('load balancers of one project share its quota of listeners', async () => {
    const { projectId } = api.member;
    const balancers: string[] = [];
    for (let n = 0; n < 8; n++) balancers.push(await activeLoadBalancer(api));
    const { listeners } = (await api.member.get('/v2/lbaas/listeners')).body;
    await api.admin.put(`/v2/lbaas/quotas/${projectId}`, { quota: { listener: listeners.length + 3 } });
    const replies = await Promise.all(balancers.map((id) => listener(id, 80)));
    await api.admin.put(`/v2/lbaas/quotas/${projectId}`, { quota: { listener: null } });
    expect(statuses(replies)).toEqual([201, 201, 201, 403, 403, 403, 403, 403]);
    expect((await api.member.get('/v2/lbaas/listeners')).body.listeners).toHaveLength(listeners.length + 3);
  });
});
