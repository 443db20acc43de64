/**
 * What an amphora's rules cost UDP: a load balancer as its agent renders it, beside the least that a person would
 * write in nftables for the same two members, and beside mere forwarding; in turns, each in network namespaces of its
 * own: client, amphora, two members, joined by veth. Members answer in the kernel, and answers are counted in the
 * kernel, so that neither is what is measured. One sender (`datagram-load.py`) hands 16 datagrams to the kernel in a
 * system call, which carries each of them all the way and back on the sender's CPU time: datagrams for a second of it
 * are what other work on the machine disturbs least. Needs root, python3, nftables and conntrack.
 *
 *   npm run bench:datagrams [-- ROUNDS [SECONDS]]
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { aDatagramMember, aDatagramPool, aDatagramTree } from '../../src/plan/udp/nft.fixture.ts';
import { renderNftables } from '../../src/plan/udp/render.ts';
import { run } from '../../src/platform/run.ts';
import { median, percentile } from './figures.ts';

const rounds = Number(process.argv[2] ?? 11);
const seconds = Number(process.argv[3] ?? 1);
const vip = '10.1.0.5';
const client = '10.1.0.2';
const door = 9001;
const memberPort = 7000;
/** The cards of the amphora: its own address on each, and who is at the other end. */
const cables = [
  { at: 'client', own: '10.1.0.1', other: client },
  { at: 'member1', own: '10.2.0.1', other: '10.2.0.2' },
  { at: 'member2', own: '10.3.0.1', other: '10.3.0.2' },
] as const;
const places = cables.slice(1).map(({ other }) => other);

const byHand = `table ip balancer {
    chain choose {
        type nat hook prerouting priority dstnat;
        ip daddr ${vip} udp dport ${door} dnat to numgen inc mod 2 map { ${places.map((place, n) => `${n} : ${place} . ${memberPort}`).join(', ')} }
    }
    chain masked {
        type nat hook postrouting priority srcnat;
        ip daddr { ${places.join(', ')} } masquerade
    }
}`;

const members = places.map((address, n) => aDatagramMember(n + 1, { address, port: memberPort }));
function amphora(values: Parameters<typeof aDatagramPool>[1] = {}): string {
  const tree = aDatagramTree({ pools: [aDatagramPool(1, { members, ...values })] });
  return renderNftables({ ...tree, loadBalancer: { ...tree.loadBalancer, vipAddresses: [vip] } }, new Set())
    .text;
}

interface Side {
  readonly name: string;
  /** Of nftables, in the amphora. */
  readonly rules: string;
  /** Where the client sends to. */
  readonly targets: readonly string[];
}
const toVip = { targets: [`${vip}:${door}`] };
const sides: readonly [Side, ...Side[]] = [
  { name: 'by hand', rules: byHand, ...toVip },
  { name: 'amphora', rules: amphora(), ...toVip },
  {
    name: 'amphora, persistence',
    rules: amphora({
      sessionPersistence: {
        type: 'SOURCE_IP',
        cookieName: null,
        persistenceTimeout: null,
        persistenceGranularity: null,
      },
    }),
    ...toVip,
  },
  { name: 'mere forwarding', rules: '', targets: places.map((place) => `${place}:${memberPort}`) },
];

const prefix = `livia-${randomBytes(2).toString('hex')}`;
const namespace = (side: Side, at: string): string => `${prefix}-${sides.indexOf(side)}-${at}`;
const inside = (side: Side, at: string, command: readonly string[], input?: string): Promise<string> =>
  run(['ip', 'netns', 'exec', namespace(side, at), ...command], {
    timeoutMs: 120_000,
    ...(input !== undefined && { input }),
  });

/** Every datagram goes back whence it came, before conntrack sees it. */
const mirror = (own: string, other: string): string => `table ip mirror {
    chain in {
        type filter hook prerouting priority raw;
        ip saddr ${other} udp dport ${memberPort} udp dport set udp sport udp sport set ${memberPort} ip daddr set ${other} ip saddr set ${own}
    }
}`;
const ear = `table ip ear {
    counter heard { }
    chain in {
        type filter hook prerouting priority raw;
        udp sport { ${door}, ${memberPort} } counter name heard drop
    }
}`;

async function make(side: Side): Promise<void> {
  const middle = namespace(side, 'amphora');
  await run(['ip', 'netns', 'add', middle]);
  for (const [n, { at, own, other }] of cables.entries()) {
    const end = namespace(side, at);
    await run(['ip', 'netns', 'add', end]);
    await run(['ip', '-n', middle, 'link', 'add', `eth${n}`, 'type', 'veth', 'peer', 'eth0', 'netns', end]);
    for (const [where, card, address] of [
      [middle, `eth${n}`, own],
      [end, 'eth0', other],
    ] as const) {
      await run(['ip', '-n', where, 'address', 'add', `${address}/24`, 'dev', card]);
      // A burst is cut into its datagrams before it leaves.
      await run(['ip', '-n', where, 'link', 'set', card, 'gso_max_segs', '1', 'up']);
    }
    await run(['ip', '-n', end, 'route', 'add', 'default', 'via', own]);
    if (at === 'client') continue;
    const mirrored = ['accept_local=1', 'rp_filter=0', 'send_redirects=0'].flatMap((setting) =>
      ['all', 'eth0'].map((card) => `net.ipv4.conf.${card}.${setting}`),
    );
    await inside(side, at, ['sysctl', '-qw', 'net.ipv4.ip_forward=1', ...mirrored]);
    // Mere forwarding leaves the client's address as it is, the others put the amphora's own in its place.
    await inside(side, at, ['nft', '-f', '-'], mirror(other, side.rules === '' ? client : own));
  }
  await run(['ip', '-n', middle, 'address', 'add', `${vip}/32`, 'dev', 'eth0']);
  await inside(side, 'amphora', ['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  if (side.rules !== '') await inside(side, 'amphora', ['nft', '-f', '-'], side.rules);
}

interface Said {
  readonly sent: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly tookUs?: readonly number[];
}
async function load(side: Side, what: readonly string[]): Promise<Said> {
  const script = join(import.meta.dirname, 'datagram-load.py');
  return JSON.parse(
    await inside(side, 'client', ['/usr/bin/python3', script, ...what, ...side.targets]),
  ) as Said;
}

/** Figures of one round: the more of the first two the better, the fewer of the others. */
type Sample = Readonly<Record<'perSecond' | 'perCpuSecond' | 'p50Us' | 'p99Us', number>>;

/** Answers to datagrams without pause. */
async function flooded(side: Side, what: readonly string[]): Promise<Partial<Sample>> {
  if (side.rules !== '') await inside(side, 'amphora', ['conntrack', '--flush']).catch(() => undefined);
  await inside(side, 'client', ['nft', '-f', '-'], ear);
  const { sent, seconds: took, cpuSeconds } = await load(side, what);
  const listed = await inside(side, 'client', ['nft', 'list', 'counters']);
  await inside(side, 'client', ['nft', 'delete', 'table', 'ip', 'ear']);
  const heard = Number(/packets (\d+)/.exec(listed)?.[1]);
  if (!(heard >= sent * 0.99)) throw new Error(`${side.name}: ${heard} answers to ${sent} datagrams`);
  return { perSecond: sent / took, perCpuSecond: sent / cpuSeconds };
}

async function asked(side: Side, what: readonly string[]): Promise<Partial<Sample>> {
  const { tookUs = [] } = await load(side, what);
  return { p50Us: percentile(tookUs, 0.5), p99Us: percentile(tookUs, 0.99) };
}

const kinds = [
  ['datagrams of 8 flows', flooded, ['flood', String(seconds), '8']],
  ['datagrams of 4,000 flows', flooded, ['flood', String(seconds), '4000']],
  ['new flows, one datagram each', flooded, ['new', '40000']],
  ['one question at a time', asked, ['ask', '5000', '100']],
] as const;

function show(key: keyof Sample, ours: readonly Partial<Sample>[], hand: readonly Partial<Sample>[]): string {
  const values = ours.map((sample) => sample[key] ?? Number.NaN);
  const ratios = values.map((value, n) => value / (hand[n]?.[key] ?? Number.NaN));
  const range = [Math.min(...ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(2)).join(' to ');
  return `${key} ${median(values).toFixed(0).padStart(7)}, ratio ${median(ratios).toFixed(3)} (${range})`;
}

try {
  for (const side of sides) await make(side);
  console.log('medians of the rounds; ratios to what is written by hand, of the same round, and their range');
  for (const [what, measure, how] of kinds) {
    const samples = new Map(sides.map((side) => [side, [] as Partial<Sample>[]]));
    for (let round = 0; round < rounds; round += 1) {
      // Who goes first changes, so that nobody always has the warmer machine.
      for (let n = 0; n < sides.length; n += 1) {
        const side = sides[(n + round) % sides.length] ?? sides[0];
        samples.get(side)?.push(await measure(side, how));
      }
    }
    const hand = samples.get(sides[0]) ?? [];
    console.log(what);
    for (const side of sides) {
      const own = samples.get(side) ?? [];
      const keys = Object.keys(own[0] ?? {}) as (keyof Sample)[];
      console.log(`  ${side.name.padEnd(22)} ${keys.map((key) => show(key, own, hand)).join('   ')}`);
    }
  }
} finally {
  for (const side of sides) {
    for (const at of ['amphora', ...cables.map((cable) => cable.at)]) {
      await run(['ip', 'netns', 'del', namespace(side, at)]).catch(() => undefined); // it may not be made yet
    }
  }
}
