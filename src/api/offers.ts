import { isProblem, type Problem } from '../lb/problems.ts';
import type { Offers, ViewKind, Views } from '../store/store.ts';
import { created, updated } from './bodies.ts';
import { found, listOfAll, showAnswer } from './collection.ts';
import type { Fields } from './fields.ts';
import { authorize } from './policy.ts';
import { providerProblem } from './providers.ts';
import { type Api, type ApiRequest, type Route, strayQuery } from './request.ts';
import type { Resource } from './resource.ts';
import { objectAnswer } from './routes.ts';

/** What operators offer: flavors and availability zones, with the profiles that say what they mean. */

interface Offered<K extends ViewKind, F extends Fields, Policy extends string> {
  readonly resource: Resource<K, F>;
  readonly path: string;
  /** Its name in policy actions. */
  readonly policy: Policy;
}

export function offerRoutes<K extends 'flavor' | 'availabilityZone', F extends Fields>(
  api: Api,
  offered: Offered<K, F, 'flavor' | 'availability-zone'>,
  offers: Pick<Offers<never, Views[K]>, 'create' | 'update' | 'delete'>,
): readonly Route[] {
  const { resource, path, policy } = offered;
  const one = `${path}/:id`;
  return [
    ...readRoutes(api, offered),
    {
      method: 'POST',
      path,
      async handle(request) {
        const values = created(resource, request);
        if (isProblem(values)) return values;
        const denied = authorize(request.caller, `${policy}:post`, request.caller.projectId);
        if (denied !== undefined) return denied;
        const offer = withId(api, resource, values) as Views[K];
        return (await offers.create(offer)) ?? objectAnswer(resource, offer, 201);
      },
    },
    {
      method: 'PUT',
      path: one,
      async handle(request) {
        const changes = updated(resource, request);
        if (isProblem(changes)) return changes;
        const denied = authorize(request.caller, `${policy}:put`, request.caller.projectId);
        if (denied !== undefined) return denied;
        const after = await offers.update(keyOf(request), changes as object);
        return objectAnswer(resource, after, 200);
      },
    },
    deleteRoute(offered, (key) => offers.delete(key)),
  ];
}

/** `judge`: what the provider has against the data; `dataOf`: the JSON text in a profile. */
export function profileRoutes<K extends 'flavorProfile' | 'availabilityZoneProfile', F extends Fields>(
  api: Api,
  offered: Offered<K, F, 'flavor-profile' | 'availability-zone-profile'>,
  offers: Pick<Offers<Views[K], never>, 'createProfile' | 'updateProfile' | 'deleteProfile'>,
  dataOf: (profile: Views[K]) => string,
  judge: (api: Api, provider: string, data: string) => Promise<object>,
): readonly Route[] {
  const { resource, path, policy } = offered;
  const one = `${path}/:id`;
  const problemOf = async (profile: Views[K]): Promise<Problem | undefined> => {
    const wrong =
      providerProblem(api.config, profile.providerName) ??
      (await judge(api, profile.providerName, dataOf(profile)));
    return isProblem(wrong) ? wrong : undefined;
  };
  return [
    ...readRoutes(api, offered),
    {
      method: 'POST',
      path,
      async handle(request) {
        const values = created(resource, request);
        if (isProblem(values)) return values;
        const profile = withId(api, resource, values) as Views[K];
        const wrong =
          authorize(request.caller, `${policy}:post`, request.caller.projectId) ?? (await problemOf(profile));
        return wrong ?? (await offers.createProfile(profile)) ?? objectAnswer(resource, profile, 201);
      },
    },
    {
      method: 'PUT',
      path: one,
      async handle(request) {
        const changes = updated(resource, request);
        if (isProblem(changes)) return changes;
        const denied = authorize(request.caller, `${policy}:put`, request.caller.projectId);
        if (denied !== undefined) return denied;
        const before = await found(api, resource, keyOf(request));
        if (isProblem(before)) return before;
        const after: Views[K] = { ...before, ...changes };
        const changed = after.providerName !== before.providerName || dataOf(after) !== dataOf(before);
        const wrong = changed ? await problemOf(after) : undefined;
        if (wrong !== undefined) return wrong;
        return objectAnswer(
          resource,
          await offers.updateProfile(before.id, changes as object as Partial<Views[K]>),
          200,
        );
      },
    },
    deleteRoute(offered, (key) => offers.deleteProfile(key)),
  ];
}

const keyOf = ({ params }: ApiRequest): string => params['id'] ?? '';

const withId = (api: Api, { key }: { readonly key?: string }, values: object): object =>
  key === undefined ? { ...values, id: api.newId() } : values;

type PolicyName = 'flavor' | 'flavor-profile' | 'availability-zone' | 'availability-zone-profile';

function readRoutes<K extends ViewKind, F extends Fields>(
  api: Api,
  { resource, path, policy }: Offered<K, F, PolicyName>,
): readonly Route[] {
  return [
    {
      method: 'GET',
      path,
      handle: (request) => listOfAll(api, resource, request, `${policy}:get_all`),
    },
    {
      method: 'GET',
      path: `${path}/:id`,
      async handle(request) {
        const denied = authorize(request.caller, `${policy}:get_one`, request.caller.projectId);
        if (denied !== undefined) return denied;
        const row = await found(api, resource, keyOf(request));
        return isProblem(row) ? row : showAnswer(api, resource, row, request);
      },
    },
  ];
}

function deleteRoute<K extends ViewKind, F extends Fields>(
  { path, policy }: Offered<K, F, PolicyName>,
  remove: (key: string) => Promise<Problem | undefined>,
): Route {
  return {
    method: 'DELETE',
    path: `${path}/:id`,
    async handle(request) {
      const wrong =
        strayQuery(request) ?? authorize(request.caller, `${policy}:delete`, request.caller.projectId);
      return wrong ?? (await remove(keyOf(request))) ?? { status: 204 };
    },
  };
}
