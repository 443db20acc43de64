import type { WantedAmphora, WantedListener, WantedPool } from '../../wire/wanted.ts';
import type { MemoryBudget } from '../memory-budget.ts';
import type { Abilities } from '../runtime/abilities.ts';
import { backendLines, backendName } from './backend.ts';
import { type Kind, kindOf, ofKind, plainKinds } from './backend-kinds.ts';
import { poolsById, poolsOf } from './demand.ts';
import { type ExporterPaths, exporterProxies } from './exporter.ts';
import { logTargets } from './flow-log.ts';
import { frontendLines, longestMs, modeOf } from './frontend.ts';
import { Unwritable, word } from './quote.ts';
import { stickEntriesOf } from './stick-table.ts';
import type { Files } from './tls.ts';

export interface HaproxyPaths extends ExporterPaths {
  /** Absolute paths in the amphora. */
  readonly statsSocket: string;
  readonly serverState: string;
  /** The program that pings a member. */
  readonly pingCheck: string;
  /** To drop to after binding; null where the process may not (only uid 0 exists, or it is not root). */
  readonly user: { readonly name: string; readonly group: string } | null;
}

/**
 * Whose lines they are: 1-based, both ends included. A backend is of its pool, behind a listener; what backends have in
 * common is of the first of them.
 */
export interface Section {
  readonly from: number;
  readonly to: number;
  readonly listenerId: string;
  readonly poolId: string | null;
}

export interface RenderedHaproxy {
  readonly text: string;
  /** Certificates, lists, CAs and CRLs by path relative to the directory that HAProxy runs in. */
  readonly files: ReadonlyMap<string, string>;
  readonly sections: readonly Section[];
  readonly refused: readonly { readonly id: string; readonly reason: string }[];
  readonly warnings: readonly { readonly id: string; readonly text: string }[];
}

function globalLines(wanted: WantedAmphora, budget: MemoryBudget, paths: HaproxyPaths): string[] {
  const pings = wanted.pools.some(({ healthMonitor }) => healthMonitor?.type === 'PING');
  return [
    'global',
    ...(paths.user === null ? [] : [`user ${word(paths.user.name)}`, `group ${word(paths.user.group)}`]),
    `stats socket ${word(paths.statsSocket)} mode 600 level admin expose-fd listeners`,
    `server-state-file ${word(paths.serverState)}`,
    ...logTargets(wanted),
    ...(pings ? ['external-check', 'insecure-fork-wanted'] : []),
    `nbthread ${budget.threads}`,
    `maxconn ${budget.maxconn}`,
    `mworker-max-reloads ${budget.maxReloads}`,
    `hard-stop-after ${budget.hardStopAfterSeconds}s`,
    `tune.ssl.cachesize ${budget.cacheSize}`,
    'tune.ssl.lifetime 300',
    'tune.ssl.default-dh-param 2048',
    // Its own HTTP client, which nothing here uses, would read the system's CAs at each start, reload and check.
    'httpclient.ssl.verify none',
  ];
}

const defaultsLines = ['defaults', 'option redispatch', 'retries 3'];

/** Timeouts that HAProxy cannot count. */
function timeoutWarnings(listener: WantedListener): { id: string; text: string }[] {
  const { timeoutClientData, timeoutMemberConnect, timeoutMemberData, timeoutTcpInspect } = listener;
  return Object.entries({ timeoutClientData, timeoutMemberConnect, timeoutMemberData, timeoutTcpInspect })
    .filter(([, value]) => value > longestMs)
    .map(([name, value]) => ({ id: listener.id, text: `${name} ${value} ms capped to ${longestMs} ms` }));
}

/**
 * HAProxy's configuration for a wanted tree: deterministic text, a frontend per listener followed by a backend per
 * pool it sends to. What cannot be written is left out and named in `refused`; the rest is served.
 */
export function renderHaproxy(
  wanted: WantedAmphora,
  budget: MemoryBudget,
  paths: HaproxyPaths,
  abilities: Abilities,
): RenderedHaproxy {
  const lines: string[] = [];
  const files: Files = new Map();
  const sections: Section[] = [];
  const proxies: (Omit<Section, 'from' | 'to'> & { readonly lines: readonly string[] })[] = [];
  const kinds = new Map<string, Omit<Section, 'from' | 'to'> & Kind>();
  const refused = new Map<string, string>();
  const warnings = new Map<string, { id: string; text: string }>();
  const warn = (warning: { id: string; text: string }) => warnings.set(JSON.stringify(warning), warning);

  const write = ([head = '', ...body]: readonly string[]): { from: number; to: number } => {
    if (lines.length > 0) lines.push('');
    const from = lines.length + 1;
    lines.push(head);
    for (const line of body) lines.push(`    ${line}`);
    return { from, to: lines.length };
  };
  const orRefuse = <T>(id: string, made: () => T): T | undefined => {
    try {
      return made();
    } catch (error) {
      if (!(error instanceof Unwritable)) throw error;
      refused.set(id, error.message);
      return undefined;
    }
  };

  for (const warning of budget.warnings) warn(warning);

  const pools = poolsById(wanted);
  const surroundings = {
    pingCheck: paths.pingCheck,
    tableEntries: stickEntriesOf(wanted),
    cookieKey: wanted.loadBalancer.id,
  };
  for (const listener of wanted.loadBalancer.enabled ? wanted.listeners : []) {
    const ownFiles: Files = new Map();
    const backends = new Map<string, { pool: WantedPool; lines: string[] }>();
    for (const pool of listener.protocol === 'PROMETHEUS' ? [] : poolsOf(listener, pools)) {
      const made = orRefuse(pool.id, () =>
        backendLines(pool, listener, { files: ownFiles, ...surroundings }),
      );
      if (made === undefined) continue;
      backends.set(pool.id, { pool, lines: made.lines });
      if (made.warning !== null) warn({ id: pool.id, text: made.warning });
    }
    const maxconn = budget.listenerMaxconn.get(listener.id) ?? budget.maxconn;
    const frontend = orRefuse(listener.id, () =>
      frontendLines(
        listener,
        wanted,
        maxconn,
        ownFiles,
        (poolId) => {
          const backend = backends.get(poolId);
          return backend && backendName(backend.pool, listener);
        },
        abilities,
      ),
    );
    if (frontend === undefined) continue;
    for (const warning of timeoutWarnings(listener)) warn(warning);
    const ofListener = { listenerId: listener.id, poolId: null };
    proxies.push({ ...ofListener, lines: frontend });
    for (const { pool, lines: backend } of backends.values()) {
      const ofPool = { ...ofListener, poolId: pool.id };
      const kind = abilities.backends ? kindOf(backend) : undefined;
      if (kind !== undefined && !kinds.has(kind.name)) kinds.set(kind.name, { ...kind, ...ofPool });
      proxies.push({ ...ofPool, lines: kind === undefined ? backend : ofKind(backend, kind) });
    }
    for (const kind of abilities.backends && modeOf(listener) === 'http' ? plainKinds(listener) : []) {
      if (!kinds.has(kind.name)) kinds.set(kind.name, { ...kind, ...ofListener });
    }
    for (const [path, content] of ownFiles) files.set(path, content);
  }

  write(globalLines(wanted, budget, paths));
  // Before the nameless one, which is that of all sections after it that name none.
  for (const { name, lines: shared, ...whose } of kinds.values()) {
    sections.push({ ...write([`defaults ${name}`, ...defaultsLines.slice(1), ...shared]), ...whose });
  }
  write(defaultsLines);
  if (wanted.listeners.some(({ protocol }) => protocol === 'PROMETHEUS'))
    exporterProxies(paths).forEach(write);
  for (const { lines: own, ...whose } of proxies) sections.push({ ...write(own), ...whose });
  return {
    text: `${lines.join('\n')}\n`,
    files,
    sections,
    refused: [...refused].map(([id, reason]) => ({ id, reason })),
    warnings: [...warnings.values()],
  };
}
