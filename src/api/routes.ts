import { isProblem, notFound, type Problem } from '../lb/problems.ts';
import type { Decision, Tree } from '../lb/tree.ts';
import type { ResourceKind, ViewKind, Views } from '../store/store.ts';
import { carry } from './change.ts';
import { found, listOfProjects, showAnswer } from './collection.ts';
import type { Fields } from './fields.ts';
import { type Action, authorize } from './policy.ts';
import { type Answer, type Api, type Route, strayQuery } from './request.ts';
import { keyOf, type Resource } from './resource.ts';

/** Routes that look alike for every resource. */

/** The resources whose rows belong to a project, by their name in policy actions. */
type Owned = 'loadbalancer' | 'listener' | 'pool' | 'healthmonitor' | 'l7policy';

export function listRoute<K extends ViewKind>(
  api: Api,
  resource: Resource<K, Fields>,
  path: string,
  owned: Owned,
): Route {
  const actions = { read: `${owned}:get_all`, readGlobal: `${owned}:get_all-global` } as const;
  return { method: 'GET', path, handle: (request) => listOfProjects(api, resource, request, actions) };
}

export function showRoute<K extends 'loadBalancer' | 'listener' | 'pool' | 'healthMonitor' | 'l7Policy'>(
  api: Api,
  resource: Resource<K, Fields>,
  path: string,
  action: Action,
): Route {
  return {
    method: 'GET',
    path,
    async handle(request) {
      const row = await found(api, resource, request.params['id'] ?? '');
      if (isProblem(row)) return row;
      return authorize(request.caller, action, row.projectId) ?? showAnswer(api, resource, row, request);
    },
  };
}

/** `decide`: the pure rule for the object of that id. */
export function deleteRoute<K extends ResourceKind & ViewKind>(
  api: Api,
  resource: Resource<K, Fields>,
  path: string,
  action: Action,
  decide: (tree: Tree, id: string) => Decision<undefined> | Problem,
): Route {
  return {
    method: 'DELETE',
    path,
    async handle(request) {
      const stray = strayQuery(request);
      if (stray !== undefined) return stray;
      const id = request.params['id'] ?? '';
      const done = await carry(api, {
        caller: request.caller,
        actions: [action],
        of: { kind: resource.kind, id },
        missing: notFound(resource.name, id),
        decide: (tree) => decide(tree, id),
        show: () => undefined,
      });
      return done ?? { status: 204 };
    },
  };
}

/** The object as it is wished from now on, under its key. */
export function objectAnswer<K extends ViewKind>(
  resource: Resource<K, Fields>,
  view: Views[K] | Problem,
  status: 200 | 201,
): Answer | Problem {
  return isProblem(view) ? view : { status, body: { [keyOf(resource)]: resource.render(view) } };
}
