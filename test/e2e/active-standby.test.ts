import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/platform/run.ts';
import { makeTestAuthority } from './certificates.ts';
import { type DatagramMember, datagramClient, datagramMember } from './datagrams.ts';
import {
  externalSubnet,
  externalSubnet6,
  type HttpsLoadBalancer,
  makeHttpsLoadBalancer,
} from './https-load-balancer.ts';
import { webMember, type WebMember } from './members.ts';
import { discard, eventually, instancePid, makeService, scratch } from './service.ts';

const service = makeService(21_020);
const folder = scratch('active-standby');
let balancer: HttpsLoadBalancer;
let member: WebMember;
let flavorId: string;

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
  flavorId = flavor.id;
  balancer = await makeHttpsLoadBalancer(service, authority, 'pair.example', [member], {
    flavor_id: flavorId,
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
const amphoraeOf = async (id: string): Promise<Shown[]> =>
  (await service.call('GET', `/v2/octavia/amphorae?loadbalancer_id=${id}&sort=role:desc`)).amphorae;
const amphorae = () => amphoraeOf(balancer.id);

const inside = (amphora: Shown, ...command: string[]): Promise<string> =>
  run(['nsenter', '-t', String(instancePid(service, amphora.compute_id)), '-n', '-m', '-p', ...command]);

/** Who has the VIP on its card. */
async function holders(id = balancer.id, vip = balancer.vip): Promise<Shown[]> {
  const all = await amphoraeOf(id);
  const have = await Promise.all(
    all.map(async (amphora) => (await inside(amphora, 'ip', 'address')).includes(` ${vip}/`)),
  );
  return all.filter((_, n) => have[n]);
}

/** Both serve, and just one has the VIPs. */
const whole = (id = balancer.id, vips: readonly string[] = [balancer.vip]): Promise<Shown> =>
  eventually('a whole pair with the VIPs on one', async () => {
    const all = await amphoraeOf(id);
    const have = await Promise.all(vips.map((vip) => holders(id, vip)));
    const [[holder] = []] = have;
    const pair = all.length === 2 && all.every(({ status }) => status === 'ALLOCATED');
    const one = have.every((list) => list.length === 1 && list[0]?.id === holder?.id);
    return pair && one ? holder : undefined;
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

describe('A load balancer of two amphorae with VIPs of IPv6 and IPv4, for datagrams', () => {
  const [door, sctpDoor] = [5300, 5301];
  let id: string;
  let vips: string[];
  let listenerId: string;
  const members: DatagramMember[] = [];
  /** Of the UDP listener, as last seen. */
  let counted = { total_connections: 0, bytes_in: 0, bytes_out: 0 };
  const fallen: string[] = [];

  async function count(): Promise<number> {
    const { stats } = await service.call('GET', `/v2/lbaas/listeners/${listenerId}/stats`);
    for (const key of ['total_connections', 'bytes_in', 'bytes_out'] as const) {
      if (stats[key] < counted[key]) fallen.push(`${key} from ${counted[key]} to ${stats[key]}`);
    }
    counted = stats;
    return stats.total_connections;
  }
  const hasCounted = (flows: number) =>
    eventually(`${flows} flows`, async () => ((await count()) >= flows ? true : undefined));
  const sctp = (): Promise<string> => {
    const script = join(import.meta.dirname, 'sctp-handshake.py');
    const [, vip4 = ''] = vips;
    return run(['python3', script, members[0]?.address ?? '', '7001', vip4, String(sctpDoor)]);
  };

  beforeAll(async () => {
    const [four, six] = [await externalSubnet(service), await externalSubnet6(service)];
    for (const gateway of [four.gateway, six.gateway]) {
      for (const name of ['ada', 'bob']) members.push(await datagramMember(name, gateway));
    }
    const pool = (name: string, protocol: string, places: object[]) => ({
      ...{ name, protocol, lb_algorithm: 'SOURCE_IP', members: places },
    });
    const { loadbalancer } = await service.call('POST', '/v2/lbaas/loadbalancers', {
      loadbalancer: {
        ...{ name: 'datagrams', vip_subnet_id: six.id, additional_vips: [{ subnet_id: four.id }] },
        flavor_id: flavorId,
        listeners: [
          { name: 'udp', protocol: 'UDP', protocol_port: door, default_pool: { name: 'udp' } },
          { name: 'sctp', protocol: 'SCTP', protocol_port: sctpDoor, default_pool: { name: 'sctp' } },
        ],
        pools: [
          pool(
            'udp',
            'UDP',
            members.map(({ name, address, port }) => ({ name, address, protocol_port: port })),
          ),
          pool('sctp', 'SCTP', [{ address: four.gateway, protocol_port: 7001 }]),
        ],
      },
    });
    id = loadbalancer.id;
    vips = [loadbalancer.vip_address, loadbalancer.additional_vips[0].ip_address];
    listenerId = loadbalancer.listeners.find(({ name }: { name: string }) => name === 'udp').id;
    await service.active(id);
  });
  afterAll(async () => {
    await Promise.all(members.map((one) => one.close()));
  });

  it('has all its VIPs on one of the two, and carries UDP and SCTP', async () => {
    expect(vips[0]).toContain(':');
    await whole(id, vips);
    for (const vip of vips) {
      const client = datagramClient(vip, door);
      expect(['ada', 'bob']).toContain(await eventually('an answer', () => heard(client)));
      await client.close();
    }
    expect(await sctp()).toContain('member True from balancer True');
    await hasCounted(2);
  });

  it('goes on with flows and members when the MASTER dies without a word, and counts on', async () => {
    const clients = vips.map((vip) => datagramClient(vip, door));
    const before = await Promise.all(clients.map((client) => client.ask()));
    const master = await whole(id, vips);
    const backup = (await amphoraeOf(id)).find((amphora) => amphora.id !== master.id);
    await hasCounted(4);
    process.kill(instancePid(service, master.compute_id), 'SIGKILL');
    expect((await whole(id, vips)).id).toBe(backup?.id);
    // From the same ports as before: the other amphora knows nothing of these flows, and chooses by the client.
    for (const [n, client] of clients.entries()) {
      expect(await eventually('an answer of the other', () => heard(client))).toBe(before[n]);
    }
    expect(await sctp()).toContain('member True from balancer True');
    await hasCounted(6);
    expect(fallen).toEqual([]);
    await Promise.all(clients.map((client) => client.close()));
  });
});

async function heard(client: ReturnType<typeof datagramClient>): Promise<string | undefined> {
  const said = await client.ask();
  return said === 'silence' ? undefined : said;
}
