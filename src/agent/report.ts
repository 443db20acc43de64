import { memberOf } from '../plan/haproxy/server-names.ts';
import type { ListenerReport, PoolReport, Report } from '../wire/report.ts';
import type { Heard } from './hearing.ts';
import type { MemberState } from './haproxy/servers.ts';
import type { StatRow } from './haproxy/socket.ts';
import { countersFor } from './traffic.ts';

/**
 * From the worst: a pool behind two listeners is checked twice, and the worse word counts. But a server at rest has none
 * beside another of its member: it went when the member became a backup, or ceased to be one.
 */
const order: readonly MemberState[] = ['DOWN', 'DRAIN', 'NO_CHECK', 'UP', 'MAINT'];

/** HAProxy calls a frontend OPEN that takes no more connections for now, too. */
function listenerState({ status, current, limit }: StatRow): ListenerReport['state'] {
  if (status !== 'OPEN') return 'CLOSED';
  return limit > 0 && current >= limit ? 'FULL' : 'OPEN';
}

/** What an amphora says of itself; of nothing when its HAProxy is down. */
export function buildReport(
  amphora: { readonly id: string; readonly generation: number },
  { current, servers, old, traffic }: Heard,
): Report {
  const draining = new Map<string, number>();
  for (const row of old) {
    if (row.service === 'FRONTEND') draining.set(row.proxy, (draining.get(row.proxy) ?? 0) + row.current);
  }
  const listeners: Record<string, ListenerReport> = {};
  const pools: Record<string, PoolReport> = {};
  const poolOf = (backend: string): PoolReport =>
    (pools[backend.split(':')[0] ?? ''] ??= { up: true, members: {} });
  for (const row of current) {
    if (row.service === 'FRONTEND') {
      listeners[row.proxy] = {
        state: listenerState(row),
        activeConnections: row.current + (draining.get(row.proxy) ?? 0),
        counters: countersFor(traffic, row.proxy),
      };
      continue;
    }
    const pool = poolOf(row.proxy);
    pool.up &&= row.status.startsWith('UP');
  }
  for (const { backend, name, state } of servers) {
    const { members } = poolOf(backend);
    const member = memberOf(name);
    const known = members[member] ?? 'MAINT';
    members[member] = order.indexOf(state) < order.indexOf(known) ? state : known;
  }
  return { amphoraId: amphora.id, generation: amphora.generation, listeners, pools };
}

/** What a change of which is news: everything but the numbers. */
export function statuses(report: Report): string {
  const listeners = Object.entries(report.listeners).map(([id, { state }]) => [id, state]);
  return JSON.stringify([report.generation, listeners, report.pools]);
}
