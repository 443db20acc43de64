/**
 * A day of a Kubernetes cluster whose services are published by load balancers: nodes and services come and go,
 * workloads roll, certificates are renewed, ingress rules are edited. Every change is given to a real agent with a real
 * HAProxy; printed is how many needed a reload, by kind, and how long those without one took until the agent had them
 * in effect.
 *
 * The mix: 20 nodes, 12 services on one load balancer. An autoscaler adds and removes 12 nodes (each a member batch in
 * every service's pool), each of 8 rolling upgrades drains a node and takes it back, 24 canary steps move weights,
 * 6 certificates are renewed, 40 ingress edits, 4 services come and 4 go, one timeout is tuned.
 *
 *   npm run bench:trace
 */
import { AgentUnderTest, freePort } from '../../src/agent/agent.fixture.ts';
import {
  aCertificate,
  aListener,
  aMember,
  aPolicy,
  aPool,
  aRule,
  aTls,
  aWanted,
  id,
} from '../../src/plan/haproxy/wanted.fixture.ts';
import type { CertificatePem, WantedMember } from '../../src/wire/wanted.ts';

interface Service {
  readonly number: number;
  readonly port: number;
  /** Of the pool's members, by node. */
  readonly weights: Map<number, number>;
  certificate: CertificatePem;
  /** Ingress: path to rule value. */
  paths: string[];
  timeoutClientData: number;
}

// An amphora's /run is a tmpfs.
process.env['TMPDIR'] = '/dev/shm';
const agent = await AgentUnderTest.start();
const nodes = new Set(Array.from({ length: 20 }, (_, n) => n));
const services: Service[] = [];
const results = new Map<string, { reloads: number; runtime: number[]; whys: Set<string> }>();
let generation = 0;
let [nextNode, nextService] = [20, 0];

/** The same choices at every run. */
let seed = 2_119_987;
function random(below: number): number {
  seed = (seed * 48_271) % 2_147_483_647;
  return seed % below;
}
const pick = <T>(values: readonly T[]): T => {
  const value = values[random(values.length)];
  if (value === undefined) throw new Error('nothing to pick from');
  return value;
};

async function newService(): Promise<Service> {
  nextService += 1;
  return {
    ...{ number: nextService, port: await freePort(), paths: ['/api', '/static'] },
    ...{ weights: new Map([...nodes].map((node) => [node, 1])), timeoutClientData: 50_000 },
    certificate: aCertificate(`service-${nextService}.example.com`),
  };
}

function membersOf(service: Service): WantedMember[] {
  return [...service.weights].map(([node, weight]) =>
    aMember(service.number * 1000 + node, {
      ...{ address: `127.2.${service.number}.${node + 1}`, port: 30_000 + service.number, weight },
    }),
  );
}

async function apply(kind: string): Promise<void> {
  generation += 1;
  const outcome = await agent.put(
    aWanted({
      generation,
      listeners: services.map((service) =>
        aListener(service.number, {
          ...{ protocol: 'TERMINATED_HTTPS', port: service.port, connectionLimit: 500 },
          ...{ defaultPoolId: id('p', service.number), timeoutClientData: service.timeoutClientData },
          tls: aTls([service.certificate]),
          l7Policies: service.paths.map((path, n) =>
            aPolicy(service.number * 100 + n, { rules: [aRule(service.number * 100 + n, { value: path })] }),
          ),
        }),
      ),
      pools: services.map((service) => aPool(service.number, { members: membersOf(service) })),
    }),
  );
  if (outcome.refused.length > 0) throw new Error(JSON.stringify(outcome.refused));
  const result = results.get(kind) ?? { reloads: 0, runtime: [], whys: new Set() };
  results.set(kind, result);
  if (outcome.change === 'reload') {
    result.reloads += 1;
    if (outcome.why !== undefined) result.whys.add(outcome.why);
  } else result.runtime.push(outcome.durationMs);
}

async function forEveryService(kind: string, change: (service: Service) => void): Promise<void> {
  for (const service of services) {
    change(service);
    await apply(kind);
  }
}

/** What happens in a day, in an order shuffled the same way at every run. */
const events: readonly (() => Promise<void>)[] = [
  ...Array.from({ length: 12 }, (_, n) => async () => {
    if (n % 2 === 0) {
      const node = nextNode++;
      nodes.add(node);
      await forEveryService('member batch: a node comes', ({ weights }) => weights.set(node, 1));
    } else {
      const node = pick([...nodes]);
      nodes.delete(node);
      await forEveryService('member batch: a node goes', ({ weights }) => weights.delete(node));
    }
  }),
  ...Array.from({ length: 8 }, () => async () => {
    const node = pick([...nodes]);
    await forEveryService('member drained', ({ weights }) => weights.set(node, 0));
    await forEveryService('member taken back', ({ weights }) => weights.set(node, 1));
  }),
  ...Array.from({ length: 24 }, () => async () => {
    const { weights } = pick(services);
    weights.set(pick([...weights.keys()]), 1 + random(100));
    await apply('weight');
  }),
  ...Array.from({ length: 6 }, () => async () => {
    const service = pick(services);
    service.certificate = aCertificate(`service-${service.number}.example.com`);
    await apply('certificate renewed');
  }),
  ...Array.from({ length: 40 }, (_, n) => async () => {
    const service = pick(services);
    const path = `/path-${n}`;
    if (n % 4 === 3) service.paths = service.paths.slice(1);
    else if (n % 4 === 2) service.paths = [path, ...service.paths.slice(1)];
    else service.paths = [...service.paths, path];
    await apply('L7 edit');
  }),
  ...Array.from({ length: 4 }, () => async () => {
    services.push(await newService());
    await apply('service comes');
  }),
  ...Array.from({ length: 4 }, () => async () => {
    services.splice(random(services.length), 1);
    await apply('service goes');
  }),
  async () => {
    pick(services).timeoutClientData += 1000;
    await apply('timeout');
  },
];

const quantile = (values: readonly number[], share: number): string => {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return value === undefined ? '-' : `${value} ms`;
};

try {
  for (let service = 0; service < 12; service += 1) services.push(await newService());
  await apply('start');
  results.clear();
  for (const event of events.map((run) => ({ run, at: random(1_000_000) })).toSorted((a, b) => a.at - b.at)) {
    await event.run();
  }
  let [changes, reloads] = [0, 0];
  const all: number[] = [];
  console.log(`${'kind'.padEnd(28)} changes reloads  without: median, 99 %   why a reload`);
  for (const [kind, result] of [...results].toSorted(([a], [b]) => a.localeCompare(b))) {
    const count = result.reloads + result.runtime.length;
    changes += count;
    reloads += result.reloads;
    all.push(...result.runtime);
    console.log(
      `${kind.padEnd(28)} ${String(count).padStart(7)} ${String(result.reloads).padStart(7)}` +
        `  ${quantile(result.runtime, 0.5).padStart(15)}, ${quantile(result.runtime, 0.99).padEnd(7)} ` +
        [...result.whys].slice(0, 2).join('; '),
    );
  }
  console.log(
    `\n${changes} changes, ${reloads} reloads: ${((1 - reloads / changes) * 100).toFixed(1)} % without;` +
      ` in effect after ${quantile(all, 0.5)} (median), ${quantile(all, 0.99)} (99 %)`,
  );
} finally {
  await agent.remove();
}
