import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  activeLoadBalancer,
  type Client,
  type Reply,
  startApi,
  type TestApi,
} from '../../src/api/client.fixture.ts';
import { type TreeList, type Tree, treeLists } from '../../src/lb/tree.ts';
import { illegalities } from './legal-tree.ts';
import { runs } from './odd.ts';
import { oddity } from './witness.ts';

/** Whatever is asked in whatever order, carried out or not: the tree is a legal one. */

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

/** One step: which request, and which of the objects there are it is about. */
interface Step {
  readonly request: Request;
  readonly at: number;
  readonly other: number;
  readonly settle: 'yes' | 'failed' | 'no';
}
type Request = (context: Context) => Promise<Reply>;
interface Context {
  readonly client: Client;
  readonly balancerId: string;
  /** The nth object of a list, or an id that nobody has. */
  readonly pick: (list: TreeList) => string;
  readonly pickOther: (list: TreeList) => string;
}

const post = (path: string, key: string, values: (context: Context) => object): Request => {
  return (context) => context.client.post(`/v2/lbaas/${path}`, { [key]: values(context) });
};
const listener = (protocol: string, port: number, withPool: boolean): Request =>
  post('listeners', 'listener', ({ balancerId, pick }) => ({
    ...{ loadbalancer_id: balancerId, protocol, protocol_port: port },
    ...(withPool && { default_pool_id: pick('pools') }),
  }));
const pool = (protocol: string, where: 'balancer' | 'listener'): Request =>
  post('pools', 'pool', ({ balancerId, pick }) => ({
    ...{ protocol, lb_algorithm: 'ROUND_ROBIN' },
    ...(where === 'balancer' ? { loadbalancer_id: balancerId } : { listener_id: pick('listeners') }),
  }));
const policy = (position: number, toPool: boolean): Request =>
  post('l7policies', 'l7policy', ({ pick }) => ({
    ...{ listener_id: pick('listeners'), position },
    ...(toPool ? { action: 'REDIRECT_TO_POOL', redirect_pool_id: pick('pools') } : { action: 'REJECT' }),
  }));
const member =
  (address: string): Request =>
  ({ client, pick }) =>
    client.post(`/v2/lbaas/pools/${pick('pools')}/members`, { member: { address, protocol_port: 80 } });
const batch =
  (addresses: readonly string[], additive: boolean): Request =>
  ({ client, pick }) =>
    client.put(`/v2/lbaas/pools/${pick('pools')}/members?additive_only=${additive}`, {
      members: addresses.map((address) => ({ address, protocol_port: 80 })),
    });
const monitor = (type: string): Request =>
  post('healthmonitors', 'healthmonitor', ({ pick }) => ({
    ...{ pool_id: pick('pools'), type, delay: 5, timeout: 3, max_retries: 2 },
  }));
const rule: Request = ({ client, pick }) =>
  client.post(`/v2/lbaas/l7policies/${pick('l7Policies')}/rules`, {
    rule: { type: 'PATH', compare_type: 'STARTS_WITH', value: '/a' },
  });
const put =
  (list: TreeList, key: string, values: (context: Context) => object): Request =>
  (context) =>
    context.client.put(pathOf(list, context), { [key]: values(context) });
const remove =
  (list: TreeList): Request =>
  (context) =>
    context.client.delete(pathOf(list, context));

const collections: Readonly<Record<string, string>> = {
  ...{ listeners: 'listeners', pools: 'pools', healthMonitors: 'healthmonitors', l7Policies: 'l7policies' },
};
function pathOf(list: TreeList, { pick, pickOther }: Context): string {
  if (list === 'members') return `/v2/lbaas/pools/${pickOther('pools')}/members/${pick(list)}`;
  if (list === 'l7Rules') return `/v2/lbaas/l7policies/${pickOther('l7Policies')}/rules/${pick(list)}`;
  return `/v2/lbaas/${collections[list]}/${pick(list)}`;
}

const protocols = ['HTTP', 'HTTPS', 'TCP', 'UDP', 'SCTP', 'PROMETHEUS', 'PROXY', 'PROXYV2'];
const address = fc.constantFrom('198.51.100.1', '198.51.100.2', '198.51.100.3', '2001:db8::1');
const request: fc.Arbitrary<Request> = fc.oneof(
  fc
    .tuple(fc.constantFrom(...protocols), fc.integer({ min: 80, max: 83 }), fc.boolean())
    .map((all) => listener(...all)),
  fc
    .tuple(fc.constantFrom(...protocols), fc.constantFrom('balancer', 'listener'))
    .map((all) => pool(...(all as ['HTTP', 'balancer']))),
  fc.tuple(fc.integer({ min: 1, max: 5 }), fc.boolean()).map((all) => policy(...all)),
  fc.tuple(fc.integer({ min: 1, max: 5 }), fc.boolean()).map((all) => policy(...all)),
  address.map(member),
  fc.tuple(fc.uniqueArray(address), fc.boolean()).map((all) => batch(...all)),
  fc.constantFrom('HTTP', 'TCP', 'PING', 'TLS-HELLO', 'UDP-CONNECT', 'SCTP').map(monitor),
  fc.constant(rule),
  fc.integer({ min: 1, max: 6 }).map((position) => put('l7Policies', 'l7policy', () => ({ position }))),
  fc.constant(put('listeners', 'listener', ({ pickOther }) => ({ default_pool_id: pickOther('pools') }))),
  fc.constant(put('listeners', 'listener', () => ({ default_pool_id: null }))),
  fc.constant(
    put('l7Policies', 'l7policy', ({ pickOther }) => ({
      action: 'REDIRECT_TO_POOL',
      redirect_pool_id: pickOther('pools'),
    })),
  ),
  fc.constant(
    put('pools', 'pool', () => ({ admin_state_up: false, session_persistence: { type: 'SOURCE_IP' } })),
  ),
  fc.constant(put('members', 'member', () => ({ weight: 0 }))),
  fc.constantFrom(...treeLists).map(remove),
);
const step: fc.Arbitrary<Step> = fc.record({
  request,
  at: fc.nat(20),
  other: fc.nat(20),
  settle: fc.oneof(
    { weight: 8, arbitrary: fc.constant('yes' as const) },
    { weight: 1, arbitrary: fc.constant('failed' as const) },
    { weight: 1, arbitrary: fc.constant('no' as const) },
  ),
});

async function treeOf(id: string): Promise<Tree> {
  const tree = await api.store.trees.read(id);
  if (tree === undefined) throw new Error('the load balancer is gone');
  return tree;
}

const monitored = { type: 'TCP', delay: 5, timeout: 3, max_retries: 2 };
const pools = ['HTTP', 'TCP', 'UDP'].map((protocol) => ({
  ...{ name: protocol, protocol, lb_algorithm: 'ROUND_ROBIN', healthmonitor: monitored },
  members: [{ address: '198.51.100.1', protocol_port: 80 }],
}));
const reject = { action: 'REJECT', rules: [{ type: 'PATH', compare_type: 'STARTS_WITH', value: '/a' }] };
const beginning = {
  pools,
  listeners: [
    { protocol: 'HTTP', protocol_port: 80, default_pool: { name: 'HTTP' }, l7policies: [reject, reject] },
    { protocol: 'UDP', protocol_port: 80, default_pool: { name: 'UDP' } },
  ],
};
const nobody = '00000000-0000-4000-8000-000000000000';

it('any sequence of requests leaves a legal tree', async () => {
  const seen = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 25, maxLength: 40, size: 'max' }), async (steps) => {
      const balancerId = await activeLoadBalancer(api, beginning);
      for (const { request, at, other, settle } of steps) {
        const before = await treeOf(balancerId);
        const nth = (n: number) => (list: TreeList) =>
          before[list][n % (before[list].length || 1)]?.id ?? nobody;
        const reply = await request({ client: api.member, balancerId, pick: nth(at), pickOther: nth(other) });
        seen.set(reply.status, (seen.get(reply.status) ?? 0) + 1);
        expect(oddity(reply)).toBeUndefined();
        const after = await treeOf(balancerId);
        expect(illegalities(after)).toEqual([]);
        if (reply.status >= 400) expect(after).toEqual(before);
        if (settle === 'no') continue;
        const waiting = treeLists.flatMap((list) =>
          after[list].filter(({ provisioningStatus }) => provisioningStatus.startsWith('PENDING')),
        );
        await api.settle(
          balancerId,
          settle === 'failed' && waiting[0] ? { [waiting[0].id]: 'it cannot be' } : {},
        );
        expect(illegalities(await treeOf(balancerId))).toEqual([]);
      }
    }),
    runs(20),
  );
  // The steps are worth something only if many are carried out.
  expect([...seen].filter(([status]) => status < 300).reduce((sum, [, n]) => sum + n, 0)).toBeGreaterThan(
    200,
  );
});
