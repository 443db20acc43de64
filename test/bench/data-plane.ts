/**
 * What an amphora's configuration costs in the traffic: HAProxy configured by hand (`by-hand.ts`) beside the one that
 * an agent has configured, in turns, on loopback. HTTP and TLS, with keep-alive and with a new connection for each
 * request, as many as HAProxy can; with keep-alive also at a steady rate, a third of that, as latency is met in
 * practice; then with 1, 10 and 100 L7 policies that all have to be tried, beside the same as ACLs by hand. Printed
 * are ratios of requests per second, of the 99th percentile and of HAProxy's own CPU time per request: medians of the
 * rounds, with what they would be between if the rounds were others (9 of 10 times). The percentile also of all rounds'
 * requests together, which a single disturbed round can decide. The one by hand is taken twice, so that one sees what
 * the machine alone makes of two that are the same; no agent runs meanwhile. Then the instructions of HAProxy per
 * request, which nothing disturbs.
 *
 * One CPU is HAProxy's, and its agent's; the load and the members have the other. Left to the scheduler, the threads
 * of all of them settle now so and now so, for seconds, and the rates of one and the same HAProxy differ by 20 %.
 * Each HAProxy has a cgroup of its own, with its agent, as in an instance: else the agent shares what time the kernel
 * gives the load. A turn is long enough for an agent to look as often as it does in the long run.
 * Needs root, two CPUs, wrk, h2load and valgrind (`apt-get install wrk nghttp2-client valgrind`).
 *
 *   npm run bench:data-plane [-- ROUNDS [SECONDS]]
 *
 * A third of the rounds for the policies. No SECONDS (0): the instructions alone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentUnderTest, eventually, freePort, get } from '../../src/agent/agent.fixture.ts';
import { ticketKeys } from '../../src/pki/ticket-keys.ts';
import {
  aCertificate,
  aListener,
  aMember,
  aPolicy,
  aPool,
  aRule,
  aTls,
  aWanted,
  render,
} from '../../src/plan/haproxy/wanted.fixture.ts';
import { run } from '../../src/platform/run.ts';
import type { WantedAmphora, WantedL7Policy, WantedL7Rule } from '../../src/wire/wanted.ts';
import { type MemoryGroup, memoryGroup } from '../memory/memory-group.ts';
import { type ByHand, byHand, quickMember } from './by-hand.ts';
import { type Estimate, estimate, median } from './figures.ts';
import { instructionsPerRequest } from './instructions.ts';
import { pooledPercentile } from './latencies.ts';
import { atRate } from './steady-load.ts';
import { browserHeaders, type Sample, underLoad } from './wrk.ts';

const rounds = Number(process.argv[2] ?? 12);
const seconds = Number(process.argv[3] ?? 6);
const policyCounts = [0, 1, 10, 100];
const certificate = aCertificate('www.example.com');
const folder = await mkdtemp(join(tmpdir(), 'data-plane-'));
const bundle = join(folder, 'bundle.pem');
const keysFile = join(folder, 'ticket-keys');
const memberPort = await freePort();
const amphora = { http: await freePort(), https: await freePort() };
const maxconn = 2000;
const instanceBytes = 2 ** 31;
/** Of what HAProxy can. */
const steadyShare = 1 / 3;
/** An agent that was kept from running has a look to catch up on. */
const wakesMs = 200;

const pinned = (cpu: string): string[] => ['taskset', '--cpu-list', cpu];
const [haproxyCpu, loadCpu] = [pinned('0'), '1'];

async function haproxy(name: string, text: string, within: readonly string[] = []): Promise<ChildProcess> {
  const file = join(folder, name);
  await writeFile(file, text, { mode: 0o600 });
  return spawn('env', [...within, 'haproxy', '-db', '-f', file], { stdio: 'ignore', detached: true });
}

/** By host, path, a header that is not there, and a cookie; none matches, so each is tried. */
const kinds: readonly ((n: number) => Partial<WantedL7Rule>)[] = [
  (n) => ({ type: 'HOST_NAME', compareType: 'EQUAL_TO', value: `www${n}.example.org` }),
  (n) => ({ type: 'PATH', compareType: 'STARTS_WITH', value: `/other/${n}` }),
  (n) => ({ type: 'HEADER', key: 'X-Tier', compareType: 'EQUAL_TO', value: `gold${n}` }),
  (n) => ({ type: 'COOKIE', key: 'theme', compareType: 'EQUAL_TO', value: `light${n}` }),
];
const policies = (count: number): WantedL7Policy[] =>
  Array.from({ length: count }, (_, n) => aPolicy(n, { rules: [aRule(n, kinds[n % kinds.length]?.(n))] }));

const tickets = ticketKeys(randomBytes(32), 'load balancer', 5);
const pool = aPool(1, { members: [aMember(1, { address: '127.0.0.1', port: memberPort })] });
function wanted(generation: number, l7Policies: WantedL7Policy[]): WantedAmphora {
  const both = { defaultPoolId: pool.id, connectionLimit: maxconn, l7Policies };
  const tls = aTls([certificate], { alpn: [] });
  return aWanted({
    generation,
    listeners: [
      aListener(1, { port: amphora.http, ...both }),
      aListener(2, { protocol: 'TERMINATED_HTTPS', port: amphora.https, tls, ...both }),
    ],
    pools: [pool],
    ticketKeys: { period: tickets.period, keys: [...tickets.keys] },
  });
}

await run(['taskset', '--all-tasks', '--cpu-list', '--pid', loadCpu, String(process.pid)]);
const member = await haproxy('member.cfg', quickMember(memberPort));
await writeFile(bundle, certificate.pem, { mode: 0o600 });
await writeFile(keysFile, `${tickets.keys.join('\n')}\n`, { mode: 0o600 });
const cases = [
  ['HTTP, keep-alive', 'http', false],
  ['HTTP, a connection a request', 'http', true],
  ['TLS, keep-alive', 'https', false],
  ['TLS, a connection a request', 'https', true],
] as const;
function withPolicies(count: number): string {
  return `HTTP, ${count} policies`;
}

interface Hand {
  readonly what: string;
  readonly http: number;
  readonly https: number;
  readonly text: string;
}
async function hand(what: string, more: Pick<ByHand, 'policies' | 'ticketKeys'>): Promise<Hand> {
  const [httpPort, httpsPort] = [await freePort(), await freePort()];
  const text = byHand({ threads: 1, maxconn, httpPort, httpsPort, memberPort, bundle, ...more });
  return { what, http: httpPort, https: httpsPort, text };
}
const plain = await hand('by hand', { ticketKeys: keysFile });
const again = await hand('by hand again', { ticketKeys: keysFile });
const ownKeys = await hand('by hand, HAProxy’s own ticket keys', {});
const withAcls = await Promise.all(
  policyCounts.map(async (count) => ({
    count,
    byHand: await hand(withPolicies(count), { ticketKeys: keysFile, policies: policies(count) }),
  })),
);

function show(what: string, ours: readonly Sample[], byHand: readonly Sample[]): void {
  const at = (samples: readonly Sample[], places: readonly number[]) =>
    places.map((n) => samples[n] as Sample);
  const ofRounds = (figure: (sample: Sample) => number): string =>
    print(
      estimate(ours.length, (places) =>
        median(at(ours, places).map((sample, n) => figure(sample) / figure(at(byHand, places)[n] as Sample))),
      ),
    );
  const p99 = (samples: readonly Sample[]): number =>
    pooledPercentile(
      samples.map((sample) => sample.latencies),
      0.99,
    );
  const together = print(estimate(ours.length, (places) => p99(at(ours, places)) / p99(at(byHand, places))));
  console.log(
    `${what.padEnd(44)} requests/s ${ofRounds((sample) => sample.perSecond)}  p99 ${ofRounds((sample) => p99([sample]))}, together ${together}  CPU/request ${ofRounds((sample) => sample.cpuUsPerRequest)}`,
  );
}

const print = ({ value, from, to }: Estimate): string =>
  `${value.toFixed(3)} (${from.toFixed(3)} to ${to.toFixed(3)})`;

/** All in each round, in an order of its own, so that nobody always has the warmer machine. */
async function inTurns<T>(times: number, takers: readonly (() => Promise<T>)[]): Promise<T[][]> {
  const all: T[][] = [];
  for (let round = 0; round < times; round += 1) {
    const order = takers.map((taker, n) => ({ taker, n, place: Math.random() }));
    const taken: T[] = [];
    for (const { taker, n } of order.toSorted((a, b) => a.place - b.place)) taken[n] = await taker();
    all.push(taken);
  }
  return all;
}

interface Running {
  readonly what: string;
  readonly http: number;
  readonly https: number;
  readonly pid: number;
  /** Its agent, which rests while others have their turn. */
  readonly agent?: AgentUnderTest;
}

/** Each of `others` against `first`, a line each. What `first` did is the answer. */
async function compare(
  what: string,
  first: Running,
  others: readonly Running[],
  load: (one: Running) => Promise<Sample>,
  times = rounds,
): Promise<readonly Sample[]> {
  const turn = async (one: Running): Promise<Sample> => {
    if (one.agent === undefined) return load(one);
    one.agent.rest(false);
    try {
      await sleep(wakesMs);
      return await load(one);
    } finally {
      one.agent.rest(true);
    }
  };
  for (const { agent } of others) agent?.rest(true);
  const taken = await inTurns(
    times,
    [first, ...others].map((one) => () => turn(one)),
  ).finally(() => {
    for (const { agent } of others) agent?.rest(false);
  });
  const of = (place: number) => taken.map((round) => round[place] as Sample);
  for (const [n, other] of others.entries()) show(`${what}: ${other.what}`, of(n + 1), of(0));
  return of(0);
}

async function loads(): Promise<void> {
  const children: ChildProcess[] = [];
  const groups: MemoryGroup[] = [];
  const ownGroup = async (): Promise<readonly string[]> => {
    const group = await memoryGroup(instanceBytes);
    groups.push(group);
    return [...group.within, ...haproxyCpu];
  };
  const start = async ({ text, ...one }: Hand): Promise<Running> => {
    const child = await haproxy(`by-hand-${one.http}.cfg`, text, await ownGroup());
    children.push(child);
    return { ...one, pid: child.pid ?? 0 };
  };
  const agent = await AgentUnderTest.start({}, await ownGroup(), 1000);
  const running = async (): Promise<Running> => {
    const worker = (await agent.status()).memory.haproxy.find(({ role }) => role === 'worker');
    return { what: 'amphora', ...amphora, pid: worker?.pid ?? 0, agent };
  };
  try {
    await agent.put(wanted(1, []));
    const [first, second, own] = [await start(plain), await start(again), await start(ownKeys)];
    const acls = await Promise.all(
      withAcls.map(async ({ count, byHand: one }) => ({ count, one: await start(one) })),
    );
    const answers = async (port: number) =>
      (await get(port, '/', true)).startsWith('answer') ? true : undefined;
    for (const { https } of [first, second, own, ...acls.map(({ one }) => one), amphora]) {
      await eventually(() => answers(https));
    }
    for (const [what, scheme, close] of cases) {
      const ours = await running();
      const url = (one: Running) => `${scheme}://127.0.0.1:${one[scheme]}/`;
      const others = [ours, second, ...(scheme === 'https' ? [own] : [])];
      const most = await compare(what, first, others, (one) =>
        underLoad({ url: url(one), pid: one.pid, seconds, close, asBrowser: false }),
      );
      if (!close) {
        const perSecond = median(most.map((sample) => sample.perSecond)) * steadyShare;
        await compare(`${what}, steady`, first, [ours, second], (one) =>
          atRate({ url: url(one), pid: one.pid, seconds, perSecond }),
        );
      }
    }
    for (const [n, { count, one }] of acls.entries()) {
      const { refused } = await agent.put(wanted(n + 2, policies(count)));
      if (refused.length > 0) throw new Error(JSON.stringify(refused));
      const others = [await running(), { ...first, what: 'by hand without' }];
      await compare(
        withPolicies(count),
        one,
        others,
        ({ http, pid }) =>
          underLoad({ url: `http://127.0.0.1:${http}/`, pid, seconds, close: false, asBrowser: true }),
        Math.ceil(rounds / 3),
      );
    }
  } finally {
    await agent.remove();
    // Gone before the next HAProxy takes their ports.
    await Promise.all(
      children.map(async (child) => {
        const gone = once(child, 'exit');
        child.kill('SIGKILL');
        await gone;
      }),
    );
    for (const group of groups) await group.remove();
  }
}

const head = (first: string, close: boolean, headers: Readonly<Record<string, string>>): string =>
  `${[first, 'Host: www.example.com', ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`), ...(close ? ['Connection: close'] : [])].join('\r\n')}\r\n\r\n`;
const short = (close: boolean) => () => head('GET / HTTP/1.1', close, {});
const asBrowser = (n: number): string => head(`GET /shop/items/${n} HTTP/1.1`, false, browserHeaders);

async function instructions(): Promise<void> {
  const files = new Map<string, string>();
  const printed = async (
    what: string,
    count: number,
    one: Hand,
    how: Omit<Parameters<typeof instructionsPerRequest>[1], 'port'>,
  ) => {
    const scheme = how.tls ? 'https' : 'http';
    const ours = render(wanted(1, policies(count)), folder);
    const h = await instructionsPerRequest({ text: one.text, files }, { ...how, port: one[scheme] });
    const a = await instructionsPerRequest(ours, { ...how, port: amphora[scheme] });
    console.log(`${what.padEnd(44)} ${a.toFixed(0)} : ${h.toFixed(0)} = ${(a / h).toFixed(3)}`);
  };
  for (const [what, scheme, close] of cases) {
    await printed(what, 0, plain, { tls: scheme === 'https', close, head: short(close) });
  }
  for (const { count, byHand: one } of withAcls) {
    await printed(withPolicies(count), count, one, { tls: false, close: false, head: asBrowser });
  }
}

try {
  if (seconds > 0) {
    console.log(
      'ratios to the one by hand: medians of the rounds, and between what in 9 of 10 series of such rounds; p99 also of all together',
    );
    await loads();
  }
  console.log('instructions of HAProxy itself for a request, amphora : by hand');
  await instructions();
} finally {
  member.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
}
