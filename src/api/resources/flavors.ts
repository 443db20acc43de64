import { isProblem, type Problem } from '../../lb/problems.ts';
import { created, updated } from '../bodies.ts';
import { found, listAnswer, showAnswer } from '../collection.ts';
import { fields } from '../fields.ts';
import { authorize } from '../policy.ts';
import { type Answer, type Api, type ApiRequest, type Route, strayQuery } from '../request.ts';
import { described, id, resource } from '../resource.ts';
import { objectAnswer } from '../routes.ts';
import { boolean, text, uuid } from '../types.ts';

export const flavors = resource({
  kind: 'flavor',
  name: 'Flavor',
  argument: 'flavor_.flavor',
  many: 'flavors',
  fields: fields({
    ...id,
    name: { type: text({ max: 255 }), post: 'required', put: 'optional' },
    ...described,
    enabled: {
      type: boolean(),
      post: 'optional',
      put: 'optional',
      default: true,
      nullOnPost: true,
      nullOnPut: true,
    },
    flavorProfileId: { type: uuid(), post: 'required' },
  }),
});

export function flavorRoutes(api: Api): readonly Route[] {
  const all = '/v2/lbaas/flavors';
  const one = `${all}/:id`;
  return [
    {
      method: 'GET',
      path: all,
      handle: async (request) =>
        authorize(request.caller, 'flavor:get_all', request.caller.projectId) ??
        listAnswer(api, flavors, request),
    },
    { method: 'POST', path: all, handle: (request) => create(api, request) },
    { method: 'GET', path: one, handle: (request) => show(api, request) },
    { method: 'PUT', path: one, handle: (request) => update(api, request) },
    { method: 'DELETE', path: one, handle: (request) => remove(api, request) },
  ];
}

async function create(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const values = created(flavors, request);
  if (isProblem(values)) return values;
  const denied = authorize(request.caller, 'flavor:post', request.caller.projectId);
  if (denied !== undefined) return denied;
  const flavor = { ...values, id: api.newId() };
  return (await api.store.flavors.create(flavor)) ?? objectAnswer(flavors, flavor, 201);
}

async function show(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const denied = authorize(request.caller, 'flavor:get_one', request.caller.projectId);
  if (denied !== undefined) return denied;
  const flavor = await found(api, flavors, request.params['id'] ?? '');
  return isProblem(flavor) ? flavor : showAnswer(flavors, flavor, request);
}

async function update(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const changes = updated(flavors, request);
  if (isProblem(changes)) return changes;
  const denied = authorize(request.caller, 'flavor:put', request.caller.projectId);
  if (denied !== undefined) return denied;
  return objectAnswer(flavors, await api.store.flavors.update(request.params['id'] ?? '', changes), 200);
}

async function remove(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const wrong = strayQuery(request) ?? authorize(request.caller, 'flavor:delete', request.caller.projectId);
  if (wrong !== undefined) return wrong;
  return (await api.store.flavors.delete(request.params['id'] ?? '')) ?? { status: 204 };
}
