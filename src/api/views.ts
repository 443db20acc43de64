import { listenersUsing, type Tree } from '../lb/tree.ts';
import type { Views } from '../store/store.ts';

/** Objects of a tree with the ids around them, as the store's lists give them. */

const idsOf = (objects: readonly { readonly id: string }[]): readonly string[] => objects.map(({ id }) => id);

export function loadBalancerView(tree: Tree): Views['loadBalancer'] {
  return { ...tree.loadBalancer, listenerIds: idsOf(tree.listeners), poolIds: idsOf(tree.pools) };
}

export function listenerView(tree: Tree, listener: Tree['listeners'][number]): Views['listener'] {
  const policies = tree.l7Policies
    .filter(({ listenerId }) => listenerId === listener.id)
    .toSorted((a, b) => a.position - b.position);
  return { ...listener, l7PolicyIds: idsOf(policies) };
}

export function poolView(tree: Tree, pool: Tree['pools'][number]): Views['pool'] {
  return {
    ...pool,
    listenerIds: listenersUsing(tree, pool.id),
    memberIds: idsOf(tree.members.filter(({ poolId }) => poolId === pool.id)),
    healthMonitorId: tree.healthMonitors.find(({ poolId }) => poolId === pool.id)?.id ?? null,
  };
}

export function l7PolicyView(tree: Tree, policy: Tree['l7Policies'][number]): Views['l7Policy'] {
  return { ...policy, l7RuleIds: idsOf(tree.l7Rules.filter(({ l7PolicyId }) => l7PolicyId === policy.id)) };
}
