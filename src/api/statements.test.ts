import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { startApi, type Reply, type TestApi } from './client.fixture.ts';

/**
 * How often a request asks the database, seen at PostgreSQL's own client: the same for few rows and for many. Beginning
 * and end of a transaction count.
 */

interface World {
  readonly api: TestApi;
  /** Load balancers in the store, and members in the pool that is asked about; there are a third as many pools. */
  readonly size: number;
  readonly loadBalancer: string;
  readonly pool: string;
  readonly subnetId: string;
}

const few = 3;
const many = 90;
const worlds: World[] = [];
beforeAll(async () => {
  for (const size of [few, many]) worlds.push(await aWorld(size));
}, 60_000);
afterAll(async () => {
  for (const { api } of worlds) await api.close();
});
afterEach(() => {
  vi.restoreAllMocks();
});

const member = (n: number, values: object = {}) => ({
  address: `198.51.100.${n + 1}`,
  protocol_port: 80,
  ...values,
});

/** The wish for a load balancer with a listener for every third of `size`, and a member in its pool for each. */
const whole = (size: number, subnetId: string) => ({
  loadbalancer: {
    name: 'whole',
    vip_subnet_id: subnetId,
    listeners: Array.from({ length: size / 3 }, (_, n) => ({
      name: `l${n}`,
      protocol: 'HTTP',
      protocol_port: 1000 + n,
      default_pool: {
        name: `p${n}`,
        protocol: 'HTTP',
        lb_algorithm: 'ROUND_ROBIN',
        healthmonitor: { type: 'HTTP', delay: 5, timeout: 3, max_retries: 2 },
        members: Array.from({ length: n === 0 ? size : 3 }, (__, k) => member(k)),
      },
      l7policies: [
        { action: 'REJECT', rules: [{ type: 'PATH', compare_type: 'STARTS_WITH', value: `/${n}` }] },
      ],
    })),
  },
});

async function aWorld(size: number): Promise<World> {
  const api = await startApi();
  const subnetId = api.cloud.addSubnet('192.0.2.0/24').id;
  const { loadbalancer } = good(await api.member.post('/v2/lbaas/loadbalancers', whole(size, subnetId)));
  for (let n = 1; n < size; n++) {
    good(await api.member.post('/v2/lbaas/loadbalancers', { loadbalancer: { vip_subnet_id: subnetId } }));
  }
  await api.settle(loadbalancer.id);
  const { pools } = good(await api.member.get(`/v2/lbaas/pools?loadbalancer_id=${loadbalancer.id}&name=p0`));
  return { api, size, loadBalancer: loadbalancer.id, pool: pools[0].id, subnetId };
}

function good(reply: Reply): any {
  if (reply.status >= 400) throw new Error(JSON.stringify(reply.body));
  return reply.body;
}

/** The statements sent while the work is done. */
async function statements(work: () => Promise<unknown>): Promise<readonly string[]> {
  const query = vi.spyOn(Client.prototype, 'query');
  await work();
  const sent = query.mock.calls.map(([text]) => text.replaceAll(/\s+/g, ' '));
  query.mockRestore();
  return sent;
}

const lbs = '/v2/lbaas/loadbalancers';
const requests: readonly [string, number, (world: World) => Promise<Reply>][] = [
  ['list of load balancers', 1, ({ api }) => api.member.get(lbs)],
  ['list of pools', 1, ({ api }) => api.member.get('/v2/lbaas/pools')],
  ['list of members', 2, ({ api, pool }) => api.member.get(`/v2/lbaas/pools/${pool}/members`)],
  ['show of a load balancer', 1, ({ api, loadBalancer }) => api.member.get(`${lbs}/${loadBalancer}`)],
  ['show of a pool', 1, ({ api, pool }) => api.member.get(`/v2/lbaas/pools/${pool}`)],
  ['status tree', 1, ({ api, loadBalancer }) => api.member.get(`${lbs}/${loadBalancer}/status`)],
  [
    'creation of a load balancer with all below it',
    11,
    ({ api, size, subnetId }) => api.member.post(lbs, whole(size, subnetId)),
  ],
  [
    'creation of a pool',
    9,
    ({ api, loadBalancer }) =>
      api.member.post('/v2/lbaas/pools', {
        pool: { loadbalancer_id: loadBalancer, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
      }),
  ],
  [
    'creation of a member',
    12,
    ({ api, pool }) => api.member.post(`/v2/lbaas/pools/${pool}/members`, { member: member(200) }),
  ],
  [
    'batch that changes every member and adds as many',
    13,
    ({ api, size, pool }) =>
      api.member.put(`/v2/lbaas/pools/${pool}/members`, {
        members: Array.from({ length: 2 * size }, (_, n) => member(n, { weight: 7 })),
      }),
  ],
  [
    'batch that removes every member',
    11,
    ({ api, pool }) => api.member.put(`/v2/lbaas/pools/${pool}/members`, { members: [] }),
  ],
  ['deletion of a pool with its members', 9, ({ api, pool }) => api.member.delete(`/v2/lbaas/pools/${pool}`)],
  [
    'deletion of a load balancer with all below it',
    6,
    ({ api, loadBalancer }) => api.member.delete(`${lbs}/${loadBalancer}?cascade=true`),
  ],
];

describe('The database is asked as often for many rows as for few by the', () => {
  it.each(requests)('%s', async (_, atMost, send) => {
    const sent: (readonly string[])[] = [];
    for (const world of worlds) {
      let reply: Reply | undefined;
      sent.push(await statements(async () => (reply = await send(world))));
      if (reply !== undefined) good(reply);
      // What the change asks of the loop is done, so that the next may come.
      await world.api.settle(world.loadBalancer);
    }
    expect(sent[1]).toEqual(sent[0]);
    expect(sent[0]?.length).toBeGreaterThan(0);
    expect(sent[0]?.length).toBeLessThanOrEqual(atMost);
  });

  it('writing back of what has come true', async () => {
    const sent: number[] = [];
    for (const size of [few, many]) {
      const world = await aWorld(size);
      await world.api.store.trees.change(world.loadBalancer, (tree) => {
        if (tree === undefined) throw new Error('it is gone');
        const members = tree.members.map((one) => ({
          ...one,
          provisioningStatus: 'PENDING_UPDATE' as const,
        }));
        return { tree: { ...tree, members }, answer: undefined };
      });
      sent.push((await statements(() => world.api.settle(world.loadBalancer))).length);
      const statuses = new Map(
        (await world.api.store.trees.read(world.loadBalancer))?.members.map(({ id }) => [
          id,
          'ERROR' as const,
        ]),
      );
      const { trees } = world.api.store;
      sent.push((await statements(() => trees.setOperatingStatuses(world.loadBalancer, statuses))).length);
      await world.api.close();
    }
    expect(sent.slice(2)).toEqual(sent.slice(0, 2));
  });
});
