import type { Pool } from '../../lb/pool.ts';
import { createPool, deletePool, updatePool } from '../../lb/pool-rules.ts';
import { isProblem, notFound, type Problem, validationFailure } from '../../lb/problems.ts';
import { created, updated } from '../bodies.ts';
import { authorityProblem, certificatesProblem } from '../certificates.ts';
import { rightsOf } from '../caller.ts';
import { carry } from '../change.ts';
import { fields, idObjects, object, refused } from '../fields.ts';
import type { Answer, Api, ApiRequest, Route } from '../request.ts';
import { common, described, id, inheritedProject, named, resource } from '../resource.ts';
import { deleteRoute, listRoute, objectAnswer, showRoute } from '../routes.ts';
import { boolean, integer, ipAddress, list, nothing, oneOf, references, text, uuid } from '../types.ts';
import { poolView } from '../views.ts';

const containerRef = fields({
  field: { type: text({ max: 255 }), post: 'optional', put: 'optional', default: null },
}).field;

const onlyWithLoadBalancer = (what: string): string =>
  `Validation failure: ${what} can only be created with a pool as part of a whole load balancer.`;

/** Which of them are needed follows from the pool. */
const sessionPersistence = fields({
  type: { type: oneOf('SOURCE_IP', 'HTTP_COOKIE', 'APP_COOKIE'), post: 'optional', nullOnPost: refused },
  cookieName: {
    type: text({
      max: 255,
      pattern: /^[^\s,;\\]+$/,
      meaning: 'Value should not hold blanks, commas, semicolons or backslashes',
    }),
    post: 'optional',
  },
  persistenceTimeout: { type: integer({ min: 0 }), post: 'optional' },
  persistenceGranularity: { type: ipAddress(), post: 'optional' },
});

export const pools = resource({
  kind: 'pool',
  name: 'Pool',
  argument: 'pool_.pool',
  many: 'pools',
  fields: fields({
    ...id,
    ...named,
    ...described,
    ...common,
    ...inheritedProject,
    loadBalancerId: {
      type: uuid(),
      api: 'loadbalancer_id',
      post: 'optional',
      default: null,
      show: false,
    },
    listenerId: { type: uuid(), post: 'optional', default: null, show: false, stored: false },
    loadbalancers: {
      type: references(''),
      stored: false,
      show: (row: Pool) => idObjects([row.loadBalancerId]),
    },
    listenerIds: {
      type: references(''),
      api: 'listeners',
      show: (row: { readonly listenerIds: readonly string[] }) => idObjects(row.listenerIds),
    },
    protocol: { type: oneOf('HTTP', 'HTTPS', 'PROXY', 'PROXYV2', 'TCP', 'UDP', 'SCTP'), post: 'required' },
    lbAlgorithm: {
      type: oneOf('ROUND_ROBIN', 'LEAST_CONNECTIONS', 'SOURCE_IP', 'SOURCE_IP_PORT'),
      post: 'required',
      put: 'optional',
    },
    sessionPersistence: {
      type: object(sessionPersistence),
      post: 'optional',
      put: 'optional',
      default: null,
      show: ({ sessionPersistence: persistence }: Pool) =>
        persistence && {
          type: persistence.type,
          cookie_name: persistence.cookieName,
          persistence_timeout: persistence.persistenceTimeout,
          persistence_granularity: persistence.persistenceGranularity,
        },
    },
    healthMonitor: {
      type: nothing(onlyWithLoadBalancer('healthmonitor')),
      api: 'healthmonitor',
      post: 'optional',
      show: false,
    },
    healthMonitorId: {
      type: uuid(),
      api: 'healthmonitor_id',
      sort: false,
      // Without a monitor the key is not there at all.
      show: (row: { readonly healthMonitorId: string | null }) => row.healthMonitorId ?? undefined,
    },
    memberIds: {
      type: references(onlyWithLoadBalancer('members')),
      api: 'members',
      post: 'optional',
      nullOnPost: [],
      show: (row: { readonly memberIds: readonly string[] }) => idObjects(row.memberIds),
    },
    tlsEnabled: {
      type: boolean(),
      post: 'optional',
      put: 'optional',
      default: false,
      nullOnPost: false,
      nullOnPut: refused,
    },
    tlsContainerRef: containerRef,
    caTlsContainerRef: containerRef,
    crlContainerRef: containerRef,
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
  }),
});

export function poolRoutes(api: Api): readonly Route[] {
  const one = '/v2/lbaas/pools/:id';
  return [
    listRoute(api, pools, '/v2/lbaas/pools', 'pool'),
    showRoute(api, pools, one, 'pool:get_one'),
    { method: 'POST', path: '/v2/lbaas/pools', handle: (request) => create(api, request) },
    { method: 'PUT', path: one, handle: (request) => update(api, request) },
    deleteRoute(api, pools, one, 'pool:delete', deletePool),
  ];
}

async function create(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const values = created(pools, request);
  if (isProblem(values)) return values;
  const { loadBalancerId, listenerId, healthMonitor: _, memberIds: __, ...wish } = values;
  const of =
    loadBalancerId !== null
      ? ({ kind: 'loadBalancer', id: loadBalancerId } as const)
      : listenerId !== null
        ? ({ kind: 'listener', id: listenerId } as const)
        : undefined;
  if (of === undefined) return validationFailure('A pool needs a loadbalancer_id or a listener_id.');
  const pool = await carry(api, {
    caller: request.caller,
    actions: ['pool:post'],
    adds: 'pool',
    of,
    missing: notFound(of.kind === 'listener' ? 'Listener' : 'Load Balancer', of.id),
    decide: (tree, circumstances) =>
      createPool(tree, { ...wish, listenerId, loadBalancerNamed: loadBalancerId !== null }, circumstances),
    outside: ({ answer }) => poolSecretsProblem(api, request, answer, answer),
    show: poolView,
  });
  return objectAnswer(pools, pool, 201);
}

async function update(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const changes = updated(pools, request);
  if (isProblem(changes)) return changes;
  const id = request.params['id'] ?? '';
  const pool = await carry(api, {
    caller: request.caller,
    actions: ['pool:put'],
    of: { kind: 'pool', id },
    missing: notFound('Pool', id),
    decide: (tree, circumstances) => updatePool(tree, id, changes, circumstances),
    outside: ({ answer }) => poolSecretsProblem(api, request, changes, answer),
    show: poolView,
  });
  return objectAnswer(pools, pool, 200);
}

/** The client certificate that was sent, and the authority the pool will have, stored or sent. */
export async function poolSecretsProblem(
  { secrets }: Api,
  { caller }: ApiRequest,
  sent: Partial<Pick<Pool, 'tlsContainerRef'>>,
  pool: Pool,
): Promise<Problem | undefined> {
  return (
    (await certificatesProblem(secrets, rightsOf(caller), [sent.tlsContainerRef])) ??
    authorityProblem(secrets, rightsOf(caller), pool.caTlsContainerRef, pool.crlContainerRef)
  );
}
