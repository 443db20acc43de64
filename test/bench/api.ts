/**
 * How many requests a second the API answers with a thousand load balancers of 3 listeners, 3 pools and 30 members in
 * the store, to 1 and to 8 clients over TCP. Beside it, in the same round, a bare node:http server that answers the
 * same bytes and a server that asks the database per row; and upstream Octavia's figures, which were recorded on this
 * kind of machine and not in the same run. Medians over the rounds; CPU time is that of the processes themselves, so
 * other work on the machine shows in the rates and not in it.
 *
 *   npm run bench:api [-- ROUNDS [SECONDS]]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client as Postgres } from 'pg';
import type { Tree } from '../../src/lb/tree.ts';
import { bigTree } from './big-tree.ts';
import { type ControlPlane, cpuMsOf, startControlPlane } from './control-plane.ts';
import { median } from './figures.ts';
import { drive, type Figures, type Load } from './http-load.ts';

const rounds = Number(process.argv[2] ?? 5);
const forMs = Number(process.argv[3] ?? 3) * 1000;
const loadBalancers = 1000;
const createsPerRound = 200;

/** Requests a second of Octavia 16.0.0: uwsgi with 2 processes of 32 threads, MariaDB, drivers that do nothing. */
const upstream: Readonly<Record<string, readonly [number, number] | undefined>> = {
  'list of 1000': [1.4, 2.0],
  'show load balancer': [38.4, 54.1],
  'POST load balancer': [13.4, 19.7],
  '… on a port that is there': [13.4, 19.7],
};

interface Round extends Figures {
  readonly apiMs: number;
  readonly databaseMs: number;
  readonly cloudletMs: number;
  /** Of the bare server, in the same round. */
  readonly bare?: number;
}

const folder = mkdtempSync(join(tmpdir(), 'livia-bench-api-'));
const children: ChildProcess[] = [];
const plane = await startControlPlane(21_500);
const headers = { 'x-auth-token': plane.token };
try {
  console.log(`filling the store with ${loadBalancers} load balancers`);
  const trees = await fill(plane);
  const { networkId, subnetId } = await wideSubnet(plane);
  const pick = (n: number): Tree => trees[(n * 397) % trees.length] as Tree;
  const reads: Record<string, (n: number) => string> = {
    'list of 1000': () => '/v2/lbaas/loadbalancers',
    'show load balancer': (n) => `/v2/lbaas/loadbalancers/${pick(n).loadBalancer.id}`,
    'show pool': (n) => `/v2/lbaas/pools/${pick(n).pools[0]?.id}`,
    'status tree': (n) => `/v2/lbaas/loadbalancers/${pick(n).loadBalancer.id}/status`,
  };
  head();
  for (const [what, path] of Object.entries(reads)) {
    const bytes = await bytesOf(path(0));
    const bare = await startPeer('bare', bytes);
    for (const clients of [1, 8]) {
      const request = (n: number) => ({ method: 'GET' as const, path: path(n) });
      await drive({ url: plane.url, clients, forMs: 1000, headers, request }); // warm
      const measured: Round[] = [];
      for (let round = 0; round < rounds; round++) {
        const bareLoad = { url: bare.url, clients, forMs: forMs / 3, request };
        const { perSecond } = await drive(bareLoad);
        measured.push({
          ...(await measure({ url: plane.url, clients, forMs, headers, request })),
          bare: perSecond,
        });
      }
      show(what, clients, measured);
    }
  }
  const perRow = await startPeer('per-row', plane.database.host);
  for (const clients of [1, 8]) {
    const rates: number[] = [];
    let databaseMs = 0;
    let requests = 0;
    for (let round = 0; round < rounds; round++) {
      const before = plane.cpuMs().database + cpuMsOf(perRow.pid);
      const figures = await drive({
        url: perRow.url,
        clients,
        forMs,
        request: () => ({ method: 'GET', path: '/' }),
      });
      databaseMs += plane.cpuMs().database + cpuMsOf(perRow.pid) - before;
      requests += figures.requests;
      rates.push(figures.perSecond);
    }
    console.log(
      `${'list of 1000, asked per row'.padEnd(26)}${String(clients).padStart(3)}${median(rates).toFixed(1).padStart(10)}` +
        `   (${(databaseMs / requests).toFixed(1)} ms of CPU per request, database included)`,
    );
  }
  for (const [what, vip] of [
    ['POST load balancer', async () => ({ vip_subnet_id: subnetId })],
    // Upstream's figure was taken with a network driver that does nothing; this is nearer to that.
    ['… on a port that is there', async () => ({ vip_port_id: await newPort(plane, networkId) })],
  ] as const) {
    for (const clients of [1, 8]) {
      const measured: Round[] = [];
      for (let round = 0; round < rounds; round++) {
        const bodies: object[] = [];
        for (let n = 0; n < createsPerRound; n++) {
          bodies.push({ loadbalancer: { name: `bench-${clients}-${round}-${n}`, ...(await vip()) } });
        }
        const request = (n: number) => ({
          method: 'POST' as const,
          path: '/v2/lbaas/loadbalancers',
          body: bodies[n],
        });
        const load = { url: plane.url, clients, forMs: 30_000, atMost: createsPerRound, headers, request };
        measured.push(await measure(load));
      }
      show(what, clients, measured);
    }
  }
} finally {
  for (const child of children) child.kill('SIGTERM');
  await plane.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function fill({ store, database, projectId }: ControlPlane): Promise<readonly Tree[]> {
  const trees = Array.from({ length: loadBalancers }, (_, n) => {
    const tree = bigTree({ listeners: 3, pools: 3, members: 30 });
    const own = { projectId, createdAt: new Date(Date.UTC(2026, 0, 1) + n * 60_000) };
    const all = <T extends object>(objects: readonly T[]): readonly T[] =>
      objects.map((object) => ({ ...object, ...own }));
    return {
      loadBalancer: { ...tree.loadBalancer, ...own, name: `lb-${n}` },
      listeners: all(tree.listeners),
      pools: all(tree.pools),
      members: all(tree.members),
      healthMonitors: all(tree.healthMonitors),
      l7Policies: [],
      l7Rules: [],
    };
  });
  for (const tree of trees) {
    const refusal = await store.trees.create(tree);
    if (refusal !== undefined) throw new Error(JSON.stringify(refusal));
  }
  // What autovacuum has done to a database of this age.
  const { host, port, user } = database;
  const client = new Postgres({ host, port, user, database: database.database });
  await client.connect();
  await client.query('vacuum analyze');
  await client.end();
  return trees;
}

async function postToNeutron({ cloudUrl }: ControlPlane, path: string, body: object): Promise<any> {
  const response = await fetch(`${cloudUrl}/network/v2.0${path}`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

/** Room for more VIPs than the external network has; id of the network and of its subnet. */
async function wideSubnet(cloud: ControlPlane): Promise<{ networkId: string; subnetId: string }> {
  const { network } = await postToNeutron(cloud, '/networks', { network: { name: 'bench' } });
  const { subnet } = await postToNeutron(cloud, '/subnets', {
    subnet: { network_id: network.id, ip_version: 4, cidr: '10.77.0.0/16' },
  });
  return { networkId: network.id, subnetId: subnet.id };
}

async function newPort(cloud: ControlPlane, networkId: string): Promise<string> {
  return (await postToNeutron(cloud, '/ports', { port: { network_id: networkId } })).port.id as string;
}

async function bytesOf(path: string): Promise<string> {
  const response = await fetch(plane.url + path, { headers });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  const file = join(folder, 'answer');
  writeFileSync(file, Buffer.from(await response.arrayBuffer()));
  return file;
}

async function startPeer(kind: 'bare' | 'per-row', from: string): Promise<{ url: string; pid: number }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'peers.ts'), kind, from], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) {
    return { url: `http://127.0.0.1:${line}`, pid: child.pid ?? 0 };
  }
  throw new Error(`the server ${kind} did not start`);
}

async function measure(load: Load): Promise<Round> {
  const before = plane.cpuMs();
  const figures = await drive(load);
  const after = plane.cpuMs();
  const each = (part: keyof typeof after): number => (after[part] - before[part]) / figures.requests;
  return { ...figures, apiMs: each('api'), databaseMs: each('database'), cloudletMs: each('cloudlet') };
}

/** Requests a second that two cores could carry with nothing beside them, the API being one process. */
function ceiling({ apiMs, databaseMs, cloudletMs }: Round): number {
  return Math.min(1000 / apiMs, 2000 / (apiMs + databaseMs + cloudletMs));
}

function head(): void {
  console.log(
    `\nmedians of ${rounds} rounds of ${forMs / 1000} s; CPU in milliseconds per request; 2 cores: requests/s that this CPU time allows\n\n` +
      `${''.padEnd(26)}clients  req/s  (lowest-highest)    p50 ms   p99 ms  CPU: api   database  cloudlet   2 cores  of bare  × upstream (recorded)`,
  );
}

function show(what: string, clients: number, measured: readonly Round[]): void {
  const of = (part: (round: Round) => number): number => median(measured.map(part));
  const rates = measured.map((round) => round.perSecond);
  const peer = upstream[what]?.[clients === 1 ? 0 : 1];
  const bare = of((round) => (round.bare === undefined ? Number.NaN : round.perSecond / round.bare));
  const cells = [
    String(clients).padStart(3),
    median(rates).toFixed(1).padStart(10),
    `(${Math.min(...rates).toFixed(0)}-${Math.max(...rates).toFixed(0)})`.padStart(16),
    of((round) => round.p50Ms)
      .toFixed(2)
      .padStart(10),
    of((round) => round.p99Ms)
      .toFixed(1)
      .padStart(9),
    of((round) => round.apiMs)
      .toFixed(2)
      .padStart(10),
    of((round) => round.databaseMs)
      .toFixed(2)
      .padStart(11),
    of((round) => round.cloudletMs)
      .toFixed(2)
      .padStart(10),
    of(ceiling).toFixed(0).padStart(10),
    (Number.isNaN(bare) ? '-' : bare.toFixed(2)).padStart(9),
    (peer === undefined ? '-' : (median(rates) / peer).toFixed(1)).padStart(8),
  ];
  console.log(what.padEnd(26) + cells.join(''));
}
