import type { NamedResource, Resource } from './resource.ts';
import { isPending } from './status.ts';
import type { L7Policy } from './l7-policy.ts';
import { type Tree, treeLists } from './tree.ts';

/** What the amphorae confirmed. */
export interface Settlement {
  readonly now: Date;
  /** Why an object could not be carried out, by its id; for a person. */
  readonly failed: ReadonlyMap<string, string>;
  /** An amphora serves the load balancer. */
  readonly loadBalancerOnline: boolean;
}

/**
 * What the tree looks like once the amphorae carried it out: what was to go is gone, what was pending is ACTIVE, what
 * failed is ERROR with its reason. Objects that did not change stay the same objects.
 */
export function settled(tree: Tree, settlement: Settlement): Tree {
  const { loadBalancer } = tree;
  const refusal = settlement.failed.get(loadBalancer.id);
  if (loadBalancer.provisioningStatus === 'PENDING_DELETE' && refusal === undefined) {
    return deleted(tree, settlement.now);
  }
  // A load balancer that could not be built takes everything below it along.
  const buried =
    loadBalancer.provisioningStatus === 'PENDING_CREATE' && refusal !== undefined ? refusal : undefined;
  const reasonOf = (object: Resource): string | undefined => settlement.failed.get(object.id) ?? buried;
  const goes = (object: Resource): boolean =>
    object.provisioningStatus === 'PENDING_DELETE' && reasonOf(object) === undefined;
  const settle = <T extends Resource>(object: T, activated: Partial<Resource> = {}): T =>
    settledObject(object, reasonOf(object), settlement.now, activated);
  const switched = (object: Resource): Partial<Resource> => ({
    operatingStatus: object.adminStateUp ? 'ONLINE' : 'OFFLINE',
  });

  const gonePools = idsOf(tree.pools.filter(goes));
  const goneListeners = idsOf(tree.listeners.filter(goes));
  const unwatchedPools = new Set(tree.healthMonitors.filter(goes).map((monitor) => monitor.poolId));
  const policies = tree.l7Policies.filter((policy) => !goes(policy) && !goneListeners.has(policy.listenerId));
  const policyIds = idsOf(policies);

  return {
    loadBalancer: online(settle(loadBalancer), settlement),
    listeners: tree.listeners
      .filter((listener) => !goneListeners.has(listener.id))
      .map((listener) => settle(listener))
      .map((listener) =>
        gonePools.has(listener.defaultPoolId ?? '') ? { ...listener, defaultPoolId: null } : listener,
      ),
    pools: tree.pools.filter((pool) => !gonePools.has(pool.id)).map((pool) => settle(pool)),
    members: tree.members
      .filter((member) => !goes(member) && !gonePools.has(member.poolId))
      .map((member) => settle(member))
      .map((member) =>
        unwatchedPools.has(member.poolId) && member.operatingStatus !== 'NO_MONITOR'
          ? { ...member, operatingStatus: 'NO_MONITOR' }
          : member,
      ),
    healthMonitors: tree.healthMonitors
      .filter((monitor) => !goes(monitor) && !gonePools.has(monitor.poolId))
      .map((monitor) => settle(monitor, switched(monitor))),
    l7Policies: dense(policies.map((policy) => settle(policy, switched(policy)))),
    l7Rules: tree.l7Rules
      .filter((rule) => !goes(rule) && policyIds.has(rule.l7PolicyId))
      .map((rule) => settle(rule, switched(rule))),
  };
}

/** Nothing in the tree is pending. */
export function restTree(tree: Tree): boolean {
  return (
    !isPending(tree.loadBalancer.provisioningStatus) &&
    treeLists.every((list) => tree[list].every((object) => !isPending(object.provisioningStatus)))
  );
}

/** The policies with positions 1..n without gaps within each listener, in the order they had. */
export function dense(policies: readonly L7Policy[]): readonly L7Policy[] {
  const positions = new Map<string, number>();
  const counts = new Map<string, number>();
  for (const policy of policies.toSorted((a, b) => a.position - b.position)) {
    const position = (counts.get(policy.listenerId) ?? 0) + 1;
    counts.set(policy.listenerId, position);
    positions.set(policy.id, position);
  }
  return policies.map((policy) => {
    const position = positions.get(policy.id) ?? policy.position;
    return position === policy.position ? policy : { ...policy, position };
  });
}

function settledObject<T extends Resource>(
  object: T,
  reason: string | undefined,
  now: Date,
  activated: Partial<Resource>,
): T {
  if (reason !== undefined) {
    return object.provisioningStatus === 'ERROR' && object.statusReason === reason
      ? object
      : { ...object, provisioningStatus: 'ERROR', statusReason: reason, updatedAt: now };
  }
  if (!isPending(object.provisioningStatus)) return object;
  return { ...object, ...activated, provisioningStatus: 'ACTIVE', statusReason: null, updatedAt: now };
}

function online<T extends NamedResource>(loadBalancer: T, { loadBalancerOnline }: Settlement): T {
  const operatingStatus = !loadBalancer.adminStateUp
    ? 'OFFLINE'
    : loadBalancerOnline && loadBalancer.operatingStatus === 'OFFLINE'
      ? 'ONLINE'
      : loadBalancer.operatingStatus;
  return operatingStatus === loadBalancer.operatingStatus
    ? loadBalancer
    : { ...loadBalancer, operatingStatus };
}

function deleted(tree: Tree, now: Date): Tree {
  return {
    loadBalancer: {
      ...tree.loadBalancer,
      provisioningStatus: 'DELETED',
      operatingStatus: 'OFFLINE',
      statusReason: null,
      updatedAt: now,
    },
    listeners: [],
    pools: [],
    members: [],
    healthMonitors: [],
    l7Policies: [],
    l7Rules: [],
  };
}

function idsOf(objects: readonly Resource[]): ReadonlySet<string> {
  return new Set(objects.map((object) => object.id));
}
