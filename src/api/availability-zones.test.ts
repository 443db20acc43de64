import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApi, type TestApi } from './client.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const profiles = '/v2/lbaas/availabilityzoneprofiles';
const zones = '/v2/lbaas/availabilityzones';
const data = '{"compute_zone":  "nova"}';
const profile = (values: object = {}) =>
  api.admin.post(profiles, {
    availability_zone_profile: {
      ...{ name: 'azp1', provider_name: 'amphora', availability_zone_data: data },
      ...values,
    },
  });
const zone = (values: object) =>
  api.admin.post(zones, { availability_zone: { name: randomUUID(), ...values } });
const aProfile = async (values: object = {}): Promise<string> =>
  (await profile(values)).body.availability_zone_profile.id;
const aZone = async (values: object = {}, profileValues: object = {}): Promise<string> =>
  (await zone({ availability_zone_profile_id: await aProfile(profileValues), ...values })).body
    .availability_zone.name;

let subnets = 0;
const create = (values: object) =>
  api.member.post('/v2/lbaas/loadbalancers', {
    loadbalancer: { vip_subnet_id: api.cloud.addSubnet(`10.0.${++subnets}.0/24`).id, ...values },
  });

describe('An availability zone', () => {
  it('lives with its profile, and both stay while they are used', async () => {
    const made = await profile();
    expect(made.status).toBe(201);
    const profileId = made.body.availability_zone_profile.id;
    expect(made.body.availability_zone_profile).toEqual({
      id: profileId,
      name: 'azp1',
      provider_name: 'amphora',
      availability_zone_data: data,
    });
    const offered = await zone({ name: 'az 1/ä', availability_zone_profile_id: profileId });
    expect(offered).toMatchObject({ status: 201 });
    expect(offered.body.availability_zone).toEqual({
      name: 'az 1/ä',
      description: '',
      enabled: true,
      availability_zone_profile_id: profileId,
    });
    const path = `${zones}/${encodeURIComponent('az 1/ä')}`;
    expect((await api.member.get(path)).body).toEqual(offered.body);

    const { loadbalancer } = (await create({ availability_zone: 'az 1/ä' })).body;
    expect(loadbalancer).toMatchObject({ availability_zone: 'az 1/ä', provider: 'amphora' });
    expect((await api.admin.delete(path)).status).toBe(409);
    expect((await api.admin.delete(`${profiles}/${profileId}`)).status).toBe(409);
    const change = (values: object) =>
      api.admin.put(`${profiles}/${profileId}`, { availability_zone_profile: values });
    expect((await change({ availability_zone_data: '{}' })).status).toBe(409);
    expect((await change({ name: 'azp2' })).body.availability_zone_profile.name).toBe('azp2');

    const put = (values: object) => api.admin.put(path, { availability_zone: values });
    expect((await put({ name: 'other' })).status).toBe(400);
    expect((await put({ enabled: 'no', description: null })).body.availability_zone).toMatchObject({
      enabled: false,
      description: '',
    });
    expect((await create({ availability_zone: 'az 1/ä' })).body.faultstring).toContain('disabled');

    await api.settle(loadbalancer.id);
    await api.member.delete(`/v2/lbaas/loadbalancers/${loadbalancer.id}`);
    await api.settle(loadbalancer.id);
    expect((await api.admin.delete(path)).status).toBe(204);
    expect((await api.admin.delete(path)).status).toBe(404);
    expect((await api.admin.delete(`${profiles}/${profileId}`)).status).toBe(204);
  });

  it.each([
    [{ availability_zone_data: 'no json' }, 400, 'no json'],
    [{ availability_zone_data: '{"colour": "red"}' }, 501, 'colour'],
    [{ availability_zone_data: '{"compute_zone": 1}' }, 501, 'compute_zone'],
    [{ availability_zone_data: '{"compute_zone": "mars"}' }, 501, 'mars'],
    [{ availability_zone_data: '{"valid_vip_networks": "a"}' }, 501, 'valid_vip_networks'],
    [{ availability_zone_data: '{"valid_vip_networks": ["gone"]}' }, 501, 'gone'],
    [{ availability_zone_data: '{"volume_zone": 7}' }, 501, 'volume_zone'],
    [{ availability_zone_data: '{"management_network": "gone"}' }, 501, 'gone'],
    [{ provider_name: 'f5' }, 400, 'f5'],
    [{ availability_zone_data: null }, 400, 'availability_zone_data'],
  ])('has no profile with %j', async (values, status, text) => {
    const reply = await profile(values);
    expect(reply.status).toBe(status);
    expect(reply.body.faultstring).toContain(text);
  });

  it('may name a volume zone, which nobody asks about as amphorae have no volumes', async () => {
    const availability_zone_data = '{"volume_zone": "ssd-1"}';
    const availability_zone = await aZone({}, { availability_zone_data });
    expect((await create({ availability_zone })).status).toBe(201);
  });

  it('has a name of its own and a profile that exists', async () => {
    const id = await aProfile();
    const name = await aZone();
    expect((await zone({ name, availability_zone_profile_id: id })).status).toBe(409);
    expect((await zone({ availability_zone_profile_id: randomUUID() })).status).toBe(400);
    expect((await zone({ name: null, availability_zone_profile_id: id })).status).toBe(400);
    const listed = await api.member.get(`${zones}?name=${name}&enabled=true&fields=name`);
    expect(listed.body).toEqual({ availability_zones: [{ name }], availability_zones_links: [] });
    const page = (await api.member.get(`${zones}?limit=1`)).body;
    expect(page.availability_zones_links[0].href).toMatch(/marker=None$/);
    expect((await api.member.get(`${zones}?marker=${name}`)).status).toBe(400);
    expect((await api.admin.get(`${profiles}?limit=1`)).body).toHaveProperty(
      'availability_zone_profile_links',
    );
    expect((await api.member.get(`${zones}/nowhere`)).body.faultstring).toBe(
      'Availability Zone nowhere not found.',
    );
    expect((await api.admin.put(`${zones}/a%00b`, { availability_zone: {} })).status).toBe(404);
    expect((await api.member.get(`${zones}/a%00b`)).status).toBe(404);
  });

  it('must be there for who names it, and may hold its VIPs to some networks', async () => {
    expect((await create({ availability_zone: 'nowhere' })).status).toBe(400);
    expect((await create({ availability_zone: null })).status).toBe(400);
    const subnet = api.cloud.addSubnet('10.1.0.0/24');
    const network = subnet.networkId;
    const availability_zone = await aZone(
      {},
      { availability_zone_data: JSON.stringify({ valid_vip_networks: [network] }) },
    );
    const refused = await create({ availability_zone });
    expect(refused).toMatchObject({ status: 400 });
    expect(refused.body.faultstring).toContain('network');
    expect((await create({ availability_zone, vip_subnet_id: subnet.id })).status).toBe(201);
  });

  it('is made by admins alone, and profiles are theirs alone to see', async () => {
    expect((await api.member.get(profiles)).status).toBe(403);
    const body = { availability_zone: { name: 'x', availability_zone_profile_id: randomUUID() } };
    expect((await api.member.post(zones, body)).status).toBe(403);
    expect((await api.member.delete(`${zones}/x`)).status).toBe(403);
    expect((await api.member.get(zones)).status).toBe(200);
  });
});
