/**
 * Whatever users write, nothing but its own value changes in HAProxy's configuration: every text that the API takes is
 * attacked with HAProxy's own syntax, and what is not refused is rendered and compared word by word.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApi, type TestApi } from '../src/api/client.fixture.ts';
import type { Tree } from '../src/lb/tree.ts';
import { aCertificate, checkWithHaproxy, render } from '../src/plan/haproxy/wanted.fixture.ts';
import type { RenderedHaproxy } from '../src/plan/haproxy/render.ts';
import { vipsOf, wantedAmphora } from '../src/plan/wanted.ts';

let api: TestApi;
let subnetId: string;
let certificateRef: string;
const [key = '', certificate = ''] = aCertificate('www.example.com').pem.split(/(?=-----BEGIN CERTIFICATE)/);
const bundle = { privateKeyPem: key, certificatePem: certificate, intermediatesPem: [] };

beforeAll(async () => {
  api = await startApi();
  certificateRef = api.cloud.storeCertificate(bundle);
});
afterAll(() => api.close());

const attacks = [
  '\n',
  '\r\n    http-request deny\r\n',
  '\n\nlisten mine\n    bind :1\n',
  '\t',
  ' ',
  '"',
  "'",
  "' deny '",
  '" deny "',
  '\\',
  '\\n',
  '#',
  ' # ',
  '%[src]',
  '%{+Q}[src]',
  '%%',
  '${HOME}',
  '"${HOME}"',
  ' or TRUE',
  ' || TRUE ',
  ' { always_true } ',
  ' unless FALSE',
  ' -f /etc/passwd',
  '),lower',
  ',deny',
  ';',
  '(',
  '[',
  '*',
  '(?i',
  '\u0000',
  '\u007f',
  '\u0085',
  'é',
  'x'.repeat(5000),
];

/** A text of the API: the load balancer that holds it, and an innocent value. */
interface Place {
  readonly innocent: string;
  /** Innocent too, but carried by other lines. */
  readonly otherwise?: string;
  readonly holds: (value: string) => object;
}

const pool = (values: object = {}) => ({
  name: 'pool',
  protocol: 'HTTP',
  lb_algorithm: 'ROUND_ROBIN',
  ...values,
});
const listener = (values: object = {}, ownPool: object = {}) => ({
  listeners: [{ name: 'web', protocol: 'HTTP', protocol_port: 80, default_pool: pool(ownPool), ...values }],
});
const secured = (values: object = {}) =>
  listener({ protocol: 'TERMINATED_HTTPS', default_tls_container_ref: certificateRef, ...values });
const policy = (values: object) =>
  listener({ l7policies: [{ action: 'REJECT', rules: [rule({})], ...values }] });
const rule = (values: object) => ({ type: 'PATH', compare_type: 'EQUAL_TO', value: '/', ...values });
const ruled = (values: object) => ({ l7policies: [{ action: 'REJECT', rules: [rule(values)] }] });
const monitor = (values: object) =>
  listener({}, { healthmonitor: { type: 'HTTP', delay: 1, timeout: 1, max_retries: 1, ...values } });
const member = (values: object) =>
  listener({}, { members: [{ address: '198.51.100.7', protocol_port: 80, ...values }] });

const rules: Record<string, Place> = Object.fromEntries(
  [
    { type: 'HOST_NAME' },
    { type: 'PATH' },
    { type: 'HEADER', key: 'X-Key' },
    { type: 'COOKIE', key: 'key' },
    { type: 'SSL_DN_FIELD', key: 'CN' },
  ].flatMap((matcher) =>
    ['EQUAL_TO', 'CONTAINS', 'REGEX'].map((compare_type) => [
      `the value of a rule ${matcher.type} ${compare_type}`,
      {
        innocent: 'innocent',
        // No table can hold a reference.
        ...(compare_type === 'REGEX' && { otherwise: '(?<n>innocent)\\k<n>' }),
        holds: (value: string) => secured(ruled({ ...matcher, compare_type, value })),
      },
    ]),
  ),
);

const places: Record<string, Place> = {
  'names, descriptions and tags': {
    innocent: 'innocent',
    holds: (value) => ({
      ...listener(
        {
          name: value,
          description: value,
          tags: [value],
          l7policies: [{ name: value, action: 'REJECT', rules: [rule({})] }],
        },
        {
          name: value,
          description: value,
          members: [{ name: value, address: '198.51.100.7', protocol_port: 80 }],
        },
      ),
      name: value,
      description: value,
      tags: [value],
    }),
  },
  'a name of an inserted header': {
    innocent: 'X-Forwarded-For',
    holds: (value) => listener({ insert_headers: { [value]: 'true' } }),
  },
  'a value of an inserted header': {
    innocent: 'false',
    holds: (value) => listener({ insert_headers: { 'X-Forwarded-Port': value } }),
  },
  'ciphers of a listener': { innocent: 'AES128-SHA', holds: (value) => secured({ tls_ciphers: value }) },
  'ciphers of a pool': {
    innocent: 'AES128-SHA',
    holds: (value) => listener({}, { tls_enabled: true, tls_ciphers: value }),
  },
  'a protocol of ALPN': { innocent: 'h2', holds: (value) => secured({ alpn_protocols: [value] }) },
  'an allowed CIDR': { innocent: '192.0.2.0/24', holds: (value) => listener({ allowed_cidrs: [value] }) },
  'a cookie name': {
    innocent: 'innocent',
    holds: (value) => listener({}, { session_persistence: { type: 'APP_COOKIE', cookie_name: value } }),
  },
  'an address of a member': { innocent: '198.51.100.99', holds: (value) => member({ address: value }) },
  'a monitor address': {
    innocent: '198.51.100.99',
    holds: (value) => member({ monitor_address: value, monitor_port: 81 }),
  },
  'a path of a health monitor': { innocent: '/innocent', holds: (value) => monitor({ url_path: value }) },
  'a domain name of a health monitor': {
    innocent: 'innocent',
    holds: (value) => monitor({ http_version: 1.1, domain_name: value }),
  },
  'the codes of a health monitor': { innocent: '299', holds: (value) => monitor({ expected_codes: value }) },
  'the method of a health monitor': { innocent: 'PATCH', holds: (value) => monitor({ http_method: value }) },
  'a URL of a redirect': {
    innocent: 'http://a.example/innocent',
    holds: (value) => policy({ action: 'REDIRECT_TO_URL', redirect_url: value }),
  },
  'a prefix of a redirect': {
    innocent: 'http://a.example/innocent',
    holds: (value) => policy({ action: 'REDIRECT_PREFIX', redirect_prefix: value }),
  },
  'the value of a rule FILE_TYPE': {
    innocent: 'innocent',
    holds: (value) => listener(ruled({ type: 'FILE_TYPE', value })),
  },
  'the value of a rule SSL_VERIFY_RESULT': {
    innocent: '77',
    holds: (value) => secured(ruled({ type: 'SSL_VERIFY_RESULT', value })),
  },
  'the value of a rule SSL_CONN_HAS_CERT': {
    innocent: 'true',
    holds: (value) => secured(ruled({ type: 'SSL_CONN_HAS_CERT', value })),
  },
  'the key of a rule HEADER': {
    innocent: 'innocent',
    holds: (key) => listener(ruled({ type: 'HEADER', key, value: 'a' })),
  },
  'the key of a rule COOKIE': {
    innocent: 'innocent',
    holds: (key) => listener(ruled({ type: 'COOKIE', key, value: 'a' })),
  },
  'the key of a rule SSL_DN_FIELD': {
    innocent: 'innocent',
    holds: (key) => secured(ruled({ type: 'SSL_DN_FIELD', key, value: 'a' })),
  },
  ...rules,
};

/** What the amphora of this load balancer would be told; undefined: the API refuses it. */
async function configuration(values: object): Promise<RenderedHaproxy | undefined> {
  const reply = await api.member.post('/v2/lbaas/loadbalancers', {
    loadbalancer: { vip_subnet_id: subnetId, ...values },
  });
  if (reply.status === 400) return undefined;
  expect(reply.status, reply.text).toBe(201);
  const tree = (await api.store.trees.read(reply.body.loadbalancer.id)) as Tree;
  const { vipAddress } = tree.loadBalancer;
  const { wanted, failed } = wantedAmphora(tree, {
    card: { macAddress: 'FA:16:3E:00:00:01', fixedIps: [{ subnetId, ipAddress: vipAddress }] },
    memberCards: [],
    vips: vipsOf(tree.loadBalancer, []),
    subnets: new Map([[subnetId, { cidr: '10.0.0.0/24', gatewayIp: null }]]),
    certificates: new Map([[certificateRef, { value: bundle }]]),
    texts: new Map(),
    ticketKeys: { period: 1, keys: ['a', 'b', 'c'].map((letter) => `${letter.repeat(107)}=`) },
  });
  expect([...failed]).toEqual([]);
  const rendered = render(wanted);
  expect(rendered.refused).toEqual([]);
  return rendered;
}

/**
 * The words of every line as HAProxy reads them, and of its tables, where blanks alone part words; ids and the VIP are
 * told apart by their order alone.
 */
function wordsOf({ text, files }: RenderedHaproxy): string[][] {
  const ids = new Map<string, string>();
  const anonymous = (part: string) =>
    part
      .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => {
        if (!ids.has(id)) ids.set(id, `id-${ids.size}`);
        return ids.get(id) ?? '';
      })
      .replaceAll(/bind 10\.[\d.]+:/g, 'bind vip:');
  const tables = [...files].filter(([path]) => !/\.pem$|crt-list$|ticket-keys$/.test(path));
  return [
    ...anonymous(text).split('\n').map(wordsOfLine),
    ...tables.flatMap(([path, content]) =>
      [path, ...content.split('\n')].map((line) => anonymous(line).split(' ')),
    ),
  ];
}

function wordsOfLine(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let n = 0; n < line.length; n += 1) {
    const character = line.charAt(n);
    if (quote === "'") {
      if (character === "'") quote = '';
      else word += character;
    } else if (character === '\\') {
      n += 1;
      word = (word ?? '') + line.charAt(n);
    } else if (quote === '"') {
      if (character === '$') throw new Error(`${line}: the environment is read`);
      if (character === '"') quote = '';
      else word += character;
    } else if (character === '#') {
      break;
    } else if (character === ' ' || character === '\t') {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character === "'" || character === '"') {
      quote = character;
      word ??= '';
    } else {
      word = (word ?? '') + character;
    }
  }
  if (quote !== '') throw new Error(`${line}: a quote without an end`);
  return word === undefined ? words : [...words, word];
}

describe.each(Object.entries(places))('HAProxy syntax in %s', (_, { innocent, otherwise, holds }) => {
  it('is refused, or stays within its own word', async () => {
    subnetId = api.cloud.addSubnet('10.0.0.0/24').id;
    const plain = await configuration(holds(innocent));
    if (plain === undefined) throw new Error(`the API refuses ${innocent}`);
    const other = otherwise === undefined ? undefined : await configuration(holds(otherwise));
    const shapes = [plain, other].flatMap((one) => (one === undefined ? [] : [wordsOf(one)]));
    const taken: RenderedHaproxy[] = [];
    for (const attack of attacks) {
      const value = `${innocent}${attack}${innocent}`;
      const attacked = await configuration(holds(value));
      if (attacked === undefined) continue;
      taken.push(attacked);
      const words = wordsOf(attacked);
      const expected = shapes.find(({ length }) => length === words.length);
      if (expected === undefined) throw new Error(`${value}: ${attacked.text}`);
      for (const [n, line] of expected.entries()) {
        const found = words[n] ?? [];
        expect(found.length, `${value}: ${found.join(' ')}`).toBe(line.length);
        const others = found.filter((one, at) => one !== line[at] && !line[at]?.includes(innocent));
        expect(others, value).toEqual([]);
      }
    }
    expect(taken.length).toBeLessThan(attacks.length);
    expect(checkWithHaproxy(together([plain, ...taken]))).toBe('');
  });
});

/** One configuration of them all: their listeners have ids and VIPs of their own. */
function together(all: readonly RenderedHaproxy[]): RenderedHaproxy {
  const [first, ...others] = all as [RenderedHaproxy, ...RenderedHaproxy[]];
  const listeners = ({ text, sections }: RenderedHaproxy) =>
    text.split('\n').slice((sections[0]?.from ?? 1) - 1);
  return {
    ...first,
    text: [first.text, ...others.flatMap(listeners)].join('\n'),
    files: new Map(all.flatMap(({ files }) => [...files])),
  };
}
