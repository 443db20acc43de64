import { isProblem, type Problem } from '../../lb/problems.ts';
import type { QuotaLimits, ResourceKind, Views } from '../../store/store.ts';
import { updated } from '../bodies.ts';
import { listOfProjects } from '../collection.ts';
import { fields } from '../fields.ts';
import { type Action, authorize } from '../policy.ts';
import { type Answer, type Api, type ApiRequest, type Route, strayQuery } from '../request.ts';
import { keyOf, resource } from '../resource.ts';
import { integer, text } from '../types.ts';

const limit = { type: integer({ min: -1, max: 2_000_000_000 }), put: 'optional' } as const;

export const quotas = resource({
  kind: 'quota',
  name: 'Quotas',
  argument: 'quotas.quota',
  many: 'quotas',
  fields: fields({
    projectId: { type: text(), always: true },
    tenantId: { type: text(), stored: false, show: (row: Views['quota']) => row.projectId, always: true },
    loadBalancer: { ...limit, api: 'loadbalancer' },
    oldLoadBalancer: {
      ...limit,
      api: 'load_balancer',
      as: 'loadBalancer',
      show: (row: Views['quota']) => row.loadBalancer,
    },
    listener: limit,
    pool: limit,
    member: limit,
    healthMonitor: { ...limit, api: 'healthmonitor' },
    oldHealthMonitor: {
      ...limit,
      api: 'health_monitor',
      as: 'healthMonitor',
      show: (row: Views['quota']) => row.healthMonitor,
    },
    l7Policy: { ...limit, api: 'l7policy' },
    l7Rule: { ...limit, api: 'l7rule' },
  }),
});

export function quotaRoutes(api: Api): readonly Route[] {
  const all = '/v2/lbaas/quotas';
  const one = `${all}/:project_id`;
  return [
    { method: 'GET', path: all, handle: (request) => list(api, request) },
    { method: 'GET', path: one, handle: (request) => show(api, request, 'quota:get_one') },
    { method: 'GET', path: `${one}/default`, handle: (request) => show(api, request, 'quota:get_defaults') },
    { method: 'PUT', path: one, handle: (request) => update(api, request) },
    { method: 'DELETE', path: one, handle: (request) => reset(api, request) },
  ];
}

const projectOf = ({ params }: ApiRequest): string => params['project_id'] ?? '';

/** What the projects have of their own; null where the default holds. */
function list(api: Api, request: ApiRequest): ReturnType<Route['handle']> {
  const query = new URLSearchParams(request.query);
  query.delete('fields');
  const actions = { read: 'quota:get_all', readGlobal: 'quota:get_all-global' } as const;
  return listOfProjects(api, quotas, { ...request, query }, actions);
}

/** What holds for the project; `defaults` is asked for like a project, and has nothing of its own. */
async function show(
  { store }: Api,
  request: ApiRequest,
  action: Extract<Action, `quota:get${string}`>,
): Promise<Answer | Problem> {
  const projectId = projectOf(request);
  const wrong = strayQuery(request) ?? authorize(request.caller, action, projectId);
  if (wrong !== undefined) return wrong;
  const own = action === 'quota:get_one' ? await store.quotas.of(projectId) : {};
  return answer(projectId, own, store.quotas.defaults, 200);
}

async function update({ store }: Api, request: ApiRequest): Promise<Answer | Problem> {
  const changes = updated(quotas, request);
  if (isProblem(changes)) return changes;
  const projectId = projectOf(request);
  const denied = authorize(request.caller, 'quota:put', projectId);
  if (denied !== undefined) return denied;
  const { oldLoadBalancer, oldHealthMonitor, ...sent } = changes;
  const own = await store.quotas.set(projectId, {
    ...(oldLoadBalancer !== undefined && { loadBalancer: oldLoadBalancer }),
    ...(oldHealthMonitor !== undefined && { healthMonitor: oldHealthMonitor }),
    ...sent,
  });
  return isProblem(own) ? own : answer(projectId, own, store.quotas.defaults, 202);
}

async function reset({ store }: Api, request: ApiRequest): Promise<Answer | Problem> {
  const projectId = projectOf(request);
  const wrong = strayQuery(request) ?? authorize(request.caller, 'quota:delete', projectId);
  if (wrong !== undefined) return wrong;
  return (await store.quotas.reset(projectId)) ?? { status: 202 };
}

function answer(
  projectId: string,
  own: Partial<QuotaLimits>,
  defaults: Readonly<Record<ResourceKind, number>>,
  status: 200 | 202,
): Answer {
  const limits = Object.fromEntries(
    Object.entries(defaults).map(([kind, limit]) => [kind, own[kind as ResourceKind] ?? limit]),
  ) as Record<ResourceKind, number>;
  return { status, body: { [keyOf(quotas)]: quotas.render({ ...limits, projectId }) } };
}
