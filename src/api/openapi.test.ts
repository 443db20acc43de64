import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApi, type TestApi } from './client.fixture.ts';
import { type Json, type Told, toldBy } from './openapi.fixture.ts';

let api: TestApi;
let told: Told;
beforeAll(async () => {
  api = await startApi({ config: { healthcheckEnabled: true } });
  told = await toldBy(api);
});
afterAll(() => api.close());

describe('The OpenAPI document', () => {
  it('is told to anybody, below the mount point too', async () => {
    expect(told.document['openapi']).toBe('3.1.0');
    expect(told.document['info'].version).toMatch(/^\d+\.\d+\.\d+/);
    expect((await api.send('GET', '/load-balancer/livia/v1/openapi.json')).body).toEqual(told.document);
  });

  it('has every path and method of the server, and no other', async () => {
    const paths = pathsOf(api.routes());
    expect(paths.length).toBeGreaterThan(40);
    const real: string[] = [];
    for (const path of paths) {
      // The answer to a method that no path has names those it has.
      const { status, headers } = await api.send('PATCH', path, { 'x-auth-token': api.admin.token });
      expect(status, path).toBe(405);
      real.push(
        ...String(headers['allow'])
          .split(', ')
          .map((method) => `${method} ${path}`),
      );
    }
    const names = [...told.operations.keys()].map((name) => name.replaceAll(/\{\w+\}/g, 'x'));
    expect(names.toSorted()).toEqual(real.toSorted());
  });

  it('leaves the health check out where it is switched off', async () => {
    const other = await startApi();
    const { paths } = (await other.send('GET', '/livia/v1/openapi.json')).body;
    await other.close();
    expect(Object.keys(paths)).not.toContain('/healthcheck');
  });

  it('names everything once, and refers to nothing that is not there', () => {
    const ids = [...told.operations.values()].map((operation) => operation['operationId'] as string);
    expect(new Set(ids).size).toBe(ids.length);
    const refs = objectsIn(told.document).flatMap((object) => (object['$ref'] as string | undefined) ?? []);
    expect(refs.length).toBeGreaterThan(100);
    const found = (ref: string) =>
      ref.split('/').reduce<any>((value, key) => (key === '#' ? value : value?.[key]), told.document);
    expect(refs.filter((ref) => found(ref) === undefined)).toEqual([]);
    const tags = new Set(told.document['tags'].map(({ name }: Json) => name));
    const tagged = [...told.operations.values()].flatMap((operation) => operation['tags'] as string[]);
    expect(tagged.filter((tag) => !tags.has(tag))).toEqual([]);
    for (const [name, { parameters = [] }] of told.operations) {
      const names = parameters.map((one: Json) => `${one['in']} ${one['name'] ?? one['$ref']}`);
      expect(new Set(names).size, name).toBe(names.length);
      expect(names.filter((one: string) => one.startsWith('path')).length, name).toBe(
        name.split('{').length - 1,
      );
    }
  });

  it('says truly where a token is needed', async () => {
    for (const [name, { security, responses }] of told.operations) {
      const [method = '', path = ''] = name.split(' ');
      const { status, body } = await api.send(method, path.replaceAll(/[{}]/g, ''));
      expect(status === 401, name).toBe(security === undefined);
      expect('401' in responses, name).toBe(status === 401);
      if (status === 401) {
        expect(told.matches(told.answered(name, 401) ?? {}, body)).toBe(true);
      }
    }
  });

  it('has the error bodies as they are', async () => {
    const name = 'GET /v2/lbaas/pools';
    const fits = (body: unknown) => told.matches(told.answered(name, 400) ?? {}, body);
    const fault = await api.member.get('/v2/lbaas/pools?no_such=1');
    const refusal = await api.member.get('/v2/lbaas/pools?limit=many');
    expect([fault.status, Object.keys(fault.body)[0], fits(fault.body)]).toEqual([400, 'faultcode', true]);
    expect([refusal.status, Object.keys(refusal.body)[0], fits(refusal.body)]).toEqual([400, 'code', true]);
    expect(fits({ message: 'no' })).toBe(false);
  });

  it('lists parameters of lists that the server takes', async () => {
    for (const [name, { parameters = [], operationId }] of told.operations) {
      if (!operationId.startsWith('list_') || !/^GET \/v2\/[a-z]+\/[a-z]+$/.test(name)) continue;
      for (const parameter of parameters.filter((one: Json) => one['name'] !== undefined)) {
        const values = valuesFor(parameter['name'], parameter.schema.items ?? parameter.schema);
        for (const value of values) {
          const query = new URLSearchParams({ [parameter.name]: value }).toString();
          const { status } = await api.admin.get(`${name.split(' ')[1]}?${query}`);
          expect(status, `${name}?${query}`).toBe(200);
        }
      }
    }
  });
});

/** Every object of the document. */
function objectsIn(value: unknown): Json[] {
  if (typeof value !== 'object' || value === null) return [];
  return [value, ...Object.values(value).flatMap(objectsIn)];
}

/** Values of a query parameter that its schema allows. */
function valuesFor(name: string, { enum: values, type, format, pattern, anyOf }: Json): string[] {
  if (values !== undefined) return values.map(String);
  if (name === 'sort')
    return [...pattern.matchAll(/[(|]([a-z_0-9]+)(?=[|)])/g)].slice(0, -2).map(([, key]) => `${key}:desc`);
  if (format === 'uuid') return [randomUUID()];
  if (name === 'marker') return [];
  if (name === 'limit') return ['1', 'infinite'];
  return [type === 'boolean' ? 'true' : type === 'integer' ? '1' : anyOf ? '192.0.2.1' : 'a'];
}

/** The paths in the tree that the router prints, with an x for each parameter. */
function pathsOf(tree: string): string[] {
  const above: string[] = [];
  const paths = new Set<string>();
  for (const line of tree.split('\n')) {
    const found = /^([│├└─\s]*)(\S+)(?: \((.*)\))?$/.exec(line);
    if (found === null) continue;
    const [, indent = '', segment = '', methods] = found;
    const depth = indent.length / 4;
    above.splice(depth - 1);
    above.push(segment);
    if (methods !== undefined) paths.add(above.join('').replaceAll(/:[\w|:]+/g, 'x'));
  }
  return [...paths];
}
