/**
 * What an amphora's configuration costs in the traffic: HAProxy configured by hand (`by-hand.ts`) beside the one that
 * an agent has configured, in turns, on loopback. HTTP and TLS, with keep-alive and with a new connection for each
 * request; then with 1, 10 and 100 L7 policies that all have to be tried, beside the same as ACLs by hand. Printed
 * are ratios of requests per second, of the 99th percentile and of HAProxy's own CPU time per request; the last is the
 * one that other work on the machine disturbs least. Then the instructions of HAProxy per request, which nothing
 * disturbs.
 * Needs wrk and valgrind (`apt-get install wrk valgrind`).
 *
 *   npm run bench:data-plane [-- ROUNDS [SECONDS]]
 *
 * No SECONDS (0): the instructions alone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
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
import type { WantedAmphora, WantedL7Policy, WantedL7Rule } from '../../src/wire/wanted.ts';
import { byHand, quickMember } from './by-hand.ts';
import { median } from './figures.ts';
import { instructionsPerRequest } from './instructions.ts';
import { browserHeaders, type Sample, underLoad } from './wrk.ts';

const rounds = Number(process.argv[2] ?? 7);
const seconds = Number(process.argv[3] ?? 4);
const policyCounts = [0, 1, 10, 100];
const certificate = aCertificate('www.example.com');
const folder = await mkdtemp(join(tmpdir(), 'data-plane-'));
const bundle = join(folder, 'bundle.pem');
const memberPort = await freePort();
const amphora = { http: await freePort(), https: await freePort() };
const maxconn = 2000;

async function haproxy(name: string, text: string): Promise<ChildProcess> {
  const file = join(folder, name);
  await writeFile(file, text, { mode: 0o600 });
  // In a session of its own, as the agent's is: the kernel shares its time out among sessions.
  return spawn('haproxy', ['-db', '-f', file], { stdio: 'ignore', detached: true });
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

const member = await haproxy('member.cfg', quickMember(memberPort));
await writeFile(bundle, certificate.pem, { mode: 0o600 });
const cases = [
  ['HTTP, keep-alive', 'http', false],
  ['HTTP, a connection a request', 'http', true],
  ['TLS, keep-alive', 'https', false],
  ['TLS, a connection a request', 'https', true],
] as const;
const withPolicies = (count: number): string => `HTTP, ${count} policies`;

/** By the number of their policies, each with ports of its own, so that all can run at once. */
const hands = await Promise.all(
  policyCounts.map(async (count) => {
    const [httpPort, httpsPort] = [await freePort(), await freePort()];
    const text = (threads: number) =>
      byHand({ threads, maxconn, httpPort, httpsPort, memberPort, bundle, policies: policies(count) });
    return { count, http: httpPort, https: httpsPort, text };
  }),
);
type Hand = (typeof hands)[number];

const ratios = (a: Sample, h: Sample): Sample => ({
  perSecond: a.perSecond / h.perSecond,
  p99Us: a.p99Us / h.p99Us,
  cpuUsPerRequest: a.cpuUsPerRequest / h.cpuUsPerRequest,
});

function show(what: string, samples: readonly Sample[]): void {
  const of = (key: keyof Sample): string => {
    const values = samples.map((sample) => sample[key]);
    return `${median(values).toFixed(3)} (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`;
  };
  console.log(
    `${what.padEnd(44)} requests/s ${of('perSecond')}  p99 ${of('p99Us')}  CPU/request ${of('cpuUsPerRequest')}`,
  );
}

/** Who goes first changes from round to round, so that nobody always has the warmer machine. */
async function inTurns<T>(takers: readonly (() => Promise<T>)[]): Promise<T[][]> {
  const all: T[][] = [];
  for (let round = 0; round < rounds; round += 1) {
    const order = takers.map((taker, n) => ({ taker, n }));
    if (round % 2 === 1) order.reverse();
    const taken: T[] = [];
    for (const { taker, n } of order) taken[n] = await taker();
    all.push(taken);
  }
  return all;
}

async function loads(): Promise<void> {
  const running = await Promise.all(
    hands.map(async (hand) => ({
      ...hand,
      child: await haproxy(`by-hand-${hand.count}.cfg`, hand.text(availableParallelism())),
    })),
  );
  const agent = await AgentUnderTest.start({}, [], 1000);
  try {
    await agent.put(wanted(1, []));
    const answers = async (port: number) =>
      (await get(port, '/', true)).startsWith('answer') ? true : undefined;
    for (const { https } of [...running, amphora]) await eventually(() => answers(https));
    const worker = (await agent.status()).memory.haproxy.find(({ role }) => role === 'worker')?.pid ?? 0;
    const load = (port: number, pid: number, scheme: 'http' | 'https', close: boolean, asBrowser: boolean) =>
      underLoad({ url: `${scheme}://127.0.0.1:${port}/`, pid, seconds, close, asBrowser });
    const plain = running.find(({ count }) => count === 0) as (typeof running)[number];
    for (const [what, scheme, close] of cases) {
      const taken = await inTurns([
        () => load(plain[scheme], plain.child.pid ?? 0, scheme, close, false),
        () => load(amphora[scheme], worker, scheme, close, false),
      ]);
      show(
        what,
        taken.map(([h, a]) => ratios(a as Sample, h as Sample)),
      );
    }
    for (const [n, hand] of running.entries()) {
      const { refused } = await agent.put(wanted(n + 2, policies(hand.count)));
      if (refused.length > 0) throw new Error(JSON.stringify(refused));
      const current = (await agent.status()).memory.haproxy.find(({ role }) => role === 'worker')?.pid ?? 0;
      const taken = await inTurns([
        () => load(plain.http, plain.child.pid ?? 0, 'http', false, true),
        () => load(hand.http, hand.child.pid ?? 0, 'http', false, true),
        () => load(amphora.http, current, 'http', false, true),
      ]);
      show(
        withPolicies(hand.count),
        taken.map(([, h, a]) => ratios(a as Sample, h as Sample)),
      );
      show(
        `${withPolicies(hand.count)} : by hand without`,
        taken.map(([h, , a]) => ratios(a as Sample, h as Sample)),
      );
    }
  } finally {
    await agent.remove();
    for (const { child } of running) child.kill('SIGKILL');
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
    hand: Hand,
    how: Omit<Parameters<typeof instructionsPerRequest>[1], 'port'>,
  ) => {
    const scheme = how.tls ? 'https' : 'http';
    const ours = render(wanted(1, policies(hand.count)), folder);
    const h = await instructionsPerRequest({ text: hand.text(1), files }, { ...how, port: hand[scheme] });
    const a = await instructionsPerRequest(ours, { ...how, port: amphora[scheme] });
    console.log(`${what.padEnd(44)} ${a.toFixed(0)} : ${h.toFixed(0)} = ${(a / h).toFixed(3)}`);
  };
  const [plain] = hands as [Hand];
  for (const [what, scheme, close] of cases) {
    await printed(what, plain, { tls: scheme === 'https', close, head: short(close) });
  }
  for (const hand of hands) {
    await printed(withPolicies(hand.count), hand, { tls: false, close: false, head: asBrowser });
  }
}

try {
  if (seconds > 0) {
    console.log('amphora : by hand, medians of the rounds (and their range)');
    await loads();
  }
  console.log('instructions of HAProxy itself for a request, amphora : by hand');
  await instructions();
} finally {
  member.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
}
