import type { LoadBalancer } from './load-balancer.ts';
import { immutable, invalidState, type Problem, problem } from './problems.ts';
import type { Circumstances, Decision, Outgoing, Tree } from './tree.ts';

export type LoadBalancerValues = Pick<
  LoadBalancer,
  'name' | 'description' | 'adminStateUp' | 'vipQosPolicyId' | 'vipSgIds' | 'tags'
>;

/** Where it stands in the cloud; settled before it is wished. */
export type Placement = Pick<
  LoadBalancer,
  | 'id'
  | 'projectId'
  | 'vipAddress'
  | 'vipSubnetId'
  | 'vipNetworkId'
  | 'vipPortId'
  | 'vipPortOwned'
  | 'vipVnicType'
  | 'additionalVips'
  | 'provider'
  | 'flavorId'
  | 'availabilityZone'
  | 'topology'
>;

export function newLoadBalancer(
  values: LoadBalancerValues,
  placement: Placement,
  { now }: Pick<Circumstances, 'now'>,
): Tree {
  return {
    loadBalancer: {
      ...values,
      ...placement,
      generation: 1,
      provisioningStatus: 'PENDING_CREATE',
      operatingStatus: 'OFFLINE',
      statusReason: null,
      createdAt: now,
      updatedAt: null,
    },
    listeners: [],
    pools: [],
    members: [],
    healthMonitors: [],
    l7Policies: [],
    l7Rules: [],
  };
}

export function updateLoadBalancer(
  tree: Tree,
  changes: Partial<LoadBalancerValues>,
  { now }: Pick<Circumstances, 'now'>,
): Decision<LoadBalancer> | Problem {
  const { provisioningStatus, id } = tree.loadBalancer;
  if (provisioningStatus !== 'ACTIVE') return invalidState(provisioningStatus, id);
  if (tree.loadBalancer.vipVnicType === 'direct' && (changes.vipSgIds ?? []).length > 0) {
    return groupsOnDirectVip();
  }
  const loadBalancer: LoadBalancer = {
    ...tree.loadBalancer,
    ...changes,
    provisioningStatus: 'PENDING_UPDATE',
    updatedAt: now,
  };
  return { tree: { ...tree, loadBalancer }, answer: loadBalancer };
}

/** Neutron's groups do not filter a virtual function. */
export function groupsOnDirectVip(): Problem {
  return problem(400, 'vip_sg_ids cannot be used with a VIP on an SR-IOV port (vip_vnic_type direct).');
}

/** The statuses below stay as they are; all goes when the load balancer is gone. */
export function deleteLoadBalancer(tree: Tree, cascade: boolean): Decision<undefined> | Problem {
  const { provisioningStatus, id } = tree.loadBalancer;
  if (!cascade && (tree.listeners.length > 0 || tree.pools.length > 0)) {
    return problem(
      400,
      `Cannot delete Load Balancer ${id}: it has children. Delete its listeners and pools first, or use cascade.`,
    );
  }
  if (provisioningStatus !== 'ACTIVE' && provisioningStatus !== 'ERROR') {
    return invalidState(provisioningStatus, id);
  }
  return {
    tree: { ...tree, loadBalancer: { ...tree.loadBalancer, provisioningStatus: 'PENDING_DELETE' } },
    answer: undefined,
  };
}

/** Every amphora is replaced; the statuses below stay as they are. */
export function failOver(tree: Tree): Decision<undefined> | Problem {
  const { provisioningStatus, id } = tree.loadBalancer;
  return provisioningStatus === 'ACTIVE' || provisioningStatus === 'ERROR'
    ? replacing(tree, 'all')
    : invalidState(provisioningStatus, id);
}

/** That amphora is replaced. */
export function failOverAmphora(tree: Tree, amphoraId: string): Decision<undefined> | Problem {
  const { provisioningStatus, id } = tree.loadBalancer;
  return provisioningStatus === 'ACTIVE' ? replacing(tree, [amphoraId]) : immutable('Load Balancer', id);
}

function replacing(tree: Tree, outgoing: Outgoing): Decision<undefined> {
  const loadBalancer: LoadBalancer = { ...tree.loadBalancer, provisioningStatus: 'PENDING_UPDATE' };
  return { tree: { ...tree, loadBalancer }, answer: undefined, outgoing };
}
