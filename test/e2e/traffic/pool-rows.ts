import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { EchoMember, EchoOptions } from './echo-member.ts';
import { eventually } from '../service.ts';
import { aPool, at, type Balancer, type Stage } from './stage.ts';
import { ask, whoAnswers } from './web-client.ts';

/** Pools and members: who gets which request, and how it is brought there. */
export function poolRows(stage: () => Stage): void {
  const named = (...names: string[]): Promise<EchoMember[]> =>
    Promise.all(names.map((name) => stage().member(name)));
  const web = (values: object = {}) => ({
    name: 'web',
    protocol: 'HTTP',
    protocol_port: 80,
    default_pool: { name: 'pool' },
    ...values,
  });
  const behind = (pool: object, listener: object = {}): Promise<Balancer> =>
    stage().balancer({ pools: [pool], listeners: [web(listener)] });
  const url = ({ vip }: Balancer, path = '/') => `http://${vip}${path}`;
  const counts = (names: readonly string[]): Record<string, number> => {
    const found: Record<string, number> = {};
    for (const name of names) found[name] = (found[name] ?? 0) + 1;
    return found;
  };
  const member = (balancer: Balancer, name: string, values: object) =>
    balancer.change('PUT', `pools/${balancer.idOf('pool')}/members/${balancer.idOf(`pool/${name}`)}`, {
      member: values,
    });
  const pool = (balancer: Balancer, values: object) =>
    balancer.change('PUT', `pools/${balancer.idOf('pool')}`, { pool: values });

  describe('a pool', () => {
    it('by ROUND_ROBIN follows weights, and gives a member of weight 0 nothing', async () => {
      const [ada, bob, cyd] = await named('ada', 'bob', 'cyd');
      if (!ada || !bob || !cyd) throw new Error('no members');
      const balancer = await behind(
        aPool('pool', [at(ada, { weight: 3 }), at(bob, { weight: 1 }), at(cyd, { weight: 0 })]),
      );
      expect(counts(await whoAnswers(12, url(balancer)))).toEqual({ ada: 9, bob: 3 });
      await member(balancer, 'cyd', { weight: 4 });
      expect(counts(await whoAnswers(16, url(balancer)))).toEqual({ ada: 6, bob: 2, cyd: 8 });
      await member(balancer, 'ada', { weight: 0 });
      expect(counts(await whoAnswers(10, url(balancer)))).toEqual({ bob: 2, cyd: 8 });
      await balancer.remove();
    });

    it('by LEAST_CONNECTIONS gives to who has the fewest', async () => {
      const [ada, bob] = await named('ada', 'bob');
      if (!ada || !bob) throw new Error('no members');
      const balancer = await behind(aPool('pool', [at(ada), at(bob)], { lb_algorithm: 'LEAST_CONNECTIONS' }));
      const busy = connect(80, balancer.vip);
      await once(busy, 'connect');
      busy.write('GET /delay/30000 HTTP/1.1\r\nHost: a\r\n\r\n');
      await eventually('somebody busy', async () =>
        ada.received.length + bob.received.length > 0 ? true : undefined,
      );
      const free = ada.received.length === 0 ? 'ada' : 'bob';
      expect(counts(await whoAnswers(6, url(balancer)))).toEqual({ [free]: 6 });
      busy.destroy();
      await balancer.remove();
    });

    it('by SOURCE_IP gives all of a client to one member', async () => {
      const members = await named('ada', 'bob', 'cyd');
      const balancer = await behind(
        aPool(
          'pool',
          members.map((one) => at(one)),
          { lb_algorithm: 'SOURCE_IP' },
        ),
      );
      expect(Object.values(counts(await whoAnswers(9, url(balancer))))).toEqual([9]);
      await balancer.remove();
    });

    it('leaves backup members in peace while others serve, and gives to all of them when none does', async () => {
      const [ada, bob, cyd] = await named('ada', 'bob', 'cyd');
      if (!ada || !bob || !cyd) throw new Error('no members');
      const balancer = await behind(
        aPool('pool', [at(ada), at(bob, { backup: true }), at(cyd, { backup: true })]),
      );
      expect(counts(await whoAnswers(4, url(balancer)))).toEqual({ ada: 4 });
      await member(balancer, 'ada', { admin_state_up: false });
      expect(counts(await whoAnswers(4, url(balancer)))).toEqual({ bob: 2, cyd: 2 });
      await member(balancer, 'bob', { backup: false });
      expect(counts(await whoAnswers(4, url(balancer)))).toEqual({ bob: 4 });
      await balancer.remove();
    });

    it('takes members in and out, one by one and as a batch', async () => {
      const [ada, bob, cyd] = await named('ada', 'bob', 'cyd');
      if (!ada || !bob || !cyd) throw new Error('no members');
      const balancer = await behind(aPool('pool', [at(ada)]));
      const path = `pools/${balancer.idOf('pool')}/members`;
      await balancer.change('POST', path, { member: at(bob) });
      expect(counts(await whoAnswers(4, url(balancer)))).toEqual({ ada: 2, bob: 2 });
      await balancer.change('PUT', path, { members: [at(bob), at(cyd)] });
      expect(counts(await whoAnswers(4, url(balancer)))).toEqual({ bob: 2, cyd: 2 });
      await balancer.change('PUT', `${path}?additive_only=true`, { members: [at(ada)] });
      expect(counts(await whoAnswers(6, url(balancer)))).toEqual({ ada: 2, bob: 2, cyd: 2 });
      await balancer.change('PUT', path, { members: [] });
      expect((await ask(url(balancer))).status).toBe(503);
      await balancer.remove();
    });
  });

  describe('session persistence', () => {
    it('SOURCE_IP keeps a client at its member', async () => {
      const [ada, bob] = await named('ada', 'bob');
      if (!ada || !bob) throw new Error('no members');
      const balancer = await behind(
        aPool('pool', [at(ada), at(bob)], { session_persistence: { type: 'SOURCE_IP' } }),
      );
      const [first] = await whoAnswers(1, url(balancer));
      expect(await whoAnswers(5, url(balancer))).toEqual(Array.from({ length: 5 }, () => first));
      await pool(balancer, { session_persistence: null });
      expect(counts(await whoAnswers(4, url(balancer)))).toEqual({ ada: 2, bob: 2 });
      await balancer.remove();
    });

    it('HTTP_COOKIE keeps a client by a cookie of its own, that members do not see', async () => {
      const [ada, bob] = await named('ada', 'bob');
      if (!ada || !bob) throw new Error('no members');
      const balancer = await behind(
        aPool('pool', [at(ada), at(bob)], { session_persistence: { type: 'HTTP_COOKIE' } }),
      );
      const first = await ask(url(balancer));
      const cookie = first.headers['set-cookie']?.split(';')[0] ?? '';
      expect(cookie).toMatch(/^SRV=[0-9a-f]{16}$/);
      for (let n = 0; n < 4; n += 1) {
        const { echo } = await ask(url(balancer), '-b', `${cookie}; mine=1`);
        expect(echo.member).toBe(first.echo.member);
        expect(echo.headers['cookie']).toBe('mine=1');
      }
      expect(counts(await whoAnswers(4, url(balancer)))).toEqual({ ada: 2, bob: 2 });
      await balancer.remove();
    });

    it("APP_COOKIE keeps a client by the members' own cookie", async () => {
      const [ada, bob] = await named('ada', 'bob');
      if (!ada || !bob) throw new Error('no members');
      const balancer = await behind(
        aPool('pool', [at(ada), at(bob)], {
          session_persistence: { type: 'APP_COOKIE', cookie_name: 'SESSION' },
        }),
      );
      const { echo, headers } = await ask(url(balancer, '/cookie'));
      expect(headers['set-cookie']).toContain(`SESSION=of-${echo.member}`);
      const again = await whoAnswers(5, url(balancer), '-b', `SESSION=of-${echo.member}`);
      expect(counts(again)).toEqual({ [echo.member]: 5 });
      await balancer.remove();
    });
  });

  describe('the PROXY protocol', () => {
    it('tells members whose connection it is, in version 1 and 2', async () => {
      const member = await stage().member('proxied', { proxy: true });
      for (const [protocol, words] of [
        ['PROXY', 'v1 TCP4'],
        ['PROXYV2', 'v2 TCP4'],
      ] as const) {
        const balancer = await behind(aPool('pool', [at(member)], { protocol }));
        const { proxy } = (await ask(url(balancer))).echo;
        expect(proxy).toBe(`${words} ${stage().gateway} to ${balancer.vip} 80`);
        await balancer.remove();
      }
    });

    it("of version 2 tells the name in the client's certificate behind a listener of TLS", async () => {
      const { pki } = stage();
      const member = await stage().member('proxied', { proxy: true });
      const balancer = await behind(aPool('pool', [at(member)], { protocol: 'PROXYV2' }), {
        protocol: 'TERMINATED_HTTPS',
        protocol_port: 443,
        client_authentication: 'MANDATORY',
        default_tls_container_ref: await pki.bundle(await pki.server('www.example')),
        client_ca_tls_container_ref: await pki.text(pki.clients.ca),
      });
      const { key, certificate } = pki.clients.ann;
      const answer = await ask(
        'https://www.example/',
        ...['--cacert', pki.root, '--resolve', `www.example:443:${balancer.vip}`],
        ...['--cert', certificate, '--key', key],
      );
      expect(answer.echo.proxy).toBe(`v2 TCP4 ${stage().gateway} to ${balancer.vip} 443 client ann`);
      await balancer.remove();
    });
  });

  describe('re-encryption towards the members', () => {
    /** A member of TLS, named by its certificate. */
    async function secured(options: Partial<NonNullable<EchoOptions['tls']>> = {}): Promise<EchoMember> {
      const pair = await stage().pki.server('member.example');
      const cert = readFileSync(pair.certificate, 'utf8') + readFileSync(stage().pki.intermediate, 'utf8');
      const tls = { key: readFileSync(pair.key, 'utf8'), cert, ...options };
      return stage().member('secured', { tls });
    }

    it('is there when tls_enabled is, with the name that the client asked for', async () => {
      const { pki } = stage();
      const balancer = await behind(aPool('pool', [at(await secured())], { tls_enabled: true }), {
        protocol: 'TERMINATED_HTTPS',
        protocol_port: 443,
        default_tls_container_ref: await pki.bundle(await pki.server('www.example')),
      });
      const asked = () =>
        ask(
          'https://www.example/',
          ...['--cacert', pki.root, '--resolve', `www.example:443:${balancer.vip}`],
        );
      expect((await asked()).echo.tls).toMatchObject({ sni: 'www.example', alpn: 'http/1.1' });
      await pool(balancer, { tls_enabled: false });
      expect((await asked()).status).not.toBe(200);
      await balancer.remove();
    });

    it('trusts any member without a CA, and with one only those it vouches for, if they are not revoked', async () => {
      const { pki } = stage();
      const balancer = await behind(aPool('pool', [at(await secured())], { tls_enabled: true }));
      expect((await ask(url(balancer))).status).toBe(200);
      await pool(balancer, { ca_tls_container_ref: await pki.text(pki.clients.ca) });
      expect((await ask(url(balancer))).status).toBe(503);
      await pool(balancer, { ca_tls_container_ref: await pki.text(pki.root) });
      expect((await ask(url(balancer))).status).toBe(200);
      await balancer.remove();
      // Ann and Bob stand in for members of one authority: Bob's certificate is revoked.
      const members = await Promise.all(
        [pki.clients.ann, pki.clients.bob].map(({ key, certificate }) =>
          stage().member(certificate.includes('ann') ? 'ann' : 'bob', {
            tls: { key: readFileSync(key, 'utf8'), cert: readFileSync(certificate, 'utf8') },
          }),
        ),
      );
      const guarded = await behind(
        aPool(
          'pool',
          members.map((one) => at(one)),
          {
            tls_enabled: true,
            ca_tls_container_ref: await pki.text(pki.clients.ca),
          },
        ),
      );
      expect(counts(await whoAnswers(4, url(guarded)))).toEqual({ ann: 2, bob: 2 });
      await pool(guarded, { crl_container_ref: await pki.text(pki.clients.crl) });
      expect(counts(await whoAnswers(4, url(guarded)))).toEqual({ ann: 4 });
      await guarded.remove();
    });

    it('shows the members a certificate, and uses the versions, ciphers and ALPN that the pool names', async () => {
      const { pki } = stage();
      const ca = readFileSync(pki.root, 'utf8') + readFileSync(pki.intermediate, 'utf8');
      const one = await secured({ requestCert: true, ca, http2: true });
      const balancer = await behind(
        aPool('pool', [at(one)], {
          tls_enabled: true,
          tls_container_ref: await pki.bundle(await pki.server('balancer.example')),
          tls_versions: ['TLSv1.2'],
          tls_ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384',
          alpn_protocols: ['http/1.1'],
        }),
      );
      expect((await ask(url(balancer))).echo.tls).toMatchObject({
        client: 'balancer.example',
        version: 'TLSv1.2',
        cipher: 'ECDHE-ECDSA-AES256-GCM-SHA384',
        alpn: 'http/1.1',
      });
      await pool(balancer, {
        tls_versions: ['TLSv1.3'],
        tls_ciphers: 'TLS_AES_128_GCM_SHA256',
        alpn_protocols: ['h2', 'http/1.1'],
      });
      const { echo } = await ask(url(balancer));
      expect(echo.version).toBe('2.0');
      expect(echo.tls).toMatchObject({ version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', alpn: 'h2' });
      await balancer.remove();
    });
  });
}
