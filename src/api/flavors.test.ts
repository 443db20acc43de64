import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApi, type TestApi } from './client.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const profiles = '/v2/lbaas/flavorprofiles';
const flavors = '/v2/lbaas/flavors';
const data = '{"compute_flavor": "10"}';
const profile = (values: object = {}) =>
  api.admin.post(profiles, {
    flavorprofile: { name: 'o1', provider_name: 'amphora', flavor_data: data, ...values },
  });
const flavor = (values: object) => api.admin.post(flavors, { flavor: { name: randomUUID(), ...values } });

describe('A flavor', () => {
  it('lives with its profile, and both stay while they are used', async () => {
    const made = await profile();
    expect(made.status).toBe(201);
    const profileId = made.body.flavorprofile.id;
    expect(made.body.flavorprofile).toEqual({
      id: profileId,
      name: 'o1',
      provider_name: 'amphora',
      flavor_data: data,
    });
    const { flavor: offered } = (await flavor({ flavor_profile_id: profileId, description: 'small' })).body;
    expect(offered).toMatchObject({ enabled: true, flavor_profile_id: profileId, description: 'small' });
    expect(Object.keys(offered).toSorted()).toEqual([
      'description',
      'enabled',
      'flavor_profile_id',
      'id',
      'name',
    ]);

    const vip = { vip_subnet_id: api.cloud.addSubnet('192.0.2.0/24').id };
    const create = (values: object) =>
      api.member.post('/v2/lbaas/loadbalancers', { loadbalancer: { ...vip, ...values } });
    const { loadbalancer } = (await create({ flavor_id: offered.id })).body;
    expect(loadbalancer).toMatchObject({ flavor_id: offered.id, provider: 'amphora' });
    expect((await create({ flavor_id: offered.id, provider: 'octavia' })).status).toBe(400);

    expect((await api.admin.delete(`${flavors}/${offered.id}`)).status).toBe(409);
    expect((await api.admin.delete(`${profiles}/${profileId}`)).status).toBe(409);
    const busy = await api.admin.put(`${profiles}/${profileId}`, { flavorprofile: { flavor_data: '{}' } });
    expect(busy.status).toBe(409);
    const renamed = await api.admin.put(`${profiles}/${profileId}`, { flavorprofile: { name: 'o2' } });
    expect(renamed.body.flavorprofile.name).toBe('o2');

    await api.admin.put(`${flavors}/${offered.id}`, { flavor: { enabled: false, description: null } });
    expect((await api.member.get(`${flavors}/${offered.id}`)).body.flavor).toMatchObject({
      enabled: false,
      description: '',
    });
    expect((await create({ flavor_id: offered.id })).body.faultstring).toContain('disabled');

    await api.settle(loadbalancer.id);
    await api.member.delete(`/v2/lbaas/loadbalancers/${loadbalancer.id}`);
    await api.settle(loadbalancer.id);
    expect((await api.admin.delete(`${flavors}/${offered.id}`)).status).toBe(204);
    expect((await api.admin.delete(`${flavors}/${offered.id}`)).status).toBe(404);
    expect((await api.admin.delete(`${profiles}/${profileId}`)).status).toBe(204);
  });

  it('with SR-IOV gives the VIP and members that ask for it a direct port; others have none', async () => {
    const vip = { vip_subnet_id: api.cloud.addSubnet('192.0.2.0/24').id };
    const member = { address: '192.0.2.9', protocol_port: 80, request_sriov: true };
    const pools = (asked: object) => [
      { name: 'p', protocol: 'TCP', lb_algorithm: 'ROUND_ROBIN', members: [asked] },
    ];
    const create = (values: object) =>
      api.member.post('/v2/lbaas/loadbalancers', { loadbalancer: { ...vip, ...values } });
    const offer = async (flavorData: object) => {
      const made = await profile({ flavor_data: JSON.stringify(flavorData) });
      expect(made.status).toBe(201);
      return (await flavor({ flavor_profile_id: made.body.flavorprofile.id })).body.flavor.id as string;
    };
    const both = await offer({ sriov_vip: true, allow_member_sriov: true });
    const neither = await offer({ sriov_vip: false, allow_member_sriov: false });

    const { loadbalancer } = (await create({ flavor_id: both, pools: pools(member) })).body;
    expect(loadbalancer.vip_vnic_type).toBe('direct');
    const { id } = loadbalancer;
    const path = `/v2/lbaas/pools/${loadbalancer.pools[0].id}/members`;
    expect((await api.member.get(path)).body.members).toMatchObject([{ vnic_type: 'direct' }]);
    await api.settle(id);
    const single = await api.member.post(path, { member: { ...member, protocol_port: 81 } });
    expect(single.body.member).toMatchObject({ vnic_type: 'direct' });
    expect(single.body.member).not.toHaveProperty('request_sriov');
    await api.settle(id);
    const batch = [
      { ...member, request_sriov: false },
      { ...member, protocol_port: 82 },
      { ...member, protocol_port: 83, request_sriov: false },
    ];
    expect((await api.member.put(path, { members: batch })).status).toBe(202);
    await api.settle(id);
    const shown = (await api.member.get(`${path}?sort=protocol_port`)).body.members;
    expect(shown.map((one: { vnic_type: string }) => one.vnic_type)).toEqual(['direct', 'direct', 'normal']);
    const groupId = randomUUID();
    api.cloud.securityGroups.add(groupId);
    const group = { loadbalancer: { vip_sg_ids: [groupId] } };
    expect((await api.member.put(`/v2/lbaas/loadbalancers/${id}`, group)).status).toBe(400);

    expect((await create({ flavor_id: neither, pools: pools(member) })).status).toBe(400);
    const plain = (await create({ flavor_id: neither, pools: pools({ ...member, request_sriov: false }) }))
      .body.loadbalancer;
    expect(plain.vip_vnic_type).toBe('normal');
    await api.settle(plain.id);
    const plainPath = `/v2/lbaas/pools/${plain.pools[0].id}/members`;
    const refused = await api.member.put(plainPath, { members: [{ ...member, protocol_port: 82 }] });
    expect([refused.status, refused.body.faultstring]).toEqual([400, expect.stringContaining('SR-IOV')]);
    // What is there already is not asked again.
    expect((await api.member.put(plainPath, { members: [member] })).status).toBe(202);
    await api.settle(plain.id);
    expect((await api.member.get(plainPath)).body.members).toMatchObject([{ vnic_type: 'normal' }]);
  });

  it.each([
    [{ flavor_data: '{"sriov_vip": "yes"}' }, 501, 'sriov_vip'],
    [{ flavor_data: 'no json' }, 400, 'no json'],
    [{ flavor_data: '[]' }, 400, 'JSON object'],
    [{ flavor_data: '{"colour": "red"}' }, 501, 'colour'],
    [{ flavor_data: '{"__proto__": 1}' }, 501, '__proto__'],
    [{ flavor_data: '{"compute_flavor": 10}' }, 501, 'compute_flavor'],
    [{ flavor_data: '{"compute_flavor": "11"}' }, 501, '11'],
    [{ flavor_data: '{"amp_image_tag": "gone"}' }, 501, 'gone'],
    [{ flavor_data: '{"loadbalancer_topology": "RING"}' }, 501, 'RING'],
    [{ provider_name: 'f5' }, 400, 'f5'],
    [{ flavor_data: null }, 400, 'flavor_data'],
    [{ name: null }, 400, 'name'],
  ])('has no profile with %j', async (values, status, text) => {
    const reply = await profile(values);
    expect(reply.status).toBe(status);
    expect(reply.body.faultstring).toContain(text);
  });

  it('has a name of its own and a profile that exists', async () => {
    const { flavorprofile } = (await profile()).body;
    await flavor({ name: 'taken', flavor_profile_id: flavorprofile.id });
    expect((await flavor({ name: 'taken', flavor_profile_id: flavorprofile.id })).status).toBe(409);
    expect((await flavor({ flavor_profile_id: randomUUID() })).status).toBe(400);
    expect((await flavor({})).status).toBe(400);
    expect((await api.member.get(`${flavors}?name=taken`)).body).toMatchObject({
      flavors: [{ name: 'taken' }],
      flavors_links: [],
    });
    expect((await api.admin.get(`${profiles}?limit=1`)).body).toHaveProperty('flavorprofile_links');
    expect((await api.member.get(`${flavors}/00000000-0000-0000-0000-000000000000`)).status).toBe(404);
  });

  it('is made by admins alone, and profiles are theirs alone to see', async () => {
    expect((await api.member.get(profiles)).status).toBe(403);
    expect((await api.member.get(`${profiles}/${randomUUID()}`)).status).toBe(403);
    const reply = await api.member.post(flavors, { flavor: { name: 'x', flavor_profile_id: randomUUID() } });
    expect(reply.status).toBe(403);
    expect((await api.member.delete(`${flavors}/${randomUUID()}`)).status).toBe(403);
  });
});

describe('Providers', () => {
  it('are listed with what they can', async () => {
    const { providers } = (await api.member.get('/v2/lbaas/providers')).body;
    expect(providers.map(({ name }: { name: string }) => name)).toEqual(['amphora', 'octavia']);
    expect((await api.member.get('/v2/lbaas/providers?fields=name')).body.providers[0]).toEqual({
      name: 'amphora',
    });
    const path = '/v2/lbaas/providers/amphora/flavor_capabilities';
    const { flavor_capabilities: all } = (await api.admin.get(path)).body;
    expect(all.map(({ name }: { name: string }) => name)).toContain('compute_flavor');
    const one = await api.admin.get(`${path}?name=compute_flavor&fields=name`);
    expect(one.body.flavor_capabilities).toEqual([{ name: 'compute_flavor' }]);
    expect((await api.admin.get(path.replace('amphora', 'f5'))).status).toBe(400);
    expect((await api.member.get(path)).status).toBe(403);
    const zones = '/v2/lbaas/providers/octavia/availability_zone_capabilities';
    expect((await api.admin.get(zones)).body.availability_zone_capabilities).toHaveLength(4);
  });
});
