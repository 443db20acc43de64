/**
 * What the size of one load balancer costs, on a whole service with a real amphora: pools from 1 to 50, then the
 * members of one pool from 10 to 10,000. Milliseconds as a client sees them, medians; ACTIVE is polled every 5 ms.
 *
 *   npm run bench:growth [-- ROUNDS [pools|members]]
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { externalSubnet } from '../e2e/https-load-balancer.ts';
import { discard, makeService, pause } from '../e2e/service.ts';
import { median } from './figures.ts';

const rounds = Number(process.argv[2] ?? 7);
const only = process.argv[3];
const service = makeService(21_520);

async function timed(work: () => Promise<unknown>): Promise<number> {
  const since = performance.now();
  await work();
  return performance.now() - since;
}

async function repeated(work: (round: number) => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) times.push(await timed(() => work(round)));
  return median(times);
}

async function active(id: string): Promise<void> {
  for (;;) {
    const { loadbalancer } = await service.call('GET', `/v2/lbaas/loadbalancers/${id}`);
    if (loadbalancer.provisioning_status === 'ACTIVE') return;
    if (loadbalancer.provisioning_status === 'ERROR') throw new Error('ERROR');
    await pause(5);
  }
}

const show = (cells: readonly (string | number)[]): void =>
  console.log(
    cells
      .map((cell) => (typeof cell === 'number' ? cell.toFixed(cell < 100 ? 1 : 0) : cell).padStart(14))
      .join(''),
  );

async function newLoadBalancer(name: string): Promise<string> {
  const subnet = await externalSubnet(service);
  const { loadbalancer } = await service.call('POST', '/v2/lbaas/loadbalancers', {
    loadbalancer: { name, vip_subnet_id: subnet.id },
  });
  await active(loadbalancer.id);
  return loadbalancer.id as string;
}

/** Upstream: the show grows from 52 to 918 ms, the POST from 0.6 to 4.3 s. */
async function growPools(): Promise<void> {
  const id = await newLoadBalancer('pools');
  console.log('\npools on one load balancer (ms)');
  show(['pools', 'GET pool', 'GET lb', 'GET status', 'POST → ACTIVE', '…a listener’s']);
  let made = 0;
  const addPool = async (listenerId?: string): Promise<string> => {
    const { pool } = await service.call('POST', '/v2/lbaas/pools', {
      pool: {
        ...(listenerId === undefined ? { loadbalancer_id: id } : { listener_id: listenerId }),
        protocol: 'HTTP',
        lb_algorithm: 'ROUND_ROBIN',
        name: `pool-${made++}`,
      },
    });
    await active(id);
    return pool.id as string;
  };
  for (const count of [1, 10, 25, 50]) {
    let poolId = '';
    const plain: number[] = [];
    const listened: number[] = [];
    while (made < count) {
      // Every second pool carries a listener's traffic, so that it is in the configuration.
      if (made % 2 === 1) {
        plain.push(await timed(async () => (poolId = await addPool())));
        continue;
      }
      const { listener } = await service.call('POST', '/v2/lbaas/listeners', {
        listener: { loadbalancer_id: id, protocol: 'HTTP', protocol_port: 2000 + made },
      });
      await active(id);
      listened.push(await timed(async () => (poolId = await addPool(listener.id))));
    }
    show([
      String(made),
      await repeated(() => service.call('GET', `/v2/lbaas/pools/${poolId}`)),
      await repeated(() => service.call('GET', `/v2/lbaas/loadbalancers/${id}`)),
      await repeated(() => service.call('GET', `/v2/lbaas/loadbalancers/${id}/status`)),
      plain.length === 0 ? '-' : median(plain.slice(-rounds)),
      median(listened.slice(-rounds)),
    ]);
  }
  await service.call('DELETE', `/v2/lbaas/loadbalancers/${id}?cascade=true`);
}

const member = (n: number) => ({
  address: `10.${64 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`,
  protocol_port: 80,
});

/** Members that a body of 114,688 bytes holds. */
const batch = 1500;

async function growMembers(): Promise<void> {
  const id = await newLoadBalancer('members');
  const { listener } = await service.call('POST', '/v2/lbaas/listeners', {
    listener: { loadbalancer_id: id, protocol: 'HTTP', protocol_port: 80 },
  });
  await active(id);
  const { pool } = await service.call('POST', '/v2/lbaas/pools', {
    pool: { listener_id: listener.id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
  });
  await active(id);
  const members = `/v2/lbaas/pools/${pool.id}/members`;
  console.log(`\nmembers of one pool behind one listener (ms; a batch changes at most ${batch} members)`);
  show(['members', 'GET lb', 'list page', 'GET status', 'PUT batch', '… → ACTIVE', 'POST one', '… → ACTIVE']);
  let made = 0;
  for (const count of [10, 100, 1000, 10_000]) {
    while (made < count) {
      const fresh = Array.from({ length: Math.min(batch, count - made) }, (_, n) => member(made + n));
      await service.call('PUT', `${members}?additive_only=true`, { members: fresh });
      await active(id);
      made += fresh.length;
    }
    const known = Array.from({ length: Math.min(batch, count) }, (_, n) => member(n));
    const figures = [
      await repeated(() => service.call('GET', `/v2/lbaas/loadbalancers/${id}`)),
      await repeated(() => service.call('GET', members)),
      await repeated(() => service.call('GET', `/v2/lbaas/loadbalancers/${id}/status`)),
      ...(await change(id, (round) =>
        service.call('PUT', `${members}?additive_only=true`, {
          members: known.map((one) => ({ ...one, weight: 1 + (round % 9) })),
        }),
      )),
      ...(await change(id, () => service.call('POST', members, { member: member(made++) }))),
    ];
    show([String(count), ...figures]);
  }
  for (const line of lastPushes(join(service.stateDir, 'log/server.log'))) console.log(line);
}

/** Until the call is answered, and until ACTIVE. */
async function change(id: string, call: (round: number) => Promise<unknown>): Promise<[number, number]> {
  const answered: number[] = [];
  const carried: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const since = performance.now();
    await call(round);
    answered.push(performance.now() - since);
    await active(id);
    carried.push(performance.now() - since);
  }
  return [median(answered), median(carried)];
}

/** What the amphora said of the last changes. */
function lastPushes(file: string): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.includes('"tree pushed"'))
    .slice(-3)
    .map((line) => {
      const { change: how, why, durationMs } = JSON.parse(line) as Record<string, unknown>;
      return `the agent's part of one of the last changes: ${durationMs} ms (${how}${why === undefined ? '' : `: ${why}`})`;
    });
}

try {
  await service.start();
  if (only !== 'members') await growPools();
  if (only !== 'pools') await growMembers();
} finally {
  await discard(service);
}
