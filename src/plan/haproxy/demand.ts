import type { WantedAmphora, WantedListener, WantedPool } from '../../wire/wanted.ts';
import type { BudgetInput, ConnectionKind } from '../memory-budget.ts';
import type { WorkerLoad } from '../worker-memory.ts';
import { hasStickTable, stickEntriesOf } from './stick-table.ts';

/** The pools a listener sends to, default first, each once. Pools that are not in the tree are not there. */
export function poolsOf(
  listener: WantedListener,
  pools: ReadonlyMap<string, WantedPool>,
): readonly WantedPool[] {
  const ids = new Set([
    listener.defaultPoolId,
    ...listener.l7Policies.map((policy) => policy.redirectPoolId),
  ]);
  return [...ids].flatMap((id) => (id === null ? [] : (pools.get(id) ?? [])));
}

export function poolsById(wanted: WantedAmphora): ReadonlyMap<string, WantedPool> {
  return new Map(wanted.pools.map((pool) => [pool.id, pool]));
}

const countOf = (pem: string | null): number => pem?.split('-----BEGIN ').length ?? 0;

export type Demand = Omit<WorkerLoad, 'version' | 'threads'> & Pick<BudgetInput, 'listeners'>;

/** Of a tree, and what is kept beside it: listeners of that are closed. */
export function sumOfDemands(tree: Demand, kept: Demand): Demand {
  return {
    listeners: tree.listeners,
    certificates: tree.certificates + kept.certificates,
    servers: tree.servers + kept.servers,
    tlsServers: tree.tlsServers + kept.tlsServers,
    ringWeight: tree.ringWeight + kept.ringWeight,
    l7Rules: tree.l7Rules + kept.l7Rules,
    stickEntries: tree.stickEntries + kept.stickEntries,
  };
}

const membersOf = (pools: readonly WantedPool[]) => pools.flatMap(({ members }) => members);

/** What a wanted tree asks of the memory budget. */
export function demandOf(wanted: WantedAmphora): Demand {
  const pools = poolsById(wanted);
  const backends = wanted.listeners.flatMap((listener) => poolsOf(listener, pools));
  const tlsOfListeners = wanted.listeners.flatMap((listener) => listener.tls ?? []);
  const tlsOfBackends = backends.flatMap((pool) => pool.tls ?? []);
  const pems = [
    ...tlsOfListeners.flatMap((tls) => [
      ...tls.certificates.map((c) => c.pem),
      tls.clientCaPem,
      tls.clientCrlPem,
    ]),
    ...tlsOfBackends.flatMap((tls) => [tls.certificate?.pem ?? null, tls.caPem, tls.crlPem]),
  ];
  return {
    certificates: pems.reduce((sum, pem) => sum + countOf(pem), 0),
    servers: membersOf(backends).length,
    tlsServers: membersOf(backends.filter(({ tls }) => tls !== null)).length,
    ringWeight: membersOf(backends.filter(({ algorithm }) => algorithm === 'SOURCE_IP')).reduce(
      (sum, { weight }) => sum + weight,
      0,
    ),
    l7Rules: wanted.listeners.flatMap(({ l7Policies }) => l7Policies.flatMap(({ rules }) => rules)).length,
    stickEntries: backends.filter(hasStickTable).length * stickEntriesOf(wanted),
    listeners: wanted.listeners.map((listener) => ({
      id: listener.id,
      kind: kindOf(listener, poolsOf(listener, pools)),
      connectionLimit: listener.connectionLimit,
      binds: Math.max(1, wanted.loadBalancer.vipAddresses.length),
    })),
  };
}

function kindOf(listener: WantedListener, pools: readonly WantedPool[]): ConnectionKind {
  if (pools.some((pool) => pool.tls !== null)) return 'reencrypted';
  return listener.tls === null ? 'plain' : 'terminated';
}
