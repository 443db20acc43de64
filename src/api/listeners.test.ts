import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { standardDeployment } from '../lb/defaults.ts';
import { active, activeLoadBalancer, startApi, type TestApi } from './client.fixture.ts';

let api: TestApi;
let loadBalancerId: string;
let ref: string;
let namelessRef: string;
let caRef: string;
let certificatePem: string;

beforeAll(async () => {
  api = await startApi();
  loadBalancerId = await activeLoadBalancer(api);
  const folder = mkdtempSync(join(tmpdir(), 'livia-api-'));
  const make = (name: string, subject: string) => {
    execFileSync(
      'openssl',
      [
        ...[
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:prime256v1',
          '-nodes',
          '-days',
          '2',
        ],
        ...['-subj', subject, '-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.pem`)],
      ],
      { stdio: 'ignore' },
    );
    return {
      certificatePem: readFileSync(join(folder, `${name}.pem`), 'utf8'),
      privateKeyPem: readFileSync(join(folder, `${name}.key`), 'utf8'),
      intermediatesPem: [],
    };
  };
  try {
    const bundle = make('leaf', '/CN=www.example.org');
    certificatePem = bundle.certificatePem;
    ref = api.cloud.storeCertificate(bundle);
    namelessRef = api.cloud.storeCertificate(make('nameless', '/O=Example'));
    caRef = api.cloud.storeText(certificatePem);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
afterAll(() => api.close());

const path = '/v2/lbaas/listeners';
let port = 1000;
const create = (values: object) =>
  api.member.post(path, {
    listener: { loadbalancer_id: loadBalancerId, protocol: 'HTTP', protocol_port: ++port, ...values },
  });
const made = async (values: object): Promise<any> => {
  const reply = await create(values);
  expect(reply.status, JSON.stringify(reply.body)).toBe(201);
  await api.settle(loadBalancerId);
  return reply.body.listener;
};
const put = (id: string, values: object) => api.member.put(`${path}/${id}`, { listener: values });
const refusedWith = async (values: object): Promise<string> => {
  const reply = await create(values);
  return `${reply.status} ${reply.body.faultstring}`;
};

/** Columns of `openstack loadbalancer listener show`. */
const columns =
  'admin_state_up, connection_limit, created_at, default_pool_id, default_tls_container_ref, description, id, insert_headers, l7policies, loadbalancers, name, operating_status, project_id, protocol, protocol_port, provisioning_status, sni_container_refs, timeout_client_data, timeout_member_connect, timeout_member_data, timeout_tcp_inspect, updated_at, client_ca_tls_container_ref, client_authentication, client_crl_container_ref, allowed_cidrs, tls_ciphers, tls_versions, alpn_protocols, tags, hsts_max_age, hsts_include_subdomains, hsts_preload'.split(
    ', ',
  );

describe('A listener', () => {
  it('lives: created, carried out, changed, deleted', async () => {
    const listener = await made({ name: 'web', connection_limit: '200000', project_id: 'discarded' });
    expect(Object.keys(listener)).toEqual(expect.arrayContaining(columns));
    expect(listener).toMatchObject({
      provisioning_status: 'PENDING_CREATE',
      operating_status: 'OFFLINE',
      connection_limit: 200_000,
      project_id: api.member.projectId,
      loadbalancers: [{ id: loadBalancerId }],
      default_pool_id: null,
      l7policies: [],
      insert_headers: {},
      sni_container_refs: [],
      allowed_cidrs: null,
      tls_ciphers: null,
      tls_versions: null,
      alpn_protocols: null,
      timeout_client_data: 50_000,
      timeout_member_connect: 5000,
      timeout_member_data: 50_000,
      timeout_tcp_inspect: 0,
    });
    const changed = await put(listener.id, {
      name: null,
      connection_limit: null,
      insert_headers: { 'X-Forwarded-For': 'true' },
      timeout_client_data: 1,
      allowed_cidrs: ['192.0.2.7/24', '192.0.2.0/24'],
    });
    expect(changed.status).toBe(200);
    expect(changed.body.listener).toMatchObject({
      name: '',
      connection_limit: -1,
      insert_headers: { 'X-Forwarded-For': 'true' },
      timeout_client_data: 1,
      allowed_cidrs: ['192.0.2.0/24'],
      provisioning_status: 'PENDING_UPDATE',
    });
    await api.settle(loadBalancerId);
    await put(listener.id, { insert_headers: null, timeout_client_data: null, allowed_cidrs: [] });
    await api.settle(loadBalancerId);
    const shown = (await api.member.get(`${path}/${listener.id}`)).body.listener;
    expect(shown).toMatchObject({ insert_headers: {}, timeout_client_data: 50_000, allowed_cidrs: null });
    expect((await api.member.get(`${path}/${listener.id}/stats`)).body.stats.bytes_in).toBe(0);
    expect((await api.member.delete(`${path}/${listener.id}`)).status).toBe(204);
    expect((await api.member.delete(`${path}/${listener.id}`)).status).toBe(409);
    await api.settle(loadBalancerId);
    expect((await api.member.get(`${path}/${listener.id}`)).body.faultstring).toBe(
      `Listener ${listener.id} not found.`,
    );
  });

  it('terminates TLS with the defaults of the deployment', async () => {
    const listener = await made({ protocol: 'TERMINATED_HTTPS', default_tls_container_ref: ref });
    expect(listener).toMatchObject({
      default_tls_container_ref: ref,
      client_authentication: 'NONE',
      tls_ciphers: standardDeployment.listenerCiphers,
      tls_versions: ['TLSv1.2', 'TLSv1.3'],
      alpn_protocols: ['h2', 'http/1.1', 'http/1.0'],
      hsts_max_age: null,
      hsts_include_subdomains: false,
      hsts_preload: false,
    });
    expect((await put(listener.id, { tls_versions: ['TLSv1.3'], tls_ciphers: 'AES' })).status).toBe(200);
    await api.settle(loadBalancerId);
    const reset = await put(listener.id, { tls_versions: null, tls_ciphers: null });
    expect(reset.body.listener).toMatchObject({
      tls_versions: ['TLSv1.2', 'TLSv1.3'],
      tls_ciphers: standardDeployment.listenerCiphers,
    });
    await api.settle(loadBalancerId);
  });

  it('names every certificate that cannot be read', async () => {
    const missing = ['http://barbican.example/v1/secrets/one', 'http://barbican.example/v1/secrets/two'];
    const text = await refusedWith({
      protocol: 'TERMINATED_HTTPS',
      default_tls_container_ref: missing[0],
      sni_container_refs: [ref, missing[1]],
    });
    expect(text).toMatch(/^400 /);
    for (const each of missing) expect(text).toContain(each);
    const nameless = await refusedWith({
      protocol: 'TERMINATED_HTTPS',
      default_tls_container_ref: ref,
      sni_container_refs: [namelessRef],
    });
    expect(nameless).toContain('neither a common name nor a DNS name');
  });

  it('asks for client certificates when it has an authority, and notices when that is gone', async () => {
    const tls = { protocol: 'TERMINATED_HTTPS', default_tls_container_ref: ref };
    expect(await refusedWith({ ...tls, client_authentication: null })).toContain(
      'client_ca_tls_container_ref',
    );
    expect(await refusedWith({ ...tls, client_authentication: 'MANDATORY' })).toContain(
      'client_ca_tls_container_ref',
    );
    expect(await refusedWith({ ...tls, client_crl_container_ref: caRef })).toContain(
      'client_ca_tls_container_ref',
    );
    const listener = await made({
      ...tls,
      client_authentication: 'MANDATORY',
      client_ca_tls_container_ref: caRef,
    });
    expect(await refusedWith({ ...tls, client_ca_tls_container_ref: ref })).toMatch(/^400 /);
    expect((await put(listener.id, { client_crl_container_ref: caRef })).body.faultstring).toContain(
      'revocation',
    );
    api.cloud.forget(caRef);
    expect((await put(listener.id, { name: 'x' })).body.faultstring).toContain(caRef);
    const cleared = await put(listener.id, {
      client_ca_tls_container_ref: null,
      client_authentication: null,
    });
    expect(cleared.body.listener.client_authentication).toBe('NONE');
    await api.settle(loadBalancerId);
  });

  it('sends HSTS until the age is taken away', async () => {
    const tls = { protocol: 'TERMINATED_HTTPS', default_tls_container_ref: ref };
    expect(await refusedWith({ ...tls, hsts_preload: true })).toContain('hsts_max_age');
    expect(await refusedWith({ hsts_max_age: 0 })).toContain('TERMINATED_HTTPS');
    const listener = await made({ ...tls, hsts_max_age: 0, hsts_preload: true });
    expect(listener).toMatchObject({ hsts_max_age: 0, hsts_preload: true });
    expect((await put(listener.id, { hsts_max_age: null })).body.listener.hsts_max_age).toBeNull();
    await api.settle(loadBalancerId);
  });

  it('has a port of its own within its family', async () => {
    const first = await made({ protocol: 'HTTP' });
    const same = { protocol_port: first.protocol_port };
    expect(await refusedWith({ ...same, protocol: 'TCP' })).toMatch(
      new RegExp(`^409 .*${first.protocol_port}`),
    );
    await made({ ...same, protocol: 'UDP' });
    await made({ ...same, protocol: 'SCTP' });
    expect(await refusedWith({ ...same, protocol: 'UDP' })).toMatch(/^409 /);
  });

  it('takes only a default pool it can speak to', async () => {
    const pool = (protocol: string) =>
      active(api, loadBalancerId, '/v2/lbaas/pools', 'pool', {
        loadbalancer_id: loadBalancerId,
        protocol,
        lb_algorithm: 'ROUND_ROBIN',
      });
    const [http, udp] = [await pool('HTTP'), await pool('UDP')];
    const listener = await made({ default_pool_id: http });
    expect(await refusedWith({ default_pool_id: udp })).toMatch(/^400 Validation failure/);
    expect(await refusedWith({ default_pool_id: randomUUID() })).toMatch(/^404 Pool/);
    expect(await refusedWith({ protocol: 'PROMETHEUS', default_pool_id: http })).toContain('PROMETHEUS');
    expect((await put(listener.id, { default_pool_id: udp })).status).toBe(400);
    expect((await put(listener.id, { default_pool_id: null })).body.listener.default_pool_id).toBeNull();
    await api.settle(loadBalancerId);
  });

  it.each([
    [
      { protocol_port: 0 },
      "Invalid input for field/attribute protocol_port. Value: '0'. Value should be greater or equal to 1",
    ],
    [{ protocol_port: 65_536 }, 'lower or equal to 65535'],
    [{ protocol_port: 'http' }, "Value: 'http'"],
    [{ protocol: 'GOPHER' }, 'field/attribute protocol'],
    [{ loadbalancer_id: null }, 'loadbalancer_id'],
    [{ loadbalancers: [] }, 'Unknown attribute for argument listener_.listener: loadbalancers'],
    [{ default_pool: {} }, 'default_pool'],
    [{ l7policies: [{}] }, 'l7policies'],
    [{ insert_headers: { 'X-Evil': 'true' } }, 'X-Evil'],
    [{ insert_headers: { 'X-SSL-Issuer': 'true' } }, 'X-SSL-Issuer'],
    [{ insert_headers: { 'X-Forwarded-For': true } }, 'insert_headers'],
    [{ protocol: 'TCP', insert_headers: { 'X-Forwarded-For': 'true' } }, 'TCP'],
    [{ protocol: 'UDP', default_tls_container_ref: 'http://x' }, 'UDP'],
    [{ default_tls_container_ref: 'http://x' }, 'TERMINATED_HTTPS'],
    [{ protocol: 'TERMINATED_HTTPS' }, 'certificate'],
    [{ client_ca_tls_container_ref: 'http://x' }, 'Validation failure'],
    [{ timeout_client_data: 2_073_600_001 }, 'timeout_client_data'],
    [{ allowed_cidrs: ['300.1.1.1'] }, 'allowed_cidrs'],
    [{ allowed_cidrs: ['2001:db8::/64'] }, 'IP version'],
    [{ tls_versions: ['TLSv9'] }, 'tls_versions'],
    [{ alpn_protocols: ['gopher'] }, 'alpn_protocols'],
    [{ tls_ciphers: 'A B' }, 'tls_ciphers'],
    [{ connection_limit: -2 }, 'connection_limit'],
  ])('is refused with 400 for %j', async (values, text) => {
    const answer = await refusedWith(values);
    expect(answer).toMatch(/^400 /);
    expect(answer).toContain(text);
  });

  it('cannot change what it is', async () => {
    const listener = await made({});
    for (const values of [{ protocol: 'TCP' }, { protocol_port: 1 }, { loadbalancer_id: loadBalancerId }]) {
      const reply = await put(listener.id, values);
      expect(reply.status).toBe(400);
      expect(reply.body.faultstring).toContain('Unknown attribute');
    }
    const stats = await api.member.get(`${path}/${listener.id}?fields=id&fields=protocol`);
    expect(stats.body.listener).toEqual({ id: listener.id, protocol: 'HTTP' });
  });

  it('is a 404 without its load balancer, and for any text as an id', async () => {
    expect(await refusedWith({ loadbalancer_id: randomUUID() })).toMatch(/^404 Load Balancer/);
    for (const id of [randomUUID(), 'x', '%00', 'x y', 'x'.repeat(300)]) {
      expect((await api.member.get(`${path}/${id}`)).status).toBe(404);
      expect((await api.member.delete(`${path}/${id}`)).status).toBe(404);
    }
  });
});
