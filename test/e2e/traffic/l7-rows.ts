import { describe, expect, it } from 'vitest';
import { aPool, at, type Balancer, type Stage } from './stage.ts';
import { ask } from './web-client.ts';

interface Rule {
  readonly type: string;
  readonly compare_type: string;
  readonly value: string;
  readonly key?: string;
  readonly invert?: boolean;
}

/** A rule, a request that meets it, and one that does not. A request is a path, then arguments of curl. */
const rules: readonly { rule: Rule; meets: readonly string[]; misses: readonly string[] }[] = [
  row('HOST_NAME', 'EQUAL_TO', 'shop.example', host('SHOP.example'), host('shop.example.org')),
  row('HOST_NAME', 'STARTS_WITH', 'shop.', host('shop.any'), host('my.shop.any')),
  row('HOST_NAME', 'ENDS_WITH', '.example', host('a.example'), host('a.example.org')),
  row('HOST_NAME', 'CONTAINS', 'hop', host('shop.any'), host('ship.any')),
  row('HOST_NAME', 'REGEX', '^s.op\\.', host('slop.any'), host('stoop.any')),
  row('PATH', 'EQUAL_TO', '/cart', ['/cart?x=1'], ['/cart/']),
  row('PATH', 'STARTS_WITH', '/images', ['/images/a'], ['/my/images']),
  row('PATH', 'ENDS_WITH', '/end', ['/the/end'], ['/end/not?/end']),
  row('PATH', 'CONTAINS', 'mid', ['/a/middle/b'], ['/a/m/i/d']),
  row('PATH', 'REGEX', '^/v[0-9]+/', ['/v12/x'], ['/vx/x']),
  row('FILE_TYPE', 'EQUAL_TO', 'jpg', ['/a/b.jpg'], ['/a/b.jpg.gz']),
  row('FILE_TYPE', 'REGEX', 'jpe?g$', ['/a/b.jpeg'], ['/a/b.png']),
  row('HEADER', 'EQUAL_TO', 'Blue', header('X-Colour: Blue'), header('X-Colour: blue'), 'X-Colour'),
  row('HEADER', 'STARTS_WITH', 'Bl', header('x-colour: Black'), header('X-Shade: Black'), 'X-Colour'),
  row('HEADER', 'ENDS_WITH', 'ue', header('X-Colour: Blue'), header('X-Colour: Green'), 'X-Colour'),
  row('HEADER', 'CONTAINS', 'ree', header('X-Colour: Green'), header('X-Colour: Blue'), 'X-Colour'),
  row(
    'HEADER',
    'REGEX',
    '^(Blue|Green)$',
    header('X-Colour: Green'),
    header('X-Colour: Greenish'),
    'X-Colour',
  ),
  row(
    'HEADER',
    'EQUAL_TO',
    '"light blue"',
    header('X-Colour: light blue'),
    header('X-Colour: "light'),
    'X-Colour',
  ),
  row('COOKIE', 'EQUAL_TO', 'gold', cookie('tier=gold; a=b'), cookie('tier=golden'), 'tier'),
  row('COOKIE', 'STARTS_WITH', 'go', cookie('a=b; tier=gold'), cookie('a=gold'), 'tier'),
  row('COOKIE', 'ENDS_WITH', 'ld', cookie('tier=gold'), cookie('tier=goldy'), 'tier'),
  row('COOKIE', 'CONTAINS', 'ol', cookie('tier=gold'), cookie('tier=silver'), 'tier'),
  row('COOKIE', 'REGEX', '^g.{2}d$', cookie('tier=gold'), cookie('tier=gd'), 'tier'),
];

function row(
  type: string,
  compare_type: string,
  value: string,
  meets: readonly string[],
  misses: readonly string[],
  key?: string,
) {
  return { rule: { type, compare_type, value, ...(key !== undefined && { key }) }, meets, misses };
}
function host(name: string): string[] {
  return ['/', '-H', `Host: ${name}`];
}
function header(line: string): string[] {
  return ['/', '-H', line];
}
function cookie(line: string): string[] {
  return ['/', '-b', line];
}

const port = (n: number): number => 8000 + n;

/** L7 policies, by what a client sees of them. */
export function l7Rows(stage: () => Stage): void {
  /** Listeners on ports of their own, with these policies, in front of a default pool; other pools to be chosen. */
  async function policies(...listeners: (readonly object[])[]): Promise<Balancer> {
    const [ada, bob, cyd] = await Promise.all(['ada', 'bob', 'cyd'].map((name) => stage().member(name)));
    return stage().balancer({
      pools: [ada, bob, cyd].map((member) => member && aPool(member.name, [at(member)])),
      listeners: listeners.map((l7policies, n) => ({
        name: `l${n}`,
        protocol: 'HTTP',
        protocol_port: port(n),
        default_pool: { name: 'ada' },
        l7policies,
      })),
    });
  }
  /** The status of an answer, or the member that gave it, or where it redirects to. */
  async function seen(
    balancer: Balancer,
    listener: number,
    path: string,
    ...args: string[]
  ): Promise<string> {
    const answer = await ask(`http://${balancer.vip}:${port(listener)}${path}`, ...args);
    const { location } = answer.headers;
    if (location !== undefined) return `${answer.status} ${location}`;
    return answer.status === 200 ? answer.echo.member : String(answer.status);
  }
  const toBob = { action: 'REDIRECT_TO_POOL', redirect_pool: { name: 'bob' } };
  const toCyd = { action: 'REDIRECT_TO_POOL', redirect_pool: { name: 'cyd' } };
  const path = (value: string, values: object = {}) => ({
    type: 'PATH',
    compare_type: 'STARTS_WITH',
    value,
    ...values,
  });

  describe('an L7 rule', () => {
    it('of each type and compare type meets what it says, and inverted all else', async () => {
      const balancer = await policies(
        ...rules.map(({ rule }) => [{ name: 'p', ...toBob, rules: [rule] }]),
        ...rules.map(({ rule }) => [{ name: 'p', ...toBob, rules: [{ ...rule, invert: true }] }]),
      );
      for (const [n, { rule, meets, misses }] of rules.entries()) {
        const inverted = n + rules.length;
        const words = `${rule.type} ${rule.compare_type} ${rule.value}`;
        const answers = async (listener: number, [first = '/', ...args]: readonly string[]) =>
          seen(balancer, listener, first, ...args);
        expect([await answers(n, meets), await answers(n, misses)], words).toEqual(['bob', 'ada']);
        expect([await answers(inverted, meets), await answers(inverted, misses)], `not ${words}`).toEqual([
          'ada',
          'bob',
        ]);
      }
      await balancer.remove();
    });

    it("on a client's certificate sees whether there is one, how it was judged and whose it is", async () => {
      const { pki } = stage();
      const [ada, bob] = await Promise.all(['ada', 'bob'].map((name) => stage().member(name)));
      const withRules = (name: string, protocol_port: number, ...own: object[]) => ({
        name,
        protocol: 'TERMINATED_HTTPS',
        protocol_port,
        client_authentication: 'OPTIONAL',
        default_pool: { name: 'ada' },
        l7policies: [{ name: `policy-${name}`, ...toBob, rules: own }],
      });
      const tls = {
        default_tls_container_ref: await pki.bundle(await pki.server('www.example')),
        client_ca_tls_container_ref: await pki.text(pki.clients.ca),
      };
      const equal = (type: string, value: string, key?: string) => ({
        type,
        compare_type: 'EQUAL_TO',
        value,
        ...(key !== undefined && { key }),
      });
      const balancer = await stage().balancer({
        pools: [ada, bob].map((member) => member && aPool(member.name, [at(member)])),
        listeners: [
          withRules('has', 8443, equal('SSL_CONN_HAS_CERT', 'True')),
          withRules('verified', 8444, equal('SSL_CONN_HAS_CERT', 'True'), equal('SSL_VERIFY_RESULT', '0')),
          withRules('not verified', 8445, equal('SSL_VERIFY_RESULT', '19')),
          withRules('ann', 8446, equal('SSL_DN_FIELD', 'ann', 'CN')),
          withRules('guild', 8447, { ...equal('SSL_DN_FIELD', 'Gui', 'O'), compare_type: 'STARTS_WITH' }),
        ].map((one) => ({ ...one, ...tls })),
      });
      const as = async (own: number, who?: { key: string; certificate: string }) => {
        const shown = who === undefined ? [] : ['--cert', who.certificate, '--key', who.key];
        const resolve = ['--resolve', `www.example:${own}:${balancer.vip}`, '--cacert', pki.root];
        return (await ask(`https://www.example:${own}/`, ...resolve, ...shown)).echo.member;
      };
      const { ann, bob: other } = pki.clients;
      const all = async (own: number) => [await as(own), await as(own, ann), await as(own, other)];
      expect(await all(8443)).toEqual(['ada', 'bob', 'bob']);
      expect(await all(8444)).toEqual(['ada', 'bob', 'bob']);
      expect(await all(8445)).toEqual(['ada', 'ada', 'ada']);
      expect(await all(8446)).toEqual(['ada', 'bob', 'ada']);
      expect(await all(8447)).toEqual(['ada', 'bob', 'bob']);
      await balancer.remove();
    });
  });

  describe('L7 policies', () => {
    it('reject, redirect by URL and prefix with each code, and send to a pool', async () => {
      const codes = [301, 302, 303, 307, 308];
      const balancer = await policies(
        [
          { name: 'r', action: 'REJECT', rules: [path('/no')] },
          {
            name: 'd',
            action: 'REDIRECT_TO_URL',
            redirect_url: 'https://a.example/new?x=1',
            rules: [path('/url')],
          },
          {
            name: 'e',
            action: 'REDIRECT_PREFIX',
            redirect_prefix: 'https://b.example:444',
            rules: [path('/prefix')],
          },
          { name: 'p', ...toBob, rules: [path('/bob')] },
        ],
        codes.map((code) => ({
          name: `u${code}`,
          action: 'REDIRECT_TO_URL',
          redirect_url: 'http://c.example/',
          redirect_http_code: code,
          rules: [path(`/u${code}`)],
        })),
        codes.map((code) => ({
          name: `q${code}`,
          action: 'REDIRECT_PREFIX',
          redirect_prefix: 'http://d.example',
          redirect_http_code: code,
          rules: [path(`/q${code}`)],
        })),
      );
      expect(await seen(balancer, 0, '/no/body')).toBe('403');
      expect(await seen(balancer, 0, '/url/old?y=2')).toBe('302 https://a.example/new?x=1');
      expect(await seen(balancer, 0, '/prefix/path?y=2')).toBe('302 https://b.example:444/prefix/path?y=2');
      expect(await seen(balancer, 0, '/bob')).toBe('bob');
      expect(await seen(balancer, 0, '/')).toBe('ada');
      for (const code of codes) {
        expect(await seen(balancer, 1, `/u${code}`)).toBe(`${code} http://c.example/`);
        expect(await seen(balancer, 2, `/q${code}/x`)).toBe(`${code} http://d.example/q${code}/x`);
      }
      await balancer.remove();
    });

    it('need all their rules, and the first that matches decides, whatever it does', async () => {
      const header = { type: 'HEADER', key: 'X-Vip', compare_type: 'EQUAL_TO', value: 'yes' };
      const all = [path('/')];
      const reject = { name: 'r', action: 'REJECT', rules: all };
      const redirect = {
        name: 'd',
        action: 'REDIRECT_TO_URL',
        redirect_url: 'http://e.example/',
        rules: all,
      };
      const pool = { name: 'p', ...toBob, rules: all };
      const balancer = await policies(
        [{ name: 'and', ...toBob, rules: [path('/a'), header, path('/a/b', { invert: true })] }],
        [reject, redirect, pool],
        [redirect, pool, reject],
        [pool, reject, redirect],
        [{ ...pool, ...toCyd }, pool],
      );
      const vip = ['-H', 'X-Vip: yes'];
      expect(await seen(balancer, 0, '/a/c', ...vip)).toBe('bob');
      expect(await seen(balancer, 0, '/a/c')).toBe('ada');
      expect(await seen(balancer, 0, '/a/b', ...vip)).toBe('ada');
      expect(await seen(balancer, 1, '/')).toBe('403');
      expect(await seen(balancer, 2, '/')).toBe('302 http://e.example/');
      expect(await seen(balancer, 3, '/')).toBe('bob');
      expect(await seen(balancer, 4, '/')).toBe('cyd');
      await balancer.remove();
    });

    it('follow their position, and are out while they, their rules or their pool are disabled or gone', async () => {
      const balancer = await policies([
        { name: 'first', action: 'REJECT', rules: [path('/x')] },
        { name: 'second', ...toBob, rules: [path('/x')] },
      ]);
      const first = `l7policies/${balancer.idOf('first')}`;
      const second = `l7policies/${balancer.idOf('second')}`;
      const change = (of: string, l7policy: object) => balancer.change('PUT', of, { l7policy });
      expect(await seen(balancer, 0, '/x')).toBe('403');
      await change(second, { position: 1 });
      expect(await seen(balancer, 0, '/x')).toBe('bob');
      await change(second, { admin_state_up: false });
      expect(await seen(balancer, 0, '/x')).toBe('403');
      await change(second, { admin_state_up: true });
      const { rules: ids } = await balancer.show(second);
      const rule = `${second}/rules/${ids[0].id}`;
      await balancer.change('PUT', rule, { rule: { admin_state_up: false } });
      expect(await seen(balancer, 0, '/x')).toBe('403');
      await balancer.change('PUT', rule, { rule: { admin_state_up: true, value: '/y' } });
      expect(await seen(balancer, 0, '/x')).toBe('403');
      expect(await seen(balancer, 0, '/y')).toBe('bob');
      await balancer.change('POST', `${second}/rules`, { rule: path('/y/z') });
      expect(await seen(balancer, 0, '/y')).toBe('ada');
      expect(await seen(balancer, 0, '/y/z')).toBe('bob');
      const pool = `pools/${balancer.idOf('bob')}`;
      await balancer.change('PUT', pool, { pool: { admin_state_up: false } });
      expect(await seen(balancer, 0, '/y/z')).toBe('ada');
      await balancer.change('PUT', pool, { pool: { admin_state_up: true } });
      await balancer.change('DELETE', first);
      expect(await seen(balancer, 0, '/x')).toBe('ada');
      await change(second, { redirect_pool_id: balancer.idOf('cyd') });
      expect(await seen(balancer, 0, '/y/z')).toBe('cyd');
      await balancer.remove();
    });
  });
}
