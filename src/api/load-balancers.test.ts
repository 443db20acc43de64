import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { activeLoadBalancer, startApi, type TestApi } from './client.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const path = '/v2/lbaas/loadbalancers';
const create = (values: object) => api.member.post(path, { loadbalancer: values });
/** Columns of `openstack loadbalancer show`. */
const columns =
  'admin_state_up, availability_zone, created_at, description, flavor_id, id, listeners, name, operating_status, pools, project_id, provider, provisioning_status, updated_at, vip_address, vip_network_id, vip_port_id, vip_qos_policy_id, vip_subnet_id, vip_vnic_type, vip_sg_ids, tags, additional_vips'.split(
    ', ',
  );

describe('A load balancer', () => {
  it('lives: created, carried out, changed, deleted', async () => {
    const subnet = api.cloud.addSubnet('192.0.2.0/24');
    const made = await create({ name: 'web', vip_subnet_id: subnet.id, tags: ['a', 'b'] });
    expect(made.status).toBe(201);
    const { id } = made.body.loadbalancer;
    expect(made.body.loadbalancer).toMatchObject({
      name: 'web',
      description: '',
      admin_state_up: true,
      provisioning_status: 'PENDING_CREATE',
      operating_status: 'OFFLINE',
      provider: 'amphora',
      project_id: api.member.projectId,
      tenant_id: api.member.projectId,
      vip_subnet_id: subnet.id,
      vip_network_id: subnet.networkId,
      vip_vnic_type: 'normal',
      listeners: [],
      pools: [],
      updated_at: null,
      flavor_id: null,
      availability_zone: null,
    });
    expect(made.body.loadbalancer.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);
    expect(Object.keys(made.body.loadbalancer)).toEqual(expect.arrayContaining(columns));

    await api.settle(id);
    const shown = await api.member.get(`${path}/${id}`);
    expect(shown.body.loadbalancer).toMatchObject({
      provisioning_status: 'ACTIVE',
      operating_status: 'ONLINE',
    });
    expect(Object.keys(shown.body.loadbalancer)).toEqual(expect.arrayContaining(columns));

    const changed = await api.member.put(`${path}/${id}`, { loadbalancer: { name: 'shop', tags: [] } });
    expect(changed.status).toBe(200);
    expect(changed.body.loadbalancer).toMatchObject({
      name: 'shop',
      tags: [],
      provisioning_status: 'PENDING_UPDATE',
    });
    expect((await api.member.put(`${path}/${id}`, { loadbalancer: {} })).status).toBe(409);

    await api.settle(id);
    expect((await api.member.delete(`${path}/${id}`)).status).toBe(204);
    expect((await api.member.get(`${path}/${id}`)).body.loadbalancer.provisioning_status).toBe(
      'PENDING_DELETE',
    );
    const again = await api.member.delete(`${path}/${id}`);
    expect(again.status).toBe(409);
    expect(again.body.faultstring).toContain('Invalid state PENDING_DELETE');
    await api.settle(id);
    const gone = await api.member.get(`${path}/${id}`);
    expect(gone.status).toBe(404);
    expect(gone.body).toEqual({
      faultcode: 'Client',
      faultstring: `Load Balancer ${id} not found.`,
      debuginfo: null,
    });
  });

  it('gets the port Neutron shows as its own', async () => {
    const subnet = api.cloud.addSubnet('192.0.2.0/24');
    const { loadbalancer } = (await create({ vip_subnet_id: subnet.id, vip_address: '192.0.2.77' })).body;
    expect(loadbalancer.vip_address).toBe('192.0.2.77');
    expect(api.cloud.ports.get(loadbalancer.vip_port_id)).toMatchObject({
      name: `octavia-lb-${loadbalancer.id}`,
      deviceId: `lb-${loadbalancer.id}`,
      fixedIps: [{ subnetId: subnet.id, ipAddress: '192.0.2.77' }],
    });
    const taken = await create({ vip_subnet_id: subnet.id, vip_address: '192.0.2.77' });
    expect(taken.status).toBe(409);
    expect(taken.body.faultstring).toContain('192.0.2.77');
  });

  it('leaves no port behind when it is refused', async () => {
    const limited = await startApi({ store: { quotaDefaults: { loadBalancer: 0 } } });
    try {
      const subnet = limited.cloud.addSubnet('192.0.2.0/24');
      const reply = await limited.member.post(path, { loadbalancer: { vip_subnet_id: subnet.id } });
      expect(reply.status).toBe(403);
      expect(reply.body.faultstring).toBe('Quota has been met for resources: Load Balancer');
      expect(limited.cloud.ports.size).toBe(0);
    } finally {
      await limited.close();
    }
  });

  it('stands on a network, a port or a subnet, as the client says', async () => {
    const subnet6 = api.cloud.addSubnet('2001:db8::/64');
    const subnet4 = api.cloud.addSubnet('192.0.2.0/24', subnet6.networkId);
    const network = (await create({ vip_network_id: subnet6.networkId })).body.loadbalancer;
    expect(network.vip_subnet_id).toBe(subnet4.id);
    const byAddress = (await create({ vip_network_id: subnet6.networkId, vip_address: '2001:db8::99' })).body;
    expect(byAddress.loadbalancer).toMatchObject({ vip_subnet_id: subnet6.id, vip_address: '2001:db8::99' });

    const qos = randomUUID();
    const port = api.cloud.addPort({
      networkId: subnet4.networkId,
      fixedIps: [{ subnetId: subnet4.id, ipAddress: '192.0.2.200' }],
      qosPolicyId: qos,
    });
    const onPort = (await create({ vip_port_id: port.id })).body.loadbalancer;
    expect(onPort).toMatchObject({
      vip_port_id: port.id,
      vip_address: '192.0.2.200',
      vip_subnet_id: subnet4.id,
      vip_qos_policy_id: qos,
    });
    const double = api.cloud.addPort({
      networkId: subnet4.networkId,
      fixedIps: [
        { subnetId: subnet4.id, ipAddress: '192.0.2.201' },
        { subnetId: subnet6.id, ipAddress: '2001:db8::201' },
      ],
    });
    expect((await create({ vip_port_id: double.id })).status).toBe(400);
    const chosen = await create({ vip_port_id: double.id, vip_address: '2001:DB8:0::201' });
    expect(chosen.body.loadbalancer).toMatchObject({ vip_subnet_id: subnet6.id });
    const used = api.cloud.addPort({ networkId: subnet4.networkId, fixedIps: [], deviceId: 'vm' });
    expect((await create({ vip_port_id: used.id })).status).toBe(400);
  });

  it('has additional addresses on other subnets of the network', async () => {
    const subnet = api.cloud.addSubnet('192.0.2.0/24');
    const other = api.cloud.addSubnet('2001:db8::/64', subnet.networkId);
    const { loadbalancer } = (
      await create({ vip_subnet_id: subnet.id, additional_vips: [{ subnet_id: other.id }] })
    ).body;
    expect(loadbalancer.additional_vips).toEqual([
      {
        subnet_id: other.id,
        ip_address: expect.stringContaining('2001:db8::'),
        port_id: loadbalancer.vip_port_id,
      },
    ]);
    const repeated = await create({ vip_subnet_id: subnet.id, additional_vips: [{ subnet_id: subnet.id }] });
    expect(repeated.status).toBe(400);
  });

  it.each([
    [{}, 'vip_subnet_id'],
    [{ vip_subnet_id: 'nonsense' }, "Invalid input for field/attribute vip_subnet_id. Value: 'nonsense'"],
    [{ vip_subnet_id: randomUUID() }, 'Subnet'],
    [{ vip_network_id: randomUUID() }, 'Network'],
    [{ vip_port_id: randomUUID() }, 'Port'],
    [{ colour: 'red' }, 'Unknown attribute for argument load_balancer.loadbalancer: colour'],
    [{ id: randomUUID() }, 'Unknown attribute'],
    [{ name: 'x'.repeat(256) }, 'field/attribute name'],
    [{ name: 7 }, "field/attribute name. Value: '7'"],
    [{ admin_state_up: 'TRUE' }, 'field/attribute admin_state_up'],
    [{ vip_address: '1.2.3' }, 'field/attribute vip_address'],
    [{ tags: ['a', 'a'] }, 'field/attribute tags'],
    [{ flavor_id: null }, 'flavor_id'],
    [{ additional_vips: [{ colour: 1 }] }, 'Unknown attribute'],
    [{ additional_vips: [{}] }, 'subnet_id'],
  ])('is refused with 400 for %j', async (values, text) => {
    const reply = await create(values);
    expect(reply.status).toBe(400);
    expect(reply.body).toMatchObject({ faultcode: 'Client', debuginfo: null });
    expect(reply.body.faultstring).toContain(text);
  });

  it('is refused when flavor, provider, zone, policy or group are not there', async () => {
    const vip = { vip_subnet_id: api.cloud.addSubnet('192.0.2.0/24').id };
    const texts = await Promise.all(
      [
        { flavor_id: randomUUID() },
        { provider: 'f5' },
        { availability_zone: 'nova' },
        { vip_qos_policy_id: randomUUID() },
        { vip_sg_ids: [randomUUID()] },
      ].map(async (values) => {
        const reply = await create({ ...vip, ...values });
        return `${reply.status} ${reply.body.faultstring}`;
      }),
    );
    expect(texts).toEqual([
      expect.stringContaining('400 Flavor'),
      expect.stringContaining("400 Provider 'f5'"),
      expect.stringContaining('400 Availability Zone nova'),
      expect.stringContaining('400 QoS policy'),
      expect.stringContaining('400 Security Group'),
    ]);
  });

  it('cannot be deleted over its children, unless with all of them', async () => {
    const id = await activeLoadBalancer(api);
    await api.member.post('/v2/lbaas/pools', {
      pool: { loadbalancer_id: id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
    });
    await api.settle(id);
    expect((await api.member.delete(`${path}/${id}`)).status).toBe(400);
    expect((await api.member.delete(`${path}/${id}?cascade=maybe`)).status).toBe(400);
    expect((await api.member.delete(`${path}/${id}?cascade=True`)).status).toBe(204);
    await api.settle(id);
    expect((await api.member.get(`${path}/${id}`)).status).toBe(404);
  });

  it('is deletable in ERROR, and nothing else', async () => {
    const id = await activeLoadBalancer(api);
    await api.member.put(`${path}/${id}`, { loadbalancer: { name: 'x' } });
    await api.settle(id, { [id]: 'No host has room.' });
    const reasons = await api.member.get(`/livia/v1/loadbalancers/${id}`);
    expect(reasons.body.objects).toEqual([
      expect.objectContaining({ id, kind: 'loadbalancer', reason: 'No host has room.' }),
    ]);
    expect((await api.member.put(`${path}/${id}`, { loadbalancer: {} })).status).toBe(409);
    expect((await api.member.delete(`${path}/${id}`)).status).toBe(204);
  });

  it('shows its statistics and its status tree', async () => {
    const id = await activeLoadBalancer(api);
    const stats = await api.member.get(`${path}/${id}/stats`);
    expect(stats.body).toEqual({
      stats: {
        active_connections: 0,
        bytes_in: 0,
        bytes_out: 0,
        request_errors: 0,
        total_connections: 0,
      },
    });
    for (const name of ['status', 'statuses']) {
      const tree = await api.member.get(`${path}/${id}/${name}`);
      expect(tree.body.statuses.loadbalancer).toEqual({
        id,
        name: 'lb1',
        operating_status: 'ONLINE',
        provisioning_status: 'ACTIVE',
        listeners: [],
      });
    }
    expect((await api.member.get(`${path}/${id}/stats?fields=id`)).status).toBe(400);
  });

  it('may be changed by one client at a time', async () => {
    const id = await activeLoadBalancer(api);
    const listener = (port: number) =>
      api.member.post('/v2/lbaas/listeners', {
        listener: { loadbalancer_id: id, protocol: 'HTTP', protocol_port: port },
      });
    const replies = await Promise.all([listener(80), listener(81), listener(82)]);
    expect(replies.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409, 409]);
    const loser = replies.find(({ status }) => status === 409);
    expect(loser?.body.faultstring).toBe(`Load Balancer ${id} is immutable and cannot be updated.`);
  });
});

describe('The surroundings', () => {
  it('are told apart from the client: 503 while they are away', async () => {
    const { DriverError } = await import('../clouds/errors.ts');
    const away = await startApi();
    try {
      away.cloud.down.set('networking', new DriverError('Neutron does not answer.', { retry: 'later' }));
      const reply = await away.member.post(path, { loadbalancer: { vip_subnet_id: randomUUID() } });
      expect(reply.status).toBe(503);
      expect(reply.body).toEqual({
        faultcode: 'Server',
        faultstring: 'Neutron does not answer.',
        debuginfo: null,
      });
      away.cloud.down.set('identity', new DriverError('Keystone does not answer.', { retry: 'later' }));
      expect((await away.member.get(path)).status).toBe(503);
    } finally {
      await away.close();
    }
  });
});
