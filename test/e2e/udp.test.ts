import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/platform/run.ts';
import {
  type DatagramClient,
  datagramClient,
  datagramMember,
  type DatagramMember,
  question,
} from './datagrams.ts';
import { externalSubnet } from './https-load-balancer.ts';
import { webMember, type WebMember } from './members.ts';
import { curl, discard, eventually, instancePid, makeService } from './service.ts';

const service = makeService(21_600);
const port = 5300;
const names = ['ada', 'bob', 'cyd'];

let gateway: string;
let vip: string;
let balancerId: string;
let listenerId: string;
let poolId: string;
let members: DatagramMember[];
const memberIds: Record<string, string> = {};
const open: { close(): Promise<void> }[] = [];

/** One request, and the load balancer ACTIVE again. */
async function change<T = any>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await service.call<T>(method, `/v2/lbaas/${path}`, body);
  await service.active(balancerId);
  return answer;
}

const weight = (name: string, value: number) =>
  change('PUT', `pools/${poolId}/members/${memberIds[name]}`, { member: { weight: value } });
const pool = (values: object) => change('PUT', `pools/${poolId}`, { pool: values });
const listener = (values: object) => change('PUT', `listeners/${listenerId}`, { listener: values });
const status = async (path: string): Promise<string> =>
  (Object.values(await service.call('GET', `/v2/lbaas/${path}`))[0] as any).operating_status;

function client(): DatagramClient {
  const made = datagramClient(vip, port);
  open.push(made);
  return made;
}

/** How often each name answers, in so many new flows. */
async function answersOf(flows: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let n = 0; n < flows; n += 1) {
    const name = await client().ask();
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

beforeAll(async () => {
  await service.start();
  const subnet = await externalSubnet(service);
  gateway = subnet.gateway;
  members = await Promise.all(names.map((name) => datagramMember(name, gateway)));
  const { loadbalancer } = await service.call('POST', '/v2/lbaas/loadbalancers', {
    loadbalancer: { name: 'datagrams', vip_subnet_id: subnet.id },
  });
  [balancerId, vip] = [loadbalancer.id, loadbalancer.vip_address];
  await service.active(balancerId);
  const made = await change('POST', 'listeners', {
    listener: { loadbalancer_id: balancerId, protocol: 'UDP', protocol_port: port },
  });
  listenerId = made.listener.id;
  const first = await change('POST', 'pools', {
    pool: { listener_id: listenerId, protocol: 'UDP', lb_algorithm: 'ROUND_ROBIN' },
  });
  poolId = first.pool.id;
  for (const { name, address, port } of members) {
    const { member } = await change('POST', `pools/${poolId}/members`, {
      member: { name, address, protocol_port: port },
    });
    memberIds[name] = member.id;
  }
});
afterAll(async () => {
  await Promise.all([...open, ...members].map((one) => one.close().catch(() => {})));
  await discard(service);
});

describe('a UDP load balancer', () => {
  it('gives new flows to its members in turn, and each flow stays where it is', async () => {
    expect(await answersOf(30)).toEqual({ ada: 10, bob: 10, cyd: 10 });
    const one = client();
    const name = await one.ask();
    for (let n = 0; n < 5; n += 1) expect(await one.ask()).toBe(name);
    expect(await status(`listeners/${listenerId}`)).toBe('ONLINE');
    expect(await status(`pools/${poolId}/members/${memberIds['ada']}`)).toBe('NO_MONITOR');
  });

  it('counts flows, and bytes both ways with their headers', async () => {
    const stats = async () => (await service.call('GET', `/v2/lbaas/listeners/${listenerId}/stats`)).stats;
    const settled = () =>
      eventually('counters at rest', async () => {
        const before = await stats();
        await new Promise((done) => setTimeout(done, 12_000));
        const after = await stats();
        return after.bytes_in === before.bytes_in && after.total_connections > 0 ? after : undefined;
      });
    const before = await settled();
    await answersOf(12);
    const headers = 20 + 8;
    await eventually('12 more flows', async () => {
      const now = await stats();
      return now.total_connections - before.total_connections === 12 &&
        now.bytes_in - before.bytes_in === 12 * (headers + question.length) &&
        now.bytes_out - before.bytes_out === 12 * (headers + 3)
        ? now
        : undefined;
    });
    expect((await stats()).active_connections).toBeGreaterThan(0);
  });

  it('follows weights, and a member of weight 0 keeps the flows it has', async () => {
    const flows = await eventually('a flow of cyd', async () => {
      const one = client();
      return (await one.ask()) === 'cyd' ? one : undefined;
    });
    await weight('ada', 2);
    await weight('cyd', 0);
    expect(await answersOf(30)).toEqual({ ada: 20, bob: 10 });
    expect(await flows.ask()).toBe('cyd');
    await weight('ada', 1);
    await weight('cyd', 1);
  });

  it('by SOURCE_IP gives all flows of a client to one member', async () => {
    await pool({ lb_algorithm: 'SOURCE_IP' });
    const answers = await answersOf(12);
    expect(Object.values(answers)).toEqual([12]);
    expect(names).toContain(Object.keys(answers)[0]);
    await pool({ lb_algorithm: 'ROUND_ROBIN' });
    expect(await answersOf(12)).toEqual({ ada: 4, bob: 4, cyd: 4 });
  });

  it('knows its clients again for as long as the session persistence says, over changes of the pool', async () => {
    await pool({ session_persistence: { type: 'SOURCE_IP', persistence_timeout: 4 } });
    const [first = ''] = Object.keys(await answersOf(9));
    await weight(first, 5);
    expect(await answersOf(9)).toEqual({ [first]: 9 });
    await weight(first, 0);
    const [second = ''] = Object.keys(await answersOf(9));
    expect(second).not.toBe(first);
    expect(await answersOf(9)).toEqual({ [second]: 9 });
    await weight(first, 1);
    await eventually('another member once the client is forgotten', async () => {
      await new Promise((done) => setTimeout(done, 4500));
      return (await answersOf(1))[second] === undefined ? true : undefined;
    });
    await pool({ session_persistence: null });
    expect(await answersOf(9)).toEqual({ ada: 3, bob: 3, cyd: 3 });
  });

  it('serves the clients alone that allowed_cidrs names', async () => {
    await listener({ allowed_cidrs: ['192.0.2.0/24'] });
    expect(await client().ask()).toBe('silence');
    await listener({ allowed_cidrs: ['192.0.2.0/24', `${gateway}/32`] });
    expect(names).toContain(await client().ask());
    await listener({ allowed_cidrs: null });
    expect(names).toContain(await client().ask());
  });

  it('gives each member no more flows than the connection limit', async () => {
    await listener({ connection_limit: 2 });
    expect(await answersOf(9)).toEqual({ ada: 2, bob: 2, cyd: 2, silence: 3 });
    await listener({ connection_limit: -1 });
  });

  it('shares its port with a TCP listener', async () => {
    const web: WebMember = await webMember('web', gateway);
    open.push(web);
    const { listener } = await change('POST', 'listeners', {
      listener: { loadbalancer_id: balancerId, protocol: 'TCP', protocol_port: port },
    });
    const { pool } = await change('POST', 'pools', {
      pool: { listener_id: listener.id, protocol: 'TCP', lb_algorithm: 'ROUND_ROBIN' },
    });
    await change('POST', `pools/${pool.id}/members`, {
      member: { address: web.address, protocol_port: web.port },
    });
    expect(await curl(`http://${vip}:${port}/`)).toBe('web');
    expect(await answersOf(3)).toEqual({ ada: 1, bob: 1, cyd: 1 });
    await change('DELETE', `listeners/${listener.id}`);
    await change('DELETE', `pools/${pool.id}`);
  });

  it('carries the handshake of SCTP on the same port number', async () => {
    const { listener } = await change('POST', 'listeners', {
      listener: { loadbalancer_id: balancerId, protocol: 'SCTP', protocol_port: port },
    });
    const { pool } = await change('POST', 'pools', {
      pool: { listener_id: listener.id, protocol: 'SCTP', lb_algorithm: 'SOURCE_IP' },
    });
    await change('POST', `pools/${pool.id}/members`, { member: { address: gateway, protocol_port: 7001 } });
    const script = join(import.meta.dirname, 'sctp-handshake.py');
    expect(await run(['python3', script, gateway, '7001', vip, String(port)])).toBe(
      `member True from balancer True, client 40000 answered by ${vip}:${port}\n`,
    );
    await eventually('the association counted', async () => {
      const { stats } = await service.call('GET', `/v2/lbaas/listeners/${listener.id}/stats`);
      return stats.total_connections === 1 ? true : undefined;
    });
    await change('DELETE', `listeners/${listener.id}`);
    await change('DELETE', `pools/${pool.id}`);
  });

  it('takes a member out that fails its checks, with its flows, and takes it back', async () => {
    const { healthmonitor } = await change('POST', 'healthmonitors', {
      healthmonitor: {
        pool_id: poolId,
        type: 'UDP-CONNECT',
        delay: 3,
        timeout: 1,
        max_retries: 1,
        max_retries_down: 2,
      },
    });
    const bobs = `pools/${poolId}/members/${memberIds['bob']}`;
    const is = (wanted: string) =>
      eventually(`bob ${wanted}`, async () => ((await status(bobs)) === wanted ? true : undefined));
    await is('ONLINE');
    const one = await eventually('a flow of bob', async () => {
      const made = client();
      return (await made.ask()) === 'bob' ? made : undefined;
    });
    const bob = members.find(({ name }) => name === 'bob') as DatagramMember;
    await bob.close();
    await is('ERROR');
    expect(await status(`pools/${poolId}`)).toBe('DEGRADED');
    expect(await answersOf(10)).toEqual({ ada: 5, cyd: 5 });
    expect(['ada', 'cyd']).toContain(await one.ask());
    members[members.indexOf(bob)] = await datagramMember('bob', gateway, bob.port);
    await is('ONLINE');
    expect(await answersOf(9)).toEqual({ ada: 3, bob: 3, cyd: 3 });
    await change('DELETE', `healthmonitors/${healthmonitor.id}`);
  });

  it('asks members at their monitor address over HTTP when it is told to', async () => {
    const web = await webMember('doctor', gateway);
    open.push(web);
    await change('PUT', `pools/${poolId}/members/${memberIds['ada']}`, {
      member: { monitor_address: gateway, monitor_port: web.port },
    });
    const { healthmonitor } = await change('POST', 'healthmonitors', {
      healthmonitor: {
        pool_id: poolId,
        type: 'HTTP',
        delay: 1,
        timeout: 1,
        max_retries: 1,
        max_retries_down: 1,
        expected_codes: '200-204',
      },
    });
    // The others have nobody who speaks HTTP at their ports.
    await eventually('ada alone', async () => ((await answersOf(3))['ada'] === 3 ? true : undefined));
    await change('DELETE', `healthmonitors/${healthmonitor.id}`);
    expect(await answersOf(9)).toEqual({ ada: 3, bob: 3, cyd: 3 });
  });

  it('goes on while its agent is dead, and the next agent counts on', async () => {
    const { amphorae } = await service.call('GET', `/v2/octavia/amphorae?loadbalancer_id=${balancerId}`);
    const first = instancePid(service, amphorae[0].compute_id);
    const children = readFileSync(`/proc/${first}/task/${first}/children`, 'utf8').trim().split(' ');
    const agents = children.filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('agent'));
    expect(agents).toHaveLength(1);
    const stats = async () => (await service.call('GET', `/v2/lbaas/listeners/${listenerId}/stats`)).stats;
    const before = await stats();
    process.kill(Number(agents[0]), 'SIGKILL');
    expect(await answersOf(9)).toEqual({ ada: 3, bob: 3, cyd: 3 });
    await eventually('9 more flows', async () =>
      (await stats()).total_connections >= before.total_connections + 9 ? true : undefined,
    );
    await weight('ada', 2);
    expect(await answersOf(4)).toEqual({ ada: 2, bob: 1, cyd: 1 });
    await weight('ada', 1);
  });

  it('is silent when its listener is disabled, until it is enabled again', async () => {
    await listener({ admin_state_up: false });
    expect(await client().ask()).toBe('silence');
    await listener({ admin_state_up: true });
    expect(names).toContain(await client().ask());
  });
});
