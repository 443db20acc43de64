import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { DriverError } from '../clouds/errors.ts';
import { gauge, gaugeByState, inTime, secondsBuckets } from '../platform/metrics.ts';
import type { WorkQueue } from '../store/store.ts';
import type { Outcome } from '../wire/report.ts';
import type { Rest } from './rest.ts';

/** What the loop tells of its work. */
export interface LoopMetrics {
  /** Times a run on a load balancer. */
  run(running: Promise<Rest>): Promise<Rest>;
  /** Times a step of that kind. */
  step(kind: string, taking: Promise<void>): Promise<void>;
  /** What an agent made of a tree; undefined: it gave no answer. */
  pushed(outcome: Pick<Outcome, 'change' | 'durationMs' | 'refused'> | undefined): void;
}

export function loopMetrics(registry: Registry): LoopMetrics {
  const registers = [registry];
  const histogram = <L extends string>(name: string, help: string, ...labelNames: L[]): Histogram<L> =>
    new Histogram({ name, help, labelNames, buckets: secondsBuckets, registers });
  const running = new Gauge({
    name: 'livia_runs_in_progress',
    help: 'Load balancers this process works on now.',
    registers,
  });
  const runs = histogram(
    'livia_run_seconds',
    'Seconds of runs on load balancers, by how they ended.',
    'outcome',
  );
  const steps = histogram(
    'livia_step_seconds',
    'Seconds of the steps of runs, by kind and how they ended.',
    ...(['step', 'outcome'] as const),
  );
  const changes = histogram(
    'livia_amphora_change_seconds',
    'Seconds an amphora took to serve a tree, by what that needed: a reload, or none.',
    'change',
  );
  const unanswered = new Counter({
    name: 'livia_amphora_unanswered_total',
    help: 'Trees that an amphora did not take, as it could not be reached.',
    registers,
  });
  const refused = new Counter({
    name: 'livia_amphora_refused_total',
    help: 'Listeners and pools that amphorae could not serve as wished.',
    registers,
  });

  return {
    async run(promise) {
      running.inc();
      const end = runs.startTimer();
      try {
        const rest = await promise;
        end({ outcome: rest.kind });
        return rest;
      } catch (error) {
        end({ outcome: 'broken-off' });
        throw error;
      } finally {
        running.dec();
      }
    },
    async step(step, taking) {
      const end = steps.startTimer({ step });
      try {
        await taking;
        end({ outcome: 'done' });
      } catch (error) {
        end({ outcome: error instanceof DriverError ? error.retry : 'error' });
        throw error;
      }
    },
    pushed(outcome) {
      if (outcome === undefined) return unanswered.inc();
      changes.observe({ change: outcome.change }, outcome.durationMs / 1000);
      refused.inc(outcome.refused.length);
    },
  };
}

/** What is to be done, by whatever process. */
export function measureQueue(work: Pick<WorkQueue, 'depth'>, registry: Registry): void {
  const depth = inTime(() => work.depth());
  gaugeByState(
    registry,
    'livia_work_keys',
    'Load balancers on the queue of the deployment: due, waiting for their time, leased by a controller.',
    async () => {
      const now = await depth();
      return now && { due: now.due, waiting: now.waiting, leased: now.leased };
    },
  );
  gauge(
    registry,
    'livia_work_oldest_due_seconds',
    'Seconds that the first load balancer on the queue has waited beyond its time.',
    async () => (await depth())?.oldestDueSeconds,
  );
}
