import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { serves } from '../lb/amphora.ts';
import { restTree } from '../lb/settle.ts';
import { operatingStatuses } from '../lb/rollup.ts';
import type { Log } from '../platform/log.ts';
import type { Store } from '../store/store.ts';
import { claimedAmphoraId, HeartbeatReader } from '../wire/heartbeat.ts';
import type { Report } from '../wire/report.ts';
import type { HeartbeatMetrics } from './metrics.ts';

export interface ReceiverOptions {
  readonly store: Store;
  /** The key an amphora of that id signs with. */
  readonly keyOf: (amphoraId: string) => Buffer;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly log: Log;
  readonly metrics: HeartbeatMetrics;
}

export interface Receiver {
  readonly port: number;
  close(): Promise<void>;
}

/** Listens for heartbeats and makes them statuses and counters. Rejects when the address cannot be had. */
export async function startReceiver(options: ReceiverOptions): Promise<Receiver> {
  const { store, host, port, log } = options;
  const inbox = new Inbox({ ...options, record: (report) => record(store, report) });
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  socket.on('message', (datagram) => inbox.take(datagram));
  await bind(socket, host, port);
  socket.on('error', (error) => log.error({ err: error }, 'the heartbeat socket failed'));
  return {
    port: socket.address().port,
    async close() {
      await new Promise<void>((resolve) => socket.close(resolve));
      await inbox.drained();
    },
  };
}

interface InboxOptions extends Pick<ReceiverOptions, 'keyOf' | 'log' | 'metrics'> {
  /** False: nobody knows the amphora. */
  readonly record: (report: Report) => Promise<boolean>;
}

/** One report at a time per amphora; of those that come meanwhile only the newest is kept. */
class Inbox {
  readonly #options: InboxOptions;
  readonly #reader = new HeartbeatReader();
  /** By amphora id; only proven ones get here, so strangers cannot fill it. */
  readonly #sequences = new Map<string, number>();
  readonly #waiting = new Map<string, Report>();
  readonly #working = new Map<string, Promise<void>>();

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  take(datagram: Buffer): void {
    const { keyOf, log, metrics } = this.#options;
    const amphoraId = claimedAmphoraId(datagram);
    if (amphoraId === undefined) return metrics.received('refused');
    const heartbeat = this.#reader.read(datagram, keyOf(amphoraId));
    if (typeof heartbeat === 'string') {
      if (heartbeat === 'refused') log.debug({ amphoraId }, 'a heartbeat that is not signed as it should be');
      return metrics.received(heartbeat);
    }
    if (heartbeat.sequence <= (this.#sequences.get(amphoraId) ?? -1)) return metrics.received('repeated');
    this.#sequences.set(amphoraId, heartbeat.sequence);
    if (this.#waiting.has(amphoraId)) metrics.received('outrun');
    this.#waiting.set(amphoraId, heartbeat.report);
    if (!this.#working.has(amphoraId)) {
      const working = this.#work(amphoraId).finally(() => this.#working.delete(amphoraId));
      this.#working.set(amphoraId, working);
    }
  }

  async drained(): Promise<void> {
    await Promise.all(this.#working.values());
  }

  async #work(amphoraId: string): Promise<void> {
    const { record, log, metrics } = this.#options;
    for (;;) {
      const report = this.#waiting.get(amphoraId);
      if (report === undefined) return;
      this.#waiting.delete(amphoraId);
      try {
        metrics.received((await metrics.recording(record(report))) ? 'recorded' : 'unknown');
      } catch (error) {
        metrics.received('lost');
        log.warn({ err: error, amphoraId }, 'a heartbeat was lost'); // the next one says the same
      }
    }
  }
}

/**
 * Writes what an amphora says of itself; calls the loop when it does not run what it should. False: nobody knows the
 * amphora.
 */
async function record(store: Store, report: Report): Promise<boolean> {
  const { amphoraId, generation } = report;
  const [known, amphora] = await Promise.all([
    store.amphorae.heard(amphoraId, new Date()),
    store.amphorae.get(amphoraId),
  ]);
  if (!known || amphora === undefined) return false;
  const { loadBalancerId } = amphora;
  const samples = Object.entries(report.listeners).map(([listenerId, { activeConnections, counters }]) => ({
    listenerId,
    activeConnections,
    ...counters,
  }));
  const [tree] = await Promise.all([
    store.trees.read(loadBalancerId),
    store.statistics.record(amphoraId, loadBalancerId, samples),
  ]);
  if (tree === undefined || !serves(amphora)) return true;
  // A pending tree is on the loop's list already, and may be ahead of this report.
  if (generation !== tree.loadBalancer.generation && restTree(tree)) await store.work.mark(loadBalancerId);
  await store.trees.setOperatingStatuses(loadBalancerId, operatingStatuses(tree, report));
  return true;
}

function bind(socket: Socket, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address, port }, () => {
      socket.off('error', reject);
      resolve();
    });
  });
}
