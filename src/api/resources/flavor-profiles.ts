import { isProblem, type Problem } from '../../lb/problems.ts';
import { created, updated } from '../bodies.ts';
import { found, listAnswer, showAnswer } from '../collection.ts';
import { fields } from '../fields.ts';
import { flavorData } from '../flavor-data.ts';
import { authorize } from '../policy.ts';
import { providerProblem } from '../providers.ts';
import { type Answer, type Api, type ApiRequest, type Route, strayQuery } from '../request.ts';
import { id, resource } from '../resource.ts';
import { objectAnswer } from '../routes.ts';
import { text } from '../types.ts';

export const flavorProfiles = resource({
  kind: 'flavorProfile',
  name: 'Flavor Profile',
  argument: 'flavor_profile_.flavorprofile',
  many: 'flavorprofiles',
  links: 'flavorprofile_links',
  fields: fields({
    ...id,
    name: { type: text({ max: 255 }), post: 'required', put: 'optional' },
    providerName: { type: text({ max: 255 }), post: 'required', put: 'optional' },
    flavorData: { type: text({ max: 4096 }), post: 'required', put: 'optional' },
  }),
});

export function flavorProfileRoutes(api: Api): readonly Route[] {
  const all = '/v2/lbaas/flavorprofiles';
  const one = `${all}/:id`;
  return [
    {
      method: 'GET',
      path: all,
      handle: async (request) =>
        authorize(request.caller, 'flavor-profile:get_all', request.caller.projectId) ??
        listAnswer(api, flavorProfiles, request),
    },
    { method: 'POST', path: all, handle: (request) => create(api, request) },
    { method: 'GET', path: one, handle: (request) => show(api, request) },
    { method: 'PUT', path: one, handle: (request) => update(api, request) },
    { method: 'DELETE', path: one, handle: (request) => remove(api, request) },
  ];
}

async function create(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const values = created(flavorProfiles, request);
  if (isProblem(values)) return values;
  const denied =
    authorize(request.caller, 'flavor-profile:post', request.caller.projectId) ??
    providerProblem(api.config, values.providerName);
  if (denied !== undefined) return denied;
  const data = await flavorData(api, values.providerName, values.flavorData);
  if (isProblem(data)) return data;
  const profile = { ...values, id: api.newId() };
  await api.store.flavors.createProfile(profile);
  return objectAnswer(flavorProfiles, profile, 201);
}

async function show(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const denied = authorize(request.caller, 'flavor-profile:get_one', request.caller.projectId);
  if (denied !== undefined) return denied;
  const profile = await found(api, flavorProfiles, request.params['id'] ?? '');
  return isProblem(profile) ? profile : showAnswer(flavorProfiles, profile, request);
}

async function update(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const changes = updated(flavorProfiles, request);
  if (isProblem(changes)) return changes;
  const denied = authorize(request.caller, 'flavor-profile:put', request.caller.projectId);
  if (denied !== undefined) return denied;
  const before = await found(api, flavorProfiles, request.params['id'] ?? '');
  if (isProblem(before)) return before;
  if (changes.providerName !== undefined || changes.flavorData !== undefined) {
    const { providerName, flavorData: data } = { ...before, ...changes };
    const wrong = providerProblem(api.config, providerName) ?? (await flavorData(api, providerName, data));
    if (isProblem(wrong)) return wrong;
  }
  return objectAnswer(flavorProfiles, await api.store.flavors.updateProfile(before.id, changes), 200);
}

async function remove(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const wrong =
    strayQuery(request) ?? authorize(request.caller, 'flavor-profile:delete', request.caller.projectId);
  if (wrong !== undefined) return wrong;
  return (await api.store.flavors.deleteProfile(request.params['id'] ?? '')) ?? { status: 204 };
}
