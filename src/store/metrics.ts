import type { Registry } from 'prom-client';
import { gauge, gaugeByState, inTime } from '../platform/metrics.ts';
import type { Store } from './store.ts';

/** The database, as this process sees it. */
export function measureDatabase(store: Pick<Store, 'connections' | 'ping'>, registry: Registry): void {
  gaugeByState(
    registry,
    'livia_database_connections',
    'Connections of this process to the database: busy, idle, and how many it may have.',
    () => {
      const { open, idle, limit } = store.connections();
      return { busy: open - idle, idle, limit };
    },
  );
  const waiting = 'Statements of this process that wait for a connection to the database.';
  gauge(registry, 'livia_database_waiting', waiting, () => store.connections().waiting);
  const ping = inTime(() => store.ping().then(() => 1));
  gauge(registry, 'livia_database_up', 'Whether the database answers.', async () => (await ping()) ?? 0);
}
