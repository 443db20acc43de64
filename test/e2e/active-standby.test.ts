import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/platform/run.ts';
import { makeTestAuthority } from './certificates.ts';
import { externalSubnet, type HttpsLoadBalancer, makeHttpsLoadBalancer } from './https-load-balancer.ts';
import { webMember, type WebMember } from './members.ts';
import { discard, eventually, instancePid, makeService, scratch } from './service.ts';

const service = makeService(21_020);
const folder = scratch('active-standby');
let balancer: HttpsLoadBalancer;
let member: WebMember;

beforeAll(async () => {
  const authority = await makeTestAuthority(join(folder, 'pki'));
  await service.start();
  member = await webMember('ada', (await externalSubnet(service)).gateway);
  const { flavorprofile } = await service.call('POST', '/v2/lbaas/flavorprofiles', {
    flavorprofile: {
      name: 'pair',
      provider_name: 'amphora',
      flavor_data: JSON.stringify({ loadbalancer_topology: 'ACTIVE_STANDBY' }),
    },
  });
  const { flavor } = await service.call('POST', '/v2/lbaas/flavors', {
    flavor: { name: 'pair', flavor_profile_id: flavorprofile.id },
  });
  balancer = await makeHttpsLoadBalancer(service, authority, 'pair.example', [member], {
    flavor_id: flavor.id,
  });
});
afterAll(async () => {
  await member.close();
  await discard(service);
  rmSync(folder, { recursive: true, force: true });
});

interface Shown {
  readonly id: string;
  readonly compute_id: string;
  readonly status: string;
  readonly role: string;
  readonly vrrp_ip: string;
  readonly vrrp_id: number;
  readonly vrrp_priority: number;
  readonly vrrp_interface: string;
}
const amphorae = async (): Promise<Shown[]> =>
  (await service.call('GET', `/v2/octavia/amphorae?loadbalancer_id=${balancer.id}&sort=role:desc`)).amphorae;

const inside = (amphora: Shown, ...command: string[]): Promise<string> =>
  run(['nsenter', '-t', String(instancePid(service, amphora.compute_id)), '-n', '-m', '-p', ...command]);

/** Who has the VIP on its card. */
async function holders(): Promise<Shown[]> {
  const all = await amphorae();
  const have = await Promise.all(
    all.map(async (amphora) => (await inside(amphora, 'ip', 'address')).includes(`inet ${balancer.vip}/`)),
  );
  return all.filter((_, n) => have[n]);
}

/** Both serve, and just one has the VIP. */
const whole = (): Promise<Shown> =>
  eventually('a whole pair with the VIP on one', async () => {
    const all = await amphorae();
    const [holder, ...others] = await holders();
    const pair = all.length === 2 && all.every(({ status }) => status === 'ALLOCATED');
    return pair && others.length === 0 ? holder : undefined;
  });

const answers = () => eventually('an answer through the VIP', () => balancer.ask());

describe('A load balancer of two amphorae', () => {
  it('has a MASTER and a BACKUP, shown as Octavia shows them, and the VIP on one of them', async () => {
    await whole();
    expect(await amphorae()).toEqual([
      expect.objectContaining({ role: 'MASTER', vrrp_id: 1, vrrp_priority: 100, vrrp_interface: 'eth1' }),
      expect.objectContaining({ role: 'BACKUP', vrrp_id: 1, vrrp_priority: 90, vrrp_interface: 'eth1' }),
    ]);
    expect(await balancer.ask()).toBe('ada');
  });

  it('moves the VIP to the BACKUP when HAProxy of the MASTER cannot serve', async () => {
    const master = await whole();
    const program = (await inside(master, 'sh', '-c', 'command -v haproxy')).trim();
    await inside(master, 'mount', '--bind', '/bin/false', program); // so that it cannot be started again
    await inside(master, 'pkill', '-KILL', 'haproxy');
    await eventually('the VIP on the other', async () => {
      const [holder] = await holders();
      return holder !== undefined && holder.id !== master.id ? holder : undefined;
    });
    expect(await answers()).toBe('ada');
    await inside(master, 'umount', program);
    await eventually('HAProxy', async () => (await inside(master, 'pidof', 'haproxy')) || undefined);
    await whole();
  });

  it('starts keepalived again where it was killed', async () => {
    const master = await whole();
    const pids = await inside(master, 'pidof', 'keepalived');
    await inside(master, 'kill', '-KILL', ...pids.trim().split(' '));
    await eventually('keepalived', async () => (await inside(master, 'pidof', 'keepalived')) || undefined);
    expect(await answers()).toBe('ada');
    await whole();
  });

  it('serves on when the MASTER dies without a word, and is a pair again soon', async () => {
    const master = await whole();
    process.kill(instancePid(service, master.compute_id), 'SIGKILL');
    expect(await answers()).toBe('ada');
    const holder = await whole();
    expect(holder.id).not.toBe(master.id);
    expect((await amphorae()).map(({ id }) => id)).not.toContain(master.id);
    expect(await answers()).toBe('ada');
  });

  it('is failed over whole, one after the other, and keeps its VIP', async () => {
    const before = (await amphorae()).map(({ id }) => id);
    const { status } = await service.request('PUT', `/v2/lbaas/loadbalancers/${balancer.id}/failover`);
    expect(status).toBe(202);
    await service.active(balancer.id);
    const after = await amphorae();
    expect(after.map(({ role }) => role)).toEqual(['MASTER', 'BACKUP']);
    for (const { id } of after) expect(before).not.toContain(id);
    await whole();
    expect(await answers()).toBe('ada');
  });

  it('leaves nothing of both when it is deleted', async () => {
    await service.call('DELETE', `/v2/lbaas/loadbalancers/${balancer.id}?cascade=true`);
    await eventually('no amphora', async () => ((await amphorae()).length === 0 ? true : undefined));
    const { servers } = await service.call('GET', 'cloud:/compute/v2.1/servers?all_tenants=1');
    expect(servers).toEqual([]);
  });
});
