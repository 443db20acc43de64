import { immutable, isProblem, notFound, type Problem } from '../../lb/problems.ts';
import { found, listOfAll, showAnswer } from '../collection.ts';
import { fields } from '../fields.ts';
import { authorize } from '../policy.ts';
import { type Answer, type Api, type ApiRequest, ok, type Route, strayQuery } from '../request.ts';
import { id, resource } from '../resource.ts';
import { statisticsOf } from '../statistics.ts';
import { boolean, instant, integer, ipAddress, oneOf, text, uuid, uuidOf } from '../types.ts';

/** Written by the loop alone; operators look, and give up those that cannot be saved. */
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
