import { randomUUID } from 'node:crypto';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshStore } from '../../test/database.ts';
import { parseMetrics, valueOf } from '../../test/prometheus.ts';
import { aFullTree, anAmphora } from '../../test/trees.ts';
import type { Store } from '../store/store.ts';
import { heartbeatMetrics, measureSilence } from './metrics.ts';

let store: Store;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ store, drop } = await freshStore());
  await store.trees.create(aFullTree());
});
afterAll(() => drop());

const told = async (amphorae: Pick<Store['amphorae'], 'pulse'>, braking: boolean) => {
  const registry = new Registry();
  measureSilence({ amphorae, watch: { braking }, timeoutMs: 10_000 }, registry);
  return parseMetrics(await registry.metrics());
};

it('Heartbeats are told from the first refused one on: none at the start', async () => {
  const registry = new Registry();
  const metrics = heartbeatMetrics(registry);
  const refused = async () =>
    valueOf(parseMetrics(await registry.metrics()), 'livia_heartbeats_total', { outcome: 'refused' });
  expect(await refused()).toBe(0);
  metrics.received('refused');
  expect(await refused()).toBe(1);
});

describe('Silence', () => {
  it('is told of those that serve: how many, how many silent, and since when', async () => {
    expect(valueOf(await told(store.amphorae, false), 'livia_amphorae_serving')).toBe(0);
    const ago = (seconds: number) => new Date(Date.now() - seconds * 1000);
    for (const [status, lastHeartbeatAt] of [
      ['ALLOCATED', ago(0)],
      ['ALLOCATED', ago(60)],
      ['FAILOVER_STOPPED', ago(3600)],
      ['BOOTING', ago(90_000)],
      ['DELETED', ago(90_000)],
    ] as const)
      await store.amphorae.save(anAmphora({ id: randomUUID(), status, lastHeartbeatAt }));
    const samples = await told(store.amphorae, true);
    expect(valueOf(samples, 'livia_amphorae_serving')).toBe(3);
    expect(valueOf(samples, 'livia_amphorae_silent')).toBe(2);
    const oldest = valueOf(samples, 'livia_heartbeat_oldest_seconds') ?? 0;
    expect(oldest).toBeGreaterThanOrEqual(3600);
    expect(oldest).toBeLessThan(90_000);
    expect(valueOf(samples, 'livia_failover_brake')).toBe(1);
  });

  it('is not told while the database is away; the brake is', async () => {
    const samples = await told({ pulse: () => Promise.reject(new Error('away')) }, false);
    expect(samples).toEqual([{ name: 'livia_failover_brake', labels: {}, value: 0 }]);
  });
});
