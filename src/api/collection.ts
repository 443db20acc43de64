import { isProblem, notFound, type Problem, problem } from '../lb/problems.ts';
import type { ViewKind, Views } from '../store/store.ts';
import { isRefusal, type Refusal } from './faults.ts';
import type { Fields } from './fields.ts';
import { page, wantedFields } from './paging.ts';
import { type Action, type ApiCaller, authorize } from './policy.ts';
import { type Answer, type Api, type ApiRequest, ok } from './request.ts';
import { keyOf, type Resource } from './resource.ts';
import { uuidOf } from './types.ts';

/** Reading: one object, or a page of them. One question to the store each. */

type Filters = Readonly<Record<string, string>>;

/**
 * The page of rows that match the query, as the answer. What the routing refuses of a query is told first, then who may
 * not ask (`may`, which otherwise gives what more the rows have to match), then what makes no sense for the resource.
 */
export async function listAnswer<K extends ViewKind>(
  api: Api,
  resource: Resource<K, Fields>,
  request: Pick<ApiRequest, 'query' | 'url'>,
  may: () => Filters | Problem,
): Promise<Answer | Problem | Refusal> {
  const wanted = page(resource.fields, request.query, request.url, api.config);
  if (isRefusal(wanted)) return wanted;
  const filters = may();
  if (isProblem(filters)) return filters;
  if (isProblem(wanted)) return wanted;
  const rows = wanted.empty
    ? []
    : await api.store.lists.list(resource.kind, {
        ...wanted.query,
        filters: { ...wanted.query.filters, ...filters },
      });
  if (rows === undefined) return problem(400, `The marker '${wanted.query.marker}' is not known.`);
  return ok({
    [resource.many]: rows.map((row) => resource.render(row, wanted.only)),
    [resource.links]: wanted.links(rows.map((row) => ('id' in row ? row.id : 'None'))),
  });
}

/** As `listAnswer`, of what belongs to no project in particular. */
export function listOfAll<K extends ViewKind>(
  api: Api,
  resource: Resource<K, Fields>,
  request: ApiRequest,
  action: Action,
): Promise<Answer | Problem | Refusal> {
  const { caller } = request;
  return listAnswer(api, resource, request, () => authorize(caller, action, caller.projectId) ?? {});
}

/** As `listAnswer`, of the projects the caller may see. */
export async function listOfProjects<K extends ViewKind>(
  api: Api,
  resource: Resource<K, Fields>,
  { caller, url, query: sent }: ApiRequest,
  actions: { readonly read: Action; readonly readGlobal: Action },
): Promise<Answer | Problem | Refusal> {
  const query = new URLSearchParams(sent);
  query.delete('project_id');
  const asked = sent.getAll('project_id');
  return listAnswer(api, resource, { url, query }, () => {
    if (asked.length > 1) return problem(400, 'The request holds an invalid or duplicate argument.');
    const projectId = visibleProject(caller, asked[0], actions);
    if (isProblem(projectId)) return projectId;
    return projectId === null ? {} : { projectId };
  });
}

/** The project whose objects are listed; null: all. */
function visibleProject(
  caller: ApiCaller,
  asked: string | undefined,
  actions: { readonly read: Action; readonly readGlobal: Action },
): string | null | Problem {
  if (caller.policy.allows(caller, actions.readGlobal, null)) return asked ?? null;
  const projectId = asked ?? caller.projectId;
  return authorize(caller, actions.read, projectId) ?? projectId;
}

/** The row of that id, or its 404; any text may come as an id. */
export async function found<K extends ViewKind>(
  api: Api,
  resource: Resource<K, Fields>,
  id: string,
): Promise<Views[K] | Problem> {
  const key = resource.key === undefined ? uuidOf(id) : id;
  const row = key === undefined ? undefined : await api.store.lists.show(resource.kind, key);
  return row ?? notFound(resource.name, id);
}

export function showAnswer<K extends ViewKind>(
  { config }: Api,
  resource: Resource<K, Fields>,
  row: Views[K],
  request: ApiRequest,
): Answer {
  return ok({ [keyOf(resource)]: resource.render(row, wantedFields(request.query, config.follows)) });
}
