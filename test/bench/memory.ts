/**
 * Amphorae in real memory cgroups of 256 MiB to 8 GiB: what they use at their worst against their budget, and what
 * becomes of HAProxy on the same memory when its cache is sized as Octavia does. Needs root; some twelve minutes.
 *
 *   npm run bench:memory [-- MIB …]
 */
import { createAuthority, issueAmphora } from '../../src/pki/ca.ts';
import { aTls } from '../../src/plan/haproxy/wanted.fixture.ts';
import { slowReadersAtReload } from '../memory/own-network.ts';
import {
  bigConfiguration,
  bigStart,
  manyReloads,
  type Measured,
  theReport,
  upstreamReloads,
} from '../memory/scenarios.ts';
import { median } from './figures.ts';

const miB = 1024 ** 2;
const startRounds = 5;
const sizes = process.argv.slice(2).map(Number);
const limits = (sizes.length > 0 ? sizes : [256, 1024, 2048, 4096, 8192]).map((size) => size * miB);
const inMiB = (bytes: number): string => (bytes / miB).toFixed(0).padStart(5);
const ratio = (part: number, whole: number): string => (part / whole).toFixed(2).padStart(5);
/** TCP's buffers, measured and bounded, where the kernel counts them apart. */
const tcp = ({ tcpPeakBytes, tcpLimitBytes }: Measured): string =>
  [tcpPeakBytes, tcpLimitBytes].map((bytes) => (bytes === undefined ? '    -' : inMiB(bytes))).join(' ');
const size = (limitBytes: number): string => `${inMiB(limitBytes)} MiB`;

let broken = 0;
function show(what: string, measured: Measured): void {
  const { limitBytes, budgetBytes, peakBytes, steadyBytes, lastReloadPeakBytes } = measured;
  const bad =
    measured.oomKills > 0 || !measured.serves || peakBytes > budgetBytes || budgetBytes > limitBytes;
  if (bad) broken += 1;
  console.log(
    `${size(limitBytes)}  ${what.padEnd(44)}` +
      `${inMiB(peakBytes)} ${inMiB(budgetBytes)} ${ratio(peakBytes, budgetBytes)}` +
      `  ${tcp(measured)}  ${inMiB(steadyBytes)} ${ratio(lastReloadPeakBytes, steadyBytes)}` +
      `  ${String(measured.startMs).padStart(6)} ${String(measured.lastReloadMs).padStart(6)}` +
      `  ${String(measured.connections).padStart(5)}  ${measured.oomKills}${bad ? '  BROKEN' : ''}`,
  );
}

/** A thousand certificates of different names. */
async function manyCertificates(count: number) {
  const authority = await createAuthority();
  const issued = await Promise.all(
    Array.from({ length: count }, (_, n) => issueAmphora(authority, `name-${n}`, { days: 2 })),
  );
  return aTls(
    issued.map(({ certificatePem, keyPem }, n) => ({
      name: n.toString(16).padStart(64, '0'),
      pem: keyPem + certificatePem,
    })),
    { alpn: [] },
  );
}

const thousand = await manyCertificates(1000);
console.log(
  'MiB and ms. peak: the most of agent, HAProxy and checks; budget: the bound; TCP: its buffers; steady: before the last',
);
console.log('reload; its peak; start and last reload; connections open meanwhile; OOM kills.\n');
console.log(`${' '.repeat(55)}  peak budget ratio    TCP bound  steady ratio   start reload  conn.  OOM`);
for (const limitBytes of limits) {
  show('the report: a listener, then a pool', await theReport(limitBytes));
  show('50 reloads, 2 long-lived connections each', await manyReloads(limitBytes, 50));
  // More slow readers than this fill the memory for TCP of a machine of 24 GiB.
  show('a reload full of slow TLS readers', await slowReadersAtReload(limitBytes, 2500));
  if (limitBytes >= 1024 * miB) {
    show('1,000 certificates, 10,000 members', await bigConfiguration(limitBytes, thousand, 10_000));
  }
}

console.log(
  '\n1,000 certificates, 10,000 members: ms until they are served, by the agent and by HAProxy alone:\n',
);
for (const limitBytes of limits.filter((limit) => limit >= 1024 * miB)) {
  const ratios: number[] = [];
  for (let round = 0; round < startRounds; round += 1) {
    const { startMs, aloneMs } = await bigStart(limitBytes, thousand, 10_000);
    ratios.push(startMs / aloneMs);
    console.log(`${size(limitBytes)}  ${startMs.toFixed(0)} ${aloneMs.toFixed(0)}`);
  }
  console.log(`${size(limitBytes)}  median of the ratios ${median(ratios).toFixed(2)}`);
}

console.log('\nHAProxy with the cache of Octavia, 10 changes, its check and its reload by SIGUSR2:\n');
for (const limitBytes of limits.filter((limit) => limit <= 4096 * miB)) {
  for (const policy of ['before its fix', 'after its fix'] as const) {
    for (const longLived of [0, 1]) {
      const measured = await upstreamReloads(policy, limitBytes, { changes: 10, longLived });
      const end = measured.killedAt === undefined ? 'no OOM kill' : `OOM kill at change ${measured.killedAt}`;
      const with1 = longLived > 0 ? 'one long-lived connection a change' : 'no long-lived connections';
      console.log(
        `${size(limitBytes)}  ${policy.padEnd(15)} ${with1.padEnd(36)} peak ${inMiB(measured.peakBytes)}  ${end}`,
      );
    }
  }
}
process.exitCode = broken > 0 ? 1 : 0;
