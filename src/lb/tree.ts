import type { Deployment } from './defaults.ts';
import type { HealthMonitor } from './health-monitor.ts';
import type { L7Policy } from './l7-policy.ts';
import type { L7Rule } from './l7-rule.ts';
import type { Listener } from './listener.ts';
import type { LoadBalancer } from './load-balancer.ts';
import type { Member } from './member.ts';
import type { Pool } from './pool.ts';
import type { Resource } from './resource.ts';

/**
 * One load balancer with everything below it: the unit of wanting and of locking.
 * Flat lists joined by parent ids; objects are never changed in place, so that the store writes only those that
 * are not the same object any more.
 */
export interface Tree {
  readonly loadBalancer: LoadBalancer;
  readonly listeners: readonly Listener[];
  readonly pools: readonly Pool[];
  readonly members: readonly Member[];
  readonly healthMonitors: readonly HealthMonitor[];
  readonly l7Policies: readonly L7Policy[];
  readonly l7Rules: readonly L7Rule[];
}

/** What a pure change gives: the tree as wished from now on, and the object the client is shown. */
export interface Decision<T> {
  readonly tree: Tree;
  readonly answer: T;
  /** Amphorae that are to be replaced: ids, or all there are. */
  readonly outgoing?: Outgoing;
}

export type Outgoing = 'all' | readonly string[];

/** What a change may know beside the tree and the client's values. */
export interface Circumstances {
  readonly now: Date;
  /** A fresh random id. */
  readonly newId: () => string;
  readonly deployment: Deployment;
}

/** The lists of a tree, by the name of the field. */
export interface TreeLists {
  listeners: Listener;
  pools: Pool;
  members: Member;
  healthMonitors: HealthMonitor;
  l7Policies: L7Policy;
  l7Rules: L7Rule;
}
export type TreeList = keyof TreeLists;

export const treeLists: readonly TreeList[] = [
  'listeners',
  'pools',
  'members',
  'healthMonitors',
  'l7Policies',
  'l7Rules',
];

/** The tree with `changes` laid over the object of that id; the same tree when there is no such object. */
export function replace<K extends TreeList>(
  tree: Tree,
  list: K,
  id: string,
  changes: Partial<TreeLists[K]>,
): Tree {
  const objects = tree[list] as unknown as readonly TreeLists[K][];
  return {
    ...tree,
    [list]: objects.map((object) => (object.id === id ? { ...object, ...changes } : object)),
  };
}

/**
 * By pool id, the ids of the listeners that use the pool: as default pool, or by an enabled policy with at least one
 * rule that redirects to it (the API's meaning of a pool's `listeners`). Pools that nobody uses are not in it.
 */
export function poolUsers(tree: Tree): ReadonlyMap<string, readonly string[]> {
  const withRules = new Set(tree.l7Rules.map((rule) => rule.l7PolicyId));
  const policies = Map.groupBy(
    tree.l7Policies.filter((policy) => policy.adminStateUp && withRules.has(policy.id)),
    (policy) => policy.listenerId,
  );
  const users = new Map<string, string[]>();
  for (const { id, defaultPoolId } of tree.listeners) {
    const redirected = policies.get(id)?.map((policy) => policy.redirectPoolId) ?? [];
    for (const poolId of new Set([defaultPoolId, ...redirected])) {
      if (poolId !== null) users.set(poolId, [...(users.get(poolId) ?? []), id]);
    }
  }
  return users;
}

/** Ids of the listeners that use the pool, as `poolUsers` means it. */
export function listenersUsing(tree: Tree, poolId: string): readonly string[] {
  return poolUsers(tree).get(poolId) ?? [];
}

/** Who is affected by a change, beside the load balancer itself. */
export interface Touched {
  readonly listeners?: readonly string[];
  readonly pools?: readonly string[];
  readonly l7Policies?: readonly string[];
}

/** The tree with the load balancer and those around a change PENDING_UPDATE. Who is in ERROR stays so. */
export function pendingUpdate(tree: Tree, touched: Touched = {}): Tree {
  return {
    ...tree,
    loadBalancer: pending(tree.loadBalancer),
    listeners: touch(tree.listeners, touched.listeners),
    pools: touch(tree.pools, touched.pools),
    l7Policies: touch(tree.l7Policies, touched.l7Policies),
  };
}

function touch<T extends Resource>(objects: readonly T[], ids: readonly string[] = []): readonly T[] {
  return ids.length === 0
    ? objects
    : objects.map((object) => (ids.includes(object.id) ? pending(object) : object));
}

function pending<T extends Resource>(object: T): T {
  return object.provisioningStatus === 'ACTIVE'
    ? { ...object, provisioningStatus: 'PENDING_UPDATE' }
    : object;
}
