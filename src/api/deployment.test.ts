import { afterEach, describe, expect, it } from 'vitest';
import { makeLog } from '../platform/log.ts';
import { quotaDefaults } from '../store/quotas.ts';
import { active, activeLoadBalancer, startApi, type TestApi } from './client.fixture.ts';
import { apiConfig } from './config.ts';
import { toldBy } from './openapi.fixture.ts';
import { operatorSettings } from './settings.fixture.ts';

/** The switches of a deployment, as clients notice them. */

const log = makeLog('deployment-test', 'silent');
let api: TestApi;
afterEach(() => api.close());

/** The API of an operator who wrote this into livia.toml. */
async function deploy(said: object): Promise<TestApi> {
  const settings = operatorSettings(said);
  api = await startApi({
    config: await apiConfig(settings, log),
    store: {
      quotaDefaults: quotaDefaults(settings.quotas),
      quotasEnforced: settings.api.auth_strategy !== 'noauth',
    },
  });
  return api;
}
const balancers = '/v2/lbaas/loadbalancers';
const names = (rows: readonly { name: string }[]) => rows.map(({ name }) => name);

describe('Lists', () => {
  const three = async () => {
    for (const name of ['b', 'a', 'c']) await activeLoadBalancer(api, { name });
  };

  it('are cut at the cap, or not at all without one', async () => {
    await deploy({ api: { pagination_max_limit: 2 } });
    await three();
    const { body } = await api.member.get(`${balancers}?limit=3`);
    expect(body.loadbalancers).toHaveLength(2);
    expect(body.loadbalancers_links).toMatchObject([{ rel: 'next' }]);
    await api.close();
    for (const pagination_max_limit of ['infinite', -1]) {
      await deploy({ api: { pagination_max_limit } });
      await three();
      expect((await api.member.get(balancers)).body.loadbalancers).toHaveLength(3);
      if (pagination_max_limit === 'infinite') await api.close();
    }
  });

  it('have no pages, no links and no opinion of limits without pagination', async () => {
    await deploy({ api: { allow_pagination: false } });
    await three();
    const told = await toldBy(api);
    await told.call(api.member, `GET ${balancers}`);
    const { status, body } = await api.member.get(`${balancers}?limit=no&marker=nothing`);
    expect([status, body.loadbalancers.length, body.loadbalancers_links]).toEqual([200, 3, null]);
  });

  it('stay in order of creation without sorting', async () => {
    await deploy({ api: { allow_sorting: false } });
    await three();
    const { body } = await api.member.get(`${balancers}?sort=name:nonsense`);
    expect(names(body.loadbalancers)).toEqual(['b', 'a', 'c']);
  });

  it('hold everything without filters', async () => {
    await deploy({ api: { allow_filtering: false } });
    await three();
    const { body } = await api.member.get(`${balancers}?name=a&nonsense=1&tags=x`);
    expect(names(body.loadbalancers)).toEqual(['b', 'a', 'c']);
  });

  it('and shows hold every field without field selection', async () => {
    await deploy({ api: { allow_field_selection: false } });
    const id = await activeLoadBalancer(api, { name: 'a' });
    const list = await api.member.get(`${balancers}?fields=id`);
    expect(list.body.loadbalancers[0]).toMatchObject({ id, name: 'a' });
    expect((await api.member.get(`${balancers}/${id}?fields=id`)).body.loadbalancer.name).toBe('a');
  });
});

describe('Without Keystone', () => {
  const as = (projectId: string, roles = '') => ({
    'x-project-id': projectId,
    'x-roles': roles,
    'content-type': 'application/json',
  });
  const quota = JSON.stringify({ quota: { loadbalancer: 0 } });

  it('noauth makes everybody an admin and knows no quotas', async () => {
    await deploy({ api: { auth_strategy: 'noauth' } });
    expect((await api.send('GET', balancers)).status).toBe(200);
    expect((await api.send('GET', '/v2/octavia/amphorae')).status).toBe(200);
    expect((await api.send('PUT', '/v2/lbaas/quotas/p1', as('p1'), quota)).status).toBe(202);
    const subnet = api.cloud.addSubnet('192.0.2.0/24');
    const body = (values: object) =>
      JSON.stringify({ loadbalancer: { vip_subnet_id: subnet.id, ...values } });
    const made = await api.send('POST', balancers, as('p1'), body({}));
    expect([made.status, made.body.loadbalancer?.project_id]).toEqual([201, 'p1']);
    const nobody = await api.send('POST', balancers, { 'content-type': 'application/json' }, body({}));
    expect([nobody.status, nobody.body.faultstring]).toEqual([400, expect.stringContaining('project_id')]);
  });

  it('testing believes the headers and follows the policy', async () => {
    await deploy({ api: { auth_strategy: 'testing' } });
    const status = async (path: string, headers: Record<string, string>) =>
      (await api.send('GET', path, headers)).status;
    expect(await status(balancers, {})).toBe(403);
    expect(await status(balancers, { 'x-tenant-id': 'p1', 'x-roles': 'reader' })).toBe(200);
    expect(await status(`${balancers}?project_id=p2`, as('p1', 'reader'))).toBe(403);
    expect(await status(`${balancers}?project_id=p2`, as('p1', 'reader, admin'))).toBe(200);
    expect((await api.send('PUT', '/v2/lbaas/quotas/p1', as('p1', 'member'), quota)).status).toBe(403);
  });
});

describe('Tokens that are not of a project', () => {
  it('are refused, whatever their roles, unless the operator says else', async () => {
    await deploy({});
    const refused = api.cloud.login(['admin'], null);
    expect((await api.send('GET', balancers, { 'x-auth-token': refused })).status).toBe(403);
    await api.close();
    await deploy({ api: { enforce_scope: false } });
    const taken = api.cloud.login(['admin'], null);
    expect((await api.send('GET', balancers, { 'x-auth-token': taken })).status).toBe(200);
  });
});

describe('VIPs', () => {
  it.each(['subnet', 'network', 'port'] as const)('are not asked for by %s where that is off', async (by) => {
    await deploy({ networking: { [`allow_vip_${by}_id`]: false } });
    const subnet = api.cloud.addSubnet('192.0.2.0/24');
    const port = api.cloud.addPort({
      networkId: subnet.networkId,
      fixedIps: [{ subnetId: subnet.id, ipAddress: '192.0.2.9' }],
    });
    const ids = { subnet: subnet.id, network: subnet.networkId, port: port.id };
    for (const kind of ['subnet', 'network', 'port'] as const) {
      const loadbalancer = { [`vip_${kind}_id`]: ids[kind] };
      const reply = await api.member.post(balancers, { loadbalancer });
      if (kind !== by) expect(reply.status).toBe(201);
      else {
        expect(reply.status).toBe(400);
        expect(reply.body.faultstring).toBe(
          `vip_${by}_id with value ${ids[by]} is not allowed in this deployment`,
        );
      }
    }
  });

  it('stand on allowed networks only', async () => {
    const [good, bad] = ['aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000002'];
    const onEach = async () => {
      const statuses = [];
      for (const networkId of [good, bad]) {
        const subnet = api.cloud.addSubnet('192.0.2.0/24', networkId);
        const reply = await api.member.post(balancers, { loadbalancer: { vip_subnet_id: subnet.id } });
        if (reply.status !== 201) expect(reply.body.faultstring).toContain(networkId);
        statuses.push(reply.status);
      }
      return statuses;
    };
    await deploy({ networking: { valid_vip_networks: [good.toUpperCase()] } });
    expect(await onEach()).toEqual([201, 400]);
    expect(api.cloud.ports.size).toBe(1);
    await api.close();
    await deploy({ networking: { denylist_vip_networks: [bad.toUpperCase()] } });
    expect(await onEach()).toEqual([201, 400]);
  });
});

describe('What is switched off', () => {
  it('is refused with its name and value', async () => {
    await deploy({
      load_balancing: {
        allow_tls_terminated_listeners: false,
        allow_prometheus_listeners: false,
        allow_ping_health_monitors: false,
        udp_connect_min_interval_health_monitor: 7,
        minimum_tls_version: 'TLSv1.2',
        tls_cipher_prohibit_list: 'RC4-SHA:DES-CBC3-SHA',
      },
      networking: { reserved_ips: ['2001:db8::1'] },
    });
    const id = await activeLoadBalancer(api);
    const refused = async (path: string, key: string, values: object, text: string) => {
      const reply = await api.member.post(path, { [key]: values });
      expect([reply.status, reply.body.faultstring]).toEqual([400, expect.stringContaining(text)]);
    };
    const listener = { loadbalancer_id: id, protocol_port: 80 };
    const listeners = '/v2/lbaas/listeners';
    for (const protocol of ['TERMINATED_HTTPS', 'PROMETHEUS']) {
      await refused(
        listeners,
        'listener',
        { ...listener, protocol, default_tls_container_ref: 'x' },
        protocol,
      );
    }
    await refused(
      listeners,
      'listener',
      { ...listener, protocol: 'TCP', tls_ciphers: 'A:RC4-SHA' },
      'RC4-SHA',
    );
    const pool = { loadbalancer_id: id, lb_algorithm: 'ROUND_ROBIN', protocol: 'HTTP', tls_enabled: true };
    await refused('/v2/lbaas/pools', 'pool', { ...pool, tls_versions: ['TLSv1.1'] }, 'TLSv1.1');
    await refused('/v2/lbaas/pools', 'pool', { ...pool, tls_ciphers: 'DES-CBC3-SHA' }, 'DES-CBC3-SHA');
    const http = await active(api, id, '/v2/lbaas/pools', 'pool', pool);
    const udp = await active(api, id, '/v2/lbaas/pools', 'pool', {
      ...{ loadbalancer_id: id, lb_algorithm: 'ROUND_ROBIN', protocol: 'UDP' },
    });
    const monitor = { delay: 6, timeout: 1, max_retries: 1 };
    const monitors = '/v2/lbaas/healthmonitors';
    await refused(monitors, 'healthmonitor', { ...monitor, pool_id: http, type: 'PING' }, 'PING');
    await refused(monitors, 'healthmonitor', { ...monitor, pool_id: udp, type: 'UDP-CONNECT' }, '7');
    await refused(
      `/v2/lbaas/pools/${http}/members`,
      'member',
      { address: '2001:DB8:0::1', protocol_port: 80 },
      '2001:DB8:0::1',
    );
  });
});

describe('What a client leaves open', () => {
  it('is what the operator says', async () => {
    await deploy({
      load_balancing: {
        timeout_client_data: 1,
        timeout_member_connect: 2,
        timeout_member_data: 3,
        timeout_tcp_inspect: 4,
        default_pool_ciphers: 'AES128-SHA',
        default_pool_tls_versions: ['TLSv1.3'],
        default_pool_alpn_protocols: ['http/1.1'],
        enabled_provider_drivers: { octavia: 'ours' },
        default_provider_driver: 'octavia',
      },
      quotas: { default_pool_quota: 1, default_l7rule_quota: 7 },
    });
    const id = await activeLoadBalancer(api);
    expect((await api.member.get(`${balancers}/${id}`)).body.loadbalancer.provider).toBe('octavia');
    expect((await api.member.get('/v2/lbaas/providers')).body.providers).toEqual([
      { name: 'octavia', description: 'ours' },
    ]);
    const listener = await api.member.post('/v2/lbaas/listeners', {
      listener: { loadbalancer_id: id, protocol: 'TCP', protocol_port: 80 },
    });
    expect(listener.body.listener).toMatchObject({
      timeout_client_data: 1,
      timeout_member_connect: 2,
      timeout_member_data: 3,
      timeout_tcp_inspect: 4,
    });
    await api.settle(id);
    const pool = { loadbalancer_id: id, lb_algorithm: 'ROUND_ROBIN', protocol: 'HTTP', tls_enabled: true };
    const made = await api.member.post('/v2/lbaas/pools', { pool });
    expect(made.body.pool).toMatchObject({
      tls_ciphers: 'AES128-SHA',
      tls_versions: ['TLSv1.3'],
      alpn_protocols: ['http/1.1'],
    });
    await api.settle(id);
    expect((await api.member.post('/v2/lbaas/pools', { pool })).status).toBe(403);
    const shown = await api.member.get(`/v2/lbaas/quotas/${api.member.projectId}`);
    expect(shown.body.quota).toMatchObject({ pool: 1, l7rule: 7, listener: -1 });
  });

  it('is a pair of amphorae where the deployment says so', async () => {
    await deploy({ load_balancing: { loadbalancer_topology: 'ACTIVE_STANDBY' } });
    const subnet = api.cloud.addSubnet('192.0.2.0/24');
    const reply = await api.member.post(balancers, { loadbalancer: { vip_subnet_id: subnet.id } });
    expect(reply.status).toBe(201);
    const tree = await api.store.trees.read(reply.body.loadbalancer.id);
    expect(tree?.loadBalancer.topology).toBe('ACTIVE_STANDBY');
  });
});
