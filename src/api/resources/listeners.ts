import type { Listener } from '../../lb/listener.ts';
import { createListener, deleteListener, updateListener } from '../../lb/listener-rules.ts';
import { isProblem, notFound, type Problem } from '../../lb/problems.ts';
import { created, updated } from '../bodies.ts';
import { authorityProblem, certificatesProblem } from '../certificates.ts';
import { rightsOf } from '../caller.ts';
import { carry } from '../change.ts';
import { found } from '../collection.ts';
import { fields, idObjects } from '../fields.ts';
import { authorize } from '../policy.ts';
import { type Answer, type Api, type ApiRequest, ok, type Route, strayQuery } from '../request.ts';
import { common, described, id, inheritedProject, named, resource } from '../resource.ts';
import { deleteRoute, listRoute, objectAnswer, showRoute } from '../routes.ts';
import { statisticsOf } from '../statistics.ts';
import { boolean, cidr, integer, list, nothing, oneOf, references, text, texts, uuid } from '../types.ts';
import { listenerView } from '../views.ts';

const timeout = fields({
  field: {
    type: integer({ min: 0, max: 2_073_600_000 }),
    post: 'optional',
    put: 'optional',
    default: null,
  },
}).field;

const containerRef = fields({
  field: { type: text({ max: 255 }), post: 'optional', put: 'optional', default: null },
}).field;

const onlyWithLoadBalancer = (what: string): string =>
  `Validation failure: ${what} can only be created with a listener as part of a whole load balancer.`;

export const listeners = resource({
  kind: 'listener',
  name: 'Listener',
  argument: 'listener_.listener',
  many: 'listeners',
  fields: fields({
    ...id,
    ...named,
    ...described,
    ...common,
    ...inheritedProject,
    loadBalancerId: { type: uuid(), api: 'loadbalancer_id', post: 'required', show: false },
    loadbalancers: {
      type: references(''),
      stored: false,
      show: (row: { readonly loadBalancerId: string }) => idObjects([row.loadBalancerId]),
    },
    protocol: {
      type: oneOf('HTTP', 'HTTPS', 'TCP', 'TERMINATED_HTTPS', 'UDP', 'SCTP', 'PROMETHEUS'),
      post: 'required',
    },
    protocolPort: { type: integer({ min: 1, max: 65_535 }), post: 'required' },
    connectionLimit: {
      type: integer({ min: -1 }),
      post: 'optional',
      put: 'optional',
      default: -1,
      nullOnPut: -1,
    },
    defaultPoolId: { type: uuid(), post: 'optional', put: 'optional', default: null },
    defaultPool: { type: nothing(onlyWithLoadBalancer('default_pool')), post: 'optional', show: false },
    l7PolicyIds: {
      type: references(onlyWithLoadBalancer('l7policies')),
      api: 'l7policies',
      post: 'optional',
      nullOnPost: [],
      show: (row: { readonly l7PolicyIds: readonly string[] }) => idObjects(row.l7PolicyIds),
    },
    insertHeaders: {
      type: texts(text({ max: 255 })),
      post: 'optional',
      put: 'optional',
      default: {},
      nullOnPost: {},
      nullOnPut: {},
    },
    timeoutClientData: timeout,
    timeoutMemberConnect: timeout,
    timeoutMemberData: timeout,
    timeoutTcpInspect: timeout,
    defaultTlsContainerRef: containerRef,
    sniContainerRefs: {
      type: list(text({ max: 255 })),
      post: 'optional',
      put: 'optional',
      default: [],
      nullOnPost: [],
      nullOnPut: [],
    },
    clientAuthentication: {
      type: oneOf('NONE', 'OPTIONAL', 'MANDATORY'),
      post: 'optional',
      put: 'optional',
      default: 'NONE',
    },
    clientCaTlsContainerRef: containerRef,
    clientCrlContainerRef: containerRef,
    allowedCidrs: { type: list(cidr()), post: 'optional', put: 'optional', default: null },
    tlsCiphers: { type: text({ max: 2048 }), post: 'optional', put: 'optional', default: null },
    tlsVersions: {
      type: list(oneOf('SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'), { unique: true }),
      post: 'optional',
      put: 'optional',
      default: null,
    },
    alpnProtocols: {
      type: list(oneOf('h2', 'http/1.1', 'http/1.0'), { unique: true }),
      post: 'optional',
      put: 'optional',
      default: null,
    },
    hstsMaxAge: { type: integer({ min: 0 }), post: 'optional', put: 'optional', default: null },
    hstsIncludeSubdomains: {
      type: boolean(),
      post: 'optional',
      put: 'optional',
      default: false,
      nullOnPost: false,
      nullOnPut: false,
    },
    hstsPreload: {
      type: boolean(),
      post: 'optional',
      put: 'optional',
      default: false,
      nullOnPost: false,
      nullOnPut: false,
    },
  }),
});

export function listenerRoutes(api: Api): readonly Route[] {
  const one = '/v2/lbaas/listeners/:id';
  return [
    listRoute(api, listeners, '/v2/lbaas/listeners', 'listener'),
    showRoute(api, listeners, one, 'listener:get_one'),
    { method: 'POST', path: '/v2/lbaas/listeners', handle: (request) => create(api, request) },
    { method: 'PUT', path: one, handle: (request) => update(api, request) },
    deleteRoute(api, listeners, one, 'listener:delete', deleteListener),
    { method: 'GET', path: `${one}/stats`, handle: (request) => statistics(api, request) },
  ];
}

async function create(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const values = created(listeners, request);
  if (isProblem(values)) return values;
  const { loadBalancerId, defaultPool: _, l7PolicyIds: __, ...wish } = values;
  const listener = await carry(api, {
    caller: request.caller,
    actions: ['listener:post'],
    adds: 'listener',
    of: { kind: 'loadBalancer', id: loadBalancerId },
    missing: notFound('Load Balancer', loadBalancerId),
    decide: (tree, circumstances) => createListener(tree, wish, circumstances),
    outside: ({ answer }) => listenerSecretsProblem(api, request, answer, answer),
    show: listenerView,
  });
  return objectAnswer(listeners, listener, 201);
}

async function update(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const changes = updated(listeners, request);
  if (isProblem(changes)) return changes;
  const id = request.params['id'] ?? '';
  const listener = await carry(api, {
    caller: request.caller,
    actions: ['listener:put'],
    of: { kind: 'listener', id },
    missing: notFound('Listener', id),
    decide: (tree, circumstances) => updateListener(tree, id, changes, circumstances),
    outside: ({ answer }) => listenerSecretsProblem(api, request, changes, answer),
    show: listenerView,
  });
  return objectAnswer(listeners, listener, 200);
}

/** The certificates that were sent, and the authority the listener will have, stored or sent. */
export async function listenerSecretsProblem(
  { secrets }: Api,
  { caller }: ApiRequest,
  sent: Partial<Pick<Listener, 'defaultTlsContainerRef' | 'sniContainerRefs'>>,
  listener: Listener,
): Promise<Problem | undefined> {
  const refs = [sent.defaultTlsContainerRef, ...(sent.sniContainerRefs ?? [])];
  const { clientCaTlsContainerRef, clientCrlContainerRef } = listener;
  return (
    (await certificatesProblem(secrets, rightsOf(caller), refs)) ??
    authorityProblem(secrets, rightsOf(caller), clientCaTlsContainerRef, clientCrlContainerRef)
  );
}

async function statistics(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const stray = strayQuery(request);
  if (stray !== undefined) return stray;
  const listener = await found(api, listeners, request.params['id'] ?? '');
  if (isProblem(listener)) return listener;
  const denied = authorize(request.caller, 'listener:get_stats', listener.projectId);
  return denied ?? ok({ stats: statisticsOf(await api.store.statistics.ofListener(listener.id)) });
}
