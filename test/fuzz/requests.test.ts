import { Socket } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expected } from '../contract/fields.ts';
import { oddTexts, runs } from './odd.ts';
import { expectQuietLog, oddity, setWatchedStage, type WatchedStage } from './witness.ts';

/** Paths, queries, methods and headers that make no sense. What only reads, or is refused, changes nothing. */

let stage: WatchedStage;
let port: number;
beforeAll(async () => {
  stage = await setWatchedStage();
  port = await stage.api.listen();
});
afterAll(async () => {
  expectQuietLog(stage);
  await stage.close();
});

const lists = ['quotas', 'providers', ...Object.values(expected).map(({ path }) => path)];
const names = Object.values(expected).flatMap(({ fields, readOnly }) => [
  ...Object.keys(fields),
  ...readOnly,
]);
const queryNames = [
  ...[
    'limit',
    'marker',
    'page_reverse',
    'sort',
    'sort_key',
    'sort_dir',
    'fields',
    'cascade',
    'additive_only',
  ],
  ...['tags', 'tags-any', 'not-tags', 'not-tags-any', 'project_id', 'tenant_id', 'id', ...new Set(names)],
];
const key = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...queryNames) },
  { weight: 1, arbitrary: fc.constantFrom(...oddTexts) },
);
const value = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...oddTexts) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'name',
      'id:desc',
      'created_at,name:asc',
      'name:up',
      'a:b:c',
      ',',
      'True',
      'asc,desc',
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
);
/** Most are encoded as they should be; lone halves of characters cannot be. */
const encoded = (text: string): string => encodeURIComponent(text.toWellFormed());
const raw = fc.constantFrom(
  '%',
  '%zz',
  '%00',
  '%C0%AF',
  '%ff',
  '%ED%A0%80',
  '%25',
  '%2e%2e',
  '%2F',
  ';',
  '[]',
  '#x',
  '&&',
  '==',
  '+',
);
const written = fc.oneof({ weight: 6, arbitrary: value.map(encoded) }, { weight: 1, arbitrary: raw });
const query = fc
  .array(
    fc.tuple(fc.oneof({ weight: 8, arbitrary: key.map(encoded) }, { weight: 1, arbitrary: raw }), written),
    { maxLength: 4 },
  )
  .map((pairs) => pairs.map(([name, text]) => `${name}=${text}`).join('&'));

const get = (path: string) => stage.api.send('GET', path, { 'x-auth-token': stage.admin.token });

describe('A query', () => {
  it.each(lists)('of %s is answered in order', async (path) => {
    const url = `/v2/lbaas/${stage.told(path)}`;
    await fc.assert(
      fc.asyncProperty(query, async (text) => {
        expect(oddity(await get(`${url}?${text}`))).toBeUndefined();
      }),
      runs(120),
    );
  });

  it.each(['created_at', 'updated_at'])('may ask for any time in %s', async (name) => {
    for (const text of [
      '-271821-04-20T00:00:00Z',
      '-100000-01-01T00:00:00Z',
      '+275760-09-13T00:00:00Z',
      '0000-01-01',
      '-004800-01-01',
    ]) {
      const reply = await get(`/v2/lbaas/listeners?${name}=${encoded(text)}`);
      expect([reply.status, reply.body.listeners]).toEqual([200, []]);
    }
  });

  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf'])(
    'with %s asks for nothing known',
    async (name) => {
      expect((await get(`/v2/lbaas/listeners?${name}=a`)).status).toBe(400);
      expect((await get(`/v2/lbaas/listeners?sort_key=${name}`)).status).toBe(400);
    },
  );
});

/** Every path the API says it has, and some that are not there; `:odd` where an id stands. */
async function allPatterns(): Promise<readonly string[]> {
  const { paths } = (await get('/livia/v1/openapi.json')).body as { paths: Record<string, unknown> };
  const told = Object.keys(paths).map((path) => path.replaceAll(/\{\w+\}/g, ':odd'));
  if (told.length < 40) throw new Error('the document does not tell all paths');
  return [...told, '/:odd', '/v2/:odd', '/v2.0/lbaas/pools/:odd', '/load-balancer/v2/lbaas/listeners/:odd'];
}
/** What only reads, or is refused, whatever is asked of nobody. */
const harmless = (method: string, path: string): boolean =>
  // Any text names a project, and has its quota set.
  !(path.includes('/quotas/') && method === 'PUT');
const nobody = '00000000-0000-4000-8000-000000000000';
const methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS'];

describe('A path', () => {
  it('with anything where an id stands changes nothing', async () => {
    const before = await stage.digest();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...methods),
        fc.constantFrom(...(await allPatterns())),
        // The sender of these requests resolves dots itself.
        written.filter((text) => text !== '%2e%2e'),
        async (method, pattern, odd) => {
          const path = stage.told(pattern.replaceAll(':odd', '!odd!')).replaceAll('!odd!', odd);
          if (!harmless(method, path)) return;
          const headers = { 'x-auth-token': stage.admin.token, 'content-type': 'application/json' };
          const body = method === 'POST' || method === 'PUT' ? '{}' : undefined;
          const reply = await stage.api.send(method, path, headers, body);
          if (method !== 'HEAD') expect(oddity(reply)).toBeUndefined();
          expect(reply.status).not.toBe(500);
        },
      ),
      runs(1500),
    );
    expect(await stage.digest()).toBe(before);
  });

  it.each([600, 4000, 15_000])('of %i characters is a path that is not there', async (length) => {
    const reply = await get(`/v2/lbaas/listeners/${'a'.repeat(length)}`);
    expect([[404, 414].includes(reply.status), oddity(reply)]).toEqual([true, undefined]);
  });
});

const headerNames = [
  ...['accept', 'accept-charset', 'accept-encoding', 'accept-language', 'authorization', 'content-encoding'],
  ...['content-type', 'cookie', 'forwarded', 'if-match', 'if-none-match', 'origin', 'range', 'referer'],
  ...[
    'openstack-api-version',
    'openstack-system-scope',
    'user-agent',
    'via',
    'x-auth-token',
    'x-forwarded-for',
  ],
  ...[
    'x-forwarded-host',
    'x-forwarded-port',
    'x-forwarded-prefix',
    'x-forwarded-proto',
    'x-http-method-override',
  ],
  ...[
    'x-is-admin-project',
    'x-openstack-request-id',
    'x-project-id',
    'x-roles',
    'x-service-token',
    'x-user-id',
  ],
];

describe('Any endpoint', () => {
  const asked = async (use: (method: string, path: string, body: string | undefined) => Promise<void>) => {
    const patterns = await allPatterns();
    const before = await stage.digest();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...methods),
        fc.constantFrom(...patterns),
        fc.constantFrom(undefined, '{}', '{"listener":{}}', '[', '"'),
        async (method, pattern, body) => {
          const path = pattern.replaceAll(':odd', nobody);
          if (harmless(method, path)) await use(method, path, method.startsWith('P') ? body : undefined);
        },
      ),
      runs(800),
    );
    expect(await stage.digest()).toBe(before);
  };

  it('answers in order whatever the query', async () => {
    const queries = fc.sample(query, { numRuns: 400, seed: 7 });
    let n = 0;
    await asked(async (method, path, body) => {
      const headers = { 'x-auth-token': stage.admin.token, 'content-type': 'application/json' };
      const text = queries[n++ % queries.length];
      const reply = await stage.api.send(method, `${path}?${text}`, headers, body);
      if (method !== 'HEAD') expect(oddity(reply), `${method} ${path}?${text}`).toBeUndefined();
      expect(reply.status).not.toBe(500);
    });
  });

  it('answers in order whatever the headers', async () => {
    const written = oddTexts.filter((text) => /^[\x20-\x7e\xa0-\xff]*$/.test(text));
    let n = 0;
    await asked(async (method, path, body) => {
      const [name = '', text = ''] = [
        headerNames[n % headerNames.length],
        written[Math.floor(n / headerNames.length) % written.length],
      ];
      n += 1;
      const headers = { 'x-auth-token': stage.admin.token, 'content-type': 'application/json' };
      const reply = await stage.api.send(method, path, { ...headers, [name]: text }, body);
      if (method !== 'HEAD') expect(oddity(reply), `${method} ${path} ${name}: ${text}`).toBeUndefined();
      expect(reply.status).not.toBe(500);
    });
  });

  it('writes nothing down of what is sent to prove who asks, or to be kept secret', async () => {
    const secret = 'hunter2';
    const proofs = [
      { 'x-auth-token': secret },
      { 'x-auth-token': stage.admin.token, 'x-service-token': secret },
      { 'x-auth-token': stage.admin.token, authorization: `Basic ${secret}`, cookie: `session=${secret}` },
      { 'x-auth-token': stage.admin.token, 'x-subject-token': secret },
    ];
    const bodies = [
      `{"password":"${secret}"}`,
      `{"listener":{"password":"${secret}","payload":"${secret}","default_tls_container_ref":7}}`,
      `{"loadbalancer":{"secret":"${secret}"`,
    ];
    let n = 0;
    await asked(async (method, path) => {
      const headers = { 'content-type': 'application/json', ...proofs[n++ % proofs.length] };
      const body = method.startsWith('P') ? bodies[n % bodies.length] : undefined;
      const reply = await stage.api.send(method, path, headers, body);
      if (method !== 'HEAD') expect(oddity(reply)).toBeUndefined();
    });
    expect(stage.logged.length).toBeGreaterThan(100);
  });
});

/** What the server says to these very bytes, until it closes the connection. */
function said(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = new Socket();
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => (answer += text));
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
    socket.connect(port, '127.0.0.1', () => socket.write(Buffer.from(bytes, 'latin1')));
  });
}

const head = (line: string, ...headers: string[]): string =>
  [line, 'Host: a', `X-Auth-Token: ${stage.member.token}`, 'Connection: close', ...headers, '', ''].join(
    '\r\n',
  );

/** The first answer's status, and what is wrong with it. */
async function answered(bytes: string): Promise<[number, string | undefined]> {
  const text = await said(bytes);
  const [start = '', ...rest] = text.split('\r\n\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(start)?.[1]);
  if (status < 400) return [status, undefined];
  const body: unknown = JSON.parse(rest.join('\r\n\r\n'));
  const type = /^content-type: (.*)$/im.exec(start)?.[1];
  return [status, oddity({ status, body, text, headers: { 'content-type': type } })];
}

describe('On the wire', () => {
  it.each(['PATCH', 'PROPFIND', 'TRACE', 'LOCK', 'PURGE', 'MKCOL', 'SEARCH', 'QUERY'])(
    '%s is no method of a list',
    async (method) => {
      const [status, wrong] = await answered(head(`${method} /v2/lbaas/listeners HTTP/1.1`));
      expect([[400, 404, 405].includes(status), wrong]).toEqual([true, undefined]);
    },
  );

  it.each([
    ['no method at all', () => head('BREW /v2/lbaas/listeners HTTP/1.1')],
    ['a version that is none', () => head('GET /v2/lbaas/listeners HTTP/9.9')],
    ['a header without a name', () => head('GET /v2 HTTP/1.1', ': a')],
    ['a NUL in a header', () => head('GET /v2 HTTP/1.1', 'X-A: a\0b')],
    ['a bare line feed in a header', () => head('GET /v2 HTTP/1.1', 'X-A: a\nX-B: b\r')],
    [
      'two lengths',
      () => `${head('POST /v2/lbaas/listeners HTTP/1.1', 'Content-Length: 2', 'Content-Length: 3')}{} `,
    ],
    [
      'a length and chunks',
      () =>
        `${head('POST /v2/lbaas/listeners HTTP/1.1', 'Content-Length: 2', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    ],
    ['a negative length', () => head('POST /v2/lbaas/listeners HTTP/1.1', 'Content-Length: -1')],
    [
      'a chunk of no size',
      () => `${head('POST /v2/lbaas/listeners HTTP/1.1', 'Transfer-Encoding: chunked')}zz\r\n{}`,
    ],
    ['no host', () => `GET /v2 HTTP/1.1\r\nX-Auth-Token: ${stage.member.token}\r\nConnection: close\r\n\r\n`],
    ['noise', () => '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n'],
  ])('%s is a mistake of the client', async (_what, bytes) => {
    expect(await answered(bytes())).toEqual([400, undefined]);
  });

  it('too many headers are refused as such', async () => {
    expect(await answered(head('GET /v2 HTTP/1.1', `X-A: ${'a'.repeat(20_000)}`))).toEqual([431, undefined]);
  });

  it('a path too long for a request line is refused as such', async () => {
    const [status, wrong] = await answered(head(`GET /v2/${'a'.repeat(40_000)} HTTP/1.1`));
    expect([[414, 431].includes(status), wrong]).toEqual([true, undefined]);
  });

  it.each([
    'OPTIONS *',
    'GET http://a.example/v2/lbaas/listeners',
    'GET //v2/lbaas',
    'GET /v2/../v2',
    'GET ?',
    'GET /%',
    'GET /v2/lbaas/listeners?%',
  ])('%s has an answer of the usual shape', async (start) => {
    const [status, wrong] = await answered(head(`${start} HTTP/1.1`));
    expect([status < 500, wrong]).toEqual([true, undefined]);
  });

  it.each([
    ['Content-Type', 'application/json; charset=utf-16'],
    ['Content-Type', 'text/xml'],
    ['Content-Type', 'application/json, text/plain'],
    ['Content-Type', ';;;'],
    ['Content-Type', '\xff'],
    ['Content-Encoding', 'gzip'],
    ['Expect', 'a-miracle'],
    ['Accept', '\xff/\xff;q=x'],
    ['Origin', '\xff'],
    ['X-Forwarded-Host', 'evil.example'],
    ['X-Service-Token', 'hunter2'],
    ['X-Auth-Token', 'hunter2'],
  ])('%s: %s is no reason for an internal error', async (name, text) => {
    const body = '{"listener":{}}';
    const bytes = head(
      'POST /v2/lbaas/listeners HTTP/1.1',
      `${name}: ${text}`,
      `Content-Length: ${body.length}`,
    );
    const [status, wrong] = await answered(bytes + body);
    expect([status >= 400 && status < 500, wrong]).toEqual([true, undefined]);
  });

  it('requests sent in one go are answered in their order', async () => {
    const one = (name: string, end: string) =>
      `GET /v2/lbaas/listeners?name=${name} HTTP/1.1\r\nHost: ${name}\r\nX-Auth-Token: ${stage.member.token}\r\nConnection: ${end}\r\n\r\n`;
    const text = await said(
      one('a', 'keep-alive') + 'GET /nowhere HTTP/1.1\r\nHost: b\r\n\r\n' + one('c', 'close'),
    );
    expect([...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status)).toEqual([
      '200',
      '401',
      '200',
    ]);
  });
});
