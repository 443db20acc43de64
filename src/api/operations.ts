import type { ViewKind } from '../store/store.ts';
import { answerSchema, apiName, bodySchema, type Fields } from './fields.ts';
import { storedKey, tagFilters } from './paging.ts';
import { documentPath } from './paths.ts';
import { keyOf, type Resource } from './resource.ts';
import { amphorae } from './resources/amphorae.ts';
import { availabilityZoneProfiles } from './resources/availability-zone-profiles.ts';
import { availabilityZones } from './resources/availability-zones.ts';
import { flavorProfiles } from './resources/flavor-profiles.ts';
import { flavors } from './resources/flavors.ts';
import { healthMonitors } from './resources/health-monitors.ts';
import { l7Policies } from './resources/l7-policies.ts';
import { l7Rules } from './resources/l7-rules.ts';
import { listeners } from './resources/listeners.ts';
import { loadBalancers } from './resources/load-balancers.ts';
import { batchFields, members } from './resources/members.ts';
import { pools } from './resources/pools.ts';
import { quotas } from './resources/quotas.ts';
import type { Schema } from './types.ts';

/** What every route takes and answers, as the OpenAPI document says it. */

export interface Operation {
  readonly operationId: string;
  readonly tag: string;
  readonly status: readonly number[];
  /** Query parameters. */
  readonly query?: readonly Schema[];
  /** JSON Schema of the body sent. */
  readonly body?: Schema;
  /** JSON Schema of the answer; absent: it is empty. */
  readonly answer?: Schema;
}

type Described = Omit<Resource<ViewKind, Fields>, 'render'>;

/** By the path of their lists. */
const collections: Readonly<Record<string, Described>> = {
  '/v2/lbaas/loadbalancers': loadBalancers,
  '/v2/lbaas/listeners': listeners,
  '/v2/lbaas/pools': pools,
  '/v2/lbaas/pools/:pool_id/members': members,
  '/v2/lbaas/healthmonitors': healthMonitors,
  '/v2/lbaas/l7policies': l7Policies,
  '/v2/lbaas/l7policies/:l7policy_id/rules': l7Rules,
  '/v2/lbaas/flavors': flavors,
  '/v2/lbaas/flavorprofiles': flavorProfiles,
  '/v2/lbaas/availabilityzones': availabilityZones,
  '/v2/lbaas/availabilityzoneprofiles': availabilityZoneProfiles,
  '/v2/lbaas/quotas': quotas,
  '/v2/octavia/amphorae': amphorae,
};

/** The rows of every resource, as they are answered. */
export const rowSchemas: Readonly<Record<string, Schema>> = Object.fromEntries(
  Object.values(collections).map((resource) => [keyOf(resource), answerSchema(resource.fields)]),
);

/** Throws when nothing is known of the route: the document would not be whole. */
export function operationOf(method: string, path: string): Operation {
  const operation = others[`${method} ${path}`] ?? usual(method, path);
  if (operation === undefined) throw new Error(`The OpenAPI document knows nothing of ${method} ${path}`);
  return operation;
}

/** A schema of the document's components. */
export const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

/** An object that has all these keys. */
export const keyed = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
});
const sent = (properties: Readonly<Record<string, Schema>>): Schema => ({
  ...keyed(properties),
  additionalProperties: false,
});
const arrayOf = (items: Schema): Schema => ({ type: 'array', items });
const text = { type: 'string' };

const inQuery = (name: string, schema: Schema, more: Schema = {}): Schema => ({
  name,
  in: 'query',
  schema,
  ...more,
});
/** Values between commas. */
const listInQuery = (name: string, items: Schema): Schema =>
  inQuery(name, arrayOf(items), { style: 'form', explode: false });
const fieldsInQuery = (table: Fields): Schema =>
  inQuery('fields', arrayOf({ enum: Object.keys(answerSchema(table)['properties'] as object) }));

/** What all resources have in common. */
function usual(method: string, path: string): Operation | undefined {
  const collection = collections[path];
  if (collection !== undefined) return usualOfMany(method, collection);
  const resource = collections[path.replace(/\/:[a-z_]+$/, '')];
  return resource && usualOfOne(method, resource);
}

function usualOfMany(method: string, resource: Described): Operation | undefined {
  const [key, tag] = [keyOf(resource), resource.many];
  if (method === 'GET') {
    return {
      ...{ operationId: `list_${resource.many}`, tag, status: [200], query: listParameters(resource) },
      answer: keyed({
        [resource.many]: arrayOf(ref(key)),
        // Null where the operator has no pages.
        [resource.links]: { ...arrayOf(ref('link')), type: ['array', 'null'] },
      }),
    };
  }
  if (method !== 'POST') return undefined;
  return {
    ...{ operationId: `create_${key}`, tag, status: [201] },
    body: sent({ [key]: bodySchema(resource.fields, 'post') }),
    answer: keyed({ [key]: ref(key) }),
  };
}

function usualOfOne(method: string, resource: Described): Operation | undefined {
  const [key, tag] = [keyOf(resource), resource.many];
  const ofQuota = resource.kind === 'quota';
  const answer = keyed({ [key]: ref(key) });
  if (method === 'GET') {
    const query = ofQuota ? [] : [fieldsInQuery(resource.fields)];
    return { operationId: `show_${key}`, tag, status: [200], query, answer };
  }
  if (method === 'PUT') {
    const body = sent({ [key]: bodySchema(resource.fields, 'put') });
    return { operationId: `update_${key}`, tag, status: [ofQuota ? 202 : 200], body, answer };
  }
  if (method !== 'DELETE') return undefined;
  const query = resource.kind === 'loadBalancer' ? [inQuery('cascade', { type: 'boolean' })] : [];
  return { operationId: `delete_${key}`, tag, status: [ofQuota ? 202 : 204], query };
}

function listParameters({ fields, kind }: Described): readonly Schema[] {
  const filters = Object.entries(fields)
    .map(([key, field]) => [apiName(key, field), field] as const)
    .filter(([name]) => storedKey(fields, name) !== undefined);
  const sortable = filters.filter(([, field]) => field.sort !== false).map(([name]) => name);
  return [
    ...filters.map(([name, field]) => inQuery(name, field.type.schema)),
    ...['limit', 'marker', 'page_reverse', 'sort_dir'].map((name) => ({
      $ref: `#/components/parameters/${name}`,
    })),
    listInQuery('sort_key', { enum: sortable }),
    listInQuery('sort', { type: 'string', pattern: `^(${sortable.join('|')})(:(asc|desc))?$` }),
    ...(kind === 'quota' ? [] : [fieldsInQuery(fields)]),
    ...('tags' in fields ? Object.keys(tagFilters).map((name) => listInQuery(name, text)) : []),
  ];
}

export const pageParameters: Readonly<Record<string, Schema>> = {
  limit: inQuery('limit', { anyOf: [{ type: 'integer' }, { const: 'infinite' }] }),
  marker: inQuery('marker', text),
  page_reverse: inQuery('page_reverse', { enum: ['True', 'False'] }),
  sort_dir: listInQuery('sort_dir', { enum: ['asc', 'desc'] }),
};

const statistics = keyed({ stats: ref('statistics') });
const status = { operating_status: text, provisioning_status: text };
const named = keyed({ id: text, name: text, ...status });
const described = { type: 'object', properties: { name: text, description: text } };
const version = (operationId: string): Operation => ({
  operationId,
  tag: 'versions',
  status: [200],
  answer: { const: 'v2' },
});
const statusOperation = (operationId: string): Operation => ({
  ...{ operationId, tag: loadBalancers.many, status: [200] },
  answer: keyed({ statuses: keyed({ loadbalancer: ref('status_tree') }) }),
});
const capabilities = (key: string): Operation => ({
  ...{ operationId: `list_${key}`, tag: 'providers', status: [200] },
  query: [
    inQuery('name', text),
    inQuery('description', text),
    inQuery('fields', arrayOf({ enum: ['name', 'description'] })),
  ],
  answer: keyed({ [key]: arrayOf(described) }),
});

/** Schemas beside the rows of resources. */
export const otherSchemas: Readonly<Record<string, Schema>> = {
  link: keyed({ rel: { enum: ['previous', 'next'] }, href: text }),
  statistics: keyed(
    Object.fromEntries(
      ['active_connections', 'bytes_in', 'bytes_out', 'request_errors', 'total_connections'].map((name) => [
        name,
        { type: 'integer' },
      ]),
    ),
  ),
  status_tree: {
    allOf: [
      named,
      keyed({
        listeners: arrayOf({ allOf: [named, keyed({ pools: arrayOf(ref('status_of_pool')) })] }),
      }),
    ],
  },
  status_of_pool: {
    allOf: [
      named,
      keyed({
        health_monitor: { anyOf: [{ allOf: [named, keyed({ type: text })] }, { type: 'null' }] },
        members: arrayOf({ allOf: [named, keyed({ address: text, protocol_port: { type: 'integer' } })] }),
      }),
    ],
  },
};

/** The routes that are like no other. */
const others: Readonly<Record<string, Operation>> = {
  'GET /': {
    ...{ operationId: 'list_versions', tag: 'versions', status: [200] },
    answer: keyed({
      versions: arrayOf(
        keyed({
          id: text,
          status: { enum: ['CURRENT', 'SUPPORTED'] },
          updated: { type: 'string', format: 'date-time' },
          links: arrayOf(keyed({ href: text, rel: { const: 'self' } })),
        }),
      ),
    }),
  },
  'GET /v2': version('show_version'),
  'GET /v2/lbaas': version('show_version_of_lbaas'),
  'GET /v2/octavia': version('show_version_of_octavia'),
  'GET /v2/lbaas/loadbalancers/:id/status': statusOperation('show_loadbalancer_status'),
  'GET /v2/lbaas/loadbalancers/:id/statuses': statusOperation('show_loadbalancer_statuses'),
  'GET /v2/lbaas/loadbalancers/:id/stats': {
    ...{ operationId: 'show_loadbalancer_stats', tag: loadBalancers.many, status: [200] },
    answer: statistics,
  },
  'GET /v2/lbaas/listeners/:id/stats': {
    ...{ operationId: 'show_listener_stats', tag: listeners.many, status: [200] },
    answer: statistics,
  },
  'PUT /v2/lbaas/pools/:pool_id/members': {
    ...{ operationId: 'replace_members', tag: members.many, status: [202] },
    query: [inQuery('additive_only', { type: 'boolean' })],
    body: sent({ members: arrayOf(bodySchema(batchFields, 'post')) }),
  },
  'GET /v2/lbaas/quotas/:project_id/default': {
    ...{ operationId: 'show_default_quota', tag: quotas.many, status: [200] },
    answer: keyed({ quota: ref('quota') }),
  },
  'GET /v2/lbaas/providers': {
    ...{ operationId: 'list_providers', tag: 'providers', status: [200] },
    query: [inQuery('fields', arrayOf({ enum: ['name', 'description'] }))],
    answer: keyed({ providers: arrayOf(described) }),
  },
  'GET /v2/lbaas/providers/:provider/flavor_capabilities': capabilities('flavor_capabilities'),
  'GET /v2/lbaas/providers/:provider/availability_zone_capabilities': capabilities(
    'availability_zone_capabilities',
  ),
  'PUT /v2/lbaas/loadbalancers/:id/failover': {
    ...{ operationId: 'fail_over_loadbalancer', tag: loadBalancers.many, status: [202] },
  },
  'PUT /v2/octavia/amphorae/:id/failover': {
    ...{ operationId: 'fail_over_amphora', tag: amphorae.many, status: [202] },
  },
  'PUT /v2/octavia/amphorae/:id/config': {
    ...{ operationId: 'configure_amphora', tag: amphorae.many, status: [202] },
  },
  'GET /v2/octavia/amphorae/:id/stats': {
    ...{ operationId: 'list_amphora_stats', tag: amphorae.many, status: [200] },
    answer: keyed({
      amphora_stats: arrayOf({
        allOf: [ref('statistics'), keyed({ id: text, listener_id: text, loadbalancer_id: text })],
      }),
    }),
  },
  'GET /livia/v1/loadbalancers/:id': {
    ...{ operationId: 'list_status_reasons', tag: loadBalancers.many, status: [200] },
    answer: keyed({
      objects: arrayOf(
        keyed({ id: text, kind: text, name: text, ...status, reason: { type: ['string', 'null'] } }),
      ),
      warnings: arrayOf(keyed({ id: text, text })),
    }),
  },
  'GET /livia/v1/amphorae/:id/changes': {
    ...{ operationId: 'list_amphora_changes', tag: amphorae.many, status: [200] },
    answer: keyed({
      changes: arrayOf(
        keyed({
          ...{ generation: { type: 'integer' }, at: text, change: text, why: { type: ['string', 'null'] } },
          ...{ duration_ms: { type: 'integer' }, refused: { type: 'integer' } },
          warnings: arrayOf(keyed({ id: text, text })),
        }),
      ),
    }),
  },
  'GET /livia/v1/amphorae/:id/memory': {
    ...{ operationId: 'show_amphora_memory', tag: amphorae.many, status: [200] },
    answer: keyed({
      memory: keyed({
        inequality: text,
        budget: { type: ['object', 'null'] },
        measured: { type: 'object' },
        next_reload: { type: ['object', 'null'] },
      }),
    }),
  },
  [`GET ${documentPath}`]: {
    ...{ operationId: 'show_openapi', tag: 'versions', status: [200] },
    answer: { type: 'object' },
  },
  'GET /healthcheck': {
    ...{ operationId: 'show_health', tag: 'health', status: [200, 503] },
    answer: keyed({ detailed: { type: 'boolean' }, reasons: arrayOf(text) }),
  },
  'HEAD /healthcheck': { operationId: 'check_health', tag: 'health', status: [200, 503] },
};
