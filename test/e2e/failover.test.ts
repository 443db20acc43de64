import { rmSync } from 'node:fs';
import { connect } from 'node:tls';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTestAuthority } from './certificates.ts';
import { externalSubnet, type HttpsLoadBalancer, makeHttpsLoadBalancer } from './https-load-balancer.ts';
import { webMember, type WebMember } from './members.ts';
import { discard, eventually, makeService, pause, scratch } from './service.ts';

const service = makeService(21_000);
const folder = scratch('failover');
let balancer: HttpsLoadBalancer;
let member: WebMember;

beforeAll(async () => {
  const authority = await makeTestAuthority(join(folder, 'pki'));
  await service.start();
  member = await webMember('ada', (await externalSubnet(service)).gateway);
  balancer = await makeHttpsLoadBalancer(service, authority, 'moves.example', [member]);
});
afterAll(async () => {
  await member.close();
  await discard(service);
  rmSync(folder, { recursive: true, force: true });
});

const amphoraeOf = async (id: string): Promise<{ id: string; compute_id: string; status: string }[]> =>
  (await service.call('GET', `/v2/octavia/amphorae?loadbalancer_id=${id}`)).amphorae;

/** One handshake and one request through the VIP; the session to take up later. */
async function visit(maxVersion: 'TLSv1.2' | 'TLSv1.3', session?: Buffer) {
  const socket = connect({
    ...{ host: balancer.vip, port: 443, servername: 'moves.example', rejectUnauthorized: false },
    ...{ maxVersion, minVersion: maxVersion },
    ...(session && { session }),
  });
  let given: Buffer | undefined;
  socket.on('session', (latest: Buffer) => (given = latest));
  socket.write('GET / HTTP/1.1\r\nHost: moves.example\r\nConnection: close\r\n\r\n');
  socket.resume();
  await once(socket, 'end');
  const resumed = socket.isSessionReused();
  socket.destroy();
  return { session: given ?? socket.getSession() ?? Buffer.alloc(0), resumed };
}

/** Asks again and again until told to end; how many answers and failures there were. */
function traffic() {
  const count = { answers: 0, failures: 0 };
  let ended = false;
  const asking = (async () => {
    while (!ended) {
      await balancer.ask().then(
        () => (count.answers += 1),
        () => (count.failures += 1),
      );
      await pause(20);
    }
  })();
  return async () => {
    ended = true;
    await asking;
    return count;
  };
}

const statistics = async (): Promise<{ total_connections: number; bytes_out: number }> =>
  (await service.call('GET', `/v2/lbaas/loadbalancers/${balancer.id}/stats`)).stats;

describe('A failover', () => {
  it('moves the VIP to another amphora; sessions are taken up, and counters go on', async () => {
    const [old] = await amphoraeOf(balancer.id);
    const sessions = { 'TLSv1.2': await visit('TLSv1.2'), 'TLSv1.3': await visit('TLSv1.3') };
    const before = await eventually('counted traffic', async () => {
      const seen = await statistics();
      return seen.total_connections >= 3 ? seen : undefined;
    });
    const endOfTraffic = traffic();
    const { status } = await service.request('PUT', `/v2/lbaas/loadbalancers/${balancer.id}/failover`);
    expect(status).toBe(202);
    await service.active(balancer.id);
    const after = await amphoraeOf(balancer.id);
    expect(after).toEqual([expect.objectContaining({ status: 'ALLOCATED' })]);
    expect(after[0]?.id).not.toBe(old?.id);
    const { servers } = await service.call('GET', 'cloud:/compute/v2.1/servers?all_tenants=1');
    expect(servers.map(({ id }: { id: string }) => id)).toEqual([after[0]?.compute_id]);
    expect(await balancer.ask()).toBe('ada');
    const count = await endOfTraffic();
    expect(count.answers).toBeGreaterThan(0);
    console.log(`requests one after the other through the failover: ${JSON.stringify(count)}`);
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      expect((await visit(version, sessions[version].session)).resumed).toBe(true);
    }
    await eventually('counters beyond those of before', async () =>
      (await statistics()).total_connections > before.total_connections ? true : undefined,
    );
  });

  it('of one amphora replaces it; asked of one that is not there it is a 404', async () => {
    const [old] = await amphoraeOf(balancer.id);
    await service.call('PUT', `/v2/octavia/amphorae/${old?.id}/failover`);
    await service.active(balancer.id);
    const after = await amphoraeOf(balancer.id);
    expect(after).toHaveLength(1);
    expect(after[0]?.id).not.toBe(old?.id);
    expect(await balancer.ask()).toBe('ada');
    const gone = await service.request('PUT', `/v2/octavia/amphorae/${old?.id}/failover`);
    expect(gone.status).toBe(404);
  });

  it('is not needed to tell an amphora its settings', async () => {
    const [amphora] = await amphoraeOf(balancer.id);
    const { status } = await service.request('PUT', `/v2/octavia/amphorae/${amphora?.id}/config`);
    expect(status).toBe(202);
    const shown = await service.call('GET', `/v2/lbaas/loadbalancers/${balancer.id}`);
    expect(shown.loadbalancer.provisioning_status).toBe('ACTIVE');
    expect(await balancer.ask()).toBe('ada');
  });
});
