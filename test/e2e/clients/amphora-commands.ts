import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../../src/platform/run.ts';
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

    const serving = async (): Promise<string> => {
      const rows = await stage.client.run<Row[]>(
        ...(['amphora list', '--loadbalancer', 'lb-amphora', '--status', 'ALLOCATED'] as const),
      );
      expect(rows).toHaveLength(1);
      return rows[0]?.['id'];
    };

    it('are told the settings of today, and replaced: one, or all of a load balancer', async () => {
      const { client } = stage;
      await client.run('amphora configure', amphora['id'], '--wait');
      expect(await serving()).toBe(amphora['id']);
      await client.run('amphora failover', amphora['id'], '--wait');
      const second = await serving();
      expect(second).not.toBe(amphora['id']);
      expect(await client.refused('amphora show', amphora['id'])).toMatch(/404|Not found/);
      await client.run('failover', 'lb-amphora', '--wait');
      expect([amphora['id'], second]).not.toContain(await serving());
      expect(await client.run('show', 'lb-amphora')).toMatchObject({
        provisioning_status: 'ACTIVE',
        vip_address: amphora['ha_ip'],
      });
      // The client asks for a name too, which amphorae do not have.
      expect(await client.refused('amphora failover', loadBalancer)).toMatch(/\(HTTP 400\)/);
    });

    it('are deleted once they have failed, not before', async () => {
      const { client, service } = stage;
      const id = await serving();
      expect(await client.refused('amphora delete', id)).toMatch(/immutable.*\(HTTP 409\)/s);
      // Nothing on one machine makes an amphora fail for good: its row is told so.
      await run([
        ...['psql', '-q', '-h', join(service.stateDir, 'run/postgres'), '-U', 'livia', '-d', 'livia', '-c'],
        `update amphorae set status = 'ERROR' where id = '${id}'`,
      ]);
      await client.run('amphora delete', id, '--wait');
      await service.active(loadBalancer);
      expect(await serving()).not.toBe(id);
    });
  });
}
