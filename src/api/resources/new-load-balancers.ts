import type { AmphoraAvailabilityZoneData, AvailabilityZone } from '../../lb/availability-zone.ts';
import type { Deployment } from '../../lb/defaults.ts';
import type { LoadBalancer } from '../../lb/load-balancer.ts';
import { groupsOnDirectVip, newLoadBalancer } from '../../lb/load-balancer-rules.ts';
import {
  cloudObjectNotFound,
  isProblem,
  type Problem,
  problem,
  switchedOff,
  validationFailure,
} from '../../lb/problems.ts';
import type { Tree } from '../../lb/tree.ts';
import { wholeLoadBalancer } from '../../lb/whole-load-balancer.ts';
import { availabilityZoneData } from '../availability-zone-data.ts';
import { created } from '../bodies.ts';
import { networkRights } from '../caller.ts';
import type { Created } from '../fields.ts';
import { flavorData, memberSriovProblem } from '../flavor-data.ts';
import { authorize } from '../policy.ts';
import { providerProblem } from '../providers.ts';
import type { Answer, Api, ApiConfig, ApiRequest, Route } from '../request.ts';
import { planVip, takeVip, type VipPlan } from '../vip.ts';
import { loadBalancerView } from '../views.ts';
import { listenerSecretsProblem } from './listeners.ts';
import { loadBalancers, missingInNetwork } from './load-balancers.ts';
import { poolSecretsProblem } from './pools.ts';
import { writtenOut } from './whole-load-balancer.ts';

export function newLoadBalancerRoute(api: Api): Route {
  return { method: 'POST', path: '/v2/lbaas/loadbalancers', handle: (request) => create(api, request) };
}

/** POST of a load balancer, with all that is wished below it. */
async function create(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const values = created(loadBalancers, request);
  if (isProblem(values)) return values;
  const { caller } = request;
  const projectId = wantedProject(values) ?? caller.projectId;
  if (projectId === null) return problem(400, 'Validation failure: a load balancer needs a project_id.');
  const denied =
    authorize(caller, 'loadbalancer:post', projectId) ??
    (values.vipSgIds === undefined
      ? undefined
      : authorize(caller, 'loadbalancer:post:vip_sg_ids', projectId));
  if (denied !== undefined) return denied;
  const plan =
    refusedKey(api.config, values) ?? (await planVip(api.networking, values, networkRights(api, caller)));
  if (isProblem(plan)) return plan;
  const missing = await missingInNetwork(api, request, values);
  if (missing !== undefined) return missing;
  const kind = await kindOf(api, values);
  if (isProblem(kind)) return kind;
  if (kind.vipVnicType === 'direct' && (values.vipSgIds ?? []).length > 0) return groupsOnDirectVip();
  const elsewhere = vipNetworkProblem(api.config, plan, kind);
  if (elsewhere !== undefined) return elsewhere;
  return build(api, request, values, { ...kind, plan, projectId });
}

/** Under its new name or its old one; the one written last wins. */
function wantedProject(values: Created<typeof loadBalancers.fields>): string | undefined {
  const { projectId, tenantId } = values;
  const names = Object.keys(values);
  return names.indexOf('tenantId') > names.indexOf('projectId')
    ? (tenantId ?? projectId ?? undefined)
    : (projectId ?? tenantId ?? undefined);
}

/** Takes the VIP and writes the load balancer down; gives the port back when that is refused. */
async function build(
  api: Api,
  request: ApiRequest,
  values: Created<typeof loadBalancers.fields>,
  {
    plan,
    projectId,
    provider,
    flavorId,
    availabilityZone,
    topology,
    vipVnicType,
    memberSriov,
  }: Kind & { plan: VipPlan; projectId: string },
): Promise<Answer | Problem> {
  const loadBalancerId = api.newId();
  // A quota that is met is told before what else stands in the way.
  const refused = async (wrong: Problem): Promise<Problem> =>
    (await api.store.quotas.problem(projectId, { loadBalancer: 1 })) ?? wrong;
  const vip = await takeVip(api.networking, plan, values, { loadBalancerId, projectId });
  if (isProblem(vip)) return refused(vip);
  const inheritedQos = values.vipQosPolicyId === undefined ? plan.port?.qosPolicyId : values.vipQosPolicyId;
  const { name, description, adminStateUp, tags, vipSgIds = [] } = values;
  const bare = newLoadBalancer(
    { name, description, adminStateUp, tags, vipSgIds, vipQosPolicyId: inheritedQos ?? null },
    {
      ...vip,
      id: loadBalancerId,
      projectId,
      provider,
      flavorId,
      vipVnicType,
      availabilityZone,
      topology,
    },
    { now: api.clock() },
  );
  const giveBack = async (): Promise<void> => {
    if (vip.vipPortOwned) await api.networking.removePort(vip.vipPortId);
  };
  const tree = await withAllBelow(api, request, bare, values, memberSriov).catch(async (error: unknown) => {
    await giveBack();
    throw error;
  });
  if (isProblem(tree)) {
    await giveBack();
    return refused(tree);
  }
  const refusal = await api.store.trees.create(tree);
  if (refusal !== undefined) {
    await giveBack();
    return refusal;
  }
  const shown = loadBalancers.render(loadBalancerView(tree));
  return { status: 201, body: { loadbalancer: { ...shown, ...writtenOut(tree) } } };
}

/** The tree with what is wished below the load balancer, and every certificate in it looked at. */
async function withAllBelow(
  api: Api,
  request: ApiRequest,
  bare: Tree,
  { listeners, pools }: Created<typeof loadBalancers.fields>,
  memberSriov: boolean,
): Promise<Tree | Problem> {
  const { deployment } = api.config;
  const tree = wholeLoadBalancer(
    bare,
    { listeners, pools },
    { now: bare.loadBalancer.createdAt, newId: api.newId, deployment },
  );
  if (isProblem(tree)) return tree;
  const refused = memberSriovProblem(memberSriov, tree.members);
  if (refused !== undefined) return refused;
  for (const pool of tree.pools) {
    const wrong = await poolSecretsProblem(api, request, pool, pool);
    if (wrong !== undefined) return wrong;
  }
  for (const listener of tree.listeners) {
    const wrong = await listenerSecretsProblem(api, request, listener, listener);
    if (wrong !== undefined) return wrong;
  }
  return tree;
}

interface Kind {
  readonly provider: string;
  readonly flavorId: string | null;
  readonly availabilityZone: string | null;
  readonly topology: Deployment['topology'];
  readonly vipVnicType: LoadBalancer['vipVnicType'];
  /** Whether members may ask for SR-IOV. */
  readonly memberSriov: boolean;
  /** Networks the VIP may be on; undefined: any. */
  readonly vipNetworks: readonly string[] | undefined;
}

/** The provider, from what was sent, the flavor, or the deployment; all three must go together. */
async function kindOf(
  api: Api,
  { provider, flavorId, availabilityZone }: Created<typeof loadBalancers.fields>,
): Promise<Kind | Problem> {
  const flavor = flavorId === undefined ? undefined : await api.store.lists.show('flavor', flavorId);
  if (flavorId !== undefined && flavor === undefined) return cloudObjectNotFound('Flavor', flavorId);
  if (flavor?.enabled === false) return problem(400, `Flavor ${flavor.id} is disabled.`);
  const zone =
    availabilityZone === undefined
      ? undefined
      : await api.store.lists.show('availabilityZone', availabilityZone);
  if (availabilityZone !== undefined && zone === undefined) {
    return cloudObjectNotFound('Availability Zone', availabilityZone);
  }
  if (zone?.enabled === false) return problem(400, `Availability Zone ${zone.name} is disabled.`);
  const profile = flavor && (await api.store.lists.show('flavorProfile', flavor.flavorProfileId));
  if (profile !== undefined && provider !== undefined && provider !== profile.providerName) {
    return problem(400, `Flavor ${flavorId} is of provider '${profile.providerName}', not of '${provider}'.`);
  }
  const resolved = provider ?? profile?.providerName ?? api.config.defaultProvider;
  const wrong = providerProblem(api.config, resolved);
  if (wrong !== undefined) return wrong;
  const meant = profile === undefined ? {} : await flavorData(api, resolved, profile.flavorData);
  if (isProblem(meant)) return meant;
  const topology = meant.loadbalancer_topology ?? api.config.deployment.topology;
  const zoneData = await zoneDataOf(api, resolved, zone);
  if (isProblem(zoneData)) return zoneData;
  return {
    provider: resolved,
    flavorId: flavorId ?? null,
    availabilityZone: zone?.name ?? null,
    topology,
    vipVnicType: meant.sriov_vip === true ? 'direct' : 'normal',
    memberSriov: meant.allow_member_sriov === true,
    vipNetworks: zoneData.valid_vip_networks,
  };
}

/** What the zone means to the provider; it may not be able to do any more what it could when the profile was made. */
async function zoneDataOf(
  api: Api,
  provider: string,
  zone: AvailabilityZone | undefined,
): Promise<AmphoraAvailabilityZoneData | Problem> {
  const profile =
    zone && (await api.store.lists.show('availabilityZoneProfile', zone.availabilityZoneProfileId));
  return profile === undefined ? {} : availabilityZoneData(api, provider, profile.availabilityZoneData);
}

/** The deployment's own list holds unless the zone has one; what is denied is denied everywhere. */
function vipNetworkProblem({ vips }: ApiConfig, plan: VipPlan, { vipNetworks }: Kind): Problem | undefined {
  const networkId = plan.port === undefined ? plan.networkId : plan.port.networkId;
  const holds = (list: readonly string[]): boolean =>
    list.some((other) => other.toLowerCase() === networkId.toLowerCase());
  if (holds(vips.deniedNetworks)) {
    return validationFailure(`no VIP may be on network ${networkId} in this deployment.`);
  }
  if (vipNetworks !== undefined) {
    return holds(vipNetworks)
      ? undefined
      : validationFailure(`the availability zone allows no VIP on network ${networkId}.`);
  }
  return vips.validNetworks.length === 0 || holds(vips.validNetworks)
    ? undefined
    : validationFailure(`no VIP may be on network ${networkId} in this deployment.`);
}

/** A way of asking for a VIP that the operator does not allow. */
function refusedKey(
  { vips }: ApiConfig,
  { vipSubnetId, vipNetworkId, vipPortId }: Created<typeof loadBalancers.fields>,
): Problem | undefined {
  if (typeof vipPortId === 'string' && !vips.byPort) return switchedOff('vip_port_id', vipPortId);
  if (typeof vipNetworkId === 'string' && !vips.byNetwork) return switchedOff('vip_network_id', vipNetworkId);
  return typeof vipSubnetId === 'string' && !vips.bySubnet
    ? switchedOff('vip_subnet_id', vipSubnetId)
    : undefined;
}
