import type { TrafficSample } from '../store/store.ts';

/** Counters as answers hold them. */
export function statisticsOf(sample: Omit<TrafficSample, 'listenerId'>): Readonly<Record<string, number>> {
  return {
    active_connections: sample.activeConnections,
    bytes_in: sample.bytesIn,
    bytes_out: sample.bytesOut,
    request_errors: sample.requestErrors,
    total_connections: sample.totalConnections,
  };
}
