/**
 * How long a change takes until the API says ACTIVE and until it is seen in the traffic, how long a read takes, and
 * what idle processes weigh. Starts a service of its own. Prints medians; upstream Octavia's medians on this kind of
 * machine, doing nothing real, stand beside them (docs/performance.md says how those were taken).
 *
 *   npm run bench:latency [-- ROUNDS]
 */
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeTestAuthority } from '../e2e/certificates.ts';
import { externalSubnet, makeHttpsLoadBalancer } from '../e2e/https-load-balancer.ts';
import { webMember } from '../e2e/members.ts';
import { curl, discard, instancePid, makeService, pause, processesOf, scratch } from '../e2e/service.ts';

const rounds = Number(process.argv[2] ?? 10);
const service = makeService(21_900);
const folder = scratch('bench');

const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
const show = (what: string, values: number[], upstream: string): void => {
  const sorted = values.toSorted((a, b) => a - b);
  const ms = (value: number | undefined): string => `${(value ?? NaN).toFixed(1).padStart(8)} ms`;
  console.log(
    `${what.padEnd(52)}${ms(median(values))} (${ms(sorted[0])} to ${ms(sorted.at(-1))})  upstream ${upstream}`,
  );
};

/** Polls every 5 ms until the load balancer is ACTIVE; milliseconds since `since`. */
async function activeSince(id: string, since: number): Promise<number> {
  for (;;) {
    const { loadbalancer } = await service.call('GET', `/v2/lbaas/loadbalancers/${id}`);
    if (loadbalancer.provisioning_status === 'ACTIVE') return performance.now() - since;
    if (loadbalancer.provisioning_status === 'ERROR') throw new Error('ERROR');
    await pause(5);
  }
}

/** Proportional set size: shared pages are counted once over all who share them. */
function pssMiB(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) / 1024;
}

function namespaceMates(pid: number): number[] {
  const namespace = readlinkSync(`/proc/${pid}/ns/pid`);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((other) => {
      try {
        return readlinkSync(`/proc/${other}/ns/pid`) === namespace;
      } catch {
        return false; // it ended while we looked
      }
    });
}

/** The server and PostgreSQL with all its processes; not the cloudlet, which stands for somebody else's cloud. */
function controlPlane(): [number, string][] {
  const roots = processesOf(service.stateDir).filter((line) => /livia-server|postgres/.test(line));
  const ids = new Set(roots.map((line) => Number(line.split(' ')[0])));
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return all.flatMap((name) => {
    try {
      const parent = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1]);
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      const ours = ids.has(Number(name)) || (ids.has(parent) && command.startsWith('postgres'));
      return ours ? [[Number(name), command] as [number, string]] : [];
    } catch {
      return []; // it ended while we looked
    }
  });
}

try {
  await service.start();
  const subnet = await externalSubnet(service);
  const authority = await makeTestAuthority(join(folder, 'pki'));

  const boots: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const since = performance.now();
    const { loadbalancer } = await service.call('POST', '/v2/lbaas/loadbalancers', {
      loadbalancer: { name: `boot-${round}`, vip_subnet_id: subnet.id },
    });
    boots.push(await activeSince(loadbalancer.id, since));
    await service.call('DELETE', `/v2/lbaas/loadbalancers/${loadbalancer.id}`);
    while ((await service.request('GET', `/v2/lbaas/loadbalancers/${loadbalancer.id}`)).status !== 404)
      await pause(20);
  }
  show('POST load balancer → ACTIVE, a real amphora booted', boots, '842 ms (boots nothing)');

  const first = await webMember('first', subnet.gateway);
  const second = await webMember('second', subnet.gateway);
  const balancer = await makeHttpsLoadBalancer(service, authority, 'bench.example', [first]);

  const listeners: number[] = [];
  const pools: number[] = [];
  const members: number[] = [];
  const inTraffic: number[] = [];
  for (let round = 0; round < rounds; round++) {
    let since = performance.now();
    const { listener } = await service.call('POST', '/v2/lbaas/listeners', {
      listener: { loadbalancer_id: balancer.id, protocol: 'HTTP', protocol_port: 8000 + round },
    });
    listeners.push(await activeSince(balancer.id, since));
    since = performance.now();
    const { pool } = await service.call('POST', '/v2/lbaas/pools', {
      pool: { listener_id: listener.id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
    });
    pools.push(await activeSince(balancer.id, since));
    since = performance.now();
    await service.call('POST', `/v2/lbaas/pools/${pool.id}/members`, {
      member: { address: second.address, protocol_port: second.port },
    });
    members.push(await activeSince(balancer.id, since));
    const answer = await curl(`http://${balancer.vip}:${8000 + round}/`);
    if (answer !== 'second') throw new Error(`the member is not in the traffic: ${answer}`);
    inTraffic.push(performance.now() - since);
  }
  show('POST listener → ACTIVE', listeners, '≈ 304 ms (does nothing)');
  show('POST pool → ACTIVE', pools, '304 ms (does nothing)');
  show('POST member → ACTIVE', members, '≈ 304 ms (does nothing)');
  show('POST member → seen in the traffic (curl included)', inTraffic, '-');

  for (const [what, path, upstream] of [
    ['GET one load balancer', `/v2/lbaas/loadbalancers/${balancer.id}`, '25.4 ms'],
    ['GET list of load balancers', '/v2/lbaas/loadbalancers', '27.6 ms'],
    ['GET status tree', `/v2/lbaas/loadbalancers/${balancer.id}/status`, '-'],
    ['GET one pool', `/v2/lbaas/pools/${balancer.poolId}`, '52 ms'],
  ] as const) {
    const reads: number[] = [];
    for (let round = 0; round < rounds * 30; round++) {
      const since = performance.now();
      await service.call('GET', path);
      reads.push(performance.now() - since);
    }
    show(what, reads, upstream);
  }

  await pause(15_000); // idle
  const { amphorae } = await service.call('GET', `/v2/octavia/amphorae?loadbalancer_id=${balancer.id}`);
  console.log('\nIdle, proportional set size (MiB):');
  let total = 0;
  for (const pid of namespaceMates(instancePid(service, amphorae[0].compute_id))) {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 70);
    total += pssMiB(pid);
    console.log(`  amphora        ${pssMiB(pid).toFixed(1).padStart(7)}  ${command}`);
  }
  console.log(`  amphora total  ${total.toFixed(1).padStart(7)}  (goal: under 150 MB)`);
  total = 0;
  for (const [pid, command] of controlPlane()) {
    total += pssMiB(pid);
    console.log(`  control plane  ${pssMiB(pid).toFixed(1).padStart(7)}  ${command.slice(0, 70)}`);
  }
  console.log(`  control total  ${total.toFixed(1).padStart(7)}  (goal: under 250 MB)`);
  await first.close();
  await second.close();
} finally {
  await discard(service);
  rmSync(folder, { recursive: true, force: true });
}
