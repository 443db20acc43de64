import { type DisplayName, notFound, type Problem } from '../lb/problems.ts';
import type { Tree } from '../lb/tree.ts';
import type { Views } from '../store/store.ts';
import { listAnswer, showAnswer } from './collection.ts';
import { clientRefusal, type Refusal } from './faults.ts';
import type { Fields } from './fields.ts';
import { type Action, authorize } from './policy.ts';
import type { Answer, Api, ApiRequest, Route } from './request.ts';
import type { Resource } from './resource.ts';
import { uuidOf } from './types.ts';

/** Resources whose paths begin with that of their parent: members of a pool, rules of an L7 policy. */

export interface Parent {
  readonly kind: 'pool' | 'l7Policy';
  /** As the answer to an unknown one says it. */
  readonly name: 'Pool' | 'L7Policy';
  /** In the path, and in the rows of the children. */
  readonly param: 'pool_id' | 'l7policy_id';
  readonly field: 'poolId' | 'l7PolicyId';
}

type Child = 'member' | 'l7Rule';

/** The ids of the path, as the client wrote them. */
export const idsOf = (parent: Parent, { params }: ApiRequest): { parentId: string; id: string } => ({
  parentId: params[parent.param] ?? '',
  id: params['id'] ?? '',
});

const unknown = ({ name }: Parent, id: string): Refusal => clientRefusal(404, `${name} ${id} not found.`);

/** The parent of the path comes before anything else that may be wrong. */
export function inParent(
  api: Api,
  parent: Parent,
  handle: (request: ApiRequest) => Promise<Answer | Problem>,
): Route['handle'] {
  return async (request) => {
    const { parentId } = idsOf(parent, request);
    const known = await api.store.trees.loadBalancerOf(parent.kind, uuidOf(parentId) ?? '');
    return known === undefined ? unknown(parent, parentId) : handle(request);
  };
}

export function listInParent<K extends Child>(
  api: Api,
  parent: Parent,
  resource: Resource<K, Fields>,
  action: Action,
): Route['handle'] {
  return async (request) => {
    const { parentId } = idsOf(parent, request);
    const uuid = uuidOf(parentId);
    if (uuid === undefined) return unknown(parent, parentId);
    const row = await api.store.lists.show(parent.kind, uuid);
    if (row === undefined) return unknown(parent, parentId);
    return listAnswer(
      api,
      resource,
      request,
      () => authorize(request.caller, action, row.projectId) ?? { [parent.field]: uuid },
    );
  };
}

export function showInParent<K extends Child>(
  api: Api,
  parent: Parent,
  resource: Resource<K, Fields>,
  action: Action,
): Route['handle'] {
  return async (request) => {
    const { parentId, id } = idsOf(parent, request);
    const uuid = uuidOf(id);
    const row: Views[K] | undefined =
      uuid === undefined ? undefined : await api.store.lists.show(resource.kind, uuid);
    const owner = row && (row as { readonly poolId?: string; readonly l7PolicyId?: string })[parent.field];
    if (row !== undefined && owner === uuidOf(parentId)) {
      return authorize(request.caller, action, row.projectId) ?? showAnswer(api, resource, row, request);
    }
    return inParent(api, parent, async () => notFound(resource.name, id))(request);
  };
}

/** What every wish about the things below the parent has in common. */
export function below(parent: Parent, request: ApiRequest) {
  const { parentId } = idsOf(parent, request);
  return {
    caller: request.caller,
    of: { kind: parent.kind, id: parentId },
    missing: notFound(parent.kind === 'pool' ? 'Pool' : 'L7 Policy', parentId),
  } as const;
}

/** What every wish about one of them has in common: that it is there is looked at before who asks. */
export function oneBelow(parent: Parent, { name }: { readonly name: DisplayName }, request: ApiRequest) {
  const { parentId, id } = idsOf(parent, request);
  const [uuid, parentUuid] = [uuidOf(id), uuidOf(parentId)];
  return {
    ...below(parent, request),
    present: ({ members, l7Rules }: Tree): boolean =>
      parent.kind === 'pool'
        ? members.some((member) => member.id === uuid && member.poolId === parentUuid)
        : l7Rules.some((rule) => rule.id === uuid && rule.l7PolicyId === parentUuid),
    missing: notFound(name, id),
  } as const;
}
