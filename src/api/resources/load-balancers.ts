import type { LoadBalancer } from '../../lb/load-balancer.ts';
import { deleteLoadBalancer, failOver, updateLoadBalancer } from '../../lb/load-balancer-rules.ts';
import { cloudObjectNotFound, isProblem, notFound, type Problem } from '../../lb/problems.ts';
import { updated } from '../bodies.ts';
import { networkRights } from '../caller.ts';
import { carry } from '../change.ts';
import { found } from '../collection.ts';
import { fields, idObjects, object, refused } from '../fields.ts';
import { authorize } from '../policy.ts';
import { type Answer, type Api, type ApiRequest, ok, type Route, strayQuery } from '../request.ts';
import { common, described, id, named, resource } from '../resource.ts';
import { listRoute, objectAnswer, showRoute } from '../routes.ts';
import { statisticsOf } from '../statistics.ts';
import { statusTree } from '../status-tree.ts';
import { ipAddress, isTrue, list, oneOf, text, uuid, uuidOf } from '../types.ts';
import { loadBalancerView } from '../views.ts';
import { wholeListeners, wholePools } from './whole-load-balancer.ts';

const vipId = fields({ field: { type: uuid(), post: 'optional' } }).field;

const additionalVip = fields({
  subnetId: { type: uuid(), post: 'required' },
  ipAddress: { type: ipAddress(), post: 'optional' },
  portId: { type: uuid(), post: 'ignored' },
});

export const loadBalancers = resource({
  kind: 'loadBalancer',
  name: 'Load Balancer',
  argument: 'load_balancer.loadbalancer',
  many: 'loadbalancers',
  fields: fields({
    ...id,
    ...named,
    ...described,
    ...common,
    projectId: { type: text({ max: 36 }), post: 'optional', always: true },
    tenantId: {
      type: text({ max: 36 }),
      post: 'optional',
      stored: false,
      show: (row: LoadBalancer) => row.projectId,
      always: true,
    },
    vipSubnetId: vipId,
    vipNetworkId: vipId,
    vipPortId: vipId,
    vipAddress: { type: ipAddress(), post: 'optional' },
    vipQosPolicyId: { type: uuid(), post: 'optional', put: 'optional' },
    vipVnicType: { type: oneOf('normal', 'direct') },
    vipSgIds: {
      type: list(uuid(), { unique: true }),
      post: 'optional',
      put: 'optional',
      nullOnPost: [],
      nullOnPut: [],
    },
    additionalVips: {
      type: list(object(additionalVip)),
      post: 'optional',
      default: [],
      nullOnPost: refused,
      show: (row: LoadBalancer) =>
        row.additionalVips.map((vip) => ({
          subnet_id: vip.subnetId,
          ip_address: vip.ipAddress,
          port_id: vip.portId,
        })),
    },
    provider: { type: text({ max: 64 }), post: 'optional', nullOnPost: 'amphora', always: true },
    flavorId: { type: uuid(), post: 'optional', nullOnPost: refused },
    availabilityZone: { type: text({ max: 255 }), post: 'optional', nullOnPost: refused },
    listeners: {
      type: wholeListeners,
      post: 'optional',
      default: [],
      nullOnPost: [],
      show: (row: { readonly listenerIds: readonly string[] }) => idObjects(row.listenerIds),
    },
    pools: {
      type: wholePools,
      post: 'optional',
      default: [],
      nullOnPost: [],
      show: (row: { readonly poolIds: readonly string[] }) => idObjects(row.poolIds),
    },
  }),
});

export function loadBalancerRoutes(api: Api): readonly Route[] {
  const all = '/v2/lbaas/loadbalancers';
  const one = `${all}/:id`;
  return [
    listRoute(api, loadBalancers, all, 'loadbalancer'),
    showRoute(api, loadBalancers, one, 'loadbalancer:get_one'),
    { method: 'PUT', path: one, handle: (request) => update(api, request) },
    { method: 'DELETE', path: one, handle: (request) => remove(api, request) },
    { method: 'PUT', path: `${one}/failover`, handle: (request) => replaceAmphorae(api, request) },
    { method: 'GET', path: `${one}/status`, handle: (request) => status(api, request) },
    { method: 'GET', path: `${one}/statuses`, handle: (request) => status(api, request) },
    { method: 'GET', path: `${one}/stats`, handle: (request) => statistics(api, request) },
  ];
}

/** The first object of the network that is named and not there. */
export async function missingInNetwork(
  api: Api,
  { caller }: ApiRequest,
  {
    vipQosPolicyId,
    vipSgIds,
  }: { readonly vipQosPolicyId?: string | null; readonly vipSgIds?: readonly string[] },
): Promise<Problem | undefined> {
  const { networking } = api;
  const rights = networkRights(api, caller);
  if (typeof vipQosPolicyId === 'string' && !(await networking.qosPolicyExists(vipQosPolicyId, rights))) {
    return cloudObjectNotFound('QoS policy', vipQosPolicyId);
  }
  for (const groupId of vipSgIds ?? []) {
    if (!(await networking.securityGroupExists(groupId, rights))) {
      return cloudObjectNotFound('Security Group', groupId);
    }
  }
  return undefined;
}

async function update(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const changes = updated(loadBalancers, request);
  if (isProblem(changes)) return changes;
  const names = changes.vipSgIds !== undefined || typeof changes.vipQosPolicyId === 'string';
  const loadBalancer = await carry(api, {
    ...itself(request),
    actions: ['loadbalancer:put', ...(changes.vipSgIds ? (['loadbalancer:put:vip_sg_ids'] as const) : [])],
    decide: (tree, circumstances) => updateLoadBalancer(tree, changes, circumstances),
    outside: names ? () => missingInNetwork(api, request, changes) : undefined,
    show: loadBalancerView,
  });
  return objectAnswer(loadBalancers, loadBalancer, 200);
}

async function remove(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const stray = strayQuery(request, 'cascade');
  if (stray !== undefined) return stray;
  const cascade = isTrue(request.query.get('cascade') ?? '');
  const done = await carry(api, {
    ...itself(request),
    actions: ['loadbalancer:delete'],
    decide: (tree) => deleteLoadBalancer(tree, cascade),
    show: () => undefined,
  });
  return done ?? { status: 204 };
}

/** The loop replaces every amphora. */
async function replaceAmphorae(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const stray = strayQuery(request);
  if (stray !== undefined) return stray;
  const done = await carry(api, {
    ...itself(request),
    actions: ['loadbalancer:put_failover'],
    decide: failOver,
    show: () => undefined,
  });
  return done ?? { status: 202 };
}

function itself({ caller, params }: ApiRequest) {
  const id = params['id'] ?? '';
  return { caller, of: { kind: 'loadBalancer', id }, missing: notFound('Load Balancer', id) } as const;
}

async function status(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const stray = strayQuery(request);
  if (stray !== undefined) return stray;
  const { missing, of } = itself(request);
  const uuid = uuidOf(of.id);
  const tree = uuid === undefined ? undefined : await api.store.trees.read(uuid);
  if (tree === undefined) return missing;
  const denied = authorize(request.caller, 'loadbalancer:get_status', tree.loadBalancer.projectId);
  return denied ?? ok(statusTree(tree));
}

async function statistics(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const stray = strayQuery(request);
  if (stray !== undefined) return stray;
  const loadBalancer = await found(api, loadBalancers, request.params['id'] ?? '');
  if (isProblem(loadBalancer)) return loadBalancer;
  const denied = authorize(request.caller, 'loadbalancer:get_stats', loadBalancer.projectId);
  return denied ?? ok({ stats: statisticsOf(await api.store.statistics.ofLoadBalancer(loadBalancer.id)) });
}
