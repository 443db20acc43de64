import { memberOf } from '../plan/haproxy/server-names.ts';
import type { ListenerReport, PoolReport, Report } from '../wire/report.ts';
import type { StatRow } from './haproxy/socket.ts';
import { countersFor, type Traffic } from './traffic.ts';

type MemberState = PoolReport['members'][string];

/**
 * From the worst: a pool behind two listeners is checked twice, and the worse word counts. But a server at rest has none
 * beside another of its member: it went when the member became a backup, or ceased to be one.
 */
const order: readonly MemberState[] = ['DOWN', 'DRAIN', 'NO_CHECK', 'UP', 'MAINT'];

function memberState(row: StatRow): MemberState {
  if (row.status.startsWith('MAINT')) return 'MAINT';
  if (row.status.startsWith('DRAIN')) return 'DRAIN';
  if (row.status === 'no check') return 'NO_CHECK';
  if (row.status.startsWith('UP')) return row.weight === 0 ? 'DRAIN' : 'UP';
  return 'DOWN';
}

/** HAProxy calls a frontend OPEN that takes no more connections for now, too. */
function listenerState({ status, current, limit }: StatRow): ListenerReport['state'] {
  if (status !== 'OPEN') return 'CLOSED';
  return limit > 0 && current >= limit ? 'FULL' : 'OPEN';
}

/**
 * @param current rows of the current worker; none when HAProxy is down
 * @param old rows of workers that end their last connections
 */
export function buildReport(
  amphora: { readonly id: string; readonly generation: number },
  current: readonly StatRow[],
  old: readonly StatRow[],
  traffic: Traffic,
): Report {
  const draining = new Map<string, number>();
  for (const row of old) {
    if (row.service === 'FRONTEND') draining.set(row.proxy, (draining.get(row.proxy) ?? 0) + row.current);
  }
  const listeners: Record<string, ListenerReport> = {};
  const pools: Record<string, PoolReport> = {};
  for (const row of current) {
    if (row.service === 'FRONTEND') {
      listeners[row.proxy] = {
        state: listenerState(row),
        activeConnections: row.current + (draining.get(row.proxy) ?? 0),
        counters: countersFor(traffic, row.proxy),
      };
      continue;
    }
    const [poolId = ''] = row.proxy.split(':');
    const pool = (pools[poolId] ??= { up: true, members: {} });
    if (row.service === 'BACKEND') {
      pool.up &&= row.status.startsWith('UP');
    } else {
      const state = memberState(row);
      const member = memberOf(row.service);
      const known = pool.members[member] ?? 'MAINT';
      pool.members[member] = order.indexOf(state) < order.indexOf(known) ? state : known;
    }
  }
  return { amphoraId: amphora.id, generation: amphora.generation, listeners, pools };
}

/** What a change of which is news: everything but the numbers. */
export function statuses(report: Report): string {
  const listeners = Object.entries(report.listeners).map(([id, { state }]) => [id, state]);
  return JSON.stringify([report.generation, listeners, report.pools]);
}
