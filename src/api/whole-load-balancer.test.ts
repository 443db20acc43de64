import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApi, type TestApi } from './client.fixture.ts';

let api: TestApi;
let subnetId: string;
beforeAll(async () => {
  api = await startApi();
  subnetId = api.cloud.addSubnet('192.0.2.0/24').id;
});
afterAll(() => api.close());

const path = '/v2/lbaas/loadbalancers';
const create = (values: object, client = api.member) =>
  client.post(path, { loadbalancer: { vip_subnet_id: subnetId, ...values } });
const pool = (name: string, values: object = {}) => ({
  name,
  protocol: 'HTTP',
  lb_algorithm: 'ROUND_ROBIN',
  ...values,
});
const listener = (protocol_port: number, values: object = {}) => ({
  protocol: 'HTTP',
  protocol_port,
  ...values,
});
const member = (n: number) => ({ address: `198.51.100.${n}`, protocol_port: 80 });
const rule = { type: 'PATH', compare_type: 'STARTS_WITH', value: '/images' };
const show = async (of: string): Promise<any> =>
  Object.values((await api.member.get(`/v2/lbaas/${of}`)).body)[0];

describe('A load balancer created whole', () => {
  it('is there with everything below it, and comes to life at once', async () => {
    const reply = await create({
      name: 'whole',
      pools: [
        pool('web', {
          members: [member(1), { ...member(2), backup: true }],
          healthmonitor: { type: 'HTTP', delay: 5, timeout: 3, max_retries: 2, url_path: '/health' },
          session_persistence: { type: 'HTTP_COOKIE' },
        }),
      ],
      listeners: [
        listener(80, {
          name: 'http',
          default_pool: { name: 'web' },
          l7policies: [
            {
              action: 'REDIRECT_TO_POOL',
              redirect_pool: pool('images', { members: [member(3)] }),
              rules: [rule, { ...rule, invert: true, value: '/private' }],
            },
            { action: 'REDIRECT_TO_URL', redirect_url: 'https://example.com/', position: 1, rules: [rule] },
          ],
        }),
        listener(81, { default_pool: { name: 'images', admin_state_up: true } }),
      ],
    });
    expect(reply.status).toBe(201);
    const lb = reply.body.loadbalancer;
    const [http, other] = lb.listeners;
    const [web, images] = lb.pools;
    expect(lb).toMatchObject({ name: 'whole', provisioning_status: 'PENDING_CREATE' });
    expect(http).toMatchObject({
      name: 'http',
      default_pool_id: web.id,
      provisioning_status: 'PENDING_CREATE',
      operating_status: 'OFFLINE',
      updated_at: null,
      project_id: api.member.projectId,
      timeout_client_data: 50_000,
    });
    expect(http).not.toHaveProperty('loadbalancers');
    expect(http.l7policies).toMatchObject([
      {
        position: 1,
        redirect_url: 'https://example.com/',
        redirect_http_code: 302,
        rules: [{ value: '/images' }],
      },
      {
        position: 2,
        redirect_pool_id: images.id,
        rules: [
          { value: '/images', invert: false, provisioning_status: 'PENDING_CREATE' },
          { value: '/private', invert: true },
        ],
      },
    ]);
    expect(other.default_pool_id).toBe(images.id);
    expect(web).toMatchObject({
      name: 'web',
      listeners: [{ id: http.id }],
      members: [
        { address: '198.51.100.1', operating_status: 'OFFLINE', weight: 1 },
        { address: '198.51.100.2', backup: true, provisioning_status: 'PENDING_CREATE' },
      ],
      healthmonitor: { type: 'HTTP', url_path: '/health', expected_codes: '200' },
    });
    for (const key of ['loadbalancers', 'healthmonitor_id']) expect(web).not.toHaveProperty(key);
    expect(web.healthmonitor).not.toHaveProperty('pools');
    expect(images).toMatchObject({ healthmonitor: null, members: [{ operating_status: 'NO_MONITOR' }] });

    await api.settle(lb.id);
    const shown = await show(`loadbalancers/${lb.id}`);
    expect(shown).toMatchObject({ provisioning_status: 'ACTIVE' });
    expect(shown.listeners).toHaveLength(2);
    expect(shown.pools).toHaveLength(2);
    expect(await show(`pools/${web.id}/members/${web.members[0].id}`)).toMatchObject({
      provisioning_status: 'ACTIVE',
    });
    const [policy] = http.l7policies;
    expect(await show(`l7policies/${policy.id}/rules/${policy.rules[0].id}`)).toMatchObject({
      provisioning_status: 'ACTIVE',
      operating_status: 'ONLINE',
    });
    expect((await api.member.delete(`${path}/${lb.id}?cascade=true`)).status).toBe(204);
  });

  it('goes ERROR as one when it cannot be built', async () => {
    const { body } = await create({ pools: [pool('a', { members: [member(1)] })] });
    const { id, pools } = body.loadbalancer;
    await api.settle(id, { [id]: 'No host is left.' });
    expect(await show(`pools/${pools[0].id}`)).toMatchObject({ provisioning_status: 'ERROR' });
    expect(await show(`pools/${pools[0].id}/members/${pools[0].members[0].id}`)).toMatchObject({
      provisioning_status: 'ERROR',
    });
  });

  it('fills what a pool with TLS leaves open', async () => {
    const { body } = await create({ pools: [pool('tls', { tls_enabled: true })] });
    expect(body.loadbalancer.pools).toMatchObject([
      { tls_versions: ['TLSv1.2', 'TLSv1.3'], alpn_protocols: ['h2', 'http/1.1', 'http/1.0'] },
    ]);
  });

  it('has empty lists when nothing is below it', async () => {
    for (const values of [{}, { listeners: [], pools: null }]) {
      expect((await create(values)).body.loadbalancer).toMatchObject({ listeners: [], pools: [] });
    }
  });
});

describe('A whole load balancer is refused', () => {
  const refused = async (values: object): Promise<[number, string]> => {
    const ports = api.cloud.ports.size;
    const reply = await create(values);
    expect(api.cloud.ports.size).toBe(ports);
    return [reply.status, reply.body.faultstring];
  };
  const withPool = (values: object) => refused({ pools: [{ ...pool('a'), ...values }] });
  const withListener = (values: object) => refused({ listeners: [listener(80, values)] });

  it('when names of pools do not lead anywhere', async () => {
    expect(await withPool({ name: undefined })).toMatchObject([400, /name/]);
    expect(await withPool({ name: '' })).toMatchObject([400, /name/]);
    expect(await refused({ pools: [pool('a'), pool('a')] })).toMatchObject([400, /'a'/]);
    expect(await withListener({ default_pool: { name: 'b' } })).toMatchObject([400, /'b'/]);
    expect(await withListener({ default_pool: {} })).toMatchObject([400, /name/]);
    const twice = { pools: [pool('a')], listeners: [listener(80, { default_pool: pool('a') })] };
    expect(await refused(twice)).toMatchObject([400, /'a'/]);
    expect((await withListener({ default_pool_id: randomUUID() }))[0]).toBe(404);
  });

  it('when a definition is incomplete or wrong', async () => {
    expect(await withPool({ protocol: undefined })).toMatchObject([400, /protocol/]);
    expect(await withPool({ lb_algorithm: undefined })).toMatchObject([400, /lb_algorithm/]);
    const half = await withListener({ default_pool: { name: 'b', protocol: 'HTTP' } });
    expect(half).toMatchObject([400, /lb_algorithm/]);
    expect(await withListener({ protocol: undefined })).toMatchObject([400, /attribute protocol/]);
    expect((await withListener({ default_pool: pool('t', { protocol: 'TCP' }) }))[0]).toBe(400);
    expect((await withPool({ members: [member(1), member(1)] }))[0]).toBe(409);
    expect((await withPool({ members: [{ address: '169.254.169.254', protocol_port: 80 }] }))[0]).toBe(400);
    expect(
      (await withPool({ healthmonitor: { type: 'SCTP', delay: 1, timeout: 1, max_retries: 1 } }))[0],
    ).toBe(400);
    expect((await refused({ listeners: [listener(80), listener(80)] }))[0]).toBe(409);
    const policy = { action: 'REJECT', rules: Array.from({ length: 51 }, () => rule) };
    expect((await withListener({ l7policies: [policy] }))[0]).toBe(409);
    expect((await withListener({ l7policies: [{ action: 'REDIRECT_TO_POOL' }] }))[0]).toBe(400);
    const unread = { protocol: 'TERMINATED_HTTPS', default_tls_container_ref: 'http://barbican/none' };
    expect((await withListener(unread))[0]).toBe(400);
  });

  it('when a nested object says what nesting says, or what nobody knows', async () => {
    const unknown = /^Unknown attribute for argument load_balancer\.loadbalancer\.(listeners|pools)/;
    for (const values of [{ loadbalancer_id: randomUUID() }, { project_id: 'x' }, { tenant_id: 'x' }]) {
      expect(await withListener(values)).toMatchObject([400, unknown]);
      expect(await withPool(values)).toMatchObject([400, unknown]);
    }
    const policy = { action: 'REDIRECT_TO_POOL', redirect_pool_id: randomUUID() };
    expect(await withListener({ l7policies: [policy] })).toMatchObject([400, /redirect_pool_id/]);
    expect(await withPool({ members: [{ ...member(1), pool_id: 'x' }] })).toMatchObject([400, /pool_id/]);
    expect((await refused({ listeners: {} }))[0]).toBe(400);
    expect((await refused({ pools: ['a'] }))[0]).toBe(400);
  });

  it('when a quota would be overrun, and leaves nothing behind', async () => {
    const other = api.client(['member']);
    await api.admin.put(`/v2/lbaas/quotas/${other.projectId}`, { quota: { member: 1, l7rule: 0 } });
    const ports = api.cloud.ports.size;
    const two = await create({ pools: [pool('a', { members: [member(1), member(2)] })] }, other);
    expect([two.status, two.body.faultstring]).toMatchObject([403, /Quota.*Member/]);
    expect((await other.get(path)).body.loadbalancers).toEqual([]);
    expect(api.cloud.ports.size).toBe(ports);
    const policy = { action: 'REJECT', rules: [rule] };
    const uncounted = { listeners: [listener(80, { l7policies: [policy] })] };
    expect((await create(uncounted, other)).status).toBe(201);
  });
});
