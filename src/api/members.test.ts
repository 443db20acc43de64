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

const aPool = async (values: object = {}): Promise<string> =>
  `/v2/lbaas/pools/${await active(api, loadBalancerId, '/v2/lbaas/pools', 'pool', {
    loadbalancer_id: loadBalancerId,
    protocol: 'HTTP',
    lb_algorithm: 'ROUND_ROBIN',
    ...values,
  })}/members`;
const batch = async (path: string, members: readonly object[], query = '') => {
  const reply = await api.member.put(`${path}${query}`, { members });
  await api.settle(loadBalancerId);
  return reply;
};
const stored = async (path: string): Promise<any[]> =>
  (await api.member.get(`${path}?sort=address`)).body.members;

const columns =
  'address, admin_state_up, created_at, id, name, operating_status, project_id, protocol_port, provisioning_status, subnet_id, updated_at, weight, monitor_port, monitor_address, backup, tags, vnic_type'.split(
    ', ',
  );

describe('A member', () => {
  it('lives: created, carried out, changed, deleted', async () => {
    const path = await aPool();
    const reply = await api.member.post(path, {
      member: { address: '192.0.2.16', protocol_port: '80', name: 'm1' },
    });
    expect(reply.status).toBe(201);
    const { member } = reply.body;
    expect(Object.keys(member)).toEqual(expect.arrayContaining(columns));
    expect(member).not.toHaveProperty('pool_id');
    expect(member).toMatchObject({
      address: '192.0.2.16',
      protocol_port: 80,
      weight: 1,
      backup: false,
      subnet_id: null,
      monitor_address: null,
      vnic_type: 'normal',
      provisioning_status: 'PENDING_CREATE',
      operating_status: 'NO_MONITOR',
    });
    const poolPath = path.replace('/members', '');
    expect((await api.member.get(poolPath)).body.pool).toMatchObject({
      provisioning_status: 'PENDING_UPDATE',
      members: [{ id: member.id }],
    });
    const early = await api.member.delete(`${path}/${member.id}`);
    expect(early.body.faultstring).toMatch(/^Pool .* is immutable/);
    await api.settle(loadBalancerId);
    const changed = await api.member.put(`${path}/${member.id}`, { member: { weight: 0, backup: true } });
    expect(changed.body.member).toMatchObject({ weight: 0, backup: true, name: 'm1' });
    await api.settle(loadBalancerId);
    const reset = await api.member.put(`${path}/${member.id}`, { member: { weight: null, backup: null } });
    expect(reset.body.member).toMatchObject({ weight: 1, backup: false });
    await api.settle(loadBalancerId);
    expect((await api.member.delete(`${path}/${member.id}`)).status).toBe(204);
    await api.settle(loadBalancerId);
    expect((await api.member.get(`${path}/${member.id}`)).body.faultstring).toBe(
      `Member ${member.id} not found.`,
    );
  });

  it('waits to be watched when the pool has a monitor', async () => {
    const path = await aPool();
    await active(api, loadBalancerId, '/v2/lbaas/healthmonitors', 'healthmonitor', {
      ...{ pool_id: path.split('/')[4], type: 'TCP', delay: 5, timeout: 3, max_retries: 2 },
    });
    const reply = await api.member.post(path, { member: { address: '192.0.2.16', protocol_port: 80 } });
    expect(reply.body.member.operating_status).toBe('OFFLINE');
    await api.settle(loadBalancerId);
  });

  it('is asked for under its own pool only', async () => {
    const [path, other] = [await aPool(), await aPool()];
    const id = await active(api, loadBalancerId, path, 'member', { address: '192.0.2.1', protocol_port: 80 });
    expect((await api.member.get(`${path}/${id}`)).status).toBe(200);
    const stray = await api.member.get(`${other}/${id}`);
    expect(stray.status).toBe(404);
    expect(stray.body.faultstring).toContain('Member');
    const unknown = `/v2/lbaas/pools/${randomUUID()}/members`;
    for (const reply of [
      await api.member.get(unknown),
      await api.member.get(`${unknown}/${id}`),
      await api.member.post(unknown, {}),
      await api.member.put(unknown, {}),
      await api.member.delete(`${unknown}/${id}`),
    ]) {
      expect(reply.status).toBe(404);
      expect(reply.body).toMatchObject({ code: 404, title: 'Bad Request' });
    }
  });

  it('is refused where it cannot be', async () => {
    const path = await aPool();
    const subnet = api.cloud.addSubnet('198.51.100.0/24');
    const text = async (values: object) => {
      const reply = await api.member.post(path, {
        member: { address: '192.0.2.1', protocol_port: 80, ...values },
      });
      return `${reply.status} ${reply.body.faultstring ?? ''}`;
    };
    expect(await text({ address: '169.254.169.254' })).toMatch(/^400 .*169\.254\.169\.254/);
    expect(await text({ address: '::ffff:169.254.169.254' })).toMatch(/^400 /);
    expect(await text({ address: '::FFFF:a9fe:a9fe' })).toMatch(/^400 /);
    expect(await text({ subnet_id: randomUUID() })).toMatch(/^400 Subnet/);
    expect(await text({ request_sriov: true })).toMatch(/^400 .*SR-IOV/);
    expect(await text({ weight: 257 })).toMatch(/^400 .*weight/);
    expect(await text({ address: 'localhost' })).toMatch(/^400 .*address/);
    expect(await text({ subnet_id: subnet.id })).toMatch(/^201/);
    await api.settle(loadBalancerId);
    expect(await text({})).toMatch(/^409 .*192\.0\.2\.1/);
  });

  it('of an autoscaling service may be listed with the role service', async () => {
    const service = api.client(['service']);
    expect((await service.get(await aPool())).status).toBe(200);
    expect((await api.client(['member']).get(await aPool())).status).toBe(403);
  });
});

describe('A batch of members', () => {
  const member = (n: number, values: object = {}) => ({
    address: `192.0.2.${n}`,
    protocol_port: 80,
    ...values,
  });

  it('adds, changes and removes by address and port', async () => {
    const path = await aPool();
    expect((await batch(path, [member(1, { name: 'one' }), member(2)])).status).toBe(202);
    const before = await stored(path);
    const reply = await api.member.put(path, { members: [member(2, { weight: 7 }), member(3)] });
    expect(reply.status).toBe(202);
    expect(reply.body).toBe('');
    expect((await stored(path)).map((row) => row.provisioning_status)).toEqual([
      'PENDING_DELETE',
      'PENDING_UPDATE',
      'PENDING_CREATE',
    ]);
    await api.settle(loadBalancerId);
    const after = await stored(path);
    expect(after.map((row) => row.address)).toEqual(['192.0.2.2', '192.0.2.3']);
    expect(after[0]).toMatchObject({ id: before[1].id, weight: 7 });
  });

  it('resets what is not said, except name, tags and subnet', async () => {
    const path = await aPool();
    const subnet = api.cloud.addSubnet('198.51.100.0/24');
    const rich = { name: 'one', tags: ['t'], subnet_id: subnet.id };
    await batch(path, [
      member(1, {
        ...rich,
        weight: 9,
        backup: true,
        admin_state_up: false,
        monitor_port: 81,
        monitor_address: '192.0.2.200',
      }),
    ]);
    await batch(path, [member(1)]);
    expect((await stored(path))[0]).toMatchObject({
      ...rich,
      weight: 1,
      backup: false,
      admin_state_up: true,
      monitor_port: null,
      monitor_address: null,
    });
  });

  it('only adds when it is told so', async () => {
    const path = await aPool();
    await batch(path, [member(1), member(2)]);
    await batch(path, [member(3)], '?additive_only=True');
    expect(await stored(path)).toHaveLength(3);
    await batch(path, []);
    expect(await stored(path)).toEqual([]);
  });

  it('changes nothing for nothing', async () => {
    const path = await aPool();
    expect((await api.member.put(path, { members: [] })).status).toBe(202);
    const loadBalancer = await api.member.get(`/v2/lbaas/loadbalancers/${loadBalancerId}`);
    expect(loadBalancer.body.loadbalancer.provisioning_status).toBe('ACTIVE');
  });

  it('is refused as a whole', async () => {
    const path = await aPool();
    await batch(path, [member(1)]);
    const statuses = await Promise.all(
      [
        [member(1), member(1)],
        [member(2), member(2)],
        [member(2, { address: '169.254.169.254' })],
        [member(2, { subnet_id: randomUUID() })],
        [member(2, { id: randomUUID() })],
        [7],
      ].map(async (members) => (await api.member.put(path, { members })).status),
    );
    expect(statuses).toEqual([400, 409, 400, 400, 400, 400]);
    expect((await api.member.put(path, { members: {} })).status).toBe(400);
    expect((await api.member.put(`${path}?colour=red`, { members: [] })).status).toBe(400);
    expect(await stored(path)).toHaveLength(1);
  });
});
