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

/** The page of rows that match the query and `filters`, as the answer. */
export async function listAnswer<K extends ViewKind>(
  api: Api,
  resource: Resource<K, Fields>,
  request: ApiRequest,
  filters: Filters = {},
  query: URLSearchParams = request.query,
): Promise<Answer | Problem | Refusal> {
  const wanted = page(resource.fields, query, request.url, api.config);
  if (isProblem(wanted) || isRefusal(wanted)) return wanted;
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

/** As `listAnswer`, of the projects the caller may see. */
export async function listOfProjects<K extends ViewKind>(
  api: Api,
  resource: Resource<K, Fields>,
  request: ApiRequest,
  actions: { readonly read: Action; readonly readGlobal: Action },
): Promise<Answer | Problem | Refusal> {
  const query = new URLSearchParams(request.query);
  query.delete('project_id');
  const asked = request.query.getAll('project_id');
  if (asked.length > 1) return problem(400, 'The request holds an invalid or duplicate argument.');
  const projectId = visibleProject(request.caller, asked[0], actions);
  if (isProblem(projectId)) return projectId;
  return listAnswer(api, resource, request, projectId === null ? {} : { projectId }, query);
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
