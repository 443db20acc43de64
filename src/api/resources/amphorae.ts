import { failOverAmphora } from '../../lb/load-balancer-rules.ts';
import { immutable, isProblem, notFound, type Problem } from '../../lb/problems.ts';
import { carry } from '../change.ts';
import { found, listOfAll, showAnswer } from '../collection.ts';
import { fields } from '../fields.ts';
import { authorize } from '../policy.ts';
import { type Answer, type Api, type ApiRequest, ok, type Route, strayQuery } from '../request.ts';
import { id, resource } from '../resource.ts';
import { statisticsOf } from '../statistics.ts';
import { boolean, instant, integer, ipAddress, oneOf, text, uuid, uuidOf } from '../types.ts';

/** Written by the loop alone; operators look, have them replaced, and give up those that cannot be saved. */
export const amphorae = resource({
  kind: 'amphora',
  name: 'Amphora',
  argument: 'amphora_.amphora',
  many: 'amphorae',
  fields: fields({
    ...id,
    loadBalancerId: { type: uuid(), api: 'loadbalancer_id' },
    projectId: { type: text(), show: false, sort: false },
    computeId: { type: uuid() },
    lbNetworkIp: { type: ipAddress() },
    vrrpIp: { type: ipAddress() },
    haIp: { type: ipAddress() },
    vrrpPortId: { type: uuid() },
    haPortId: { type: uuid() },
    certExpiration: { type: instant() },
    certBusy: { type: boolean() },
    role: { type: oneOf('STANDALONE', 'MASTER', 'BACKUP') },
    status: {
      type: oneOf(
        'BOOTING',
        'ALLOCATED',
        'READY',
        'PENDING_CREATE',
        'PENDING_DELETE',
        'ERROR',
        'DELETED',
        'FAILOVER_STOPPED',
      ),
    },
    vrrpInterface: { type: text() },
    vrrpId: { type: integer() },
    vrrpPriority: { type: integer() },
    cachedZone: { type: text() },
    createdAt: { type: instant() },
    updatedAt: { type: instant() },
    imageId: { type: uuid() },
    computeFlavor: { type: text() },
  }),
});

export function amphoraRoutes(api: Api): readonly Route[] {
  const all = '/v2/octavia/amphorae';
  const one = `${all}/:id`;
  return [
    {
      method: 'GET',
      path: all,
      handle: (request) => listOfAll(api, amphorae, request, 'amphora:get_all'),
    },
    { method: 'GET', path: one, handle: (request) => show(api, request) },
    { method: 'DELETE', path: one, handle: (request) => remove(api, request) },
    { method: 'PUT', path: `${one}/failover`, handle: (request) => replace(api, request) },
    { method: 'PUT', path: `${one}/config`, handle: (request) => configure(api, request) },
    { method: 'GET', path: `${one}/stats`, handle: (request) => statistics(api, request) },
  ];
}

async function show(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const amphora = await found(api, amphorae, request.params['id'] ?? '');
  if (isProblem(amphora)) return amphora;
  const denied = authorize(request.caller, 'amphora:get_one', request.caller.projectId);
  return denied ?? showAnswer(api, amphorae, amphora, request);
}

/** The loop takes it away, and puts another in its place if none is left. */
async function remove(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const wrong = strayQuery(request) ?? authorize(request.caller, 'amphora:delete', request.caller.projectId);
  if (wrong !== undefined) return wrong;
  const amphora = await found(api, amphorae, request.params['id'] ?? '');
  if (isProblem(amphora)) return amphora;
  const discarded = await api.store.amphorae.discard(amphora.id, api.clock());
  return discarded ? { status: 204 } : immutable('Amphora', amphora.id);
}

/** The loop puts another in its place, and then takes it away. */
async function replace(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const stray = strayQuery(request);
  if (stray !== undefined) return stray;
  const amphora = await found(api, amphorae, request.params['id'] ?? '');
  if (isProblem(amphora)) return amphora;
  const done = await carry(api, {
    caller: request.caller,
    actions: ['amphora:put_failover'],
    of: { kind: 'loadBalancer', id: amphora.loadBalancerId },
    missing: notFound('Amphora', amphora.id),
    decide: (tree) => failOverAmphora(tree, amphora.id),
    show: () => undefined,
  });
  return done ?? { status: 202 };
}

/** The loop looks at it, and gives it the settings of today if it has others. */
async function configure(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const stray = strayQuery(request);
  if (stray !== undefined) return stray;
  const amphora = await found(api, amphorae, request.params['id'] ?? '');
  if (isProblem(amphora)) return amphora;
  const { store } = api;
  const loadBalancer = await store.lists.show('loadBalancer', amphora.loadBalancerId);
  if (loadBalancer === undefined) return notFound('Amphora', amphora.id);
  const denied = authorize(request.caller, 'amphora:put_config', loadBalancer.projectId);
  if (denied !== undefined) return denied;
  await store.work.mark(loadBalancer.id);
  return { status: 202 };
}

async function statistics(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const wrong =
    strayQuery(request) ?? authorize(request.caller, 'amphora:get_stats', request.caller.projectId);
  if (wrong !== undefined) return wrong;
  const id = request.params['id'] ?? '';
  const uuid = uuidOf(id);
  const samples = uuid === undefined ? [] : await api.store.statistics.ofAmphora(uuid);
  if (uuid === undefined || samples.length === 0) return notFound('Amphora', id);
  return ok({
    amphora_stats: samples.map((sample) => ({
      ...statisticsOf(sample),
      id: uuid,
      listener_id: sample.listenerId,
      loadbalancer_id: sample.loadBalancerId,
    })),
  });
}
