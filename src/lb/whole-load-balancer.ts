import { createHealthMonitor, type NewHealthMonitor } from './health-monitor-rules.ts';
import { createL7Policy, type L7PolicyValues } from './l7-policy-rules.ts';
import { createL7Rule, type L7RuleValues } from './l7-rule-rules.ts';
import { createListener, type NewListener } from './listener-rules.ts';
import { type NewMember, replaceMembers } from './member-rules.ts';
import { createPool, type NewPool, type PoolValues } from './pool-rules.ts';
import { isProblem, mandatory, type Problem, validationFailure } from './problems.ts';
import type { Resource } from './resource.ts';
import { firstProblem } from './rules.ts';
import type { ProvisioningStatus } from './status.ts';
import type { Circumstances, Decision, Tree } from './tree.ts';

/** A load balancer that is wished with everything below it at once. */

export interface Whole {
  readonly pools: readonly PoolDefinition[];
  readonly listeners: readonly ListenerDefinition[];
}

/** What a pool must say is checked here: where it stands, a reference by name might have been meant. */
export interface PoolDefinition extends Omit<PoolValues, 'lbAlgorithm'> {
  readonly protocol?: NewPool['protocol'] | null;
  readonly lbAlgorithm?: PoolValues['lbAlgorithm'] | null;
  readonly healthMonitor: Omit<NewHealthMonitor, 'poolId'> | null;
  readonly members: readonly NewMember[];
}

/** A pool that is defined elsewhere in the same wish. */
export interface PoolReference {
  readonly poolName: string | null;
}

export interface ListenerDefinition extends NewListener {
  readonly defaultPool: PoolDefinition | PoolReference | null;
  readonly l7Policies: readonly L7PolicyDefinition[];
}

export interface L7PolicyDefinition extends Omit<L7PolicyValues, 'redirectPoolId'> {
  readonly redirectPool: PoolDefinition | PoolReference | null;
  readonly rules: readonly L7RuleValues[];
}

/** The tree of a new load balancer with all that is wished below it, everything PENDING_CREATE. */
export function wholeLoadBalancer(tree: Tree, whole: Whole, circumstances: Circumstances): Tree | Problem {
  const draft = new Draft(tree);
  const wrong =
    addPools(draft, whole, circumstances) ??
    firstProblem(whole.listeners, (listener) => addListener(draft, listener, circumstances));
  return wrong ?? inStatus(draft.tree, 'PENDING_CREATE');
}

/** A tree that grows by the rules for single objects; between two wishes it is at rest, as they demand. */
class Draft {
  tree: Tree;
  readonly poolIds = new Map<string, string>();
  constructor(tree: Tree) {
    this.tree = inStatus(tree, 'ACTIVE');
  }

  add<T>(decide: (tree: Tree) => Decision<T> | Problem): T | Problem {
    const decision = decide(this.tree);
    if (isProblem(decision)) return decision;
    this.tree = inStatus(decision.tree, 'ACTIVE');
    return decision.answer;
  }

  poolId(pool: PoolDefinition | PoolReference | null): string | null | Problem {
    if (pool === null) return null;
    const name = 'poolName' in pool ? pool.poolName : pool.name;
    if (name === null || name === '') return nameless();
    return this.poolIds.get(name) ?? validationFailure(`no pool is defined with the name '${name}'.`);
  }
}

/** All pools, wherever they are defined: they must be there before what refers to them. */
function addPools(draft: Draft, whole: Whole, circumstances: Circumstances): Problem | undefined {
  const inline = whole.listeners.flatMap((listener) => [
    listener.defaultPool,
    ...listener.l7Policies.map(({ redirectPool }) => redirectPool),
  ]);
  const definitions = [...whole.pools, ...inline].filter(isDefinition);
  return firstProblem(definitions, (pool) => addPool(draft, pool, circumstances));
}

function isDefinition(pool: PoolDefinition | PoolReference | null): pool is PoolDefinition {
  return pool !== null && !('poolName' in pool);
}

function addPool(
  draft: Draft,
  { protocol, lbAlgorithm, healthMonitor, members, ...values }: PoolDefinition,
  circumstances: Circumstances,
): Problem | undefined {
  const { name } = values;
  if (name === null || name === '') return nameless();
  if (draft.poolIds.has(name)) return validationFailure(`two pools are defined with the name '${name}'.`);
  if (protocol == null) return mandatory('protocol');
  if (lbAlgorithm == null) return mandatory('lb_algorithm');
  const pool = draft.add((tree) =>
    createPool(
      tree,
      { ...values, protocol, lbAlgorithm, listenerId: null, loadBalancerNamed: true },
      circumstances,
    ),
  );
  if (isProblem(pool)) return pool;
  draft.poolIds.set(name, pool.id);
  if (healthMonitor !== null) {
    const monitor = draft.add((tree) =>
      createHealthMonitor(tree, { ...healthMonitor, poolId: pool.id }, circumstances),
    );
    if (isProblem(monitor)) return monitor;
  }
  return draft.add((tree) => replaceMembers(tree, pool.id, members, true, circumstances));
}

function addListener(
  draft: Draft,
  { defaultPool, l7Policies, ...values }: ListenerDefinition,
  circumstances: Circumstances,
): Problem | undefined {
  const poolId = draft.poolId(defaultPool);
  if (isProblem(poolId)) return poolId;
  const defaultPoolId = poolId ?? values.defaultPoolId;
  const listener = draft.add((tree) => createListener(tree, { ...values, defaultPoolId }, circumstances));
  if (isProblem(listener)) return listener;
  return firstProblem(l7Policies, (policy) => addPolicy(draft, listener.id, policy, circumstances));
}

function addPolicy(
  draft: Draft,
  listenerId: string,
  { redirectPool, rules, ...values }: L7PolicyDefinition,
  circumstances: Circumstances,
): Problem | undefined {
  const redirectPoolId = draft.poolId(redirectPool);
  if (isProblem(redirectPoolId)) return redirectPoolId;
  const policy = draft.add((tree) =>
    createL7Policy(tree, { ...values, redirectPoolId, listenerId }, circumstances),
  );
  if (isProblem(policy)) return policy;
  return firstProblem(rules, (rule) => {
    const added = draft.add((tree) => createL7Rule(tree, policy.id, rule, circumstances));
    return isProblem(added) ? added : undefined;
  });
}

const nameless = (): Problem => validationFailure('every pool of a whole load balancer needs a name.');

function inStatus(tree: Tree, provisioningStatus: ProvisioningStatus): Tree {
  const turn = <T extends Resource>(object: T): T =>
    object.provisioningStatus === provisioningStatus ? object : { ...object, provisioningStatus };
  const all = <T extends Resource>(objects: readonly T[]): readonly T[] => objects.map(turn);
  return {
    loadBalancer: turn(tree.loadBalancer),
    listeners: all(tree.listeners),
    pools: all(tree.pools),
    members: all(tree.members),
    healthMonitors: all(tree.healthMonitors),
    l7Policies: all(tree.l7Policies),
    l7Rules: all(tree.l7Rules),
  };
}
