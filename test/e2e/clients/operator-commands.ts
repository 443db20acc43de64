import { describe, expect, it } from 'vitest';
import type { Row } from './client.ts';
import { idsOf, inTurn, type Stage, uuid } from './stage.ts';

/** What operators do: quotas, flavors, availability zones, providers. */
export function operatorCommands(stage: Stage): void {
  describe('quotas', inTurn, () => {
    const unlimited = {
      ...{ load_balancer: -1, listener: -1, pool: -1, health_monitor: -1 },
      ...{ member: -1, l7policy: -1, l7rule: -1 },
    };

    it('are unlimited until somebody sets them', async () => {
      const { client } = stage;
      await client.json('project', 'create', 'tenant');
      expect(await client.run('quota defaults show')).toEqual(unlimited);
      expect(await client.run('quota show', 'tenant')).toEqual(unlimited);
    });

    it('are set one by one or all at once, listed, unset and reset', async () => {
      const { client } = stage;
      const project = await client.json('project', 'show', 'tenant');
      const all = await client.run(
        ...(['quota set', 'tenant', '--loadbalancer', '1', '--listener', '2', '--pool', '3'] as const),
        ...['--member', '4', '--healthmonitor', '5', '--l7policy', '6', '--l7rule', '7'],
      );
      const wanted = {
        ...{ load_balancer: 1, listener: 2, pool: 3, health_monitor: 5 },
        ...{ member: 4, l7policy: 6, l7rule: 7 },
      };
      expect(all).toEqual(wanted);
      expect(await client.run<Row[]>('quota list', '--project', 'tenant')).toEqual([
        { project_id: project['id'], ...wanted },
      ]);
      await client.run('quota unset', 'tenant', '--loadbalancer', '--listener', '--pool', '--member');
      expect(await client.run('quota show', 'tenant')).toEqual({
        ...unlimited,
        ...{ health_monitor: 5, l7policy: 6, l7rule: 7 },
      });
      await client.run('quota unset', 'tenant', '--healthmonitor', '--l7policy', '--l7rule');
      expect(await client.run('quota show', 'tenant')).toEqual(unlimited);
      await client.run('quota set', 'tenant', '--loadbalancer', '0');
      expect(
        await client.refused('create', '--project', 'tenant', '--vip-subnet-id', 'ext_net_subnet'),
      ).toMatch(/quota.*\(HTTP 403\)/is);
      await client.run('quota reset', 'tenant');
      expect(await client.run('quota show', 'tenant')).toEqual(unlimited);
      expect(await client.run<Row[]>('quota list')).toContainEqual({
        project_id: project['id'],
        ...Object.fromEntries(Object.keys(unlimited).map((kind) => [kind, null])),
      });
      expect(await client.refused('quota set', 'tenant')).not.toBe('');
      expect(await client.refused('quota set', 'tenant', '--pool', '-2')).toMatch(/\(HTTP 400\)/);
    });
  });

  describe('providers', inTurn, () => {
    it('are listed, with the keys flavors and availability zones may have', async () => {
      const { client } = stage;
      const providers = await client.run<Row[]>('provider list');
      expect(providers.map((row) => row['name'])).toEqual(['amphora', 'octavia']);
      const both = await client.run<Row[]>('provider capability list', 'amphora');
      const flavors = await client.run<Row[]>('provider capability list', 'amphora', '--flavor');
      const zones = await client.run<Row[]>('provider capability list', 'amphora', '--availability-zone');
      expect(both).toEqual([...flavors, ...zones]);
      expect(flavors.map((row) => [row['type'], row['name']])).toContainEqual(['flavor', 'compute_flavor']);
      expect(zones.map((row) => [row['type'], row['name']])).toContainEqual([
        'availability_zone',
        'compute_zone',
      ]);
      expect(await client.refused('provider capability list', 'nobody')).toMatch(/\(HTTP 400\)/);
    });
  });

  describe('flavors and their profiles', inTurn, () => {
    let profile: Row;
    let flavor: Row;

    it('are created', async () => {
      const { client } = stage;
      profile = await client.run(
        ...(['flavorprofile create', '--name', 'big-profile', '--provider', 'amphora'] as const),
        ...['--flavor-data', '{"compute_flavor": "2"}'],
      );
      expect(profile).toEqual({
        id: expect.stringMatching(uuid),
        name: 'big-profile',
        provider_name: 'amphora',
        flavor_data: '{"compute_flavor": "2"}',
      });
      flavor = await client.run(
        ...(['flavor create', '--name', 'big', '--flavorprofile', 'big-profile', '--enable'] as const),
        ...['--description', 'two gigabytes'],
      );
      expect(flavor).toEqual({
        id: expect.stringMatching(uuid),
        name: 'big',
        flavor_profile_id: profile['id'],
        enabled: true,
        description: 'two gigabytes',
      });
      const off = await client.run(
        'flavor create',
        '--name',
        'off',
        '--flavorprofile',
        profile['id'],
        '--disable',
      );
      expect(off).toMatchObject({ enabled: false, description: '' });
      expect(
        await client.refused('flavor create', '--name', 'big', '--flavorprofile', 'big-profile'),
      ).toMatch(/\(HTTP 409\)/);
      expect(
        await client.refused(
          ...([
            'flavorprofile create',
            '--name',
            'bad',
            '--provider',
            'amphora',
            '--flavor-data',
            '{',
          ] as const),
        ),
      ).toMatch(/\(HTTP 400\)/);
      expect(await client.refused('create', '--vip-subnet-id', 'ext_net_subnet', '--flavor', 'off')).toMatch(
        /\(HTTP 400\)/,
      );
    });

    it('are listed', async () => {
      const { client } = stage;
      const list = (...filter: string[]): Promise<Row[]> => client.run<Row[]>('flavor list', ...filter);
      expect(await list('--name', 'big')).toEqual([
        { id: flavor['id'], name: 'big', flavor_profile_id: profile['id'], enabled: true },
      ]);
      expect(
        (await list('--flavorprofile', 'big-profile')).map((row) => row['name'] as string).toSorted(),
      ).toEqual(['big', 'off']);
      expect((await list('--disable')).map((row) => row['name'])).toEqual(['off']);
      expect((await list('--enable')).map((row) => row['name'])).toContain('big');
      const profiles = await client.run<Row[]>('flavorprofile list', '--name', 'big-profile');
      expect(profiles).toEqual([{ id: profile['id'], name: 'big-profile', provider_name: 'amphora' }]);
      expect(idsOf(await client.run<Row[]>('flavorprofile list', '--provider', 'amphora'))).toContain(
        profile['id'],
      );
      expect(await client.run<Row[]>('flavorprofile list', '--provider', 'octavia')).toEqual([]);
    });

    it('are changed, unset and deleted', async () => {
      const { client } = stage;
      await client.run('flavor set', 'big', '--name', 'bigger', '--disable');
      expect(await client.run('flavor show', 'bigger')).toMatchObject({ id: flavor['id'], enabled: false });
      await client.run('flavor set', 'bigger', '--enable');
      await client.run('flavor unset', 'bigger', '--description');
      expect(await client.run('flavor show', flavor['id'])).toMatchObject({ enabled: true, description: '' });
      expect(await client.refused('flavorprofile set', 'big-profile', '--flavor-data', '{}')).toMatch(
        /\(HTTP 409\)/,
      );
      expect(await client.refused('flavorprofile delete', 'big-profile')).toMatch(/\(HTTP 409\)/);
      await client.run('flavor delete', 'bigger');
      await client.run('flavor delete', 'off');
      expect(await client.refused('flavor show', 'bigger')).toContain('Unable to locate bigger in flavors');
      await client.run(
        ...(['flavorprofile set', 'big-profile', '--name', 'p', '--provider', 'octavia'] as const),
        ...['--flavor-data', '{"compute_flavor": "1"}'],
      );
      expect(await client.run('flavorprofile show', 'p')).toEqual({
        id: profile['id'],
        name: 'p',
        provider_name: 'octavia',
        flavor_data: '{"compute_flavor": "1"}',
      });
      await client.run('flavorprofile delete', 'p');
      expect(await client.refused('flavorprofile show', 'p')).toContain(
        'Unable to locate p in flavorprofiles',
      );
    });
  });

  describe('availability zones and their profiles', inTurn, () => {
    let profile: Row;

    it('are created', async () => {
      const { client } = stage;
      profile = await client.run(
        ...(['availabilityzoneprofile create', '--name', 'far-profile', '--provider', 'amphora'] as const),
        ...['--availability-zone-data', '{"compute_zone": "nova"}'],
      );
      expect(profile).toEqual({
        id: expect.stringMatching(uuid),
        name: 'far-profile',
        provider_name: 'amphora',
        availability_zone_data: '{"compute_zone": "nova"}',
      });
      const zone = await client.run(
        ...([
          'availabilityzone create',
          '--name',
          'far',
          '--availabilityzoneprofile',
          'far-profile',
        ] as const),
        ...['--description', 'far away', '--enable'],
      );
      expect(zone).toEqual({
        name: 'far',
        availability_zone_profile_id: profile['id'],
        enabled: true,
        description: 'far away',
      });
      await client.run(
        ...([
          'availabilityzone create',
          '--name',
          'closed',
          '--disable',
          '--availabilityzoneprofile',
        ] as const),
        profile['id'],
      );
    });

    it('are listed', async () => {
      const { client } = stage;
      const list = async (...filter: string[]): Promise<string[]> =>
        (await client.run<Row[]>('availabilityzone list', ...filter)).map((row) => row['name'] as string);
      expect(await client.run<Row[]>('availabilityzone list', '--name', 'far')).toEqual([
        { name: 'far', availability_zone_profile_id: profile['id'], enabled: true },
      ]);
      expect((await list('--availabilityzoneprofile', 'far-profile')).toSorted()).toEqual(['closed', 'far']);
      expect(await list('--disable')).toEqual(['closed']);
      expect(await list('--enable')).toContain('far');
      const profiles = await client.run<Row[]>('availabilityzoneprofile list', '--name', 'far-profile');
      expect(profiles).toEqual([{ id: profile['id'], name: 'far-profile', provider_name: 'amphora' }]);
      expect(await client.run<Row[]>('availabilityzoneprofile list', '--provider', 'octavia')).toEqual([]);
    });

    it('are changed, unset and deleted', async () => {
      const { client } = stage;
      await client.run('availabilityzone set', 'far', '--description', 'further', '--disable');
      expect(await client.run('availabilityzone show', 'far')).toMatchObject({
        description: 'further',
        enabled: false,
      });
      await client.run('availabilityzone set', 'far', '--enable');
      await client.run('availabilityzone unset', 'far', '--description');
      expect(await client.run('availabilityzone show', 'far')).toMatchObject({
        description: '',
        enabled: true,
      });
      expect(await client.refused('availabilityzoneprofile delete', 'far-profile')).toMatch(/\(HTTP 409\)/);
      await client.run('availabilityzone delete', 'far');
      await client.run('availabilityzone delete', 'closed');
      // Older clients ask for an id too, which zones do not have; newer ones look for the name.
      expect(await client.refused('availabilityzone show', 'far')).toMatch(
        /\(HTTP 400\)|Unable to locate far/,
      );
      await client.run('availabilityzoneprofile set', 'far-profile', '--name', 'z', '--provider', 'octavia');
      expect(await client.run('availabilityzoneprofile show', 'z')).toMatchObject({
        id: profile['id'],
        provider_name: 'octavia',
      });
      await client.run('availabilityzoneprofile delete', 'z');
      expect(await client.refused('availabilityzoneprofile show', 'z')).toContain('Unable to locate z');
    });
  });
}
