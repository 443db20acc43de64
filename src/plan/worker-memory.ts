/**
 * What a worker of HAProxy takes of its amphora's memory before it has a connection, beside its session cache. Each
 * worker beyond the first was measured in a memory cgroup with 1, 2, 8 and 64 threads (OpenSSL 3.0), one of 3.0.11 also
 * by itself on Debian 13 (OpenSSL 3.5), and rounded up.
 */

const kiB = 1024;
const miB = 1024 * kiB;

interface Costs {
  /** Of an empty one. */
  readonly workerBytes: number;
  /** Of a server that is checked; without TLS. */
  readonly serverBytes: number;
  /** Of each server for each thread. */
  readonly serverThreadBytes: number;
}

const newServer = { serverBytes: 7 * kiB, serverThreadBytes: 128 };

/** From which version on, newest first; 300 is 3.0. Measured: 3.4.0; 3.0.0 and 3.2.0; 2.6.12. */
const costs: readonly (Costs & { readonly since: number })[] = [
  { since: 303, workerBytes: 12 * miB, ...newServer },
  { since: 300, workerBytes: 8 * miB, ...newServer },
  { since: 0, workerBytes: 8 * miB, serverBytes: 6 * kiB, serverThreadBytes: 768 },
];

/** 290 with 2.6.12, and with 3.0.11 where OpenSSL is 3.5; 150 with 3.0.0 and newer where it is 3.0. */
const threadBytes = 320 * kiB;
/** With its private key. */
const certificateBytes = 21 * kiB;
/** A policy of two rules takes 4.4 KiB compiled; while its table is replaced there are two. */
const ruleBytes = 8 * kiB;
/** Each server that speaks TLS to its member has a context of its own: 13 to 15 KiB. */
const serverTlsBytes = 16 * kiB;
/** Of each unit of a weight on a ring of `hash-type consistent`: 16 places of 48 bytes. */
const ringWeightBytes = 800;
/** Of a stick table, with a key of 64 characters. */
const stickEntryBytes = 256;

export interface WorkerLoad {
  /** Of HAProxy, such as `2.6.12-1+deb12u4`. */
  readonly version: string;
  readonly threads: number;
  readonly certificates: number;
  /** Server lines: members times the listeners that use their pool. */
  readonly servers: number;
  /** Those of them that speak TLS to their member. */
  readonly tlsServers: number;
  /** Sum of the weights of those of them that stand on a ring. */
  readonly ringWeight: number;
  readonly l7Rules: number;
  /** Of all stick tables together. */
  readonly stickEntries: number;
}

/** In steps, so that the bound on connections does not move, and HAProxy reload, with every member or certificate. */
export const withRoom = (count: number, step: number): number => (Math.floor(count / step) + 1) * step;
/** Nothing for what few amphorae have. */
const withRoomIfAny = (count: number, step: number): number => (count === 0 ? 0 : withRoom(count, step));

/** In bytes, without connections, their slots and the session cache. */
export function workerBytesOf(load: WorkerLoad): number {
  // A version that is not understood may be any.
  const [, major = Infinity, minor = 0] = (/^(\d+)\.(\d+)/.exec(load.version) ?? []).map(Number);
  const version = 100 * major + minor;
  const cost = costs.find(({ since }) => version >= since) as Costs;
  const serverBytes = cost.serverBytes + load.threads * cost.serverThreadBytes;
  return (
    cost.workerBytes +
    load.threads * threadBytes +
    withRoom(load.certificates, 32) * certificateBytes +
    withRoom(load.servers, 256) * serverBytes +
    withRoomIfAny(load.tlsServers, 64) * serverTlsBytes +
    withRoomIfAny(load.ringWeight, 1024) * ringWeightBytes +
    withRoom(load.l7Rules, 64) * ruleBytes +
    load.stickEntries * stickEntryBytes
  );
}
