import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { active, activeLoadBalancer, type Client, startApi, type TestApi } from './client.fixture.ts';
import { type Json, pathOf, type Told, toldBy } from './openapi.fixture.ts';

let api: TestApi;
let told: Told;
beforeAll(async () => {
  api = await startApi({ config: { healthcheckEnabled: true } });
  told = await toldBy(api);
});
afterAll(() => api.close());

describe('Every resource, against the OpenAPI document', () => {
  const lbaas = '/v2/lbaas';
  const keyOf = (body: Json): string => Object.keys(body)[0] ?? '';

  /** Created, listed, shown, changed; gives the id. */
  async function lived(
    client: Client,
    { path, params = {}, body, change }: { path: string; params?: Json; body: Json; change: Json },
    settle: () => Promise<unknown> = async () => undefined,
  ): Promise<string> {
    const key = keyOf(body);
    const made = (await told.call(client, `POST ${path}`, params, body)).body[key] as Json;
    const id: string = made['id'] ?? made['name'];
    await settle();
    await told.call(client, `GET ${path}`, params);
    const shown = (await told.call(client, `GET ${path}/{id}`, { ...params, id })).body[key] as Json;
    const known = Object.keys(told.document['components'].schemas[key].properties);
    // A pool without a monitor does not have the key.
    expect(Object.keys(shown).toSorted()).toEqual(
      known.filter((name) => name !== 'healthmonitor_id' || name in shown).toSorted(),
    );
    await told.call(client, `PUT ${path}/{id}`, { ...params, id }, { [key]: change });
    await settle();
    const taken = told.taken(`POST ${path}`);
    for (const name of Object.keys(body[key])) {
      const wrong = { [key]: { ...body[key], [name]: [{}] } };
      expect(told.matches(taken, wrong), `${name} of ${path}`).toBe(false);
      expect((await client.post(pathOf(path, params), wrong)).status, `${name} of ${path}`).toBe(400);
    }
    const unknown = { [key]: { ...body[key], no_such: 1 } };
    expect(told.matches(taken, unknown)).toBe(false);
    return id;
  }

  it('of a load balancer is as promised', async () => {
    const id = await activeLoadBalancer(api);
    const settle = () => api.settle(id);
    const subnet = api.cloud.addSubnet('203.0.113.0/24').id;
    const whole = {
      loadbalancer: { name: 'whole', vip_subnet_id: subnet, tags: ['a'], admin_state_up: true },
    };
    const of = await lived(
      api.member,
      { path: `${lbaas}/loadbalancers`, body: whole, change: { name: 'other', vip_qos_policy_id: null } },
      async () => {
        const { loadbalancers } = (await api.member.get(`${lbaas}/loadbalancers?name=whole`)).body;
        for (const one of loadbalancers) await api.settle(one.id);
        const { loadbalancers: others } = (await api.member.get(`${lbaas}/loadbalancers?name=other`)).body;
        for (const one of others) await api.settle(one.id);
      },
    );
    const listener = await lived(
      api.member,
      {
        path: `${lbaas}/listeners`,
        body: {
          listener: {
            ...{ loadbalancer_id: id, protocol: 'HTTP', protocol_port: 80, allowed_cidrs: ['192.0.2.0/24'] },
            insert_headers: { 'X-Forwarded-For': 'true' },
          },
        },
        change: { default_pool_id: null, timeout_client_data: 1 },
      },
      settle,
    );
    const pool = await lived(
      api.member,
      {
        path: `${lbaas}/pools`,
        body: {
          pool: {
            ...{ listener_id: listener, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
            session_persistence: { type: 'APP_COOKIE', cookie_name: 'c' },
          },
        },
        change: { session_persistence: null, tls_versions: ['TLSv1.3'] },
      },
      settle,
    );
    await lived(
      api.member,
      {
        path: `${lbaas}/pools/{pool_id}/members`,
        params: { pool_id: pool },
        body: { member: { address: '192.0.2.7', protocol_port: 80, weight: 3 } },
        change: { backup: true, monitor_port: null },
      },
      settle,
    );
    const batch = { members: [{ address: '192.0.2.8', protocol_port: 80 }] };
    await told.call(api.member, `PUT ${lbaas}/pools/{pool_id}/members`, { pool_id: pool }, batch);
    await settle();
    await lived(
      api.member,
      {
        path: `${lbaas}/healthmonitors`,
        body: {
          healthmonitor: {
            ...{ pool_id: pool, type: 'HTTP', delay: 5, timeout: 3, max_retries: 2, http_version: 1.1 },
            ...{ domain_name: 'example.org', expected_codes: '200-299' },
          },
        },
        change: { delay: 6, url_path: null },
      },
      settle,
    );
    await told.call(api.member, `GET ${lbaas}/pools/{id}`, { id: pool });
    const policy = await lived(
      api.member,
      {
        path: `${lbaas}/l7policies`,
        body: {
          l7policy: { listener_id: listener, action: 'REDIRECT_TO_URL', redirect_url: 'http://a.example/' },
        },
        change: { name: 'p', redirect_http_code: 301 },
      },
      settle,
    );
    await lived(
      api.member,
      {
        path: `${lbaas}/l7policies/{l7policy_id}/rules`,
        params: { l7policy_id: policy },
        body: { rule: { type: 'PATH', compare_type: 'STARTS_WITH', value: '/a' } },
        change: { invert: true, key: null },
      },
      settle,
    );
    for (const view of ['status', 'statuses', 'stats']) {
      await told.call(api.member, `GET ${lbaas}/loadbalancers/{id}/${view}`, { id });
    }
    await told.call(api.member, `GET ${lbaas}/listeners/{id}/stats`, { id: listener });
    await told.call(api.member, 'GET /livia/v1/loadbalancers/{id}', { id });
    const project = { project_id: api.member.projectId };
    await told.call(api.member, `GET ${lbaas}/quotas/{project_id}`, project);
    await told.call(api.member, `GET ${lbaas}/quotas/{project_id}/default`, project);
    await told.call(api.admin, `PUT ${lbaas}/quotas/{project_id}`, project, {
      quota: { pool: 30, l7rule: null },
    });
    await told.call(api.admin, `GET ${lbaas}/quotas`);
    await told.call(api.admin, `DELETE ${lbaas}/quotas/{project_id}`, project);
    await told.call(api.member, `DELETE ${lbaas}/l7policies/{id}`, { id: policy });
    await told.call(api.member, `DELETE ${lbaas}/loadbalancers/{id}`, { id: of });
  });

  it('of a load balancer with all below it is as promised', async () => {
    const redirect_pool = { name: 'r', protocol: 'HTTP', lb_algorithm: 'SOURCE_IP' };
    const listener = {
      ...{ protocol: 'HTTP', protocol_port: 80, default_pool: { name: 'p' } },
      l7policies: [
        {
          ...{ action: 'REDIRECT_TO_POOL', redirect_pool },
          rules: [{ type: 'PATH', compare_type: 'EQUAL_TO', value: '/' }],
        },
      ],
    };
    const pool = {
      ...{ name: 'p', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
      members: [{ address: '192.0.2.9', protocol_port: 80 }],
      healthmonitor: { type: 'TCP', delay: 5, timeout: 3, max_retries: 2 },
    };
    const vip = api.cloud.addSubnet('198.51.100.0/24').id;
    const loadbalancer = { vip_subnet_id: vip, listeners: [listener], pools: [pool] };
    const name = `POST ${lbaas}/loadbalancers`;
    const made = (await told.call(api.member, name, {}, { loadbalancer })).body.loadbalancer;
    for (const view of ['', '/status']) {
      await told.call(api.member, `GET ${lbaas}/loadbalancers/{id}${view}`, { id: made.id });
    }
    const taken = told.taken(name);
    const wrong = { ...pool, members: [{ address: '192.0.2.9', protocol_port: 'http' }] };
    expect(told.matches(taken, { loadbalancer: { ...loadbalancer, pools: [wrong] } })).toBe(false);
  });

  it('of what operators offer is as promised', async () => {
    const profile = await lived(api.admin, {
      path: `${lbaas}/flavorprofiles`,
      body: { flavorprofile: { name: 'f', provider_name: 'amphora', flavor_data: '{}' } },
      change: { name: 'g' },
    });
    await lived(api.admin, {
      path: `${lbaas}/flavors`,
      body: { flavor: { name: 'f', flavor_profile_id: profile, enabled: true } },
      change: { description: 'd' },
    });
    const zones = await lived(api.admin, {
      path: `${lbaas}/availabilityzoneprofiles`,
      body: {
        availability_zone_profile: {
          ...{ name: 'z', provider_name: 'amphora', availability_zone_data: '{"compute_zone": "nova"}' },
        },
      },
      change: { name: 'y' },
    });
    await lived(api.admin, {
      path: `${lbaas}/availabilityzones`,
      body: { availability_zone: { name: 'z', availability_zone_profile_id: zones } },
      change: { enabled: false },
    });
    await told.call(api.admin, `GET ${lbaas}/providers`);
    for (const what of ['flavor', 'availability_zone']) {
      await told.call(api.admin, `GET ${lbaas}/providers/{provider}/${what}_capabilities`, {
        provider: 'amphora',
      });
    }
  });

  it('of an amphora is as promised', async () => {
    const loadBalancerId = await activeLoadBalancer(api);
    const listenerId = await active(api, loadBalancerId, `${lbaas}/listeners`, 'listener', {
      ...{ loadbalancer_id: loadBalancerId, protocol: 'TCP', protocol_port: 80 },
    });
    const id = randomUUID();
    await api.store.amphorae.save({
      ...{ id, loadBalancerId, status: 'ALLOCATED', role: 'STANDALONE', computeId: randomUUID() },
      ...{ lbNetworkIp: '198.51.100.5', vrrpIp: '192.0.2.91', haIp: null, vrrpPortId: null, haPortId: null },
      ...{ certExpiration: new Date(), certBusy: false, vrrpInterface: null, vrrpId: 1, vrrpPriority: null },
      ...{ cachedZone: null, imageId: null, computeFlavor: '10', appliedGeneration: 1, outgoing: false },
      ...{ lastHeartbeatAt: null, createdAt: new Date(), updatedAt: null },
    });
    await api.store.statistics.record(id, loadBalancerId, [
      { listenerId, activeConnections: 1, bytesIn: 2, bytesOut: 3, totalConnections: 4, requestErrors: 5 },
    ]);
    await told.call(api.admin, 'GET /v2/octavia/amphorae');
    for (const view of ['', '/stats'])
      await told.call(api.admin, `GET /v2/octavia/amphorae/{id}${view}`, { id });
    const report = { amphoraId: id, generation: 1, listeners: {}, pools: {} };
    const change = { generation: 1, at: '2026-01-02T03:04:05.678Z', change: 'start', why: null } as const;
    const memory = { limitBytes: 1, usedBytes: 1, maxconn: 1, haproxy: [] };
    api.cloud.agents.set(id, {
      ...{ wire: 1, agentVersion: '1', haproxyVersion: '2.6.12', report, memory },
      changes: [{ ...change, durationMs: 1, refused: 0, warnings: [] }],
    });
    for (const view of ['changes', 'memory'])
      await told.call(api.admin, `GET /livia/v1/amphorae/{id}/${view}`, { id });
  });

  it('of discovery is as promised', async () => {
    for (const path of ['/', '/v2', '/v2/lbaas', '/v2/octavia', '/livia/v1/openapi.json']) {
      await told.call(api.member, `GET ${path}`);
    }
    const health = await api.send('GET', '/healthcheck', { accept: 'application/json' });
    const promised = told.answered('GET /healthcheck', health.status);
    expect(told.matches(promised ?? {}, health.body)).toBe(true);
  });
});
