import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseMetrics, valueOf } from '../../test/prometheus.ts';
import { DriverError } from '../clouds/errors.ts';
import { loopMetrics, measureQueue } from './metrics.ts';
import { makeScene, type Scene } from './scene.fixture.ts';

let scene: Scene;
let registry: Registry;
beforeAll(async () => {
  scene = await makeScene();
});
afterAll(() => scene.drop());
beforeEach(() => {
  scene.cloud.onCall = () => undefined;
  registry = new Registry();
});

/** A run of a controller that counts in `registry`. */
async function run(id: string) {
  const metrics = loopMetrics(registry);
  return metrics.run(scene.run(id, {}, { ...scene.context, metrics }));
}
const told = async () => parseMetrics(await registry.metrics());

describe('The loop', () => {
  it('counts and times its steps, its runs and what amphorae make of their trees', async () => {
    expect(await run(await scene.create())).toEqual({ kind: 'done' });
    const samples = await told();
    for (const step of ['open-amphora', 'ensure-ports', 'boot-server', 'push', 'settle'])
      expect([step, valueOf(samples, 'livia_step_seconds_count', { step, outcome: 'done' })]).toEqual([
        step,
        1,
      ]);
    expect(valueOf(samples, 'livia_run_seconds_count', { outcome: 'done' })).toBe(1);
    const changes = samples.filter(({ name }) => name === 'livia_amphora_change_seconds_count');
    expect(changes.map(({ value }) => value)).toEqual([1]);
    expect(valueOf(samples, 'livia_runs_in_progress')).toBe(0);
  });

  it('tells steps and runs that did not work out from those that did', async () => {
    scene.cloud.onCall = (call) => {
      if (call === 'compute.ensureServer') throw new DriverError('Nova sleeps.', { retry: 'later' });
    };
    expect(await run(await scene.create())).toMatchObject({ kind: 'failed' });
    const samples = await told();
    expect(valueOf(samples, 'livia_step_seconds_count', { step: 'boot-server', outcome: 'later' })).toBe(1);
    expect(valueOf(samples, 'livia_run_seconds_count', { outcome: 'failed' })).toBe(1);
    expect(valueOf(samples, 'livia_step_seconds_count', { step: 'push', outcome: 'done' })).toBeUndefined();
  });

  it('counts what amphorae refuse, and those that do not answer', async () => {
    const metrics = loopMetrics(registry);
    metrics.pushed(undefined);
    metrics.pushed({ change: 'reload', durationMs: 300, refused: [{ id: 'one', reason: 'a cipher' }] });
    metrics.pushed({ change: 'runtime', durationMs: 2, refused: [] });
    const samples = await told();
    expect(valueOf(samples, 'livia_amphora_unanswered_total')).toBe(1);
    expect(valueOf(samples, 'livia_amphora_refused_total')).toBe(1);
    expect(valueOf(samples, 'livia_amphora_change_seconds_sum', { change: 'reload' })).toBe(0.3);
    expect(valueOf(samples, 'livia_amphora_change_seconds_count', { change: 'runtime' })).toBe(1);
  });
});

describe('The queue', () => {
  it('tells how many are due, wait, and are worked on, and for how long the first is due', async () => {
    const { work } = scene.store;
    for (const claim of await work.claim('test', 100, 60_000)) await work.release(claim);
    await work.mark('taken');
    await work.claim('test', 1, 60_000);
    await work.mark('late');
    await sleep(60);
    await work.mark('now');
    await work.mark('tomorrow', new Date(Date.now() + 86_400_000));
    measureQueue(work, registry);
    const samples = await told();
    const states = { due: 2, waiting: 1, leased: 1 };
    for (const [state, count] of Object.entries(states))
      expect([state, valueOf(samples, 'livia_work_keys', { state })]).toEqual([state, count]);
    expect(valueOf(samples, 'livia_work_oldest_due_seconds')).toBeGreaterThan(0.05);
  });

  it('of a database that is away is not told, and the rest is', async () => {
    measureQueue({ depth: () => Promise.reject(new Error('away')) }, registry);
    loopMetrics(registry);
    const samples = await told();
    expect(samples.filter(({ name }) => name.startsWith('livia_work_'))).toEqual([]);
    expect(valueOf(samples, 'livia_runs_in_progress')).toBe(0);
  });
});
