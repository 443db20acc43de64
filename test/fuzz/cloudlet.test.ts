import { Writable } from 'node:stream';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestCloud, passwordLogin, type TestCloud } from '../../src/cloudlet/cloudlet.fixture.ts';
import { makeLog } from '../../src/platform/log.ts';
import { oddJson, oddTexts, runs } from './odd.ts';

/** The cloud of one machine, asked what makes no sense: no internal error, and no secret in the log. */

let cloud: TestCloud;
const logged: string[] = [];
const lines = new Writable({
  write(chunk: Buffer, _encoding, done) {
    logged.push(chunk.toString());
    done();
  },
});
/** Sent, made or kept; none may be logged. */
const secrets = ['admin-secret', 'service-secret', 'hunter2', 'aHVudGVyMg'];
let token: string;
beforeAll(async () => {
  cloud = await openTestCloud({ log: makeLog('cloudlet-fuzz', 'trace', lines) });
  token = await cloud.token();
  secrets.push(token);
});
afterAll(async () => {
  await cloud.destroy();
  expect(logged.length).toBeGreaterThan(1000);
  expect(logged.filter((line) => secrets.some((secret) => line.includes(secret)))).toEqual([]);
  expect(logged.filter((line) => (JSON.parse(line) as { level: number }).level >= 50)).toEqual([]);
});

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

async function send(method: Method, url: string, body?: string, headers: Record<string, string> = {}) {
  const reply = await cloud.app.inject({
    ...{ method, url },
    headers: { 'x-auth-token': token, 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { payload: body }),
  });
  return { status: reply.statusCode, text: reply.payload };
}
const isFine = (status: number): boolean => status < 500 || status === 501;

/** What the server has, from the tree it prints. */
function routes(): readonly (readonly [Method, string])[] {
  const above: string[] = [];
  return cloud.app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const [, indent = '', segment = '', methods = ''] = /^([│├└─\s]*)(\S+)(?: \((.*)\))?$/.exec(line) ?? [];
      if (segment === '') return [];
      above.splice(indent.length / 4 - 1);
      above.push(segment);
      return methods
        .split(', ')
        .filter((method) => ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].includes(method))
        .map((method) => [method as Method, above.join('')] as const);
    });
}

/** A body each kind is made from, by the path that makes it. */
const makers: Readonly<Record<string, object>> = {
  '/identity/v3/users': { user: { name: ':fresh', password: 'hunter2', email: 'a@b.example' } },
  '/identity/v3/projects': { project: { name: ':fresh', description: 'd', tags: ['a'] } },
  '/identity/v3/roles': { role: { name: ':fresh' } },
  '/identity/v3/domains': { domain: { name: ':fresh', enabled: true } },
  '/identity/v3/groups': { group: { name: ':fresh', domain_id: 'default' } },
  '/network/v2.0/networks': { network: { name: 'n', admin_state_up: true, shared: false } },
  '/network/v2.0/subnets': {
    subnet: { network_id: ':network', cidr: '10.99.0.0/24', ip_version: 4, enable_dhcp: true },
  },
  '/network/v2.0/ports': {
    port: {
      network_id: ':network',
      name: 'p',
      fixed_ips: [],
      allowed_address_pairs: [],
      security_groups: [],
    },
  },
  '/network/v2.0/security-groups': { security_group: { name: 's', description: 'd' } },
  '/network/v2.0/routers': { router: { name: 'r', admin_state_up: true } },
  '/network/v2.0/qos/policies': { policy: { name: 'q' } },
  '/network/v2.0/floatingips': { floatingip: { floating_network_id: ':external' } },
  '/compute/v2.1/flavors': { flavor: { name: ':fresh', ram: 64, vcpus: 1, disk: 1 } },
  '/compute/v2.1/os-keypairs': { keypair: { name: ':fresh' } },
  '/compute/v2.1/os-server-groups': { server_group: { name: 'g', policy: 'anti-affinity' } },
  '/compute/v2.1/servers': {
    server: {
      name: 's',
      imageRef: 'x',
      flavorRef: 'y',
      networks: [{ uuid: ':network' }],
      user_data: 'aHVudGVyMg==',
    },
  },
  '/image/v2/images': { name: 'i', container_format: 'bare', disk_format: 'raw', tags: ['a'] },
  '/key-manager/v1/secrets': {
    ...{ name: 's', payload: 'hunter2', payload_content_type: 'text/plain', secret_type: 'opaque' },
  },
  '/key-manager/v1/containers': { type: 'generic', name: 'c', secret_refs: [] },
};

let fresh = 0;
const known = new Map<string, string>();
const told = (body: object): string =>
  JSON.stringify(body).replaceAll(/":(\w+)"/g, (_, word: string) =>
    JSON.stringify(word === 'fresh' ? `fresh-${++fresh}` : (known.get(word) ?? word)),
  );

/** One value of the body is another, or it has one more. */
const spoiled = (body: object): fc.Arbitrary<string> => {
  const places = JSON.stringify(body).match(/(?<=[:[,])("[^"]*"(?!:)|\d+|true|false|\[\])/g)?.length ?? 0;
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc.tuple(fc.nat(Math.max(0, places - 1)), oddJson).map(([at, odd]) => {
        let n = 0;
        return told(body).replaceAll(/(?<=[:[,])("[^"]*"(?!:)|\d+|true|false|\[\])/g, (was) =>
          n++ === at ? odd : was,
        );
      }),
    },
    { weight: 1, arbitrary: oddJson },
    { weight: 1, arbitrary: fc.nat(200).map((n) => told(body).slice(0, n)) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom(...oddTexts), oddJson)
        .map(([name, odd]) =>
          told(body).replace(/\{(?="[a-z_]+":["[tf\d])/, `{${JSON.stringify(name)}:${odd},`),
        ),
    },
  );
};

describe('The cloudlet', () => {
  beforeAll(async () => {
    const networks = JSON.parse((await send('GET', '/network/v2.0/networks')).text) as {
      networks: { id: string; 'router:external': boolean }[];
    };
    for (const { id, ...rest } of networks.networks) {
      known.set(rest['router:external'] ? 'external' : 'network', id);
    }
  });

  it('answers any path, query and header in order', async () => {
    const all = routes();
    expect(all.length).toBeGreaterThan(120);
    const odd = fc.constantFrom(...oddTexts).map((text) => encodeURIComponent(text.toWellFormed()));
    const header = fc.constantFrom(
      ...[
        'accept',
        'content-type',
        'openstack-api-version',
        'x-openstack-nova-api-version',
        'x-subject-token',
      ],
      ...['x-service-token', 'range', 'x-auth-token', 'x-project-id', 'authorization'],
    );
    const plain = fc.constantFrom(...oddTexts.filter((text) => /^[\x20-\x7e]*$/.test(text)), 'hunter2');
    const names = fc.constantFrom(
      'limit',
      'marker',
      'sort_key',
      'sort_dir',
      'fields',
      'name',
      'id',
      'status',
      'tags',
    );
    await fc.assert(
      fc.asyncProperty(
        ...([
          fc.constantFrom(...all),
          odd,
          names,
          odd,
          header,
          plain,
          fc.constantFrom(undefined, '{}', '[]', '{'),
        ] as const),
        async ([method, route], id, name, value, key, text, body) => {
          const path = `${route.replaceAll(/:\w+|\*/g, id)}?${name}=${value}`;
          const reply = await send(method, path, method === 'GET' ? undefined : body, { [key]: text });
          expect(isFine(reply.status), `${method} ${path} ${reply.status} ${reply.text}`).toBe(true);
        },
      ),
      runs(3000),
    );
  });

  it.each(Object.entries(makers))('takes or refuses any body at %s', async (path, body) => {
    const made = await send('POST', path, told(body));
    expect(isFine(made.status), made.text).toBe(true);
    // What was made can be changed by the same words.
    const id = /"(?:id|secret_ref|container_ref)": ?"([^"]+)"/.exec(made.text)?.[1]?.split('/').at(-1);
    await fc.assert(
      fc.asyncProperty(
        spoiled(body),
        fc.constantFrom<Method>('POST', 'POST', 'PUT', 'PATCH'),
        async (text, method) => {
          const url = method === 'POST' ? path : `${path}/${id ?? 'nobody'}`;
          const reply = await send(method, url, text);
          expect(isFine(reply.status), `${method} ${url} ${text} ${reply.status} ${reply.text}`).toBe(true);
        },
      ),
      runs(120),
    );
  });

  it('lets nobody in by words that make no sense, and writes none of them down', async () => {
    const login = passwordLogin('admin', 'hunter2', 'admin');
    const credential = {
      auth: {
        identity: {
          methods: ['application_credential'],
          application_credential: { id: 'x', secret: 'hunter2' },
        },
      },
    };
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(spoiled(login), spoiled(credential), fc.constantFrom(told(login), told(credential))),
        async (text) => {
          const { status } = await send('POST', '/identity/v3/auth/tokens', text, { 'x-auth-token': '' });
          expect(status).toBeGreaterThanOrEqual(400);
          expect(isFine(status), `${status} ${text}`).toBe(true);
        },
      ),
      runs(300),
    );
    expect(await cloud.token()).toMatch(/./);
  });
});
