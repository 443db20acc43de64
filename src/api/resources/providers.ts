import { isProblem, type Problem, problem } from '../../lb/problems.ts';
import { availabilityZoneCapabilities } from '../availability-zone-data.ts';
import { flavorCapabilities } from '../flavor-data.ts';
import { wantedFields } from '../paging.ts';
import { authorize } from '../policy.ts';
import { providerProblem } from '../providers.ts';
import { type Answer, type Api, type ApiRequest, ok, type Route } from '../request.ts';

interface Described {
  readonly name: string;
  readonly description: string;
}

/** Providers and what they can are configuration: no ids, no pages, no links. */
export function providerRoutes(api: Api): readonly Route[] {
  const path = '/v2/lbaas/providers';
  return [
    {
      method: 'GET',
      path,
      handle: async ({ caller, query }) =>
        authorize(caller, 'provider:get_all', caller.projectId) ??
        ok({ providers: api.config.providers.map((provider) => chosen(api, provider, query)) }),
    },
    {
      method: 'GET',
      path: `${path}/:provider/flavor_capabilities`,
      handle: async (request) =>
        authorize(request.caller, 'provider-flavor:get_all', request.caller.projectId) ??
        capabilities(api, request, 'flavor_capabilities', flavorCapabilities),
    },
    {
      method: 'GET',
      path: `${path}/:provider/availability_zone_capabilities`,
      handle: async (request) =>
        authorize(request.caller, 'provider-availability-zone:get_all', request.caller.projectId) ??
        capabilities(api, request, 'availability_zone_capabilities', availabilityZoneCapabilities),
    },
  ];
}

function capabilities(
  api: Api,
  { params, query }: ApiRequest,
  key: string,
  all: readonly Described[],
): Answer | Problem {
  const wrong = providerProblem(api.config, params['provider'] ?? '');
  if (wrong !== undefined) return wrong;
  const filtered = filter(all, query);
  return isProblem(filtered) ? filtered : ok({ [key]: filtered.map((entry) => chosen(api, entry, query)) });
}

function filter(all: readonly Described[], query: URLSearchParams): readonly Described[] | Problem {
  const names = [...new Set(query.keys())].filter((name) => name !== 'fields');
  const legal = names.every(
    (name) => (name === 'name' || name === 'description') && query.getAll(name).length === 1,
  );
  if (!legal) return problem(400, 'The request holds an invalid or duplicate argument.');
  const [name, description] = [query.get('name'), query.get('description')];
  return all.filter(
    (entry) =>
      (name === null || entry.name === name) && (description === null || entry.description === description),
  );
}

function chosen({ config }: Api, entry: Described, query: URLSearchParams): Partial<Described> {
  const only = wantedFields(query, config.follows);
  return Object.fromEntries(Object.entries(entry).filter(([name]) => only === undefined || only.has(name)));
}
