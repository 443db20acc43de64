/**
 * What an amphora's configuration costs in the traffic: HAProxy configured by hand (`by-hand.ts`) beside the one that
 * an agent has configured, in turns, on loopback. HTTP and TLS, with keep-alive and with a new connection for each
 * request, as many as HAProxy can; with keep-alive also at a steady rate, a third of that, as latency is met in
 * practice; then with 1, 10 and 100 L7 policies that no request meets, beside the same as ACLs by hand. Printed are
 * ratios of requests per second, of the 99th percentile and of HAProxy's own CPU time per request: medians of the
 * rounds, with what they would be between if the rounds were others (9 of 10 times). The one by hand is taken twice, so
 * that one sees what the machine alone makes of two that are the same. Then the instructions of HAProxy per request,
 * which nothing disturbs.
 *
 * In the load a thousand paths come again and again: HAProxy keeps what the policies' table says to the last 10,000
 * different requests (`tune.pattern.cache-size`), and nothing of what ACLs say. The instructions are those of paths
 * that have not come before.
 *
 * A round is three seconds of load for each, in slices of a fraction of a second that change about: the machine is now
 * faster and now slower, and two that take turns of seconds are 13 % apart when they are the same. In three seconds of
 * load an agent looks at its busy HAProxy once, so it is let run in one slice of its round, once the clients are there,
 * and rests in the others; its look is overdue then, and comes at once.
 *
 * One CPU is HAProxy's, and its agent's; the load and the members have the other. Left to the scheduler, the threads
 * of all of them settle now so and now so, for seconds, and the rates of one and the same HAProxy differ by 20 %.
 * Each HAProxy has a cgroup of its own, with its agent, as in an instance: else the agent shares what time the kernel
 * gives the load. Needs root, two CPUs, h2load and valgrind (`apt-get install nghttp2-client valgrind`).
 *
 *   npm run bench:data-plane [-- ROUNDS]
 *
 * A third of the rounds for the policies. No ROUNDS (0): the instructions alone.
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
import { median, medianEstimate } from './figures.ts';
import { instructionsPerRequest } from './instructions.ts';
import {
  browserHeaders,
  latencyAt,
  type Load,
  type Sample,
  slice,
  slicedLoad,
  together,
} from './sliced-load.ts';

const rounds = Number(process.argv[2] ?? 12);
const roundMs = 3000;
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
/** From the start of h2load: its clients are there, and most of the slice is to come. */
const agentWakesMs = slice.warmUpMs + 40;

/** Of which the first slice is made: at the fastest rate met, some 70,000 a second, longer than the warm-up. */
const firstRequests = 10_000;

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
async function hand(what: string, policies: ByHand['policies']): Promise<Hand> {
  const [httpPort, httpsPort] = [await freePort(), await freePort()];
  const text = byHand({
    threads: 1,
    maxconn,
    httpPort,
    httpsPort,
    memberPort,
    bundle,
    ticketKeys: keysFile,
    policies,
  });
  return { what, http: httpPort, https: httpsPort, text };
}
const plain = await hand('by hand', []);
const again = await hand('by hand again', []);
const withAcls = await Promise.all(
  policyCounts.map(async (count) => ({
    count,
    byHand: await hand(withPolicies(count), policies(count)),
  })),
);

const figures: readonly (readonly [string, (sample: Sample) => number])[] = [
  ['requests/s', ({ requests, ms }) => requests / ms],
  ['p99', (sample) => latencyAt(sample, 0.99)],
  ['CPU/request', ({ requests, cpuNs }) => cpuNs / requests],
];

function show(what: string, ours: readonly Sample[], byHand: readonly Sample[]): void {
  const printed = figures.map(([name, figure]) => {
    const ratios = ours.map((sample, n) => figure(sample) / figure(byHand[n] as Sample));
    const { value, from, to } = medianEstimate(ratios);
    return `${name} ${value.toFixed(3)} (${from.toFixed(3)} to ${to.toFixed(3)})`;
  });
  console.log(`${what.padEnd(44)} ${printed.join('  ')}`);
}

interface Running {
  readonly what: string;
  readonly http: number;
  readonly https: number;
  readonly pid: number;
  /** Its agent, which rests while others have their turn. */
  readonly agent?: AgentUnderTest;
}

/** What a slice is asked, but of whom. */
type Asked = Pick<Load, 'close' | 'asBrowser' | 'perSecond'> & { readonly scheme: 'http' | 'https' };

const sliceOf = (one: Running, { scheme, ...asked }: Asked, requests: number): Promise<Sample> =>
  slicedLoad({ ...asked, url: `${scheme}://127.0.0.1:${one[scheme]}/`, pid: one.pid, requests });

/** Enough for a slice on a machine that is half as fast again. */
async function sliceRequests(one: Running, asked: Asked): Promise<number> {
  const most = async (): Promise<number> => {
    const { requests, ms } = await sliceOf(one, asked, firstRequests);
    return requests / ms;
  };
  const perMs = asked.perSecond === undefined ? await most() : asked.perSecond / 1000;
  return Math.ceil(1.5 * perMs * (slice.warmUpMs + slice.measuredMs));
}

/** One slice; the agent looks once in it, or not at all. */
async function turn(one: Running, load: () => Promise<Sample>, looks: boolean): Promise<Sample> {
  const look = async (): Promise<void> => {
    await sleep(agentWakesMs);
    one.agent?.rest(false);
  };
  try {
    const [sample] = await Promise.all([load(), looks && look()]);
    return sample;
  } finally {
    one.agent?.rest(true);
  }
}

/** A round of each, in slices, each time in an order of its own, so that nobody always has the warmer machine. */
async function round(takers: readonly Running[], asked: Asked, requests: number): Promise<readonly Sample[]> {
  const taken = takers.map((one) => ({ one, samples: [] as Sample[], place: 0 }));
  for (let n = 0; n < roundMs / slice.measuredMs; n += 1) {
    for (const taker of taken) taker.place = Math.random();
    for (const { one, samples } of taken.toSorted((a, b) => a.place - b.place)) {
      samples.push(await turn(one, () => sliceOf(one, asked, requests), n === 0));
    }
  }
  return taken.map(({ samples }) => together(samples));
}

/** Each of `others` against `first`, a line each. What `first` did is the answer. */
async function compare(
  what: string,
  first: Running,
  others: readonly Running[],
  asked: Asked,
  times = rounds,
): Promise<readonly Sample[]> {
  const taken: (readonly Sample[])[] = [];
  try {
    for (const { agent } of others) agent?.rest(true);
    const requests = await sliceRequests(first, asked);
    while (taken.length < times) taken.push(await round([first, ...others], asked, requests));
  } finally {
    for (const { agent } of others) agent?.rest(false);
  }
  const of = (place: number) => taken.map((samples) => samples[place] as Sample);
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
    const [first, second] = [await start(plain), await start(again)];
    const acls = await Promise.all(
      withAcls.map(async ({ count, byHand: one }) => ({ count, one: await start(one) })),
    );
    const answers = async (port: number) =>
      (await get(port, '/', true)).startsWith('answer') ? true : undefined;
    for (const { https } of [first, second, ...acls.map(({ one }) => one), amphora]) {
      await eventually(() => answers(https));
    }
    for (const [what, scheme, close] of cases) {
      const ours = await running();
      const asked = { scheme, close, asBrowser: false };
      const most = await compare(what, first, [ours, second], asked);
      if (!close) {
        const perSecond = median(most.map(({ requests, ms }) => (requests * 1000) / ms)) * steadyShare;
        await compare(`${what}, steady`, first, [ours, second], { ...asked, perSecond });
      }
    }
    for (const [n, { count, one }] of acls.entries()) {
      const { refused } = await agent.put(wanted(n + 2, policies(count)));
      if (refused.length > 0) throw new Error(JSON.stringify(refused));
      const others = [await running(), { ...first, what: 'by hand without' }];
      const asked = { scheme: 'http', close: false, asBrowser: true } as const;
      await compare(withPolicies(count), one, others, asked, Math.ceil(rounds / 3));
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
  if (rounds > 0) {
    console.log(
      'ratios to the one by hand: medians of the rounds, and between what in 9 of 10 series of them',
    );
    await loads();
  }
  console.log('instructions of HAProxy itself for a request, amphora : by hand');
  await instructions();
} finally {
  member.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
}
