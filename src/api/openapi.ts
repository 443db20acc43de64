import { STATUS_CODES } from 'node:http';
import about from '../../package.json' with { type: 'json' };
import {
  keyed,
  operationOf,
  otherSchemas,
  pageParameters,
  ref,
  rowSchemas,
  type Operation,
} from './operations.ts';
import { isOpenPath } from './paths.ts';
import type { Schema } from './types.ts';

/** A route as the router writes it: `/v2/lbaas/pools/:id`. */
export interface Endpoint {
  readonly method: string;
  readonly path: string;
}

/** The OpenAPI 3.1 document of these routes. What is sent is read more forgivingly than it says: `"80"` for 80. */
export function openApi(endpoints: readonly Endpoint[]): Schema {
  const operations = endpoints.map((endpoint) => ({
    ...endpoint,
    operation: operationOf(endpoint.method, endpoint.path),
  }));
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { method, path, operation } of operations) {
    const item = (paths[path.replaceAll(/:([a-z0-9_]+)/g, '{$1}')] ??= {});
    item[method.toLowerCase()] = operationObject(path, operation);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Livia',
      description: about.description,
      version: about.version,
      license: { name: about.license, identifier: about.license },
    },
    servers: [{ url: '/' }, { url: '/load-balancer' }],
    security: [{ token: [] }],
    tags: [...new Set(operations.map(({ operation }) => operation.tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: { token: { type: 'apiKey', in: 'header', name: 'X-Auth-Token' } },
      parameters: pageParameters,
      responses: {
        unauthorized: response('Without a good token.', ref('unauthorized')),
        error: response('Any other refusal: of the resource, or of the routing before it.', {
          oneOf: [ref('fault'), ref('refusal')],
        }),
      },
      schemas: { ...rowSchemas, ...otherSchemas, ...errorSchemas },
    },
  };
}

const response = (description: string, schema: Schema | undefined): Schema => ({
  description,
  ...(schema && { content: { 'application/json': { schema } } }),
});

function operationObject(path: string, { operationId, tag, status, query, body, answer }: Operation): Schema {
  const open = isOpenPath(path);
  const parameters = [...pathParameters(path), ...(query ?? [])];
  return {
    operationId,
    tags: [tag],
    ...(open && { security: [] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: { required: true, content: { 'application/json': { schema: body } } } }),
    responses: {
      ...Object.fromEntries(status.map((code) => [code, response(STATUS_CODES[code] ?? '', answer)])),
      ...(!open && { 401: { $ref: '#/components/responses/unauthorized' } }),
      default: { $ref: '#/components/responses/error' },
    },
  };
}

function pathParameters(path: string): readonly Schema[] {
  return [...path.matchAll(/:([a-z0-9_]+)/g)].map(([, name]) => ({
    ...{ name, in: 'path', required: true },
    schema: { type: 'string' },
  }));
}

const [text, code] = [{ type: 'string' }, { type: 'integer' }];

/** The bodies of `faults.ts`. */
const errorSchemas: Readonly<Record<string, Schema>> = {
  fault: keyed({
    faultcode: { enum: ['Client', 'Server'] },
    faultstring: text,
    debuginfo: { type: 'null' },
  }),
  refusal: keyed({ code, title: text, description: text }),
  unauthorized: keyed({ error: keyed({ code, title: text, message: text }) }),
};
