import { beforeAll, describe, expect, it } from 'vitest';
import type { Row } from './client.ts';
import { date, emptyList, idsOf, lines, inTurn, type Stage, uuid } from './stage.ts';

/** `openstack loadbalancer create|list|show|set|unset|delete|failover`, and statistics and statuses. */
export function loadBalancerCommands(stage: Stage): void {
  describe('load balancers', inTurn, () => {
    const { service } = stage;
    let subnet: Row;
    let first: Row;
    let second: Row;
    let third: Row;

    beforeAll(async () => {
      const { client } = stage;
      subnet = await client.json('subnet', 'show', 'ext_net_subnet');
      await client.run(
        ...(['flavorprofile create', '--name', 'small-profile', '--provider', 'amphora'] as const),
        ...['--flavor-data', '{"loadbalancer_topology": "SINGLE"}'],
      );
      await client.run('flavor create', '--name', 'small', '--flavorprofile', 'small-profile');
      await client.run(
        ...(['availabilityzoneprofile create', '--name', 'here-profile', '--provider', 'amphora'] as const),
        ...['--availability-zone-data', '{"compute_zone": "nova"}'],
      );
      await client.run(
        ...(['availabilityzone create', '--name', 'here', '--availabilityzoneprofile'] as const),
        'here-profile',
      );
      await client.json('network', 'create', 'two-nets');
      for (const [name, range] of [
        ['two-nets-a', '10.77.1.0/24'],
        ['two-nets-b', '10.77.2.0/24'],
      ] as const)
        await client.json('subnet', 'create', '--network', 'two-nets', '--subnet-range', range, name);
      await client.json('port', 'create', '--network', 'ext_net', 'my-vip');
    });

    it('are created on a subnet, and shown when they are ready', async () => {
      const { client } = stage;
      first = await client.run(
        ...(['create', '--name', 'lb1', '--description', 'the first', '--enable', '--wait'] as const),
        ...['--vip-subnet-id', 'ext_net_subnet', '--flavor', 'small', '--provider', 'amphora'],
        ...['--project', 'admin', '--tag', 'blue', '--tag', 'green', '--vip-qos-policy-id', 'None'],
      );
      const flavor = await client.run('flavor show', 'small');
      expect(first).toMatchObject({
        admin_state_up: true,
        availability_zone: null,
        created_at: expect.stringMatching(date),
        description: 'the first',
        flavor_id: flavor['id'],
        id: expect.stringMatching(uuid),
        listeners: emptyList,
        name: 'lb1',
        operating_status: 'ONLINE',
        pools: emptyList,
        provider: 'amphora',
        provisioning_status: 'ACTIVE',
        updated_at: expect.stringMatching(date),
        vip_network_id: subnet['network_id'],
        vip_port_id: expect.stringMatching(uuid),
        vip_qos_policy_id: null,
        vip_subnet_id: subnet['id'],
        additional_vips: [],
      });
      expect(lines(first['tags'])).toEqual(['blue', 'green']);
      expect(first['vip_address'].split('.').slice(0, 3)).toEqual(subnet['cidr'].split('.').slice(0, 3));
      expect(await client.json('port', 'show', first['vip_port_id'])).toMatchObject({
        name: `octavia-lb-${first['id']}`,
        device_owner: 'Octavia',
        device_id: `lb-${first['id']}`,
      });
    });

    it('are created on a network with addresses of one’s choice, disabled, in an availability zone', async () => {
      const { client } = stage;
      second = await client.run(
        ...([
          'create',
          '--name',
          'lb2',
          '--vip-network-id',
          'two-nets',
          '--vip-address',
          '10.77.1.77',
        ] as const),
        ...['--additional-vip', 'subnet-id=two-nets-b,ip-address=10.77.2.78', '--disable'],
        ...['--availability-zone', 'here', '--no-tag'],
      );
      const [a, b] = await Promise.all(
        ['two-nets-a', 'two-nets-b'].map((name) => client.json('subnet', 'show', name)),
      );
      expect(second).toMatchObject({
        admin_state_up: false,
        availability_zone: 'here',
        provisioning_status: 'PENDING_CREATE',
        operating_status: 'OFFLINE',
        vip_address: '10.77.1.77',
        vip_subnet_id: a?.['id'],
        additional_vips: [{ subnet_id: b?.['id'], ip_address: '10.77.2.78' }],
        description: '',
        tags: emptyList,
      });
      await service.active(second['id']);
    });

    it('are created on a port that is there already', async () => {
      const { client } = stage;
      const port = await client.json('port', 'show', 'my-vip');
      third = await client.run('create', '--name', 'lb3', '--vip-port-id', 'my-vip');
      expect(third).toMatchObject({
        vip_port_id: port['id'],
        vip_address: port['fixed_ips'][0].ip_address,
        vip_subnet_id: subnet['id'],
        flavor_id: null,
      });
      await service.active(third['id']);
    });

    it('need a VIP, and one place for it', async () => {
      const { client } = stage;
      expect(await client.refused('create', '--name', 'nowhere')).toContain('Missing required argument');
      expect(
        await client.refused('create', '--vip-port-id', 'my-vip', '--vip-network-id', 'ext_net'),
      ).toContain('can not be used with');
      expect(await client.refused('create', '--vip-port-id', first['vip_port_id'])).toMatch(
        /\(HTTP 400\) \(Request-ID: req-[0-9a-f-]{36}\)/,
      );
      expect(
        await client.refused('create', '--vip-subnet-id', 'ext_net_subnet', '--provider', 'nobody'),
      ).toMatch(/Provider 'nobody' is not enabled\. \(HTTP 400\)/);
    });

    it('are listed, by everything they have', async () => {
      const { client } = stage;
      const all = await client.run<Row[]>('list');
      expect(all.find((row) => row['id'] === first['id'])).toEqual({
        id: first['id'],
        name: 'lb1',
        project_id: first['project_id'],
        vip_address: first['vip_address'],
        provisioning_status: 'ACTIVE',
        operating_status: 'ONLINE',
        provider: 'amphora',
      });
      const ids = { first: first['id'], second: second['id'], third: third['id'] };
      const found: [string[], string[]][] = [
        [['--name', 'lb1'], [ids.first]],
        [['--name', 'nobody'], []],
        [['--vip-qos-policy-id', 'none', '--name', 'lb1'], [ids.first]],
        [['--disable'], [ids.second]],
        [
          ['--enable', '--project', 'admin'],
          [ids.first, ids.third],
        ],
        [['--project', 'service'], []],
        [['--vip-network-id', 'two-nets'], [ids.second]],
        [
          ['--vip-subnet-id', 'ext_net_subnet'],
          [ids.first, ids.third],
        ],
        [['--vip-port-id', 'my-vip'], [ids.third]],
        [['--provisioning-status', 'error'], []],
        [
          ['--provisioning-status', 'ACTIVE', '--operating-status', 'online'],
          [ids.first, ids.third],
        ],
        [['--operating-status', 'OFFLINE'], [ids.second]],
        [
          ['--provider', 'amphora'],
          [ids.first, ids.second, ids.third],
        ],
        [['--provider', 'octavia'], []],
        [['--flavor', 'small'], [ids.first]],
        [['--availability-zone', 'here'], [ids.second]],
        [['--tags', 'blue,green'], [ids.first]],
        [['--tags', 'blue,red'], []],
        [['--any-tags', 'blue,red'], [ids.first]],
        [
          ['--not-tags', 'blue,green'],
          [ids.second, ids.third],
        ],
        [
          ['--not-any-tags', 'blue'],
          [ids.second, ids.third],
        ],
      ];
      const mine = new Set(Object.values(ids));
      const answers = await Promise.all(found.map(([filter]) => client.run<Row[]>('list', ...filter)));
      expect(
        answers.map((rows, index) => [found[index]?.[0], idsOf(rows).filter((id) => mine.has(id))]),
      ).toEqual(found.map(([filter, wanted]) => [filter, wanted.toSorted()]));
    });

    it('are shown by id and by name; what is not there is said so', async () => {
      const { client } = stage;
      const [byId, byName] = await Promise.all([client.run('show', first['id']), client.run('show', 'lb1')]);
      expect(byId).toEqual(first);
      expect(byName).toEqual(first);
      expect(await client.refused('show', 'nobody')).toContain('Unable to locate nobody in loadbalancers');
    });

    it('are changed, and shown changed', async () => {
      const { client } = stage;
      await client.run(
        ...(['set', 'lb1', '--name', 'lb-one', '--description', 'changed', '--disable'] as const),
        ...['--tag', 'red', '--vip-qos-policy-id', 'none', '--wait'],
      );
      const changed = await client.run('show', 'lb-one');
      expect(changed).toMatchObject({
        id: first['id'],
        description: 'changed',
        admin_state_up: false,
        provisioning_status: 'ACTIVE',
      });
      expect(lines(changed['tags'])).toEqual(['blue', 'green', 'red']);
      await client.run('set', 'lb-one', '--enable', '--no-tag', '--tag', 'last');
      await service.active(first['id']);
      expect(await client.run('show', first['id'])).toMatchObject({ admin_state_up: true, tags: 'last' });
    });

    it('lose what is unset', async () => {
      const { client } = stage;
      await client.run(
        'unset',
        first['id'],
        '--description',
        '--vip-qos-policy-id',
        '--tag',
        'nobody',
        '--wait',
      );
      expect(await client.run('show', first['id'])).toMatchObject({ description: '', tags: 'last' });
      await client.run('unset', first['id'], '--name', '--all-tag');
      await service.active(first['id']);
      expect(await client.run('show', first['id'])).toMatchObject({ name: '', tags: emptyList });
      await client.run('set', first['id'], '--name', 'lb1');
      await service.active(first['id']);
    });

    it('tell their statistics and the statuses of all below them', async () => {
      const { client } = stage;
      expect(await client.run('stats show', 'lb1')).toEqual({
        active_connections: 0,
        bytes_in: 0,
        bytes_out: 0,
        request_errors: 0,
        total_connections: 0,
      });
      expect(await client.run('status show', 'lb1')).toEqual({
        loadbalancer: {
          id: first['id'],
          name: 'lb1',
          operating_status: 'ONLINE',
          provisioning_status: 'ACTIVE',
          listeners: [],
        },
      });
    });

    it('are deleted; with what is below them only by --cascade', async () => {
      const { client } = stage;
      await client.run('listener create', '--protocol', 'HTTP', '--protocol-port', '80', 'lb3');
      await service.active(third['id']);
      expect(await client.refused('delete', 'lb3')).toMatch(/\(HTTP 400\)/);
      await client.run('delete', 'lb3', '--cascade', '--wait');
      expect(await client.refused('show', third['id'])).toContain('Unable to locate');
      expect((await client.openstack('port', 'show', 'my-vip')).code).toBe(0);
      await client.run('delete', 'lb2');
      await client.run('delete', 'lb1', '--wait');
      expect((await client.openstack('port', 'show', first['vip_port_id'])).code).toBe(1);
    });
  });
}
