import { withRoom, type WorkerLoad, workerBytesOf } from './worker-memory.ts';

/**
 * How many connections an amphora may hold, so that no legal configuration and no series of reloads can run it out
 * of memory. It depends on the amphora's limit and on what is wanted, never on memory that happens to be free:
 * a cache in shared memory counts as free in /proc/meminfo, which is how load balancers grew until they died.
 *
 *     (R + 3) · (W + C)  +  2 · maxconn · c  +  T  +  reserved  ≤  limit
 *
 * R + 1 settled workers, one process loading, one checking beside it. The current worker has up to maxconn connections;
 * the old ones have as many together, for after a reload the agent ends those that have more.
 */

const kiB = 1024;
const miB = 1024 * kiB;

/** Measured on HAProxy 2.6.12 with OpenSSL 3.0, rounded up. */
const slotBytes = 160;
const cacheEntryBytes = 248;

/** Enough for TLS 1.2 clients without tickets; everyone else resumes by ticket and needs no cache. */
const cacheSize = 20_000;
/** Of a listener that names none, where the deployment does not say it. */
export const defaultConnectionLimit = 50_000;
const largestMaxconn = 1_000_000;
/** Listeners' limits can grow within this, and beyond it within the next power of two, before HAProxy has to reload. */
const leastRoom = 4096;
/** Below this an amphora is of no use to anyone. */
const smallestMaxconn = 100;
const hardStopAfterSeconds = 1800;

/**
 * What TCP's buffers of a slow reader may take where nothing bounds them all together: on both sides of HAProxy, with the
 * small ones of `boundTcp` (agent). Measured over a network: 104 to 123 KiB, 1,620 to 3,300 with the kernel's own settings.
 */
const slowReaderTcpBytes = 144 * kiB;

/** What one connection may hold when its client does not read: 60, 92 and 128 measured, with the kernel's objects. */
const connectionBytes = { plain: 64 * kiB, terminated: 96 * kiB, reencrypted: 136 * kiB } as const;

/** `terminated`: TLS from the client; `reencrypted`: TLS towards the members as well, or only there. */
export type ConnectionKind = keyof typeof connectionBytes;

export interface BudgetInput extends WorkerLoad {
  /** The amphora's own limit: cgroup limit or MemTotal, whichever is smaller. */
  readonly limitBytes: number;
  /** What is not HAProxy's: the agent beside it, and the operating system where there is one inside. */
  readonly reservedBytes: number;
  /** TCP's buffers are memory of the limit like any other, with no bound of their own (cgroup v2). */
  readonly tcpInside: boolean;
  /** RLIMIT_NOFILE of HAProxy. */
  readonly fileLimit: number;
  readonly listeners: readonly {
    readonly id: string;
    readonly kind: ConnectionKind;
    /** As the user asked; -1 and 0 mean the default of 50,000. */
    readonly connectionLimit: number;
    /** Sockets it binds. */
    readonly binds: number;
  }[];
  /**
   * Global `maxconn` of the HAProxy that runs: it cannot grow without a reload, and need not shrink when fewer
   * connections are wished.
   */
  readonly running?: number | undefined;
}

export interface MemoryBudget {
  /** False: not even the smallest useful number of connections fits; `sentence` says what does not. */
  readonly fits: boolean;
  readonly sentence: string | null;
  /** Global `maxconn`; `smallestMaxconn` when it does not fit. */
  readonly maxconn: number;
  /** By listener id. */
  readonly listenerMaxconn: ReadonlyMap<string, number>;
  readonly threads: number;
  /** `tune.ssl.cachesize`, entries. */
  readonly cacheSize: number;
  /** R, `mworker-max-reloads`: old workers that may live beside the current one. */
  readonly maxReloads: number;
  readonly hardStopAfterSeconds: number;
  readonly warnings: readonly { readonly id: string; readonly text: string }[];
  /** Every term of the inequality, in bytes. */
  readonly terms: {
    readonly workerBytes: number;
    readonly cacheBytes: number;
    readonly connectionBytes: number;
    readonly tcpBytes: number;
    readonly reservedBytes: number;
    readonly limitBytes: number;
  };
}

/**
 * R by the amphora's size alone. If it moved with the configuration, workers of different configurations would
 * share the memory by different keys, and their sum could pass the limit.
 */
function maxReloadsFor(limitBytes: number): number {
  const giB = limitBytes / (1024 * miB);
  if (giB < 1) return 1;
  if (giB < 8) return 2;
  return giB < 32 ? 3 : 5;
}

const roomFor = (connections: number): number =>
  Math.max(leastRoom, 2 ** (Math.floor(Math.log2(connections)) + 1));

/** T: what the kernel may take for buffers of TCP, where it bounds them all together. */
export const tcpBytesOf = (limitBytes: number): number => Math.floor(limitBytes * 0.08);

/** Solves the inequality for `maxconn`. Pure: the same input gives the same budget at every render. */
export function memoryBudget(input: BudgetInput): MemoryBudget {
  const maxReloads = maxReloadsFor(input.limitBytes);
  const cacheBytes = cacheSize * cacheEntryBytes;
  const fixedWorkerBytes = workerBytesOf(input);
  const perConnection = Math.max(
    connectionBytes.plain,
    ...input.listeners.map((listener) => connectionBytes[listener.kind]),
  );
  const tcpBytes = input.tcpInside ? 0 : tcpBytesOf(input.limitBytes);
  const tcpPerConnection = input.tcpInside ? slowReaderTcpBytes : 0;

  const leftBytes =
    input.limitBytes - tcpBytes - input.reservedBytes - (maxReloads + 3) * (fixedWorkerBytes + cacheBytes);
  const byMemory = Math.floor(
    leftBytes / (2 * (perConnection + tcpPerConnection) + (maxReloads + 3) * slotBytes),
  );
  // Each connection has two sides; each server may have a check under way; each thread its pollers and pipes.
  const binds = input.listeners.reduce((sum, listener) => sum + listener.binds, 0);
  const byFiles = Math.floor(
    (input.fileLimit - 200 - withRoom(input.servers, 256) - binds * input.threads - 20 * input.threads) / 2,
  );

  const wanted = input.listeners.map((listener) => ({
    id: listener.id,
    asked: listener.connectionLimit > 0,
    limit: listener.connectionLimit > 0 ? listener.connectionLimit : defaultConnectionLimit,
  }));
  const wantedSum = wanted.reduce((sum, listener) => sum + listener.limit, 0);
  const possible = Math.min(byMemory, byFiles, largestMaxconn, input.running ?? Infinity);
  const fits = possible >= smallestMaxconn;
  const maxconn = fits
    ? Math.max(
        smallestMaxconn,
        Math.min(possible, input.running ?? roomFor(wantedSum || defaultConnectionLimit)),
      )
    : smallestMaxconn;
  const reason = byFiles < byMemory ? 'open files' : 'memory';

  const sizeMiB = Math.round(input.limitBytes / miB);
  const tables = input.stickEntries > 0 ? `, with ${input.stickEntries} entries of stick tables` : '';
  return {
    fits,
    sentence: fits
      ? null
      : byFiles < smallestMaxconn
        ? `${input.fileLimit} open files are not enough for ${input.servers} servers`
        : `${sizeMiB} MiB of memory are not enough for ${input.servers} servers and ${input.certificates} certificates${tables}`,
    maxconn,
    listenerMaxconn: new Map(wanted.map(({ id, limit }) => [id, Math.min(limit, maxconn)])),
    threads: input.threads,
    cacheSize,
    maxReloads,
    hardStopAfterSeconds,
    warnings: wanted
      .filter(({ limit }) => limit > maxconn)
      .map(({ id, limit, asked }) => ({
        id,
        text:
          `${asked ? 'connection limit' : 'default connection limit'} ${limit} capped to ${maxconn}: ` +
          `${sizeMiB} MiB and ${input.fileLimit} open files allow no more (${reason})`,
      })),
    terms: {
      workerBytes: fixedWorkerBytes + maxconn * slotBytes,
      cacheBytes,
      connectionBytes: perConnection,
      tcpBytes: tcpBytes + 2 * maxconn * tcpPerConnection,
      reservedBytes: input.reservedBytes,
      limitBytes: input.limitBytes,
    },
  };
}

/** The left side of the inequality for a budget, in bytes: what the amphora may use at its worst. */
export function worstCaseBytes(budget: MemoryBudget): number {
  const { terms, maxReloads, maxconn } = budget;
  return (
    (maxReloads + 3) * (terms.workerBytes + terms.cacheBytes) +
    2 * maxconn * terms.connectionBytes +
    terms.tcpBytes +
    terms.reservedBytes
  );
}
