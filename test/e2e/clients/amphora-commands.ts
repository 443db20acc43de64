import { beforeAll, describe, expect, it } from 'vitest';
import { curl, eventually } from '../service.ts';
import { expectColumns, type Row } from './client.ts';
import { longAmphora } from './commands.ts';
import { makeLoadBalancer, inTurn, type Stage, uuid } from './stage.ts';

/** `openstack loadbalancer amphora …`. */
export function amphoraCommands(stage: Stage): void {
  describe('amphorae', inTurn, () => {
    let loadBalancer: string;
    let amphora: Row;

    beforeAll(async () => {
      const { client, service } = stage;
      loadBalancer = await makeLoadBalancer(stage, 'lb-amphora');
      await client.run(
        ...(['listener create', '--name', 'counted', '--protocol', 'HTTP', '--protocol-port', '80'] as const),
        'lb-amphora',
      );
      await service.active(loadBalancer);
    });

    it('are listed, in short and in full', async () => {
      const { client } = stage;
      const list = (...filter: string[]): Promise<Row[]> =>
        client.run<Row[]>('amphora list', '--loadbalancer', 'lb-amphora', ...filter);
      const rows = await list('--role', 'standalone', '--status', 'allocated');
      expect(rows).toHaveLength(1);
      const [long] = await list('--long');
      expectColumns(long ?? {}, longAmphora);
      amphora = await client.run('amphora show', rows[0]?.['id']);
      expect(long).toEqual(Object.fromEntries(longAmphora.map((column) => [column, amphora[column]])));
      expect(await list('--compute-id', amphora['compute_id'])).toEqual(rows);
      expect(await list('--role', 'MASTER')).toEqual([]);
      expect(await list('--status', 'ERROR')).toEqual([]);
    });

    it('are shown', async () => {
      const { client } = stage;
      const shown = await client.run('show', 'lb-amphora');
      expect(amphora).toMatchObject({
        id: expect.stringMatching(uuid),
        loadbalancer_id: loadBalancer,
        compute_id: expect.stringMatching(uuid),
        lb_network_ip: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/),
        vrrp_ip: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/),
        ha_ip: shown['vip_address'],
        vrrp_port_id: expect.stringMatching(uuid),
        ha_port_id: shown['vip_port_id'],
        cert_expiration: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        cert_busy: false,
        role: 'STANDALONE',
        status: 'ALLOCATED',
        image_id: expect.stringMatching(uuid),
      });
      const server = await client.json('server', 'show', amphora['compute_id']);
      expect(server['name']).toBe(`amphora-${amphora['id']}`);
      expect(await client.refused('amphora show', loadBalancer)).toMatch(/404|Not found/);
    });

    it('count what goes through them, for each listener or for all', async () => {
      const { client } = stage;
      const { vip_address: vip } = await client.run('show', 'lb-amphora');
      expect(await curl(`http://${vip}/`)).toContain('503');
      const counted = await eventually('the request is counted', async () => {
        const statistics = await client.run('amphora stats show', amphora['id']);
        return statistics['total_connections'] > 0 ? statistics : undefined;
      });
      expect(counted).toMatchObject({ active_connections: 0, total_connections: 1 });
      expect(await client.run('amphora stats show', '--listener', 'counted', amphora['id'])).toEqual(counted);
      expect(await client.run('listener stats show', 'counted')).toEqual(counted);
      expect(await client.run('stats show', 'lb-amphora')).toEqual(counted);
    });
  });
}
