import type { Log } from '../platform/log.ts';
import type { WorkQueue } from '../store/store.ts';

const everyMs = 600_000;

/** Puts what is unfinished on the queue, now and then: a mark that got lost must not mean a wish that got lost. */
export function keepHouse(work: WorkQueue, log: Log): () => void {
  const sweep = (): void => {
    work.markUnfinished().then(
      (count) => count > 0 && log.info({ count }, 'unfinished load balancers marked'),
      (error: unknown) => log.warn({ err: error }, 'cannot mark unfinished load balancers'),
    );
  };
  sweep();
  const timer = setInterval(sweep, everyMs);
  return () => clearInterval(timer);
}
