import { silenceLimit } from '../lb/silence.ts';
import type { Amphora } from '../lb/amphora.ts';
import type { Log } from '../platform/log.ts';
import type { Store } from '../store/store.ts';

export interface WatchOptions {
  readonly store: Store;
  readonly timeoutMs: number;
  /** More than this share of all (and more than two) silent at once: our own fault. */
  readonly share: number;
  readonly log: Log;
  /** Milliseconds; default `Date.now`. */
  readonly clock?: () => number;
}

/**
 * Notices amphorae that fell silent and asks the loop to look at them; the loop checks for itself before it replaces
 * one. Silence counts only while we listened: after a start, a standstill or a lost database it begins anew.
 */
export class SilenceWatch {
  readonly #options: WatchOptions;
  readonly #clock: () => number;
  #listeningSince: number;
  #lastLook: number;
  #braking = false;
  /** When a silent amphora was last pointed out, by id. */
  readonly #pointedOut = new Map<string, number>();

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#clock = options.clock ?? Date.now;
    this.#listeningSince = this.#clock();
    this.#lastLook = this.#listeningSince;
  }

  /** Since when we have listened without a gap. */
  get listeningSince(): Date {
    return new Date(this.#listeningSince);
  }

  /** So many are silent that none is replaced for it. */
  get braking(): boolean {
    return this.#braking;
  }

  /** Time between two looks, in milliseconds. */
  get intervalMs(): number {
    return Math.max(50, this.#options.timeoutMs / 10);
  }

  async look(): Promise<void> {
    const { store, timeoutMs, share, log } = this.#options;
    const now = this.#clock();
    if (now - this.#lastLook > timeoutMs / 2 || now < this.#lastLook) {
      log.warn({ gapMs: now - this.#lastLook }, 'we stood still: silence counts from now on');
      this.#listeningSince = now;
    }
    this.#lastLook = now;
    if (now - this.#listeningSince <= timeoutMs) return;

    const silent = await store.amphorae.silentSince(new Date(now - timeoutMs));
    const allocated = silent.length === 0 ? 0 : await store.amphorae.countAllocated();
    const limit = silenceLimit(allocated, share);
    const braking = silent.length > limit;
    if (braking && !this.#braking) {
      log.error(
        { silent: silent.length, allocated },
        'so many amphorae are silent that none is replaced for it',
      );
    }
    if (braking || this.#braking) await store.amphorae.setBrake(braking ? silent.map(({ id }) => id) : []);
    this.#braking = braking;
    for (const amphora of this.#next(silent, now, braking ? limit : silent.length)) {
      this.#pointedOut.set(amphora.id, now);
      log.warn({ amphoraId: amphora.id, lastHeartbeatAt: amphora.lastHeartbeatAt }, 'an amphora is silent');
      await store.work.mark(amphora.loadBalancerId);
    }
  }

  /**
   * Those to point out now: each once per timeout, and `most` of them within one. Under the brake the loop replaces
   * only what the cloud itself calls dead, so looking is right even then, a few at a time, in turn.
   */
  #next(silent: readonly Amphora[], now: number, most: number): readonly Amphora[] {
    const ids = new Set(silent.map(({ id }) => id));
    for (const id of this.#pointedOut.keys()) if (!ids.has(id)) this.#pointedOut.delete(id);
    const { timeoutMs } = this.#options;
    const at = ({ id }: Amphora): number => this.#pointedOut.get(id) ?? Number.NEGATIVE_INFINITY;
    const due = silent.filter((amphora) => now - at(amphora) > timeoutMs).toSorted((a, b) => at(a) - at(b));
    return due.slice(0, Math.max(0, most - (silent.length - due.length)));
  }
}

/** Looks again and again until the returned function is called. */
export function keepWatch(watch: SilenceWatch, log: Log): () => void {
  let looking = false;
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    watch
      .look()
      .catch((error: unknown) => log.warn({ err: error }, 'cannot look for silent amphorae'))
      .finally(() => (looking = false));
  }, watch.intervalMs);
  return () => clearInterval(timer);
}
