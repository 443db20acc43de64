import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { freshStore } from '../../test/database.ts';
import { parseMetrics, valueOf } from '../../test/prometheus.ts';
import { measureDatabase } from './metrics.ts';

it('the database tells whether it answers, and how many connections are open and waited for', async () => {
  const registry = new Registry();
  const told = async () => parseMetrics(await registry.metrics());
  const { store, database } = await freshStore({ connections: 2 });
  measureDatabase(store, registry);
  await store.ping();
  const atRest = await told();
  expect(valueOf(atRest, 'livia_database_up')).toBe(1);
  expect(valueOf(atRest, 'livia_database_connections', { state: 'limit' })).toBe(2);

  const asked = Array.from({ length: 5 }, () => store.ping());
  expect(valueOf(await told(), 'livia_database_waiting')).toBeGreaterThan(0);
  await Promise.all(asked);
  expect(store.connections()).toEqual({ open: 2, idle: 2, waiting: 0, limit: 2 });

  await database.drop();
  const gone = await told();
  expect(valueOf(gone, 'livia_database_up')).toBe(0);
  expect(valueOf(gone, 'livia_database_connections', { state: 'limit' })).toBe(2);
  await store.close();
});
