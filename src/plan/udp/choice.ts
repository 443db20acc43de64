import type { WantedMember, WantedPool } from '../../wire/wanted.ts';
import { leastConnections } from './least-connections.ts';
import { braces, type Family, hex, whole } from './words.ts';

/** How many flows there are to members, by their marks. */
export type Flows = ReadonlyMap<number, number>;

/**
 * A number for every member, by id. It stands for the member in the marks of packets and flows and in what is
 * remembered of clients, so it stays the same for as long as the member is there.
 */
export function memberMarks(pools: readonly WantedPool[]): ReadonlyMap<string, number> {
  const marks = new Map<string, number>();
  const taken = new Set([0]); // of packets without a mark
  for (const id of new Set(pools.flatMap((pool) => pool.members.map((member) => member.id)).toSorted())) {
    let mark = Number.parseInt(id.slice(-8), 16);
    while (taken.has(mark)) mark = (mark + 1) >>> 0;
    taken.add(mark);
    marks.set(id, mark);
  }
  return marks;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** An expression that gives the mark of the member for a new flow, each member as often as it is due. */
export function choice(
  pool: WantedPool,
  members: readonly WantedMember[],
  marks: ReadonlyMap<string, number>,
  family: Family,
  flows: Flows,
): string {
  const mark = ({ id }: WantedMember): number => marks.get(id) ?? 0;
  const due =
    pool.algorithm === 'LEAST_CONNECTIONS'
      ? leastConnections(
          members.map((member) => ({ weight: member.weight, flows: flows.get(mark(member)) ?? 0 })),
        )
      : members.map(({ weight }) => weight);
  const divisor = due.reduce(greatestCommonDivisor, 0);
  let total = 0;
  const shares = members.flatMap((member, n) => {
    const from = total;
    total += (due[n] ?? 0) / divisor;
    if (total === from) return [];
    const range = total - from === 1 ? whole(from) : `${whole(from)}-${whole(total - 1)}`;
    return [`${range} : ${hex(mark(member))}`];
  });
  return `${draw(pool, family)} mod ${whole(total)}${seed(pool)} map ${braces(shares)}`;
}

function draw({ algorithm, protocol }: WantedPool, family: Family): string {
  switch (algorithm) {
    case 'SOURCE_IP':
      return `jhash ${family} saddr`;
    case 'SOURCE_IP_PORT':
      return `jhash ${family} saddr . ${protocol === 'SCTP' ? 'sctp' : 'udp'} sport`;
    default:
      return 'numgen inc';
  }
}

/** The same on every amphora of the load balancer, so that a client's member is the same behind each. */
function seed({ id, algorithm }: WantedPool): string {
  return algorithm.startsWith('SOURCE_IP') ? ` seed ${hex(Number.parseInt(id.slice(-8), 16))}` : '';
}
