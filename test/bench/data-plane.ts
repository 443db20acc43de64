/**
 * What an amphora's configuration costs in the traffic: the same HAProxy configured by hand with the least a load
 * balancer needs, beside the one that an agent has configured, in turns, on loopback. HTTP and TLS with keep-alive and
 * with a new connection for each request. Printed are ratios of requests per second, of the 99th percentile and of
 * HAProxy's own CPU time per request; the last is the one that other work on the machine disturbs least.
 * Needs wrk (`apt-get install wrk`).
 *
 *   npm run bench:data-plane [-- ROUNDS [SECONDS]]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentUnderTest, eventually, freePort, get } from '../../src/agent/agent.fixture.ts';
import {
  aCertificate,
  aListener,
  aMember,
  aPool,
  aTls,
  aWanted,
  id,
} from '../../src/plan/haproxy/wanted.fixture.ts';
import { run } from '../../src/platform/run.ts';

const rounds = Number(process.argv[2] ?? 7);
const seconds = Number(process.argv[3] ?? 4);
const certificate = aCertificate('www.example.com');
const folder = await mkdtemp(join(tmpdir(), 'data-plane-'));
const ports = {
  member: await freePort(),
  byHand: { http: await freePort(), https: await freePort() },
  amphora: { http: await freePort(), https: await freePort() },
};
const maxconn = 2000;

async function haproxy(name: string, text: string): Promise<ChildProcess> {
  const file = join(folder, name);
  await writeFile(file, text, { mode: 0o600 });
  return spawn('haproxy', ['-db', '-f', file], { stdio: 'ignore' });
}

const timeouts = 'timeout connect 5s\n    timeout client 50s\n    timeout server 50s';
/** An HAProxy that answers by itself is the quickest member there is. */
const member = `global
    nbthread 1
defaults
    mode http
    ${timeouts}
frontend member
    bind 127.0.0.1:${ports.member}
    http-request return status 200 content-type text/plain string "answer of the member"
`;
const byHand = `global
    nbthread ${availableParallelism()}
    maxconn ${2 * maxconn}
defaults
    mode http
    ${timeouts}
frontend http
    bind 127.0.0.1:${ports.byHand.http}
    default_backend pool
frontend https
    bind 127.0.0.1:${ports.byHand.https} ssl crt ${join(folder, 'bundle.pem')} ssl-min-ver TLSv1.2
    default_backend pool
backend pool
    balance roundrobin
    server member 127.0.0.1:${ports.member}
`;

const pool = aPool(1, { members: [aMember(1, { address: '127.0.0.1', port: ports.member })] });
const wanted = aWanted({
  listeners: [
    aListener(1, { port: ports.amphora.http, defaultPoolId: pool.id, connectionLimit: maxconn }),
    aListener(2, {
      ...{ protocol: 'TERMINATED_HTTPS', port: ports.amphora.https, defaultPoolId: id('p', 1) },
      ...{ connectionLimit: maxconn, tls: aTls([certificate], { alpn: [] }) },
    }),
  ],
  pools: [pool],
});

/** User and system time of a process so far, in seconds. */
async function cpuSeconds(pid: number): Promise<number> {
  const cells = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(cells[11]) + Number(cells[12])) / 100;
}

interface Sample {
  readonly perSecond: number;
  readonly p99Us: number;
  readonly cpuUsPerRequest: number;
}

/** wrk's summary by a script of its own: requests, duration and 99th percentile in microseconds, failures. */
const summary = `done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("@%d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`;

async function measure(url: string, pid: number, close: boolean): Promise<Sample> {
  const before = await cpuSeconds(pid);
  const said = await run(
    ['wrk', '-t1', '-c32', `-d${seconds}s`, '-s', join(folder, 'summary.lua')].concat(
      close ? ['-H', 'Connection: close', url] : [url],
    ),
    { timeoutMs: (seconds + 20) * 1000 },
  );
  const spent = (await cpuSeconds(pid)) - before;
  const [requests = 0, durationUs = 0, p99Us = 0, errors = 0] = (/^@(.*)$/m.exec(said)?.[1] ?? '')
    .split(' ')
    .map(Number);
  if (requests === 0 || errors > 0) throw new Error(`${url}: ${errors} errors\n${said}`);
  return { perSecond: requests / (durationUs / 1e6), p99Us, cpuUsPerRequest: (spent / requests) * 1e6 };
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

await writeFile(join(folder, 'bundle.pem'), certificate.pem, { mode: 0o600 });
await writeFile(join(folder, 'summary.lua'), summary);
const processes = [await haproxy('member.cfg', member), await haproxy('by-hand.cfg', byHand)];
const agent = await AgentUnderTest.start();
try {
  await agent.put(wanted);
  for (const side of [ports.byHand, ports.amphora]) {
    await eventually(async () =>
      (await get(side.https, '/', true)).startsWith('answer') ? true : undefined,
    );
  }
  const worker = (await agent.status()).memory.haproxy.find(({ role }) => role === 'worker')?.pid ?? 0;
  const handPid = processes[1]?.pid ?? 0;
  console.log('amphora : by hand, medians of the rounds (and their range)');
  for (const [what, scheme, close] of [
    ['HTTP, keep-alive', 'http', false],
    ['HTTP, a connection a request', 'http', true],
    ['TLS, keep-alive', 'https', false],
    ['TLS, a connection a request', 'https', true],
  ] as const) {
    const ratios: Sample[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const hand = () => measure(`${scheme}://127.0.0.1:${ports.byHand[scheme]}/`, handPid, close);
      const ours = () => measure(`${scheme}://127.0.0.1:${ports.amphora[scheme]}/`, worker, close);
      // Who goes first changes, so that nobody always has the warmer machine.
      const first = round % 2 === 0 ? await hand() : await ours();
      const second = round % 2 === 0 ? await ours() : await hand();
      const [a, h] = round % 2 === 0 ? [second, first] : [first, second];
      ratios.push({
        perSecond: a.perSecond / h.perSecond,
        p99Us: a.p99Us / h.p99Us,
        cpuUsPerRequest: a.cpuUsPerRequest / h.cpuUsPerRequest,
      });
    }
    const show = (key: keyof Sample): string => {
      const values = ratios.map((ratio) => ratio[key]);
      return `${median(values).toFixed(3)} (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`;
    };
    console.log(
      `${what.padEnd(30)} requests/s ${show('perSecond')}  p99 ${show('p99Us')}  CPU/request ${show('cpuUsPerRequest')}`,
    );
  }
} finally {
  await agent.remove();
  for (const child of processes) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
}
