import type { TrafficCounters } from '../wire/report.ts';
import type { StatRow } from './haproxy/socket.ts';

/**
 * Counters that go on over reloads and restarts. Every worker counts from 0 and for itself; old ones go on counting
 * until their last connection ends. So each worker's last word is kept, and what the gone ones said is added up.
 */
export interface Traffic {
  /** What workers that are gone have counted, by listener id. */
  readonly gone: Readonly<Record<string, TrafficCounters>>;
  /** The last word of the live ones, by pid, by listener id. */
  readonly live: Readonly<Record<string, Readonly<Record<string, TrafficCounters>>>>;
}

export const noTraffic: Traffic = { gone: {}, live: {} };
const zero: TrafficCounters = { bytesIn: 0, bytesOut: 0, totalConnections: 0, requestErrors: 0 };

const sum = (one: TrafficCounters, other: TrafficCounters): TrafficCounters => ({
  bytesIn: one.bytesIn + other.bytesIn,
  bytesOut: one.bytesOut + other.bytesOut,
  totalConnections: one.totalConnections + other.totalConnections,
  requestErrors: one.requestErrors + other.requestErrors,
});

function countersOf(rows: readonly StatRow[]): Record<string, TrafficCounters> {
  return Object.fromEntries(
    rows
      .filter((row) => row.service === 'FRONTEND')
      .map((row) => [
        row.proxy,
        {
          bytesIn: row.bytesIn,
          bytesOut: row.bytesOut,
          totalConnections: row.total,
          requestErrors: row.requestErrors,
        },
      ]),
  );
}

/**
 * What is known after hearing the workers that answered. `livePids` are those that live: one that lives but did not
 * answer keeps its last word, one that is gone has its last word added up. A listener that is not served now keeps
 * its counters: it may come back.
 */
export function heard(
  traffic: Traffic,
  livePids: readonly number[],
  answers: ReadonlyMap<number, readonly StatRow[]>,
): Traffic {
  const gone: Record<string, TrafficCounters> = { ...traffic.gone };
  const live: Record<string, Record<string, TrafficCounters>> = {};
  for (const [pid, said] of Object.entries(traffic.live)) {
    if (livePids.includes(Number(pid))) {
      live[pid] = { ...said };
      continue;
    }
    for (const [id, counters] of Object.entries(said)) gone[id] = sum(gone[id] ?? zero, counters);
  }
  // A stopping worker may no longer list a frontend: what it said of it before stays.
  for (const [pid, rows] of answers) live[pid] = { ...live[pid], ...countersOf(rows) };
  return { gone, live };
}

/** A listener's counters since the amphora's birth. */
export function countersFor(traffic: Traffic, listenerId: string): TrafficCounters {
  return Object.values(traffic.live).reduce(
    (total, said) => sum(total, said[listenerId] ?? zero),
    traffic.gone[listenerId] ?? zero,
  );
}
