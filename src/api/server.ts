import { randomUUID } from 'node:crypto';
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type HTTPMethods,
} from 'fastify';
import { DriverError } from '../clouds/errors.ts';
import { standardDeployment } from '../lb/defaults.ts';
import { isProblem, type Problem, problem } from '../lb/problems.ts';
import { callerOf } from './caller.ts';
import { connectionOptions, refuseExpectations, standardPatience } from './connections.ts';
import { crossOrigin } from './cors.ts';
import {
  driverProblem,
  faultBody,
  isRefusal,
  type Refusal,
  refusal,
  refusalBody,
  tokenBody,
} from './faults.ts';
import { addHealthcheck } from './healthcheck.ts';
import { acceptsJson, bodyKind } from './media-types.ts';
import { openApi } from './openapi.ts';
import { canonicalUrl, documentPath, isHealthcheck, isOpenPath, withoutMount } from './paths.ts';
import { type ApiCaller, policy } from './policy.ts';
import { withVerdicts } from './policy-remote.ts';
import { type Answer, type Api, type ApiConfig, ok, type Route } from './request.ts';
import { amphoraRoutes } from './resources/amphorae.ts';
import { availabilityZoneProfileRoutes } from './resources/availability-zone-profiles.ts';
import { availabilityZoneRoutes } from './resources/availability-zones.ts';
import { flavorProfileRoutes } from './resources/flavor-profiles.ts';
import { flavorRoutes } from './resources/flavors.ts';
import { healthMonitorRoutes } from './resources/health-monitors.ts';
import { l7PolicyRoutes } from './resources/l7-policies.ts';
import { l7RuleRoutes } from './resources/l7-rules.ts';
import { listenerRoutes } from './resources/listeners.ts';
import { loadBalancerRoutes } from './resources/load-balancers.ts';
import { memberRoutes } from './resources/members.ts';
import { newLoadBalancerRoute } from './resources/new-load-balancers.ts';
import { poolRoutes } from './resources/pools.ts';
import { providerRoutes } from './resources/providers.ts';
import { quotaRoutes } from './resources/quotas.ts';
import { amphoraReportRoutes } from './resources/amphora-reports.ts';
import { reasonRoutes } from './resources/reasons.ts';
import { uuidOf } from './types.ts';
import { versionRoutes } from './versions.ts';

export const standardConfig: ApiConfig = {
  deployment: standardDeployment,
  authStrategy: 'keystone',
  follows: { pagination: true, sorting: true, filtering: true, fieldSelection: true },
  vips: { bySubnet: true, byNetwork: true, byPort: true, validNetworks: [], deniedNetworks: [] },
  invisibleResources: false,
  paginationMaxLimit: 1000,
  apiBaseUri: null,
  maxBodyBytes: 114_688,
  patience: standardPatience,
  trustProxy: false,
  policy: policy(),
  remoteChecks: { timeoutMs: 60_000, contentType: 'application/x-www-form-urlencoded' },
  healthcheckEnabled: false,
  healthcheckRefreshMs: 5000,
  corsAllowedOrigins: [],
  defaultProvider: 'amphora',
  providers: [
    { name: 'amphora', description: 'Load balancers of HAProxy in amphorae.' },
    { name: 'octavia', description: 'Deprecated alias of the amphora provider.' },
  ],
};

export interface ApiOptions extends Omit<Api, 'config'> {
  readonly config?: Partial<ApiConfig>;
}

declare module 'fastify' {
  interface FastifyRequest {
    caller: ApiCaller | null;
  }
}

/** The Octavia v2 API, ready to listen. Ends when the instance is closed; what it stands on is not closed with it. */
export function buildApi(options: ApiOptions): FastifyInstance {
  const api: Api = { ...options, config: { ...standardConfig, ...options.config } };
  const app = fastify({
    ...connectionOptions(api.config.patience),
    bodyLimit: api.config.maxBodyBytes,
    trustProxy: api.config.trustProxy,
    exposeHeadRoutes: false,
    genReqId: () => `req-${randomUUID()}`,
    rewriteUrl: (request) => canonicalUrl(request.url ?? '/'),
    routerOptions: { maxParamLength: 512 },
    frameworkErrors: (error, _request, reply) => {
      void sendRefusal(reply, refusal(error.statusCode ?? 400, 'The request could not be understood.'));
    },
  });
  refuseExpectations(app.server);
  app.decorateRequest('caller', null);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-openstack-request-id', request.id);
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1') {
      return sendRefusal(reply, refusal(400, 'The request names no host.'));
    }
    if (crossOrigin(request, reply, api.config.corsAllowedOrigins)) return reply.code(200).send();
    if (isHealthcheck(request.originalUrl)) return undefined;
    if (!isOpenPath(request.originalUrl)) {
      const caller = await callerOf(api, request.headers);
      if (caller === undefined) return unauthorized(api, reply);
      request.caller = caller;
    }
    if (!acceptsJson(request.headers.accept)) {
      return sendRefusal(reply, refusal(406, 'The answer can only be application/json.'));
    }
    return undefined;
  });
  app.addHook('onResponse', async (request, reply) => {
    api.log.debug(
      {
        requestId: request.id,
        ...globalRequestId(request),
        method: request.method,
        url: request.originalUrl,
        status: reply.statusCode,
        ms: reply.elapsedTime,
      },
      'answered',
    );
  });
  app.setNotFoundHandler((_request, reply) =>
    sendRefusal(reply, refusal(404, 'The resource could not be found.')),
  );
  app.setErrorHandler((error, request, reply) => sendError(api, error, request, reply));

  addHealthcheck(app, api);
  const routes = [...routesOf(api), documentRoute(api)];
  for (const route of routes) addRoute(app, api, route);
  refuseOtherMethods(app, routes);
  return app;
}

/** The id under which somebody before us knows what this request belongs to. */
function globalRequestId({ headers }: FastifyRequest): { globalRequestId?: string } {
  const id = headers['x-openstack-request-id'];
  return typeof id === 'string' && /^req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)
    ? { globalRequestId: id }
    : {};
}

/** What the API is, told to anybody. */
function documentRoute(api: Api): Route {
  const own = { method: 'GET', path: documentPath } as const;
  const document = openApi([
    ...routesOf(api),
    own,
    ...(api.config.healthcheckEnabled
      ? ['GET', 'HEAD'].map((method) => ({ method, path: '/healthcheck' }))
      : []),
  ]);
  return { ...own, handle: async () => ok(document) };
}

function routesOf(api: Api): readonly Route[] {
  return [
    ...versionRoutes(),
    ...loadBalancerRoutes(api),
    newLoadBalancerRoute(api),
    ...listenerRoutes(api),
    ...poolRoutes(api),
    ...memberRoutes(api),
    ...healthMonitorRoutes(api),
    ...l7PolicyRoutes(api),
    ...l7RuleRoutes(api),
    ...flavorRoutes(api),
    ...flavorProfileRoutes(api),
    ...availabilityZoneRoutes(api),
    ...availabilityZoneProfileRoutes(api),
    ...providerRoutes(api),
    ...quotaRoutes(api),
    ...amphoraRoutes(api),
    ...reasonRoutes(api),
    ...amphoraReportRoutes(api),
  ];
}

function addRoute(app: FastifyInstance, api: Api, { method, path, handle }: Route): void {
  app.route({
    method,
    url: path,
    handler: async (request, reply) => {
      const kind = bodyKind(request.headers['content-type']);
      const sent = request.body as Buffer | undefined;
      const body = sent === undefined || sent.length === 0 || kind === 'form' ? undefined : sent;
      if (body !== undefined && kind === 'other' && (method === 'POST' || method === 'PUT')) {
        return sendRefusal(reply, refusal(415, 'The body can only be application/json.'));
      }
      const asked = {
        params: withIds(path, request.params as Record<string, string>),
        query: new URLSearchParams(request.url.split('?')[1] ?? ''),
        url: linkBase(api.config, request),
        body,
      };
      const remote = { settings: api.config.remoteChecks, log: api.log };
      const answer = await withVerdicts(request.caller ?? nobody, remote, (caller) =>
        handle({ ...asked, caller }),
      );
      return send(reply, answer);
    },
  });
}

/** Ids may be written in several ways; availability zones have names instead, which stay as they are. */
function withIds(path: string, params: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const names = path.startsWith('/v2/lbaas/availabilityzones/') ? [] : ['id', 'pool_id', 'l7policy_id'];
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => [
      name,
      names.includes(name) ? (uuidOf(value) ?? value) : value,
    ]),
  );
}

/** The URL of the request as links repeat it. */
function linkBase({ apiBaseUri, trustProxy }: ApiConfig, request: FastifyRequest): string {
  const path = request.originalUrl.split('?')[0] ?? '/';
  if (apiBaseUri !== null) return `${apiBaseUri.replace(/\/+$/, '')}${withoutMount(path)}`;
  const said = (name: 'prefix' | 'port'): string => {
    const value = trustProxy ? request.headers[`x-forwarded-${name}`] : undefined;
    return typeof value === 'string' ? value.trim() : '';
  };
  const port = said('port');
  const usual = { http: '80', https: '443' }[request.protocol];
  const host =
    port === '' || port === usual || /:\d+$/.test(request.host) ? request.host : `${request.host}:${port}`;
  return `${request.protocol}://${host}${said('prefix').replace(/\/+$/, '')}${path}`;
}

/** Who asks where nobody needs to say it. */
const nobody: ApiCaller = {
  ...{ token: '', userId: '', projectId: null, systemScope: false, roles: [] },
  policy: policy(),
};

const allMethods: readonly HTTPMethods[] = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'PATCH',
  'OPTIONS',
  'TRACE',
];

/** A known path answers other methods with 405. */
function refuseOtherMethods(app: FastifyInstance, routes: readonly Route[]): void {
  for (const path of new Set(routes.map((route) => route.path))) {
    const known = new Set<string>(routes.filter((route) => route.path === path).map((route) => route.method));
    const others = allMethods.filter((method) => !known.has(method));
    app.route({
      method: [...others],
      url: path,
      handler: (_request, reply) => {
        reply.header('allow', [...known].join(', '));
        return sendRefusal(reply, refusal(405, 'The method is not allowed for this resource.'));
      },
    });
  }
}

function unauthorized(api: Api, reply: FastifyReply): FastifyReply {
  return reply
    .code(401)
    .header('www-authenticate', `Keystone uri="${api.identity.publicUrl}"`)
    .send(tokenBody(401, 'Unauthorized', 'The request you have made requires authentication.'));
}

function send(reply: FastifyReply, answer: Answer | Problem | Refusal): FastifyReply {
  if (isProblem(answer)) return reply.code(answer.status).send(faultBody(answer));
  if (isRefusal(answer)) return sendRefusal(reply, answer);
  reply.code(answer.status);
  return answer.body === undefined
    ? reply.send()
    : reply.header('content-type', 'application/json; charset=utf-8').send(JSON.stringify(answer.body));
}

function sendRefusal(reply: FastifyReply, refused: Refusal): FastifyReply {
  return reply.code(refused.status).send(refusalBody(refused));
}

function sendError(api: Api, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error instanceof DriverError) {
    api.log.warn({ requestId: request.id, err: error }, 'the surroundings failed a request');
    return send(reply, driverProblem(error));
  }
  const status = (error as { statusCode?: unknown }).statusCode;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return sendRefusal(reply, refusal(status, error instanceof Error ? error.message : 'Bad request.'));
  }
  api.log.error(
    { requestId: request.id, method: request.method, url: request.url, err: error },
    'a request failed',
  );
  return send(reply, problem(500, `Internal error; the log has it under ${request.id}.`));
}
