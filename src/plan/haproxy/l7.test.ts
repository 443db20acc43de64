import fc from 'fast-check';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, type IncomingMessage, request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WantedL7Policy, WantedL7Rule } from '../../wire/wanted.ts';
import { policiesAsAcls } from './l7-acls.ts';
import { l7Lines } from './l7.ts';
import { policyTable } from './l7-table.ts';
import { confined } from './regex.ts';
import { aListener, aPolicy, aRule } from './wanted.fixture.ts';

interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
}

const texts = ['/', 'a', 'b', '/a', 'gold', 'a.b', 'a b', 'x=1', '+', 'é', '%41', '"q"', '|', '(', 'A'];
const someText = fc
  .array(fc.constantFrom(...texts), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join(''));
const expressions = [
  ...['^/a', 'a$', '^gold$', '[^/]+$', '^[^ab]*$', '.*', '^$', 'a.b', 'a\\.b', '(a|b)+$', '^(?!gold)', '\\W'],
  ...[
    '\\s',
    '(?i)GOLD',
    '^a|b$',
    '\\bgold\\b',
    '[\\s/]',
    'a\\s*b',
    '^.$',
    '[^a]$',
    '(?<=a)b',
    '\\S+$',
    '\\Aa',
  ],
];
const names = ['X-Tier', 'Accept', "X-It's"];
const cookies = ['kind', 'k.1'];
const anyRule: fc.Arbitrary<Partial<WantedL7Rule>> = fc
  .record({
    type: fc.constantFrom('PATH' as const, 'HEADER' as const, 'COOKIE' as const, 'HOST_NAME' as const),
    compareType: fc.constantFrom(...(['CONTAINS', 'ENDS_WITH', 'EQUAL_TO', 'REGEX', 'STARTS_WITH'] as const)),
    text: someText.filter((text) => !/^".*"$/.test(text)),
    expression: fc.constantFrom(...expressions),
    name: fc.nat(2),
    invert: fc.boolean(),
  })
  .map(({ type, compareType, text, expression, name, invert }) => ({
    type,
    compareType,
    invert,
    value: compareType === 'REGEX' ? expression : text,
    // Not of a header with commas: an expression may look over them, where HAProxy's sees one value at a time.
    key:
      type === 'HEADER'
        ? (names[compareType === 'REGEX' ? 0 : name] ?? '')
        : type === 'COOKIE'
          ? (cookies[name % 2] ?? '')
          : null,
  }));
const somePolicies = fc.array(fc.array(anyRule, { minLength: 1, maxLength: 3 }), {
  minLength: 1,
  maxLength: 4,
});
const somePath = fc
  .array(fc.constantFrom('/', 'a', 'b', 'gold', 'a.b', '%41', '|', 'A', '('), { maxLength: 3 })
  .map((parts) => `/${parts.join('')}`);
const someHeaders = fc.record(
  {
    'X-Tier': fc.oneof(fc.array(someText, { minLength: 1, maxLength: 3 }), fc.constant('')),
    Accept: fc.array(someText, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(', ')),
    "X-It's": someText,
    Cookie: fc
      .array(
        fc.tuple(fc.constantFrom('kind', 'k.1', 'xkind', 'k'), fc.constantFrom('a', 'b', 'gold', 'a.b', '')),
        { minLength: 1, maxLength: 4 },
      )
      .map((pairs) => pairs.map(([name, value]) => `${name}=${value}`).join('; ')),
    Host: fc.constantFrom('gold', 'GOLD', 'a.b', 'www.a.b:80', 'A'),
  },
  { requiredKeys: [] },
);
const anyRequest: fc.Arbitrary<Asked> = fc.record({ path: somePath, headers: someHeaders });

/** Every policy redirects to its own number. */
const policiesOf = (list: readonly (readonly Partial<WantedL7Rule>[])[]): WantedL7Policy[] =>
  list.map((rules, p) =>
    aPolicy(p, {
      action: 'REDIRECT_TO_URL',
      redirectUrl: `http://policy/${p}`,
      rules: rules.map((rule, r) => aRule(p * 10 + r, rule)),
    }),
  );

/** HAProxy with a frontend for each set of lines, which answers 200 when no policy decides. */
class Haproxy {
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly ports: readonly number[];
  readonly #agent = new Agent({ keepAlive: false });

  private constructor(folder: string, process: ChildProcess, ports: readonly number[]) {
    this.#folder = folder;
    this.#process = process;
    this.ports = ports;
  }

  static async start(frontends: readonly (readonly string[])[], files: Map<string, string>) {
    const folder = await mkdtemp(join(tmpdir(), 'l7-'));
    const ports = await Promise.all(frontends.map(freePort));
    const lines = frontends.flatMap((own, n) => [
      `frontend f${n}`,
      `  bind 127.0.0.1:${ports[n]}`,
      ...own.map((line) => `  ${line}`),
      '  default_backend answer',
    ]);
    lines.push('backend answer', '  http-request return status 200');
    const timeouts = ['client', 'server', 'connect'].map((name) => `  timeout ${name} 5s`);
    const text = ['defaults', '  mode http', ...timeouts, ...lines, ''].join('\n');
    for (const [path, content] of files) await writeFile(join(folder, path.replaceAll('/', '-')), content);
    await writeFile(join(folder, 'haproxy.cfg'), text.replaceAll('listeners/', 'listeners-'));
    const child = spawn('haproxy', ['-db', '-C', folder, '-f', 'haproxy.cfg'], { stdio: 'pipe' });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => (said += part));
    child.on('exit', (code) => {
      if (code !== null) throw new Error(said);
    });
    return new Haproxy(folder, child, ports);
  }

  async ask(n: number, { method = 'GET', path, headers }: Asked): Promise<string> {
    for (;;) {
      try {
        const bytes = Object.entries(headers).map(([name, value]): [string, string | string[]] => [
          name,
          Array.isArray(value) ? value.map(latin1) : latin1(value),
        ]);
        const options = { host: '127.0.0.1', port: this.ports[n], method, path, agent: this.#agent };
        const asked = request({ ...options, headers: Object.fromEntries(bytes) }).end();
        const [answer] = (await once(asked, 'response')) as [IncomingMessage];
        answer.resume();
        return answer.headers.location ?? String(answer.statusCode);
      } catch (error) {
        if (!String(error).includes('ECONNREFUSED')) throw error;
        await sleep(10);
      }
    }
  }

  async stop(): Promise<void> {
    this.#process.removeAllListeners('exit');
    this.#process.kill('SIGKILL');
    await rm(this.#folder, { recursive: true, force: true });
  }
}
/** Node writes headers as latin1; this way UTF-8 arrives as its bytes. */
const latin1 = (text: string): string => Buffer.from(text).toString('latin1');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

const noPool = () => undefined;

describe('policies in a table', () => {
  it('decide as ACLs of HAProxy do, for any policies and any request', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(somePolicies, { minLength: 8, maxLength: 8 }),
        fc.array(anyRequest, { minLength: 10, maxLength: 10 }),
        async (sets, requests) => {
          const files = new Map<string, string>();
          const frontends = sets.flatMap((policies, n) => [
            l7Lines(aListener(n, { l7Policies: policiesOf(policies) }), files, noPool),
            policiesAsAcls(policiesOf(policies), noPool),
          ]);
          expect(files.size).toBe(sets.length);
          const haproxy = await Haproxy.start(frontends, files);
          try {
            for (const [n, policies] of sets.entries()) {
              for (const asked of requests) {
                const context = JSON.stringify({ policies, asked });
                const [table, acls] = await Promise.all([
                  haproxy.ask(2 * n, asked),
                  haproxy.ask(2 * n + 1, asked),
                ]);
                expect(`${table} ${context}`).toBe(`${acls} ${context}`);
              }
            }
          } finally {
            await haproxy.stop();
          }
        },
      ),
      { numRuns: 4 },
    );
  });

  describe('see a long request to its end', () => {
    let haproxy: Haproxy;
    beforeAll(async () => {
      const files = new Map<string, string>();
      const rules = [
        { type: 'HEADER', key: 'X-Last', compareType: 'REGEX', value: '^(a|b)+[^x]*$' },
        { type: 'HEADER', key: 'X-Long', compareType: 'CONTAINS', value: 'needle' },
      ] as const;
      const listener = aListener(1, { l7Policies: policiesOf([rules]) });
      haproxy = await Haproxy.start([l7Lines(listener, files, noPool)], files);
    });
    afterAll(() => haproxy.stop());

    it.each([100, 5000, 10_000, 14_500])('with a header of %i bytes', async (bytes) => {
      const long = (end: string) => ({
        path: '/',
        headers: { 'X-Long': 'x'.repeat(bytes) + end, 'X-Last': 'abba' },
      });
      expect(await haproxy.ask(0, long('needle'))).toBe('http://policy/0');
      expect(await haproxy.ask(0, long('nothing'))).toBe('200');
    });
  });

  it('take nothing that the subject of a certificate says for a header', () => {
    const rules = [
      aRule(1, { type: 'HOST_NAME', compareType: 'EQUAL_TO', value: 'gold' }),
      aRule(2, { type: 'HEADER', key: 'X-Tier', compareType: 'REGEX', value: '^gold$' }),
      aRule(3, { type: 'COOKIE', key: 'kind', compareType: 'EQUAL_TO', value: 'gold' }),
    ];
    const matched = (subject: string, tier: string): boolean[] =>
      rules.map((rule) => {
        const client = { subjectFields: ['CN', 'O'] };
        const entry = policyTable([aPolicy(1, { rules: [rule] })], client, noPool)?.entries[1] ?? '';
        const looked = `/\n1 0\n${subject}\n${subject}\nhost: ${tier}\r\nx-tier: ${tier}\r\ncookie: kind=${tier}\r\n\r\n`;
        const script = 'exit($ARGV[1] =~ /$ARGV[0]/ ? 0 : 9)';
        const { status } = spawnSync('perl', ['-e', script, entry.split(' ')[0] ?? '', looked]);
        if (status !== 0 && status !== 9) throw new Error('perl fails');
        return status === 0;
      });
    expect(matched('Jane', 'gold')).toEqual([true, true, true]);
    for (const spoof of ['host: gold,', 'x-tier: gold,', 'cookie: kind=gold;']) {
      expect(matched(spoof, 'iron'), spoof).toEqual([false, false, false]);
      expect(matched(spoof, 'gold'), spoof).toEqual([true, true, true]);
    }
  });

  it('see the empty cookies that ACLs see', async () => {
    const policies = policiesOf([[{ type: 'COOKIE', key: 'kind', compareType: 'REGEX', value: '^$' }]]);
    const files = new Map<string, string>();
    const frontends = [
      l7Lines(aListener(1, { l7Policies: policies }), files, noPool),
      policiesAsAcls(policies, noPool),
    ];
    const haproxy = await Haproxy.start(frontends, files);
    try {
      const seen: Record<string, string> = {};
      for (const Cookie of [
        ...['kind=', 'kind=; x=1', 'kind=a; kind=', 'kind=; kind=a', 'x=1; kind=', 'x=1;kind='],
        ...['kind=a;kind=', 'kind=a;  kind=', 'kind=a; xkind=', 'x=1,kind=', 'x=1, kind='],
        ...[
          'kind=, x=1',
          'kind= , x=1',
          'kind=,kind=a',
          'x=1; kind=, x=1',
          'x=1;kind=, y=2',
          'x=1;\tkind=',
          'kind=  ; x=1',
        ],
      ]) {
        const [table, acls] = await Promise.all(
          [0, 1].map((n) => haproxy.ask(n, { path: '/', headers: { Cookie } })),
        );
        expect(table, Cookie).toBe(acls);
        seen[Cookie] = table ?? '';
      }
      expect(seen).toMatchObject({ 'kind=': '200', 'x=1; kind=': 'http://policy/0', 'x=1;kind=': '200' });
    } finally {
      await haproxy.stop();
    }
  });

  it('look at a request without a path as at any other', async () => {
    const files = new Map<string, string>();
    const policies = policiesOf([
      [{ value: '/a' }],
      [{ type: 'HOST_NAME', compareType: 'EQUAL_TO', value: 'gold' }],
    ]);
    const sets = [policies, []].map((l7Policies, n) => l7Lines(aListener(n, { l7Policies }), files, noPool));
    const haproxy = await Haproxy.start(sets, files);
    try {
      const asked = (host: string) => ({ method: 'OPTIONS', path: '*', headers: { host } });
      expect(await haproxy.ask(0, asked('gold'))).toBe('http://policy/1');
      expect(await haproxy.ask(0, asked('a'))).toBe('200');
      expect(await haproxy.ask(1, asked('gold'))).toBe('200');
    } finally {
      await haproxy.stop();
    }
  });

  it('are beyond it when an expression could look out of its field', () => {
    for (const value of ['(a)\\1', '(?s)a.b', 'a)(b', '(?x)a # c', '\\Qa', '(*COMMIT)a', '\\Ra', '(?#c)']) {
      const [policy] = policiesOf([[{ compareType: 'REGEX', value }]]);
      expect(policyTable([policy as WantedL7Policy], null, noPool), value).toBeUndefined();
    }
  });
});

it('an expression that is confined matches nothing outside of its field', () => {
  const field = { begin: '^', end: '(?=\\n)', outside: '\\r\\n' };
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom('a', '.', '[^a]', '\\s', '\\W', '*', '+', '(', ')', '|', '$', '^', '\\D', '?'),
        {
          maxLength: 8,
        },
      ),
      (parts) => {
        const made = confined(parts.join(''), field);
        if (made === undefined) return;
        let expression: RegExp;
        try {
          expression = new RegExp(`^[^\\r\\n]*?(?:${made})`);
        } catch {
          return; // HAProxy refuses it as well
        }
        const [match = ''] = expression.exec('ab \nc\r\n') ?? [];
        expect(match).not.toContain('\n');
      },
    ),
    { numRuns: 2000 },
  );
});
