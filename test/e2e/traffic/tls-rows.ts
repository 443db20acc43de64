import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { tryRun } from '../../../src/platform/run.ts';
import { overWebSocket } from './http-rows.ts';
import type { KeyPair } from './pki.ts';
import { aPool, at, type Balancer, type Stage } from './stage.ts';
import { ask, type Answer } from './web-client.ts';

/** TERMINATED_HTTPS listeners: certificates, versions, ciphers, ALPN, HSTS and clients' certificates. */
export function tlsRows(stage: () => Stage): void {
  const pki = () => stage().pki;

  /** A listener of TLS with one member, the certificate for www.example. */
  async function terminated(values: object = {}, pool: object = {}): Promise<Balancer> {
    const ref = await pki().bundle(await pki().server('www.example'));
    return stage().balancer({
      pools: [aPool('pool', [at(await stage().member('ada'))], pool)],
      listeners: [
        {
          name: 'web',
          protocol: 'TERMINATED_HTTPS',
          protocol_port: 443,
          default_tls_container_ref: ref,
          default_pool: { name: 'pool' },
          ...values,
        },
      ],
    });
  }
  /** A request that trusts the root alone; the name stands for the VIP. */
  const askAs = (name: string, { vip }: Balancer, ...args: string[]): Promise<Answer> =>
    ask(`https://${name}/`, '--cacert', pki().root, '--resolve', `${name}:443:${vip}`, ...args);
  const asClient = ({ key, certificate }: KeyPair) => ['--cert', certificate, '--key', key];
  const listener = (balancer: Balancer, values: object) =>
    balancer.change('PUT', `listeners/${balancer.idOf('web')}`, { listener: values });
  /** What openssl says to the handshake. */
  const handshake = async ({ vip }: Balancer, ...args: string[]): Promise<string> => {
    const result = await tryRun(['openssl', 's_client', '-connect', `${vip}:443`, ...args], { input: '' });
    return result.stdout + result.stderr;
  };

  describe('a certificate', () => {
    it.each([
      ['EC, as OpenSSL 3 bundles it', 'EC', []],
      ['RSA, as OpenSSL 3 bundles it', 'RSA', []],
      ['Ed25519, as OpenSSL 3 bundles it', 'Ed25519', []],
      ['EC in a legacy bundle of RC2 and 3DES', 'EC', ['-legacy']],
      ['RSA in a legacy bundle of RC2 and 3DES', 'RSA', ['-legacy']],
      ['RSA in a bundle without encryption', 'RSA', ['-keypbe', 'NONE', '-certpbe', 'NONE', '-nomac']],
    ] as const)('%s is served with its chain', async (_, kind, options) => {
      const name = 'bundle.example';
      const ref = await pki().bundle(await pki().server(name, kind), ...options);
      const balancer = await terminated({ default_tls_container_ref: ref });
      // The intermediate comes over the wire: curl has only the root.
      expect((await askAs(name, balancer)).echo.member).toBe('ada');
      await balancer.remove();
    });

    it('in a container of certificate, key and intermediates is served, the key under a passphrase too', async () => {
      const name = 'container.example';
      const pair = await pki().server(name, 'RSA');
      const locked = `${pair.key}.locked`;
      const secret = `${pair.key}.passphrase`;
      await tryRun(['sh', '-c', `printf open-sesame > ${secret}`]);
      await tryRun([
        'openssl',
        'pkcs8',
        '-topk8',
        '-in',
        pair.key,
        '-passout',
        'pass:open-sesame',
        '-out',
        locked,
      ]);
      const parts = { certificate: pair.certificate, intermediates: pki().intermediate };
      const balancer = await terminated({
        default_tls_container_ref: await pki().container({ ...parts, private_key: pair.key }),
      });
      expect((await askAs(name, balancer)).echo.member).toBe('ada');
      await listener(balancer, {
        default_tls_container_ref: await pki().container({
          ...parts,
          private_key: locked,
          private_key_passphrase: secret,
        }),
      });
      expect((await askAs(name, balancer)).echo.member).toBe('ada');
      await balancer.remove();
    });

    it('is chosen by the name that the client asks for; the default for all others', async () => {
      const names = ['one.example', 'two.example'];
      const refs = await Promise.all(names.map(async (name) => pki().bundle(await pki().server(name))));
      const balancer = await terminated({ sni_container_refs: refs });
      for (const name of [...names, 'www.example']) {
        expect((await askAs(name, balancer)).echo.member, name).toBe('ada');
      }
      const other = await handshake(balancer, '-servername', 'other.example');
      expect(other).toMatch(/subject=CN ?= ?www\.example/);
      expect(await handshake(balancer, '-noservername')).toMatch(/subject=CN ?= ?www\.example/);
      await balancer.remove();
    });

    it('that HAProxy refuses puts only its listener in ERROR, with the reason; the others go on and take changes', async () => {
      const balancer = await terminated();
      const weak = await pki().bundle(await pki().server('weak.example', 'short RSA'));
      const { listener: refused } = await stage().service.call('POST', '/v2/lbaas/listeners', {
        listener: {
          loadbalancer_id: balancer.id,
          protocol: 'TERMINATED_HTTPS',
          protocol_port: 444,
          default_tls_container_ref: weak,
          default_pool_id: balancer.idOf('pool'),
        },
      });
      await stage().service.active(balancer.id);
      expect(await balancer.show(`listeners/${refused.id}`)).toMatchObject({ provisioning_status: 'ERROR' });
      expect(await balancer.show(`listeners/${balancer.idOf('web')}`)).toMatchObject({
        provisioning_status: 'ACTIVE',
      });
      const { objects } = await stage().service.call('GET', `/livia/v1/loadbalancers/${balancer.id}`);
      expect(JSON.stringify(objects)).toMatch(/unable to load SSL certificate|ee key too small/);
      await listener(balancer, { hsts_max_age: 7 });
      expect((await askAs('www.example', balancer)).headers).toHaveProperty('strict-transport-security');
      await balancer.remove();
    });
  });

  describe('ciphers that OpenSSL does not know', () => {
    it('put only their listener in ERROR, with the reason, and it goes on as it was', async () => {
      const balancer = await terminated();
      await listener(balancer, { tls_ciphers: 'NO-SUCH-CIPHER' });
      expect((await askAs('www.example', balancer)).echo.member).toBe('ada');
      const path = `listeners/${balancer.idOf('web')}`;
      expect(await balancer.show(path)).toMatchObject({ provisioning_status: 'ERROR' });
      const { objects } = await stage().service.call('GET', `/livia/v1/loadbalancers/${balancer.id}`);
      expect(JSON.stringify(objects)).toMatch(/cipher/i);
      await listener(balancer, { tls_ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' });
      expect(await balancer.show(path)).toMatchObject({ provisioning_status: 'ACTIVE' });
      await balancer.remove();
    });
  });

  describe('a TERMINATED_HTTPS listener', () => {
    it('speaks HTTP/2 and HTTP/1.1 by ALPN, and only what alpn_protocols names', async () => {
      const balancer = await terminated();
      expect(await askAs('www.example', balancer, '--http2')).toMatchObject({ version: '2', status: 200 });
      expect(await askAs('www.example', balancer, '--http1.1')).toMatchObject({
        version: '1.1',
        status: 200,
      });
      await listener(balancer, { alpn_protocols: ['http/1.1'] });
      expect(await askAs('www.example', balancer, '--http2')).toMatchObject({ version: '1.1', status: 200 });
      expect(await handshake(balancer, '-alpn', 'h2,http/1.1')).toContain('ALPN protocol: http/1.1');
      await balancer.remove();
    });

    it('carries WebSockets', async () => {
      const balancer = await terminated();
      expect(
        await overWebSocket(`wss://${balancer.vip}/`, 'psst', {
          ca: readFileSync(pki().root, 'utf8'),
          servername: 'www.example',
        }),
      ).toBe('ada: psst');
      await balancer.remove();
    });

    it('speaks only the versions of TLS that tls_versions names', async () => {
      const balancer = await terminated({ tls_versions: ['TLSv1.2'] });
      const version = async (flag: string) =>
        /^New, (TLSv[\d.]+), Cipher is/m.exec(await handshake(balancer, flag))?.[1];
      expect(await version('-tls1_2')).toBe('TLSv1.2');
      expect(await version('-tls1_3')).toBeUndefined();
      await listener(balancer, { tls_versions: ['TLSv1.3'] });
      expect(await version('-tls1_3')).toBe('TLSv1.3');
      expect(await version('-tls1_2')).toBeUndefined();
      await balancer.remove();
    });

    it('uses only the ciphers that tls_ciphers names, of TLS 1.2 and 1.3', async () => {
      const balancer = await terminated({
        tls_ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384:TLS_CHACHA20_POLY1305_SHA256',
      });
      const cipher = async (...args: string[]) =>
        /New, \S+ Cipher is (\S+)/.exec(await handshake(balancer, ...args))?.[1];
      expect(await cipher('-tls1_2')).toBe('ECDHE-ECDSA-AES256-GCM-SHA384');
      expect(await cipher('-tls1_3')).toBe('TLS_CHACHA20_POLY1305_SHA256');
      expect(await cipher('-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256')).toBe('(NONE)');
      expect(await cipher('-tls1_3', '-ciphersuites', 'TLS_AES_128_GCM_SHA256')).toBe('(NONE)');
      await balancer.remove();
    });

    it('sends Strict-Transport-Security with the flags that are set, on its own answers too', async () => {
      const balancer = await terminated({ hsts_max_age: 300 });
      const sent = async () => (await askAs('www.example', balancer)).headers['strict-transport-security'];
      expect(await sent()).toBe('max-age=300;');
      await listener(balancer, { hsts_include_subdomains: true });
      expect(await sent()).toBe('max-age=300; includeSubDomains;');
      await listener(balancer, { hsts_preload: true, hsts_max_age: 0 });
      expect(await sent()).toBe('max-age=0; includeSubDomains; preload;');
      await listener(balancer, { default_pool_id: null });
      const bare = await askAs('www.example', balancer);
      expect(bare.status).toBe(503);
      expect(bare.headers).toHaveProperty('strict-transport-security');
      await listener(balancer, { hsts_max_age: null });
      expect(await sent()).toBeUndefined();
      await balancer.remove();
    });

    it('tells the members that the client came by https', async () => {
      const balancer = await terminated({
        insert_headers: {
          'X-Forwarded-Proto': 'true',
          'X-Forwarded-Port': 'true',
          'X-Forwarded-For': 'true',
        },
      });
      expect((await askAs('www.example', balancer)).echo.headers).toMatchObject({
        'x-forwarded-proto': 'https',
        'x-forwarded-port': '443',
        'x-forwarded-for': stage().gateway,
      });
      await balancer.remove();
    });
  });

  describe("a client's certificate", () => {
    const clientAuthentication = async (mode: string) => ({
      client_authentication: mode,
      client_ca_tls_container_ref: await pki().text(pki().clients.ca),
    });

    it('is not asked for with NONE, is checked when there is one with OPTIONAL, is needed with MANDATORY', async () => {
      const { ann } = pki().clients;
      const balancer = await terminated(await clientAuthentication('NONE'));
      const seen = async () => [
        (await askAs('www.example', balancer)).status,
        (await askAs('www.example', balancer, ...asClient(ann))).status,
        (await askAs('www.example', balancer, ...asClient(pki().stranger))).status,
      ];
      expect(await seen()).toEqual([200, 200, 200]);
      await listener(balancer, { client_authentication: 'OPTIONAL' });
      expect(await seen()).toEqual([200, 200, 0]);
      await listener(balancer, { client_authentication: 'MANDATORY' });
      expect(await seen()).toEqual([0, 200, 0]);
      await balancer.remove();
    });

    it('that is revoked is refused, by the list as it is now', async () => {
      const { ann, bob, crl, emptyCrl } = pki().clients;
      const balancer = await terminated(await clientAuthentication('MANDATORY'));
      const seen = async (pair: KeyPair) => (await askAs('www.example', balancer, ...asClient(pair))).status;
      expect(await seen(bob)).toBe(200);
      for (const [list, status] of [
        [emptyCrl, 200],
        [crl, 0],
        [emptyCrl, 200],
        [crl, 0],
      ] as const) {
        await listener(balancer, { client_crl_container_ref: await pki().text(list) });
        expect(await seen(bob), list).toBe(status);
      }
      expect(await seen(ann)).toBe(200);
      await balancer.remove();
    });

    it('is told to the members in headers, and nobody else can write them', async () => {
      const names = ['Verify', 'Has-Cert', 'DN', 'CN', 'SHA1', 'Not-Before', 'Not-After'].map(
        (name) => `X-SSL-Client-${name}`,
      );
      const balancer = await terminated({
        ...(await clientAuthentication('OPTIONAL')),
        insert_headers: Object.fromEntries([...names, 'X-SSL-Issuer'].map((name) => [name, 'true'])),
      });
      const openssl = async (...args: string[]) =>
        (await tryRun(['openssl', 'x509', '-noout', '-in', pki().clients.ann.certificate, ...args])).stdout;
      const sha1 = (await openssl('-fingerprint', '-sha1')).split('=')[1]?.trim().replaceAll(':', '');
      const known = (
        await askAs('www.example', balancer, ...asClient(pki().clients.ann), '-H', 'X-SSL-Client-CN: root')
      ).echo;
      expect(known.headers).toMatchObject({
        'x-ssl-client-verify': '0',
        'x-ssl-client-has-cert': '1',
        'x-ssl-client-dn': '/O=Guild/CN=ann',
        'x-ssl-client-cn': 'ann',
        'x-ssl-issuer': '/O=Guild of Clients/CN=Clients',
        'x-ssl-client-sha1': sha1,
        'x-ssl-client-not-before': expect.stringMatching(/^\d{12}Z$/),
        'x-ssl-client-not-after': expect.stringMatching(/^\d{12}Z$/),
      });
      const unknown = (
        await askAs('www.example', balancer, '-H', 'X-SSL-Client-CN: root', '-H', 'X-SSL-Client-Has-Cert: 1')
      ).echo;
      expect(unknown.headers).toMatchObject({ 'x-ssl-client-has-cert': '0' });
      expect(unknown.headers['x-ssl-client-cn'] ?? '').not.toContain('root');
      await balancer.remove();
    });
  });
}
