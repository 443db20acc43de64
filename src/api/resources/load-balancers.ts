import type { LoadBalancer } from '../../lb/load-balancer.ts';
import { deleteLoadBalancer, newLoadBalancer, updateLoadBalancer } from '../../lb/load-balancer-rules.ts';
import { cloudObjectNotFound, isProblem, notFound, type Problem, problem } from '../../lb/problems.ts';
import { created, updated } from '../bodies.ts';
import { carry } from '../change.ts';
import { found } from '../collection.ts';
import { type Created, fields, idObjects, object, refused } from '../fields.ts';
import { flavorData } from '../flavor-data.ts';
import { authorize } from '../policy.ts';
import { providerProblem } from '../providers.ts';
import { type Answer, type Api, type ApiRequest, ok, type Route, strayQuery } from '../request.ts';
import { common, described, id, named, resource } from '../resource.ts';
import { listRoute, objectAnswer, showRoute } from '../routes.ts';
import { statisticsOf } from '../statistics.ts';
import { statusTree } from '../status-tree.ts';
import { ipAddress, isTrue, list, oneOf, references, text, uuid, uuidOf } from '../types.ts';
import { planVip, takeVip, type VipPlan } from '../vip.ts';
import { loadBalancerView } from '../views.ts';

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
    projectId: { type: text({ max: 36 }), post: 'optional' },
    tenantId: {
      type: text({ max: 36 }),
      post: 'optional',
      stored: false,
      show: (row: LoadBalancer) => row.projectId,
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
    provider: { type: text({ max: 64 }), post: 'optional', nullOnPost: 'amphora' },
    flavorId: { type: uuid(), post: 'optional', nullOnPost: refused },
    availabilityZone: { type: text({ max: 255 }), post: 'optional', nullOnPost: refused },
    listenerIds: {
      type: references('Creating listeners together with their load balancer is not supported yet.', 501),
      api: 'listeners',
      post: 'optional',
      nullOnPost: [],
      show: (row: { readonly listenerIds: readonly string[] }) => idObjects(row.listenerIds),
    },
    poolIds: {
      type: references('Creating pools together with their load balancer is not supported yet.', 501),
      api: 'pools',
      post: 'optional',
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
    { method: 'POST', path: all, handle: (request) => create(api, request) },
    { method: 'PUT', path: one, handle: (request) => update(api, request) },
    { method: 'DELETE', path: one, handle: (request) => remove(api, request) },
    { method: 'GET', path: `${one}/status`, handle: (request) => status(api, request) },
    { method: 'GET', path: `${one}/statuses`, handle: (request) => status(api, request) },
    { method: 'GET', path: `${one}/stats`, handle: (request) => statistics(api, request) },
  ];
}

async function create(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const values = created(loadBalancers, request);
  if (isProblem(values)) return values;
  const { caller } = request;
  const projectId = values.projectId ?? values.tenantId ?? caller.projectId;
  if (projectId === null) return problem(400, 'Validation failure: a load balancer needs a project_id.');
  const denied =
    authorize(caller, 'loadbalancer:post', projectId) ??
    (values.vipSgIds === undefined
      ? undefined
      : authorize(caller, 'loadbalancer:post:vip_sg_ids', projectId));
  if (denied !== undefined) return denied;
  const plan = await planVip(api.networking, values, caller.token);
  if (isProblem(plan)) return plan;
  const missing = await missingInNetwork(api, request, values);
  if (missing !== undefined) return missing;
  const kind = await kindOf(api, values);
  if (isProblem(kind)) return kind;
  return build(api, values, { ...kind, plan, projectId });
}

/** Takes the VIP and writes the load balancer down; gives the port back when that is refused. */
async function build(
  api: Api,
  values: Created<typeof loadBalancers.fields>,
  { plan, projectId, provider, flavorId }: Kind & { plan: VipPlan; projectId: string },
): Promise<Answer | Problem> {
  const loadBalancerId = api.newId();
  const vip = await takeVip(api.networking, plan, values, { loadBalancerId, projectId });
  if (isProblem(vip)) return vip;
  const inheritedQos = values.vipQosPolicyId === undefined ? plan.port?.qosPolicyId : values.vipQosPolicyId;
  const { name, description, adminStateUp, tags, vipSgIds = [] } = values;
  const tree = newLoadBalancer(
    { name, description, adminStateUp, tags, vipSgIds, vipQosPolicyId: inheritedQos ?? null },
    {
      ...vip,
      id: loadBalancerId,
      projectId,
      provider,
      flavorId,
      vipVnicType: 'normal',
      availabilityZone: null,
      topology: 'SINGLE',
    },
    { now: api.clock() },
  );
  const refusal = await api.store.trees.create(tree);
  if (refusal === undefined) return objectAnswer(loadBalancers, loadBalancerView(tree), 201);
  if (vip.vipPortOwned) await api.networking.removePort(vip.vipPortId);
  return refusal;
}

interface Kind {
  readonly provider: string;
  readonly flavorId: string | null;
}

/** The provider, from what was sent, the flavor, or the deployment; all three must go together. */
async function kindOf(
  api: Api,
  { provider, flavorId, availabilityZone }: Created<typeof loadBalancers.fields>,
): Promise<Kind | Problem> {
  const flavor = flavorId === undefined ? undefined : await api.store.lists.show('flavor', flavorId);
  if (flavorId !== undefined && flavor === undefined) return cloudObjectNotFound('Flavor', flavorId);
  if (flavor?.enabled === false) return problem(400, `Flavor ${flavor.id} is disabled.`);
  // Zones are not offered so far, so none can be named.
  if (availabilityZone !== undefined) return cloudObjectNotFound('Availability Zone', availabilityZone);
  const profile = flavor && (await api.store.lists.show('flavorProfile', flavor.flavorProfileId));
  if (profile !== undefined && provider !== undefined && provider !== profile.providerName) {
    return problem(400, `Flavor ${flavorId} is of provider '${profile.providerName}', not of '${provider}'.`);
  }
  const resolved = provider ?? profile?.providerName ?? api.config.defaultProvider;
  const wrong =
    providerProblem(api.config, resolved) ??
    (profile && (await flavorData(api, resolved, profile.flavorData)));
  return isProblem(wrong) ? wrong : { provider: resolved, flavorId: flavorId ?? null };
}

async function missingInNetwork(
  { networking }: Api,
  { caller }: ApiRequest,
  {
    vipQosPolicyId,
    vipSgIds,
  }: { readonly vipQosPolicyId?: string | null; readonly vipSgIds?: readonly string[] },
): Promise<Problem | undefined> {
  if (
    typeof vipQosPolicyId === 'string' &&
    !(await networking.qosPolicyExists(vipQosPolicyId, caller.token))
  ) {
    return cloudObjectNotFound('QoS policy', vipQosPolicyId);
  }
  for (const groupId of vipSgIds ?? []) {
    if (!(await networking.securityGroupExists(groupId, caller.token))) {
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
