import schema from 'typebox/schema';
import { expect } from 'vitest';
import type { Client, Reply, TestApi } from './client.fixture.ts';

/** The OpenAPI document of an API, and what it promises. */

export type Json = Record<string, any>;

export interface Told {
  readonly document: Json;
  /** By method and path: `GET /v2/lbaas/pools/{id}`. */
  readonly operations: ReadonlyMap<string, Json>;
  operation(name: string): Json;
  /** Whether a value is as the part of the document says. */
  matches(part: Json, value: unknown): boolean;
  /** JSON Schema of the body that is taken. */
  taken(name: string): Json;
  /** JSON Schema of the answer with that status; undefined: it is empty. */
  answered(name: string, status: number): Json | undefined;
  /** Sends what the document allows, and wants the answer the document promises. */
  call(client: Client, name: string, params?: Json, body?: unknown): Promise<Reply>;
}

export async function toldBy(api: TestApi): Promise<Told> {
  const document: Json = (await api.send('GET', '/livia/v1/openapi.json')).body;
  const operations = new Map(
    Object.entries<Json>(document['paths']).flatMap(([path, item]) =>
      Object.entries<Json>(item).map(([method, operation]): [string, Json] => [
        `${method.toUpperCase()} ${path}`,
        operation,
      ]),
    ),
  );
  const told: Told = {
    document,
    operations,
    operation: (name) => operations.get(name) ?? expect.fail(`no ${name}`),
    matches: (part, value) =>
      schema.Check({ components: document['components'], allOf: [part] } as never, value),
    taken: (name) => told.operation(name)['requestBody'].content['application/json'].schema,
    answered(name, status) {
      const responses: Json = told.operation(name)['responses'];
      const found: Json = responses[status] ?? responses['default'];
      const ref: string | undefined = found['$ref'];
      const response =
        ref === undefined ? found : document['components'].responses[ref.split('/').at(-1) ?? ''];
      return response.content?.['application/json'].schema;
    },
    async call(client, name, params = {}, body) {
      const [method = '', template = ''] = name.split(' ');
      if (body !== undefined) {
        expect(told.matches(told.taken(name), body), `body of ${name}: ${JSON.stringify(body)}`).toBe(true);
      }
      const send = { GET: client.get, POST: client.post, PUT: client.put, DELETE: client.delete }[method];
      const reply = (await send?.(pathOf(template, params), body as never)) ?? expect.fail(name);
      const about = `${name}: ${reply.text}`;
      expect(Object.keys(told.operation(name)['responses']), about).toContain(String(reply.status));
      const promised = told.answered(name, reply.status);
      if (promised === undefined) expect(reply.text).toBe('');
      else expect(told.matches(promised, reply.body), about).toBe(true);
      return reply;
    },
  };
  return told;
}

/** The path with its parameters filled in. */
export const pathOf = (template: string, params: Json): string =>
  template.replaceAll(/\{(\w+)\}/g, (_, key: string) => params[key] ?? expect.fail(`no ${key}`));
