import type { L7Policy, L7PolicyAction } from './l7-policy.ts';
import { noPrometheusChildren } from './listener-rules.ts';
import type { Listener } from './listener.ts';
import { isProblem, notFound, type Problem, problem, unsupported } from './problems.ts';
import { blockedTree, find, poolOf, protocolPairProblem } from './rules.ts';
import { type Circumstances, type Decision, pendingUpdate, replace, type Tree } from './tree.ts';

type Targets = Pick<L7Policy, 'redirectPoolId' | 'redirectUrl' | 'redirectPrefix' | 'redirectHttpCode'>;

export interface L7PolicyValues
  extends Pick<L7Policy, 'name' | 'description' | 'adminStateUp' | 'action' | 'position' | 'tags'>,
    Targets {}

export interface NewL7Policy extends L7PolicyValues {
  readonly listenerId: string;
}

/** A position behind all others. */
export const lastPosition = 2_147_483_647;

export function createL7Policy(
  tree: Tree,
  { listenerId, ...sent }: NewL7Policy,
  { now, newId }: Circumstances,
): Decision<L7Policy> | Problem {
  const listener = find(tree.listeners, listenerId);
  if (listener === undefined) return notFound('Listener', listenerId);
  if (listener.protocol === 'PROMETHEUS') return noPrometheusChildren('L7 policies');
  const values = normalised(sent);
  if (isProblem(values)) return values;
  const policy: L7Policy = {
    ...sent,
    ...values,
    id: newId(),
    projectId: tree.loadBalancer.projectId,
    listenerId,
    provisioningStatus: 'PENDING_CREATE',
    operatingStatus: 'OFFLINE',
    statusReason: null,
    createdAt: now,
    updatedAt: null,
  };
  const wrong =
    redirectPoolProblem(tree, listener, policy) ?? blockedTree(tree) ?? protocolProblem(tree, listener);
  return wrong ?? placed(pendingUpdate(tree, { listeners: [listenerId] }), policy, sent.position);
}

export function updateL7Policy(
  tree: Tree,
  id: string,
  sent: Partial<L7PolicyValues>,
  { now }: Circumstances,
): Decision<L7Policy> | Problem {
  const before = find(tree.l7Policies, id);
  if (before === undefined) return notFound('L7 Policy', id);
  if (Object.keys(sent).length === 0) return badArguments('Invalid update options.');
  const values = normalised(sent);
  if (isProblem(values)) return values;
  const policy: L7Policy = {
    ...before,
    ...sent,
    ...values,
    provisioningStatus: 'PENDING_UPDATE',
    updatedAt: now,
  };
  const listener = find(tree.listeners, before.listenerId);
  if (listener === undefined) return notFound('Listener', before.listenerId);
  const wrong =
    lostTargetProblem(policy) ??
    ((values.redirectPoolId ?? null) === null ? undefined : redirectPoolProblem(tree, listener, policy)) ??
    blockedTree(tree);
  if (wrong !== undefined) return wrong;
  const pending = pendingUpdate(tree, { listeners: [listener.id] });
  return placed(pending, policy, sent.position ?? before.position);
}

/** Its rules go with it. The gap it leaves is closed when it is gone. */
export function deleteL7Policy(tree: Tree, id: string): Decision<undefined> | Problem {
  const policy = find(tree.l7Policies, id);
  if (policy === undefined) return notFound('L7 Policy', id);
  const wrong = blockedTree(tree);
  if (wrong !== undefined) return wrong;
  const pending = pendingUpdate(tree, { listeners: [policy.listenerId] });
  return {
    tree: replace(pending, 'l7Policies', id, { provisioningStatus: 'PENDING_DELETE' }),
    answer: undefined,
  };
}

/** Where each action that redirects redirects to. */
const targetOf = {
  REDIRECT_TO_POOL: 'redirectPoolId',
  REDIRECT_TO_URL: 'redirectUrl',
  REDIRECT_PREFIX: 'redirectPrefix',
} as const satisfies Partial<Record<L7PolicyAction, keyof Targets>>;

const names = {
  redirectPoolId: 'redirect_pool_id',
  redirectUrl: 'redirect_url',
  redirectPrefix: 'redirect_prefix',
} as const;

const badArguments = (detail: string): Problem => problem(400, `Invalid L7 Policy arguments: ${detail}`);

/**
 * What of the values sent together remains, and what follows from them: an action drops targets it has no use for, a
 * target that remains decides on the action.
 */
export function normalised(sent: Partial<L7PolicyValues>): Partial<L7PolicyValues> | Problem {
  const { action } = sent;
  const target = action === undefined || action === 'REJECT' ? undefined : targetOf[action];
  if (target !== undefined && (sent[target] ?? null) === null) {
    return badArguments(`action ${action} needs a ${names[target]}.`);
  }
  const left: Partial<L7PolicyValues> = {
    ...sent,
    ...((action === 'REJECT' || action === 'REDIRECT_TO_URL') && { redirectPoolId: null }),
    ...((action === 'REJECT' || action === 'REDIRECT_TO_POOL') && { redirectUrl: null }),
  };
  const { redirectPoolId = null, redirectUrl = null, redirectPrefix = null } = left;
  if (redirectPoolId !== null) {
    if (redirectUrl !== null || redirectPrefix !== null) {
      return badArguments('redirect_pool_id cannot stand beside redirect_url or redirect_prefix.');
    }
    return { ...left, ...noTargets, action: 'REDIRECT_TO_POOL', redirectPoolId, redirectHttpCode: null };
  }
  const redirectHttpCode = left.redirectHttpCode ?? 302;
  if (redirectUrl !== null) {
    return { ...left, ...noTargets, action: 'REDIRECT_TO_URL', redirectUrl, redirectHttpCode };
  }
  if (redirectPrefix !== null) {
    return { ...left, ...noTargets, action: 'REDIRECT_PREFIX', redirectPrefix, redirectHttpCode };
  }
  return left;
}

const noTargets = { redirectPoolId: null, redirectUrl: null, redirectPrefix: null } as const;

/** An update took away what the action needs. */
function lostTargetProblem(policy: L7Policy): Problem | undefined {
  if (policy.action === 'REJECT') return undefined;
  const target = targetOf[policy.action];
  return policy[target] === null
    ? badArguments(`action ${policy.action} needs a ${names[target]}.`)
    : undefined;
}

function redirectPoolProblem(
  tree: Tree,
  listener: Listener,
  { redirectPoolId }: L7Policy,
): Problem | undefined {
  if (redirectPoolId === null) return undefined;
  const pool = poolOf(tree, redirectPoolId);
  return isProblem(pool) ? pool : protocolPairProblem(listener.protocol, pool.protocol);
}

function protocolProblem(tree: Tree, { protocol }: Listener): Problem | undefined {
  return protocol === 'HTTP' || protocol === 'TERMINATED_HTTPS'
    ? undefined
    : unsupported(tree.loadBalancer.provider, `L7 policies on a ${protocol} listener`);
}

/** The policy, new or not, at its place among those of its listener; the others make room. */
function placed(tree: Tree, policy: L7Policy, position: number): Decision<L7Policy> {
  const others = tree.l7Policies
    .filter((other) => other.listenerId === policy.listenerId && other.id !== policy.id)
    .toSorted((a, b) => a.position - b.position);
  const positions = new Map(
    others.toSpliced(position - 1, 0, policy).map(({ id }, n): [string, number] => [id, n + 1]),
  );
  const answer: L7Policy = { ...policy, position: positions.get(policy.id) ?? position };
  const moved = tree.l7Policies.map((other) => {
    const place = positions.get(other.id) ?? other.position;
    if (other.id === policy.id) return answer;
    return place === other.position ? other : { ...other, position: place };
  });
  const known = tree.l7Policies.some(({ id }) => id === policy.id);
  return { tree: { ...tree, l7Policies: known ? moved : [...moved, answer] }, answer };
}
