import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError } from '../clouds/errors.ts';
import { plan, type Wanted } from '../plan/plan.ts';
import type { Step } from '../plan/steps.ts';
import { apply, type Deed } from './apply.ts';
import { type Context, Run } from './context.ts';
import { observe } from './observe.ts';
import { givenUp } from './settlement.ts';
import type { Rest } from './rest.ts';
import { remindOfRotation } from './ticket-rotation.ts';

export interface RunOptions {
  /** Aborted: the run ends with the `signal`'s reason before its next step. */
  readonly signal: AbortSignal;
  /** Since when runs on this load balancer have failed, the first time undefined. */
  readonly failingSince: Date | undefined;
}

const lookAgainMs = 30;
/** A run gives its place to others when a server takes this long. */
const patienceMs = 5000;

/**
 * Brings one load balancer to where it should be: look, plan, take the steps, until nothing is left to do. May be cut
 * off anywhere; the next run looks anew. Throws only for a lost database, or the abort.
 */
export async function reconcile(key: string, context: Context, options: RunOptions): Promise<Rest> {
  const rest = await work(key, context, options.signal).catch((error: unknown): Rest => {
    options.signal.throwIfAborted();
    if (error instanceof DriverError) return { kind: 'failed', retry: error.retry, reason: error.message };
    context.log.error({ err: error, loadBalancerId: key }, 'a run ended in an error of our own');
    return { kind: 'failed', retry: 'later', reason: 'An internal error; see the log of the controller.' };
  });
  const { failingSince } = options;
  const deadlineMs = context.settings.worker.build_deadline_seconds * 1000;
  const overdue = failingSince !== undefined && Date.now() - failingSince.getTime() > deadlineMs;
  if (rest.kind === 'failed' && (rest.retry === 'never' || overdue)) {
    await context.store.trees.settle(key, (tree) => givenUp(tree, rest.reason, new Date()));
  }
  return rest;
}

async function work(key: string, context: Context, signal: AbortSignal): Promise<Rest> {
  const run = new Run();
  const patientUntil = Date.now() + patienceMs;
  for (;;) {
    signal.throwIfAborted();
    const [tree, rows] = await Promise.all([context.store.trees.read(key), context.store.amphorae.of(key)]);
    if (tree === undefined) return { kind: 'done' };
    const wanted: Wanted = {
      tree,
      bootDeadlineMs: context.settings.worker.boot_deadline_seconds * 1000,
    };
    const present = rows.filter((row) => row.status !== 'DELETED');
    const steps = plan(wanted, await observe(context, run, tree, present));
    signal.throwIfAborted();
    const deeds = steps.filter(isDeed);
    await allOf(
      deeds.map((step) => context.metrics.step(step.kind, apply(context, run, tree, present, step))),
    );

    const halt = steps.find((step) => step.kind === 'back-off');
    if (halt !== undefined) {
      return { kind: 'failed', retry: 'later', reason: halt.reason };
    }
    if (deeds.length > 0) continue;
    const [wait] = steps.filter((step) => step.kind === 'wait');
    if (wait === undefined) {
      await remindOfRotation(context, tree);
      return restOf(run);
    }
    if (Date.now() > patientUntil) return { kind: 'under-way', reason: wait.reason };
    await sleep(lookAgainMs, undefined, { signal });
  }
}

/** What could not be as wished is tried again now and then. */
function restOf({ failed }: Run): Rest {
  const [reason] = failed.values();
  return reason === undefined ? { kind: 'done' } : { kind: 'imperfect', reason };
}

function isDeed(step: Step): step is Deed {
  return step.kind !== 'wait' && step.kind !== 'back-off';
}

/** Lets all come to an end, then throws the first error: nothing goes on behind our back. */
async function allOf(promises: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(promises);
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}
