import { Counter, Histogram, type Registry } from 'prom-client';
import { gauge, inTime, secondsBuckets } from '../platform/metrics.ts';
import type { Amphorae } from '../store/store.ts';
import type { SilenceWatch } from './stale.ts';

/**
 * What has become of a datagram: `refused` is not signed as it should be, `repeated` is an old one or sent by somebody
 * again, `outrun` gave way to a newer one before it was looked at, `unknown` comes from an amphora that is no more, `lost`
 * could not be written down.
 */
const receptions = ['recorded', 'refused', 'incomplete', 'repeated', 'outrun', 'unknown', 'lost'] as const;
type Reception = (typeof receptions)[number];

export interface HeartbeatMetrics {
  received(reception: Reception): void;
  /** Times the recording of a heartbeat. */
  recording<T>(recording: Promise<T>): Promise<T>;
}

export function heartbeatMetrics(registry: Registry): HeartbeatMetrics {
  const received = new Counter({
    name: 'livia_heartbeats_total',
    help: 'Datagrams on the port of heartbeats, by what has become of them.',
    labelNames: ['outcome'],
    registers: [registry],
  });
  // Told from the start: a rate needs a number before the first one.
  for (const outcome of receptions) received.inc({ outcome }, 0);
  const seconds = new Histogram({
    name: 'livia_heartbeat_record_seconds',
    help: 'Seconds until a heartbeat was written down as statuses and counters.',
    buckets: secondsBuckets,
    registers: [registry],
  });
  return {
    received: (outcome) => received.inc({ outcome }),
    async recording(promise) {
      const end = seconds.startTimer();
      try {
        return await promise;
      } finally {
        end();
      }
    },
  };
}

export interface SilenceOptions {
  readonly amphorae: Pick<Amphorae, 'pulse'>;
  readonly watch: Pick<SilenceWatch, 'braking'>;
  /** Silence after which an amphora is looked at. */
  readonly timeoutMs: number;
}

/** Who was heard of, by whatever process. */
export function measureSilence({ amphorae, watch, timeoutMs }: SilenceOptions, registry: Registry): void {
  const pulse = inTime(() => amphorae.pulse(new Date(Date.now() - timeoutMs)));
  gauge(
    registry,
    'livia_amphorae_serving',
    'Amphorae that serve, heard of or not.',
    async () => (await pulse())?.serving,
  );
  gauge(
    registry,
    'livia_amphorae_silent',
    'Amphorae that serve and were not heard of within the time allowed.',
    async () => (await pulse())?.silent,
  );
  gauge(
    registry,
    'livia_heartbeat_oldest_seconds',
    'Seconds since the amphora that is silent the longest, of those that serve, was heard.',
    async () => {
      const oldest = (await pulse())?.oldest;
      return oldest ? Math.max(0, (Date.now() - oldest.getTime()) / 1000) : undefined;
    },
  );
  gauge(
    registry,
    'livia_failover_brake',
    'Whether so many amphorae are silent that none is replaced for it.',
    () => (watch.braking ? 1 : 0),
  );
}
