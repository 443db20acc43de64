import { isProblem, type Problem } from '../lb/problems.ts';
import type { Circumstances, Decision, Tree } from '../lb/tree.ts';
import type { ResourceKind } from '../store/store.ts';
import { type Action, type ApiCaller, authorize } from './policy.ts';
import type { Api } from './request.ts';
import { uuidOf } from './types.ts';

/** Writing: every wish about a load balancer that exists goes through here. */

export interface Wish<T, V> {
  readonly caller: ApiCaller;
  readonly actions: readonly Action[];
  /** What names the load balancer: itself, or something below it. */
  readonly of: { readonly kind: ResourceKind; readonly id: string };
  /** What it adds one of. */
  readonly adds?: ResourceKind;
  /** What else has to be there. */
  readonly present?: (tree: Tree) => boolean;
  /** The answer when either is not there (any more). */
  readonly missing: Problem;
  /** The pure rule. */
  readonly decide: (tree: Tree, circumstances: Circumstances) => Decision<T> | Problem;
  /** What only the surroundings know to be wrong; asked when the rule has nothing against the wish. */
  readonly outside?: ((decision: Decision<T>) => Promise<Problem | undefined>) | undefined;
  /** The answer, from the tree as wished. */
  readonly show: (tree: Tree, answer: T) => V;
}

export async function carry<T, V>(api: Api, wish: Wish<T, V>): Promise<V | Problem> {
  const loadBalancerId = await loadBalancerOf(api, wish.of);
  if (loadBalancerId === undefined) return wish.missing;
  const circumstances: Circumstances = {
    now: api.clock(),
    newId: api.newId,
    deployment: api.config.deployment,
  };
  const decide = (tree: Tree | undefined): Decision<T> | Problem => {
    if (tree === undefined || wish.present?.(tree) === false) return wish.missing;
    for (const action of wish.actions) {
      const denied = authorize(wish.caller, action, tree.loadBalancer.projectId);
      if (denied !== undefined) return denied;
    }
    return wish.decide(tree, circumstances);
  };
  if (wish.outside !== undefined) {
    // Nothing outside is asked while the tree is locked; the rule judges again, on what the tree is by then.
    const draft = decide(await api.store.trees.read(loadBalancerId));
    if (isProblem(draft)) {
      // What may pass by itself is told by the store, which knows whether a quota has the first word.
      if (draft.status < 409) return draft;
    } else {
      const wrong = await wish.outside(draft);
      if (wrong !== undefined) return wrong;
    }
  }
  return api.store.trees.change(
    loadBalancerId,
    (tree) => {
      const decision = decide(tree);
      return isProblem(decision)
        ? decision
        : { ...decision, answer: wish.show(decision.tree, decision.answer) };
    },
    wish.adds && { [wish.adds]: 1 },
  );
}

async function loadBalancerOf(api: Api, { kind, id }: Wish<never, never>['of']): Promise<string | undefined> {
  const uuid = uuidOf(id);
  if (uuid === undefined || kind === 'loadBalancer') return uuid;
  return api.store.trees.loadBalancerOf(kind, uuid);
}
