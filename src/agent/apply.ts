import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { demandOf } from '../plan/haproxy/demand.ts';
import { type RenderedHaproxy, renderHaproxy } from '../plan/haproxy/render.ts';
import { type MemoryBudget, memoryBudget } from '../plan/memory-budget.ts';
import { streamPart } from '../plan/udp/datagrams.ts';
import { writeWhole } from '../platform/files.ts';
import type { Log } from '../platform/log.ts';
import type { Outcome } from '../wire/report.ts';
import type { WantedAmphora } from '../wire/wanted.ts';
import { stillTrue, withHeldCertificates, without } from './carried.ts';
import type { ConfigurationFiles } from './haproxy/files.ts';
import type { HaproxyProcess } from './haproxy/process.ts';
import { blame, HaproxyRefusal } from './haproxy/refusal.ts';
import { ask } from './haproxy/socket.ts';
import type { Machine } from './memory.ts';
import type { AgentPaths } from './paths.ts';
import type { Datagrams } from './udp/datagrams.ts';

type Refused = Outcome['refused'];
type Warnings = Outcome['warnings'];

/** What an agent does about a wish: what was wished, what is carried of it, and what came of the rest. */
export interface Applied {
  readonly wanted: WantedAmphora;
  readonly carried: WantedAmphora;
  readonly refused: Refused;
  readonly warnings: Warnings;
}

export type Change = Outcome['change'];

/** A wish that comes too late: a newer one is served or waits. */
export class Superseded extends Error {}

export interface ApplierOptions {
  readonly paths: AgentPaths;
  readonly files: ConfigurationFiles;
  readonly haproxy: HaproxyProcess;
  readonly machine: Machine;
  readonly user: { readonly name: string; readonly group: string } | null;
  /** Makes cards, addresses and routes so. */
  readonly ensureLinks: (wanted: WantedAmphora) => Promise<void>;
  /** Carries what is not HAProxy's. */
  readonly udp: Datagrams;
  /** Called before HAProxy is told anything, to hear what its workers have counted. */
  readonly beforeChange: () => Promise<void>;
  readonly log: Log;
}

/** One wish at a time is made so. A newer one waits for it; of those that wait only the newest is served. */
export function applier(options: ApplierOptions) {
  const { paths, files, haproxy, machine, log } = options;
  let applied: Applied | undefined;
  let budget: MemoryBudget | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  let newestGeneration = -1;
  let stopped = false;

  const queued = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work);
    turn = mine.catch(() => {}); // the caller hears of it
    return mine;
  };

  function rendered(tree: WantedAmphora): { budget: MemoryBudget; rendered: RenderedHaproxy } {
    const made = memoryBudget({ ...machine, ...demandOf(tree) });
    const { statsSocket, serverState } = paths;
    return {
      budget: made,
      rendered: renderHaproxy(tree, made, { statsSocket, serverState, user: options.user }),
    };
  }

  async function saveServerState(next: WantedAmphora): Promise<void> {
    const state = haproxy.alive() ? await ask(paths.statsSocket, 'show servers state').catch(() => '') : '';
    await writeFile(paths.serverState, stillTrue(state || '1', applied?.carried, next), { mode: 0o600 });
  }

  /** Makes HAProxy carry exactly this tree. Throws `HaproxyRefusal`; HAProxy then carries what it did before. */
  async function load(
    tree: WantedAmphora,
    { budget: made, rendered: text }: ReturnType<typeof rendered>,
  ): Promise<Change> {
    const fingerprint = files.fingerprint(text);
    if (haproxy.alive() && (await files.running()) === fingerprint) return 'none';
    await haproxy.settled(made.maxReloads);
    const version = await files.write(text);
    await options.beforeChange();
    await saveServerState(tree);
    const change = haproxy.alive() ? 'reload' : 'start';
    await files.adopt(version, fingerprint, () => (change === 'reload' ? haproxy.reload() : haproxy.start()));
    return change;
  }

  /** Carries as much of the wish as can be; what cannot goes on as it was before, or is left out. */
  async function make(wanted: WantedAmphora): Promise<Change> {
    const held = withHeldCertificates(wanted, applied?.carried);
    const refused = new Map<string, string>();
    let tree = held.tree;
    for (;;) {
      const made = rendered(tree);
      let problems: ReadonlyMap<string, string> = new Map(
        made.rendered.refused.map(({ id, reason }) => [id, reason] as const),
      );
      let change: Change | undefined;
      if (!made.budget.fits) throw new HaproxyRefusal(made.budget.sentence ?? 'it does not fit');
      if (problems.size === 0) {
        try {
          change = await load(tree, made);
        } catch (error) {
          if (!(error instanceof HaproxyRefusal)) throw error;
          problems = blame(error.said, made.rendered.sections);
          log.warn({ said: error.message, blamed: [...problems.keys()] }, 'HAProxy refused a configuration');
          if (problems.size === 0) throw error;
        }
      }
      if (change !== undefined) {
        budget = made.budget;
        applied = {
          wanted,
          carried: tree,
          refused: [...refused].map(([id, reason]) => ({ id, reason })),
          warnings: [...held.warnings, ...made.rendered.warnings],
        };
        await writeWhole(paths.applied, JSON.stringify(applied));
        return change;
      }
      for (const [id, reason] of problems) if (!refused.has(id)) refused.set(id, reason);
      tree = without(tree, new Set(problems.keys()), applied?.carried);
    }
  }

  async function tryRevive(): Promise<void> {
    if (haproxy.alive() || stopped || applied === undefined) return;
    const { wanted, refused } = applied;
    await make(applied.carried);
    applied = { ...applied, wanted, refused: [...refused, ...applied.refused] };
    await writeWhole(paths.applied, JSON.stringify(applied));
    log.warn({ master: haproxy.master() }, 'HAProxy was down and is started again');
  }

  return {
    applied: (): Applied | undefined => applied,
    maxconn: (): number => budget?.maxconn ?? 0,

    /** Takes up what an agent before us has left. */
    async recall(): Promise<void> {
      const text = await readFile(paths.applied, 'utf8').catch(() => undefined);
      if (text === undefined) return;
      applied = JSON.parse(text) as Applied;
      newestGeneration = applied.wanted.generation;
      budget = rendered(applied.carried).budget;
    },

    /** Throws `Superseded` for an old wish; another error when the world is not ready for it: ask again later. */
    apply(wanted: WantedAmphora): Promise<Applied & { change: Change }> {
      if (wanted.generation < newestGeneration) {
        return Promise.reject(
          new Superseded(`generation ${newestGeneration} is newer than ${wanted.generation}`),
        );
      }
      newestGeneration = wanted.generation;
      return queued(async () => {
        if (wanted.generation < newestGeneration) {
          throw new Superseded(`generation ${newestGeneration} came while ${wanted.generation} waited`);
        }
        await options.ensureLinks(wanted);
        const datagrams = await options.udp.apply(wanted);
        const streams = streamPart(wanted);
        const answer = (one: Applied, change: Change): Applied & { change: Change } => ({
          ...one,
          change: change === 'none' && datagrams.changed ? 'runtime' : change,
          refused: [...one.refused, ...datagrams.refused],
          warnings: [...one.warnings, ...datagrams.warnings],
        });
        try {
          const change = await make(streams);
          if (applied === undefined) throw new Error('nothing is applied after an apply');
          return answer(applied, change);
        } catch (error) {
          if (!(error instanceof HaproxyRefusal)) throw error;
          // Nobody to leave out: all of it stays as it was, and everything wanted is answered for.
          const refused = streams.listeners.map(({ id }) => ({ id, reason: error.message }));
          const carried = applied?.carried ?? { ...streams, listeners: [], pools: [] };
          applied = { wanted: streams, carried, refused, warnings: [] };
          await writeWhole(paths.applied, JSON.stringify(applied));
          return answer(applied, 'none');
        }
      });
    },

    /** HAProxy is down: starts it again with what it carried, ever more patiently. Wishes are served in between. */
    async revive(): Promise<void> {
      for (let pauseMs = 50; !haproxy.alive() && !stopped; pauseMs = Math.min(pauseMs * 2, 5000)) {
        const error = await queued(tryRevive).catch((reason: unknown) => reason);
        if (haproxy.alive() || error === undefined) return;
        log.error({ err: error }, 'HAProxy cannot be started');
        await sleep(pauseMs);
      }
    },

    /** After the wish under way, HAProxy is left as it is. */
    async stop(): Promise<void> {
      stopped = true;
      await turn;
    },
  };
}
export type Applier = ReturnType<typeof applier>;
