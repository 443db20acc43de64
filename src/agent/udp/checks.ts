import { setTimeout as sleep } from 'node:timers/promises';
import { canWatch } from '../../plan/udp/datagrams.ts';
import { afterCheck, type Health, healthy } from '../../plan/udp/health.ts';
import type { WantedHealthMonitor, WantedMember, WantedPool } from '../../wire/wanted.ts';
import { probe } from './probe.ts';

interface Watch {
  readonly monitor: WantedHealthMonitor;
  readonly member: WantedMember;
}

/** Checks members one by one, each in the rhythm of its pool's monitor. */
export class MemberChecks {
  readonly #health = new Map<string, Health>();
  readonly #watches = new Map<string, { readonly what: string; readonly end: AbortController }>();
  readonly #changed: () => void;

  /** `changed` is called when a member has gone down or come up. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Ids of members that failed their checks. */
  get down(): ReadonlySet<string> {
    return new Set([...this.#health].filter(([, { up }]) => !up).map(([id]) => id));
  }

  /** What an agent before us has found. */
  recall(down: readonly string[]): void {
    for (const id of down) this.#health.set(id, { up: false, contrary: 0 });
  }

  /** Checks these members from now on, and forgets all others; what is known of one stays while it is checked. */
  watch(pools: readonly WantedPool[]): void {
    const wanted = new Map<string, Watch>();
    for (const { healthMonitor: monitor, members } of pools) {
      if (monitor === null || !canWatch(monitor)) continue;
      for (const member of members) if (member.enabled) wanted.set(member.id, { monitor, member });
    }
    for (const [id, { what, end }] of this.#watches) {
      if (JSON.stringify(wanted.get(id)) === what) continue;
      end.abort();
      this.#watches.delete(id);
    }
    for (const id of this.#health.keys()) if (!wanted.has(id)) this.#health.delete(id);
    for (const [id, watch] of wanted) {
      if (this.#watches.has(id)) continue;
      const end = new AbortController();
      this.#watches.set(id, { what: JSON.stringify(watch), end });
      void this.#check(watch, end.signal);
    }
  }

  stop(): void {
    for (const { end } of this.#watches.values()) end.abort();
    this.#watches.clear();
  }

  async #check({ monitor, member }: Watch, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      const startedAt = performance.now();
      const passed = await probe(monitor, member);
      if (ended.aborted) return;
      const before = this.#health.get(member.id) ?? healthy;
      const after = afterCheck(before, passed, monitor);
      this.#health.set(member.id, after);
      if (after.up !== before.up) this.#changed();
      const pauseMs = Math.max(1, monitor.delay) * 1000 - (performance.now() - startedAt);
      await sleep(Math.max(0, pauseMs), undefined, { signal: ended, ref: false }).catch(() => {});
    }
  }
}
