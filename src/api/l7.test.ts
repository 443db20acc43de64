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

const path = '/v2/lbaas/l7policies';
let port = 1000;
const aListener = (values: object = {}) =>
  active(api, loadBalancerId, '/v2/lbaas/listeners', 'listener', {
    loadbalancer_id: loadBalancerId,
    protocol: 'HTTP',
    protocol_port: ++port,
    ...values,
  });
const aPool = (values: object = {}) =>
  active(api, loadBalancerId, '/v2/lbaas/pools', 'pool', {
    loadbalancer_id: loadBalancerId,
    protocol: 'HTTP',
    lb_algorithm: 'ROUND_ROBIN',
    ...values,
  });
const aPolicy = (listenerId: string, values: object = {}) =>
  active(api, loadBalancerId, path, 'l7policy', { listener_id: listenerId, action: 'REJECT', ...values });
const aRule = (policyId: string, values: object = {}) =>
  active(api, loadBalancerId, `${path}/${policyId}/rules`, 'rule', {
    ...{ type: 'PATH', compare_type: 'STARTS_WITH', value: '/images' },
    ...values,
  });
const show = async (of: string): Promise<any> =>
  Object.values((await api.member.get(`/v2/lbaas/${of}`)).body)[0];

/** Columns of `openstack loadbalancer l7policy show` and `l7rule show`. */
const policyColumns =
  'listener_id, description, admin_state_up, rules, provisioning_status, redirect_pool_id, redirect_url, redirect_prefix, redirect_http_code, operating_status, project_id, action, position, id, name, created_at, updated_at, tags'.split(
    ', ',
  );
const ruleColumns =
  'created_at, compare_type, provisioning_status, invert, admin_state_up, updated_at, value, key, project_id, type, id, operating_status, tags'.split(
    ', ',
  );

describe('An L7 policy', () => {
  it('lives on a listener: created, carried out, changed, deleted', async () => {
    const listenerId = await aListener();
    const reply = await api.member.post(path, {
      l7policy: { listener_id: listenerId, action: 'REDIRECT_TO_URL', redirect_url: 'https://example.com/a' },
    });
    expect(reply.status).toBe(201);
    const { l7policy } = reply.body;
    expect(Object.keys(l7policy)).toEqual(expect.arrayContaining(policyColumns));
    expect(l7policy).toMatchObject({
      listener_id: listenerId,
      redirect_http_code: 302,
      redirect_pool_id: null,
      position: 1,
      rules: [],
      provisioning_status: 'PENDING_CREATE',
      operating_status: 'OFFLINE',
    });
    expect(await show(`listeners/${listenerId}`)).toMatchObject({
      provisioning_status: 'PENDING_UPDATE',
      l7policies: [{ id: l7policy.id }],
    });
    const early = await api.member.put(`${path}/${l7policy.id}`, { l7policy: { name: 'early' } });
    expect(early.status).toBe(409);
    await api.settle(loadBalancerId);
    expect(await show(`l7policies/${l7policy.id}`)).toMatchObject({
      provisioning_status: 'ACTIVE',
      operating_status: 'ONLINE',
    });
    const changed = await api.member.put(`${path}/${l7policy.id}`, {
      l7policy: { redirect_prefix: 'https://example.org', redirect_http_code: '308', tags: ['a'] },
    });
    expect(changed.body.l7policy).toMatchObject({
      action: 'REDIRECT_PREFIX',
      redirect_prefix: 'https://example.org',
      redirect_url: null,
      redirect_http_code: 308,
      provisioning_status: 'PENDING_UPDATE',
    });
    await api.settle(loadBalancerId);
    expect((await api.member.delete(`${path}/${l7policy.id}`)).status).toBe(204);
    expect((await api.member.delete(`${path}/${l7policy.id}`)).status).toBe(409);
    await api.settle(loadBalancerId);
    expect((await api.member.get(`${path}/${l7policy.id}`)).body.faultstring).toBe(
      `L7 Policy ${l7policy.id} not found.`,
    );
    expect((await show(`listeners/${listenerId}`)).l7policies).toEqual([]);
  });

  it('keeps its place in the row', async () => {
    const listenerId = await aListener();
    const [a, b] = [await aPolicy(listenerId), await aPolicy(listenerId)];
    const c = await aPolicy(listenerId, { position: 1 });
    const row = async () =>
      (await api.member.get(`${path}?listener_id=${listenerId}&sort=position`)).body.l7policies.map(
        (policy: any) => [policy.id, policy.position],
      );
    expect(await row()).toEqual([
      [c, 1],
      [a, 2],
      [b, 3],
    ]);
    await api.member.put(`${path}/${c}`, { l7policy: { position: 100 } });
    await api.settle(loadBalancerId);
    expect((await show(`listeners/${listenerId}`)).l7policies).toEqual([{ id: a }, { id: b }, { id: c }]);
    await api.member.delete(`${path}/${a}`);
    await api.settle(loadBalancerId);
    expect(await row()).toEqual([
      [b, 1],
      [c, 2],
    ]);
  });

  it('holds on to the pool it redirects to', async () => {
    const [listenerId, poolId] = [await aListener(), await aPool()];
    const id = await aPolicy(listenerId, { action: 'REDIRECT_TO_POOL', redirect_pool_id: poolId });
    const refused = await api.member.delete(`/v2/lbaas/pools/${poolId}`);
    expect(refused.status).toBe(409);
    expect(refused.body.faultstring).toContain(poolId);
    expect(refused.body.faultstring).toContain(id);
    expect((await show(`pools/${poolId}`)).listeners).toEqual([]);
    await aRule(id);
    expect((await show(`pools/${poolId}`)).listeners).toEqual([{ id: listenerId }]);
    const tree = (await api.member.get(`/v2/lbaas/loadbalancers/${loadBalancerId}/status`)).body.statuses;
    const listener = tree.loadbalancer.listeners.find((entry: any) => entry.id === listenerId);
    expect(listener.pools).toMatchObject([{ id: poolId }]);
    await api.member.put(`/v2/lbaas/pools/${poolId}`, { pool: { name: 'x' } });
    expect((await show(`listeners/${listenerId}`)).provisioning_status).toBe('PENDING_UPDATE');
    await api.settle(loadBalancerId);
    await api.member.delete(`${path}/${id}`);
    await api.settle(loadBalancerId);
    expect((await api.member.delete(`/v2/lbaas/pools/${poolId}`)).status).toBe(204);
    await api.settle(loadBalancerId);
  });

  it('is refused when it makes no sense', async () => {
    const listenerId = await aListener();
    const tcp = await aListener({ protocol: 'TCP' });
    const status = async (values: object) =>
      (await api.member.post(path, { l7policy: { listener_id: listenerId, action: 'REJECT', ...values } }))
        .status;
    const toUrl = (redirect_url: unknown) => status({ action: 'REDIRECT_TO_URL', redirect_url });
    for (const url of ['example.com', 'ftp://a', 'http://', 'http:///a', 'http://a b', 'http://a\n', '', 1]) {
      expect(await toUrl(url), String(url)).toBe(400);
    }
    expect(await status({ action: 'DROP' })).toBe(400);
    expect(await status({ redirect_http_code: 304 })).toBe(400);
    expect(await status({ position: 0 })).toBe(400);
    expect(await status({ redirect_pool: { name: 'x' } })).toBe(400);
    expect(await status({ rules: [{ type: 'PATH' }] })).toBe(400);
    expect(await status({ listener_id: randomUUID() })).toBe(404);
    expect(await status({ action: 'REDIRECT_TO_POOL', redirect_pool_id: randomUUID() })).toBe(404);
    expect(await status({ listener_id: tcp })).toBe(501);
    const id = await aPolicy(listenerId);
    expect((await api.member.put(`${path}/${id}`, { l7policy: {} })).status).toBe(400);
    expect((await api.member.put(`${path}/${id}`, { l7policy: { listener_id: tcp } })).status).toBe(400);
  });

  it("is the project's own", async () => {
    const id = await aPolicy(await aListener());
    const stranger = api.client(['member']);
    expect((await stranger.get(`${path}/${id}`)).status).toBe(403);
    expect((await stranger.delete(`${path}/${id}`)).status).toBe(403);
    expect((await stranger.get(path)).body.l7policies).toEqual([]);
    expect((await api.admin.get(`${path}/${id}`)).status).toBe(200);
  });
});

describe('An L7 rule', () => {
  it('lives in a policy: created, carried out, changed, deleted', async () => {
    const listenerId = await aListener();
    const rules = `${path}/${await aPolicy(listenerId)}/rules`;
    const reply = await api.member.post(rules, {
      rule: { type: 'HEADER', compare_type: 'EQUAL_TO', key: 'X-Some', value: 'a', invert: 'true' },
    });
    expect(reply.status).toBe(201);
    const { rule } = reply.body;
    expect(Object.keys(rule)).toEqual(expect.arrayContaining(ruleColumns));
    expect(rule).not.toHaveProperty('l7policy_id');
    expect(rule).toMatchObject({ key: 'X-Some', invert: true, provisioning_status: 'PENDING_CREATE' });
    const policy = rules.replace('/rules', '').replace('/v2/lbaas/', '');
    expect(await show(policy)).toMatchObject({
      provisioning_status: 'PENDING_UPDATE',
      rules: [{ id: rule.id }],
    });
    expect((await show(`listeners/${listenerId}`)).provisioning_status).toBe('PENDING_UPDATE');
    const early = await api.member.delete(`${rules}/${rule.id}`);
    expect(early.body.faultstring).toMatch(/^L7Policy .* is immutable/);
    await api.settle(loadBalancerId);
    const changed = await api.member.put(`${rules}/${rule.id}`, { rule: { type: 'PATH', invert: null } });
    expect(changed.body.rule).toMatchObject({ type: 'PATH', key: null, invert: false, value: 'a' });
    await api.settle(loadBalancerId);
    expect((await api.member.put(`${rules}/${rule.id}`, { rule: { type: 'COOKIE' } })).status).toBe(400);
    expect((await api.member.get(rules)).body.rules).toMatchObject([{ id: rule.id, type: 'PATH' }]);
    expect((await api.member.delete(`${rules}/${rule.id}`)).status).toBe(204);
    await api.settle(loadBalancerId);
    expect((await api.member.get(`${rules}/${rule.id}`)).body.faultstring).toBe(
      `L7 Rule ${rule.id} not found.`,
    );
  });

  it('is found under its own policy only', async () => {
    const listenerId = await aListener();
    const [one, two] = [await aPolicy(listenerId), await aPolicy(listenerId)];
    const rule = await aRule(one);
    expect((await api.member.get(`${path}/${one}/rules/${rule}`)).status).toBe(200);
    expect((await api.member.get(`${path}/${two}/rules/${rule}`)).status).toBe(404);
    expect((await api.member.put(`${path}/${two}/rules/${rule}`, { rule: {} })).status).toBe(404);
    expect((await api.member.get(`${path}/${two}/rules`)).body.rules).toEqual([]);
    const nowhere = await api.member.get(`${path}/${randomUUID()}/rules`);
    expect(nowhere).toMatchObject({ status: 404, body: { code: 404, title: 'Bad Request' } });
  });

  it('is listed also when the query repeats the policy, as openstacksdk does', async () => {
    const policy = await aPolicy(await aListener());
    const rule = await aRule(policy);
    const listed = await api.member.get(`${path}/${policy}/rules?l7policy_id=${policy}&type=PATH`);
    expect(listed.body.rules).toMatchObject([{ id: rule }]);
    expect(listed.body.rules[0]).not.toHaveProperty('l7policy_id');
    const written = await api.member.put(`${path}/${policy}/rules/${rule}`, {
      rule: { l7policy_id: policy },
    });
    expect(written.body.faultstring).toBe('Unknown attribute for argument l7rule_.rule: l7policy_id');
  });

  it('names what is wrong with it', async () => {
    const rules = `${path}/${await aPolicy(await aListener())}/rules`;
    const refused = async (rule: object) => {
      const reply = await api.member.post(rules, { rule });
      expect(reply.status).toBe(400);
      return reply.body.faultstring as string;
    };
    const legal = { type: 'PATH', compare_type: 'STARTS_WITH', value: '/a' };
    expect(await refused({ ...legal, compare_type: 'REGEX', value: '(' })).toMatch(/L7Rule.*regular/);
    expect(await refused({ ...legal, type: 'FILE_TYPE' })).toMatch(/L7Rule/);
    expect(await refused({ ...legal, value: 'a\nb' })).toMatch(/field\/attribute value/);
    expect(await refused({ ...legal, value: '' })).toMatch(/field\/attribute value/);
    expect(await refused({ ...legal, name: 'x' })).toBe('Unknown attribute for argument rule_.rule: name');
    const id = await aRule(rules.split('/')[4] ?? '');
    const changed = await api.member.put(`${rules}/${id}`, { rule: { name: 'x' } });
    expect(changed.body.faultstring).toBe('Unknown attribute for argument l7rule_.rule: name');
  });
});
