import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../platform/log.ts';
import type { Claim, WorkQueue } from '../store/store.ts';
import type { RunOptions } from './load-balancer.ts';
import type { Rest } from './rest.ts';

export interface LoopOptions {
  readonly work: WorkQueue;
  /** One run on one key; throws when it was aborted, or the store is away. */
  readonly run: (key: string, options: RunOptions) => Promise<Rest>;
  /** Who we are, unlike any other loop. */
  readonly owner: string;
  readonly log: Log;
  /** Keys worked on at once. */
  readonly parallel: number;
  /** Renewed at a third of it; others take over when it runs out. */
  readonly leaseMs: number;
  /** Between two looks at the queue without a hint; default 1000. */
  readonly pollMs?: number;
  /** First wait after a failure, doubled with each up to `slowMs`; default 100. */
  readonly quickMs?: number;
  /** Longest wait after failures, and the wait when only somebody's change can help; default 30,000. */
  readonly slowMs?: number;
}

export interface Loop {
  /** Claims nothing any more; gives up what is not finished soon. Keys given up are due at once for others. */
  stop(): Promise<void>;
}

const defaultPollMs = 1000;
const underWayMs = 1000;
const stopMs = 5000;

/** Claims keys, works on them, and gives them back. Any number of loops may run on one queue. */
export async function startLoop(options: LoopOptions): Promise<Loop> {
  const loop = new RunningLoop(options);
  await loop.start();
  return loop;
}

interface Failing {
  readonly since: Date;
  readonly count: number;
}

class RunningLoop implements Loop {
  readonly #options: LoopOptions;
  readonly #working = new Map<string, Promise<void>>();
  readonly #failing = new Map<string, Failing>();
  readonly #wakeups = new Set<NodeJS.Timeout>();
  readonly #stop = new AbortController();
  #claiming: Promise<void> | undefined;
  #hinted = false;
  #unlisten: (() => Promise<void>) | undefined;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#unlisten = await this.#options.work.listen(() => this.#wake());
    const poll = setInterval(() => this.#wake(), this.#options.pollMs ?? defaultPollMs);
    this.#stop.signal.addEventListener('abort', () => clearInterval(poll));
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the loop stops'));
    for (const timer of this.#wakeups) clearTimeout(timer);
    await this.#unlisten?.();
    await this.#claiming;
    const grace = new AbortController();
    const tooLong = sleep(stopMs, undefined, { signal: grace.signal }).catch(() => undefined);
    await Promise.race([Promise.all(this.#working.values()), tooLong]);
    grace.abort();
  }

  /** Looks at the queue now, and once more when a hint came while it was looking. */
  #wake(): void {
    if (this.#claiming !== undefined) {
      this.#hinted = true;
      return;
    }
    this.#hinted = false;
    this.#claiming = this.#claim().finally(() => {
      this.#claiming = undefined;
      if (this.#hinted) this.#wake();
    });
  }

  /** For waits shorter than the poll. */
  #wakeIn(delayMs: number): void {
    if (this.#stop.signal.aborted || delayMs >= (this.#options.pollMs ?? defaultPollMs)) return;
    const timer = setTimeout(() => {
      this.#wakeups.delete(timer);
      this.#wake();
    }, delayMs);
    this.#wakeups.add(timer);
  }

  async #claim(): Promise<void> {
    const { work, owner, parallel, leaseMs, log } = this.#options;
    const free = parallel - this.#working.size;
    if (free <= 0 || this.#stop.signal.aborted) return;
    try {
      for (const claim of await work.claim(owner, free, leaseMs)) {
        const before = this.#working.get(claim.key) ?? Promise.resolve();
        const working = before.then(() => this.#workOn(claim));
        this.#working.set(claim.key, working);
        void working.finally(() => {
          if (this.#working.get(claim.key) === working) this.#working.delete(claim.key);
          this.#wake();
        });
      }
    } catch (error) {
      log.error({ err: error }, 'cannot claim work');
    }
  }

  /** Never rejects: what cannot be given back is taken over by whoever comes when the lease runs out. */
  async #workOn(claim: Claim): Promise<void> {
    const { work, run, log, leaseMs } = this.#options;
    const lost = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, lost.signal]);
    const renewal = setInterval(() => {
      work.renew(claim, leaseMs).then(
        (held) => held || lost.abort(new Error('the lease was lost')),
        (error: unknown) => log.warn({ err: error, key: claim.key }, 'cannot renew a lease'),
      );
    }, leaseMs / 3);
    try {
      const rest = await run(claim.key, { signal, failingSince: this.#failing.get(claim.key)?.since });
      await this.#giveBack(claim, rest);
    } catch (error) {
      await this.#abandon(claim, signal, lost.signal.aborted, error);
    } finally {
      clearInterval(renewal);
    }
  }

  async #giveBack(claim: Claim, rest: Rest): Promise<void> {
    const { work, log, slowMs = 30_000 } = this.#options;
    if (rest.kind === 'done' || rest.kind === 'imperfect') this.#failing.delete(claim.key);
    if (rest.kind === 'done') return work.release(claim);
    let delayMs = underWayMs;
    if (rest.kind === 'imperfect') delayMs = slowMs;
    if (rest.kind === 'failed') {
      const failing = this.#countFailure(claim.key);
      delayMs = rest.retry === 'never' ? slowMs : this.#backOffMs(failing.count);
      log.warn({ key: claim.key, ...rest, times: failing.count, delayMs }, 'a run failed');
    }
    await work.retry(claim, delayMs);
    this.#wakeIn(delayMs);
  }

  async #abandon(claim: Claim, signal: AbortSignal, lost: boolean, error: unknown): Promise<void> {
    const { work, log } = this.#options;
    if (lost) return log.warn({ key: claim.key }, 'a lease was lost');
    const delayMs = signal.aborted ? 0 : this.#backOffMs(this.#countFailure(claim.key).count);
    if (!signal.aborted) log.error({ err: error, key: claim.key }, 'a run broke off');
    try {
      await work.retry(claim, delayMs);
      if (!signal.aborted) this.#wakeIn(delayMs);
    } catch (failure) {
      log.error({ err: failure, key: claim.key }, 'cannot give a key back');
    }
  }

  #countFailure(key: string): Failing {
    const before = this.#failing.get(key);
    const failing = { since: before?.since ?? new Date(), count: (before?.count ?? 0) + 1 };
    this.#failing.set(key, failing);
    return failing;
  }

  /** Half of it by chance, so that many that failed together do not come back together. */
  #backOffMs(count: number): number {
    const { quickMs = 100, slowMs = 30_000 } = this.#options;
    const longest = Math.min(slowMs, quickMs * 2 ** Math.min(count - 1, 20));
    return Math.round(longest * (0.5 + Math.random() / 2));
  }
}
