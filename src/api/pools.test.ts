import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { active, activeLoadBalancer, startApi, type TestApi } from './client.fixture.ts';

let api: TestApi;
let loadBalancerId: string;
beforeAll(async () => {
  api = await startApi();
  loadBalancerId = await activeLoadBalancer(api);
});
afterAll(() => api.close());

const path = '/v2/lbaas/pools';
let port = 1000;
const aListener = (values: object = {}) =>
  active(api, loadBalancerId, '/v2/lbaas/listeners', 'listener', {
    loadbalancer_id: loadBalancerId,
    protocol: 'HTTP',
    protocol_port: ++port,
    ...values,
  });
const create = (values: object) =>
  api.member.post(path, { pool: { protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', ...values } });
const aPool = (values: object = {}) =>
  active(api, loadBalancerId, path, 'pool', {
    loadbalancer_id: loadBalancerId,
    protocol: 'HTTP',
    lb_algorithm: 'ROUND_ROBIN',
    ...values,
  });
const put = (id: string, values: object) => api.member.put(`${path}/${id}`, { pool: values });
const show = async (kind: string, id: string): Promise<any> =>
  Object.values((await api.member.get(`/v2/lbaas/${kind}/${id}`)).body)[0];

/** Columns of `openstack loadbalancer pool show`, but for the monitor's id. */
const columns =
  'admin_state_up, created_at, description, id, lb_algorithm, listeners, loadbalancers, members, name, operating_status, project_id, protocol, provisioning_status, session_persistence, updated_at, tls_container_ref, ca_tls_container_ref, crl_container_ref, tls_enabled, tls_ciphers, tls_versions, tags, alpn_protocols'.split(
    ', ',
  );

describe('A pool', () => {
  it('lives behind a listener: created, carried out, changed, deleted', async () => {
    const listenerId = await aListener();
    const reply = await create({ listener_id: listenerId, name: 'p1' });
    expect(reply.status).toBe(201);
    const { pool } = reply.body;
    expect(Object.keys(pool)).toEqual(expect.arrayContaining(columns));
    expect(pool).not.toHaveProperty('healthmonitor_id');
    expect(pool).not.toHaveProperty('listener_id');
    expect(pool).toMatchObject({
      listeners: [{ id: listenerId }],
      loadbalancers: [{ id: loadBalancerId }],
      members: [],
      session_persistence: null,
      tls_enabled: false,
      tls_ciphers: null,
      provisioning_status: 'PENDING_CREATE',
      operating_status: 'OFFLINE',
    });
    expect(await show('listeners', listenerId)).toMatchObject({
      default_pool_id: pool.id,
      provisioning_status: 'PENDING_UPDATE',
    });
    await api.settle(loadBalancerId);
    expect((await create({ listener_id: listenerId })).status).toBe(409);

    const changed = await put(pool.id, { lb_algorithm: 'SOURCE_IP', description: 'd' });
    expect(changed.body.pool).toMatchObject({
      lb_algorithm: 'SOURCE_IP',
      provisioning_status: 'PENDING_UPDATE',
    });
    expect((await show('listeners', listenerId)).provisioning_status).toBe('PENDING_UPDATE');
    await api.settle(loadBalancerId);

    expect((await api.member.delete(`${path}/${pool.id}`)).status).toBe(204);
    await api.settle(loadBalancerId);
    expect((await api.member.get(`${path}/${pool.id}`)).status).toBe(404);
    expect((await show('listeners', listenerId)).default_pool_id).toBeNull();
  });

  it('keeps sessions as its protocol can', async () => {
    const id = await aPool({ session_persistence: { type: 'APP_COOKIE', cookie_name: 'sid' } });
    expect((await show('pools', id)).session_persistence).toEqual({
      type: 'APP_COOKIE',
      cookie_name: 'sid',
      persistence_timeout: null,
      persistence_granularity: null,
    });
    const renamed = await put(id, { session_persistence: { cookie_name: 'other' } });
    expect(renamed.body.pool.session_persistence).toMatchObject({ type: 'APP_COOKIE', cookie_name: 'other' });
    await api.settle(loadBalancerId);
    expect((await put(id, { session_persistence: null })).body.pool.session_persistence).toBeNull();
    await api.settle(loadBalancerId);
    expect((await put(id, { session_persistence: { cookie_name: 'x' } })).status).toBe(400);
    const udp = await aPool({
      protocol: 'UDP',
      session_persistence: { type: 'SOURCE_IP', persistence_timeout: '60' },
    });
    expect((await show('pools', udp)).session_persistence.persistence_timeout).toBe(60);
  });

  it.each([
    [{ type: 'APP_COOKIE' }, 'HTTP', 'cookie_name'],
    [{ type: 'APP_COOKIE', cookie_name: 'a b' }, 'HTTP', 'cookie_name'],
    [{ type: 'APP_COOKIE', cookie_name: 'a=b' }, 'HTTP', 'cookie_name'],
    [{ type: 'SOURCE_IP', cookie_name: 'a' }, 'HTTP', 'cookie_name'],
    [{ type: 'SOURCE_IP', persistence_timeout: 1 }, 'HTTP', 'persistence_timeout'],
    [{ type: 'HTTP_COOKIE' }, 'UDP', 'HTTP_COOKIE'],
    [{ type: 'LOVE' }, 'HTTP', 'type'],
    [{ colour: 1 }, 'HTTP', 'Unknown attribute for argument pool_.pool.session_persistence: colour'],
    [{}, 'HTTP', 'session_persistence'],
  ])('refuses the persistence %j on %s', async (persistence, protocol, text) => {
    const reply = await create({
      loadbalancer_id: loadBalancerId,
      protocol,
      session_persistence: persistence,
    });
    expect(reply.status).toBe(400);
    expect(reply.body.faultstring).toContain(text);
  });

  it('re-encrypts with the defaults of the deployment', async () => {
    const id = await aPool({ tls_enabled: true });
    expect(await show('pools', id)).toMatchObject({
      tls_versions: ['TLSv1.2', 'TLSv1.3'],
      alpn_protocols: ['h2', 'http/1.1', 'http/1.0'],
    });
    expect((await put(id, { alpn_protocols: null })).body.pool.alpn_protocols).toBeNull();
    await api.settle(loadBalancerId);
    expect((await put(id, { tls_versions: [] })).status).toBe(400);
    expect((await put(id, { tls_enabled: null })).status).toBe(400);
    expect((await put(id, { crl_container_ref: 'http://x' })).body.faultstring).toContain(
      'ca_tls_container_ref',
    );
    expect((await put(id, { tls_container_ref: 'http://x' })).body.faultstring).toContain('http://x');
  });

  it('is refused when it fits nowhere', async () => {
    const udp = await aListener({ protocol: 'UDP' });
    const text = async (values: object) => {
      const reply = await create(values);
      return `${reply.status} ${reply.body.faultstring}`;
    };
    expect(await text({})).toMatch(/^400 .*loadbalancer_id or a listener_id/);
    expect(await text({ listener_id: udp })).toMatch(/^400 Validation failure/);
    expect(await text({ listener_id: randomUUID() })).toMatch(/^404 Listener/);
    expect(await text({ loadbalancer_id: randomUUID() })).toMatch(/^404 Load Balancer/);
    expect(await text({ loadbalancer_id: loadBalancerId, lb_algorithm: 'SOURCE_IP_PORT' })).toMatch(
      /^501 .*amphora/,
    );
    expect(await text({ loadbalancer_id: loadBalancerId, members: [{}] })).toMatch(/^400 /);
    expect(await text({ loadbalancer_id: loadBalancerId, healthmonitor: {} })).toMatch(/^400 /);
  });
});

describe('A health monitor', () => {
  const monitors = '/v2/lbaas/healthmonitors';
  const hm = (poolId: string, values: object = {}) =>
    api.member.post(monitors, {
      healthmonitor: { pool_id: poolId, type: 'HTTP', delay: 5, timeout: 3, max_retries: 2, ...values },
    });
  const columns =
    'project_id, name, admin_state_up, pools, created_at, provisioning_status, updated_at, delay, expected_codes, max_retries, http_method, timeout, max_retries_down, url_path, type, id, operating_status, http_version, domain_name, tags'.split(
      ', ',
    );

  it('lives: created, carried out, changed, deleted', async () => {
    const poolId = await aPool();
    await active(api, loadBalancerId, `${path}/${poolId}/members`, 'member', {
      address: '192.0.2.16',
      protocol_port: 80,
    });
    const reply = await hm(poolId, { http_version: '1.1', domain_name: 'www.example.org' });
    expect(reply.status).toBe(201);
    const monitor = reply.body.healthmonitor;
    expect(Object.keys(monitor)).toEqual(expect.arrayContaining(columns));
    expect(monitor).toMatchObject({
      pools: [{ id: poolId }],
      max_retries_down: 3,
      http_method: 'GET',
      url_path: '/',
      expected_codes: '200',
      http_version: 1.1,
      operating_status: 'OFFLINE',
    });
    expect((await show('pools', poolId)).provisioning_status).toBe('PENDING_UPDATE');
    expect((await hm(poolId)).body.faultstring).toBe(`Pool ${poolId} is immutable and cannot be updated.`);
    await api.settle(loadBalancerId);
    expect((await show('pools', poolId)).healthmonitor_id).toBe(monitor.id);
    expect((await show('healthmonitors', monitor.id)).operating_status).toBe('ONLINE');
    expect((await hm(poolId)).status).toBe(409);

    const changed = await api.member.put(`${monitors}/${monitor.id}`, {
      healthmonitor: { delay: 7, expected_codes: '200-204', http_method: null },
    });
    expect(changed.body.healthmonitor).toMatchObject({
      delay: 7,
      expected_codes: '200-204',
      http_method: 'GET',
    });
    await api.settle(loadBalancerId);
    expect((await api.member.delete(`${monitors}/${monitor.id}`)).status).toBe(204);
    await api.settle(loadBalancerId);
    expect((await api.member.get(`${monitors}/${monitor.id}`)).status).toBe(404);
    const { members } = (await api.member.get(`${path}/${poolId}/members`)).body;
    expect(members[0].operating_status).toBe('NO_MONITOR');
  });

  it('says its HTTP version with a decimal', async () => {
    const poolId = await aPool();
    await hm(poolId, { http_version: 1 });
    await api.settle(loadBalancerId);
    expect((await api.member.get(`${monitors}?pool_id=${poolId}`)).text).toContain('"http_version":1.0,');
  });

  it.each([
    [{ type: 'UDP-CONNECT' }, 400, 'UDP-CONNECT'],
    [{ type: 'TCP', http_method: 'GET' }, 400, 'http_method'],
    [{ type: 'TCP', url_path: '/' }, 400, 'url_path'],
    [{ url_path: 'http://evil/' }, 400, 'url_path'],
    [{ url_path: '//evil/' }, 400, 'url_path'],
    [{ url_path: '/a b' }, 400, 'url_path'],
    [{ expected_codes: '200,201-203' }, 400, 'expected_codes'],
    [{ domain_name: 'www.example.org' }, 400, 'http_version'],
    [{ domain_name: 'www.example.org', http_version: 1.0 }, 400, '1.1'],
    [{ domain_name: '-bad', http_version: 1.1 }, 400, 'domain_name'],
    [{ http_version: 2 }, 400, 'http_version'],
    [{ delay: null }, 400, 'delay'],
    [{ max_retries: 11 }, 400, 'max_retries'],
    [{ max_retries: 0 }, 400, 'max_retries'],
    [{ http_method: 'BREW' }, 400, 'http_method'],
    [{ pool_id: randomUUID() }, 404, 'Pool'],
    [{ pool_id: null }, 400, 'pool_id'],
  ])('is refused for %j', async (values, status, text) => {
    const reply = await hm(await aPool(), values);
    expect(reply.status).toBe(status);
    expect(reply.body.faultstring).toContain(text);
  });

  it('without HTTP does not even take the wish for its defaults', async () => {
    const poolId = await aPool();
    const { healthmonitor } = (await hm(poolId, { type: 'TCP' })).body;
    expect(healthmonitor).toMatchObject({ http_method: null, url_path: null, expected_codes: null });
    await api.settle(loadBalancerId);
    const reply = await api.member.put(`${monitors}/${healthmonitor.id}`, {
      healthmonitor: { url_path: null },
    });
    expect(reply.status).toBe(400);
  });
});
