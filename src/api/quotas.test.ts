import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { activeLoadBalancer, startApi, type TestApi } from './client.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ store: { quotaDefaults: { pool: 7 } } });
});
afterAll(() => api.close());

const path = '/v2/lbaas/quotas';
const newProject = () => randomUUID().replaceAll('-', '');
const standard = {
  loadbalancer: -1,
  load_balancer: -1,
  listener: -1,
  pool: 7,
  member: -1,
  healthmonitor: -1,
  health_monitor: -1,
  l7policy: -1,
  l7rule: -1,
};

describe('The quota of a project', () => {
  it('is the default where the project has no limit of its own', async () => {
    const projectId = newProject();
    const reply = await api.admin.get(`${path}/${projectId}`);
    expect(reply).toMatchObject({ status: 200 });
    expect(reply.body).toEqual({ quota: { project_id: projectId, tenant_id: projectId, ...standard } });
    expect((await api.admin.delete(`${path}/${projectId}`)).status).toBe(404);
    expect((await api.admin.get(`${path}/${projectId}?fields=pool`)).status).toBe(400);
  });

  it('is changed, in either spelling, and reset', async () => {
    const projectId = newProject();
    const set = await api.admin.put(`${path}/${projectId}`, {
      quota: { load_balancer: 5, health_monitor: '6', healthmonitor: 8, pool: 0 },
    });
    const own = { ...standard, loadbalancer: 5, load_balancer: 5, healthmonitor: 8, health_monitor: 8 };
    expect(set).toMatchObject({ status: 202, body: { quota: { ...own, pool: 0 } } });
    await api.admin.put(`${path}/${projectId}`, { quota: { pool: null } });
    expect((await api.admin.get(`${path}/${projectId}`)).body.quota).toMatchObject(own);
    expect((await api.admin.get(`${path}/${projectId}/default`)).body.quota).toMatchObject(standard);
    for (const key of ['loadbalancer', 'load_balancer']) {
      const listed = (await api.admin.get(`${path}?${key}=5&sort=${key}&fields=pool`)).body;
      expect(listed.quotas).toMatchObject([{ project_id: projectId, load_balancer: 5, pool: null }]);
      expect(listed.quotas_links).toEqual([]);
    }
    const gone = await api.admin.delete(`${path}/${projectId}`);
    expect([gone.status, gone.text]).toEqual([202, '']);
    expect((await api.admin.get(`${path}/${projectId}`)).body.quota).toMatchObject(standard);
    expect((await api.admin.get(`${path}?project_id=${projectId}`)).body.quotas).toHaveLength(1);
    expect((await api.admin.delete(`${path}/${projectId}`)).status).toBe(202);
  });

  it('is refused when it makes no sense', async () => {
    const put = async (quota: unknown) => (await api.admin.put(`${path}/${newProject()}`, { quota })).status;
    for (const pool of [-2, 2_000_000_001, 'many']) expect(await put({ pool }), String(pool)).toBe(400);
    expect(await put({ project_id: 'x' })).toBe(400);
    expect(await put(null)).toBe(400);
    expect((await api.admin.put(`${path}/a%00b`, { quota: { pool: 1 } })).status).toBe(400);
    expect((await api.admin.get(`${path}/a%00b`)).status).toBe(200);
    expect((await api.admin.delete(`${path}/a%00b`)).status).toBe(404);
    expect((await api.admin.get(`${path}?marker=${randomUUID()}`)).status).toBe(400);
    expect((await api.admin.get(`${path}?tenant_id=x`)).status).toBe(400);
  });

  it('is paged by limits, without markers', async () => {
    await api.admin.put(`${path}/${newProject()}`, { quota: { pool: 1 } });
    const page = (await api.admin.get(`${path}?limit=1`)).body;
    expect(page.quotas).toHaveLength(1);
    expect(page.quotas_links[0].href).toMatch(/limit=1&marker=None$/);
  });

  it('is seen by its project, and changed by who minds quotas', async () => {
    const { projectId } = api.member;
    const minder = api.client(['load-balancer_quota_admin']);
    expect((await api.member.get(`${path}/${projectId}`)).status).toBe(200);
    expect((await api.member.get(`${path}/${newProject()}`)).status).toBe(403);
    expect((await api.member.get(`${path}/defaults`)).status).toBe(403);
    expect((await api.member.put(`${path}/${projectId}`, { quota: { pool: 9 } })).status).toBe(403);
    expect((await api.member.delete(`${path}/${projectId}`)).status).toBe(403);
    expect((await minder.put(`${path}/${projectId}`, { quota: { pool: 9 } })).status).toBe(202);
    expect((await api.member.get(path)).body.quotas).toMatchObject([{ project_id: projectId, pool: 9 }]);
    expect((await minder.get(`${path}/defaults`)).body.quota).toEqual({
      ...{ project_id: 'defaults', tenant_id: 'defaults' },
      ...standard,
    });
  });

  it('stops what goes beyond it, and counts what is there', async () => {
    const id = await activeLoadBalancer(api);
    const { projectId } = api.member;
    await api.admin.put(`${path}/${projectId}`, { quota: { listener: 1 } });
    const create = (protocol_port: number) =>
      api.member.post('/v2/lbaas/listeners', {
        listener: { loadbalancer_id: id, protocol: 'HTTP', protocol_port },
      });
    expect((await create(80)).status).toBe(201);
    await api.settle(id);
    const over = await create(81);
    expect(over.status).toBe(403);
    expect(over.body.faultstring).toMatch(/Quota.*Listener/);
    const lb = (await api.member.get(`/v2/lbaas/loadbalancers/${id}`)).body.loadbalancer;
    expect(lb.provisioning_status).toBe('ACTIVE');
    await api.admin.delete(`${path}/${projectId}`);
    expect((await create(81)).status).toBe(201);
  });

  it('has a record from the first load balancer on', async () => {
    const member = api.client(['member']);
    const subnet = api.cloud.addSubnet('198.51.100.0/24');
    await member.post('/v2/lbaas/loadbalancers', { loadbalancer: { vip_subnet_id: subnet.id } });
    const listed = (await member.get(path)).body.quotas;
    expect(listed).toMatchObject([{ project_id: member.projectId, loadbalancer: null }]);
  });
});
