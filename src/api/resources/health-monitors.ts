import type { HealthMonitor } from '../../lb/health-monitor.ts';
import {
  createHealthMonitor,
  deleteHealthMonitor,
  updateHealthMonitor,
} from '../../lb/health-monitor-rules.ts';
import { isProblem, notFound, type Problem } from '../../lb/problems.ts';
import type { Views } from '../../store/store.ts';
import { created, updated } from '../bodies.ts';
import { carry } from '../change.ts';
import { decimal, fields, idObjects } from '../fields.ts';
import type { Answer, Api, ApiRequest, Route } from '../request.ts';
import { common, id, inheritedProject, named, resource } from '../resource.ts';
import { deleteRoute, listRoute, objectAnswer, showRoute } from '../routes.ts';
import { integer, oneNumberOf, oneOf, references, text, uuid } from '../types.ts';

const domainName =
  /^(?=.{1,253}\.?$)([A-Za-z0-9_]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9_]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?$/;

export const healthMonitors = resource({
  kind: 'healthMonitor',
  name: 'Health Monitor',
  argument: 'health_monitor_.healthmonitor',
  many: 'healthmonitors',
  fields: fields({
    ...id,
    ...named,
    ...common,
    ...inheritedProject,
    poolId: { type: uuid(), post: 'required', show: false },
    pools: { type: references(''), stored: false, show: (row: HealthMonitor) => idObjects([row.poolId]) },
    type: {
      type: oneOf('HTTP', 'HTTPS', 'PING', 'TCP', 'TLS-HELLO', 'UDP-CONNECT', 'SCTP'),
      post: 'required',
    },
    delay: { type: integer({ min: 0 }), post: 'required', put: 'optional' },
    timeout: { type: integer({ min: 0 }), post: 'required', put: 'optional' },
    maxRetries: { type: integer({ min: 1, max: 10 }), post: 'required', put: 'optional' },
    maxRetriesDown: {
      type: integer({ min: 1, max: 10 }),
      post: 'optional',
      put: 'optional',
      default: 3,
      nullOnPost: 3,
      nullOnPut: 3,
    },
    httpMethod: {
      type: oneOf('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'TRACE', 'OPTIONS', 'CONNECT', 'PATCH'),
      post: 'optional',
      put: 'optional',
      default: null,
    },
    urlPath: { type: text({ max: 2048 }), post: 'optional', put: 'optional', default: null },
    expectedCodes: {
      type: text({
        max: 64,
        pattern: /^(\d{3}(\s*,\s*\d{3})*)$|^(\d{3}-\d{3})$/,
        meaning: 'Value should be one code, a list of codes or one range',
      }),
      post: 'optional',
      put: 'optional',
      default: null,
    },
    httpVersion: {
      type: oneNumberOf(1.0, 1.1),
      post: 'optional',
      put: 'optional',
      default: null,
      show: ({ httpVersion }: HealthMonitor) => (httpVersion === null ? null : decimal(httpVersion, 1)),
    },
    domainName: {
      type: text({ min: 1, max: 255, pattern: domainName, meaning: 'Value should be a domain name' }),
      post: 'optional',
      put: 'optional',
      default: null,
    },
  }),
});

export function healthMonitorRoutes(api: Api): readonly Route[] {
  const all = '/v2/lbaas/healthmonitors';
  const one = `${all}/:id`;
  return [
    listRoute(api, healthMonitors, all, 'healthmonitor'),
    showRoute(api, healthMonitors, one, 'healthmonitor:get_one'),
    { method: 'POST', path: all, handle: (request) => create(api, request) },
    { method: 'PUT', path: one, handle: (request) => update(api, request) },
    deleteRoute(api, healthMonitors, one, 'healthmonitor:delete', deleteHealthMonitor),
  ];
}

async function create(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const values = created(healthMonitors, request);
  if (isProblem(values)) return values;
  const monitor = await carry(api, {
    caller: request.caller,
    actions: ['healthmonitor:post'],
    adds: 'healthMonitor',
    of: { kind: 'pool', id: values.poolId },
    missing: notFound('Pool', values.poolId),
    decide: (tree, circumstances) => createHealthMonitor(tree, values, circumstances),
    show: (_, answer): Views['healthMonitor'] => answer,
  });
  return objectAnswer(healthMonitors, monitor, 201);
}

async function update(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const changes = updated(healthMonitors, request);
  if (isProblem(changes)) return changes;
  const id = request.params['id'] ?? '';
  const monitor = await carry(api, {
    caller: request.caller,
    actions: ['healthmonitor:put'],
    of: { kind: 'healthMonitor', id },
    missing: notFound('Health Monitor', id),
    decide: (tree, circumstances) => updateHealthMonitor(tree, id, changes, circumstances),
    show: (_, answer): Views['healthMonitor'] => answer,
  });
  return objectAnswer(healthMonitors, monitor, 200);
}
