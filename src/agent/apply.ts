import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { demandOf, poolsById, poolsOf, sumOfDemands } from '../plan/haproxy/demand.ts';
import { type RenderedHaproxy, renderHaproxy } from '../plan/haproxy/render.ts';
import { keepalivedBytes } from '../plan/keepalived.ts';
import { type MemoryBudget, memoryBudget } from '../plan/memory-budget.ts';
import { abilitiesOf } from '../plan/runtime/abilities.ts';
import { streamPart } from '../plan/udp/datagrams.ts';
import { writeWhole } from '../platform/files.ts';
import type { Log } from '../platform/log.ts';
import type { Outcome } from '../wire/report.ts';
import type { WantedAmphora } from '../wire/wanted.ts';
import type { AllowedClients } from './admission.ts';
import { stillTrue, withHeldCertificates, without } from './carried.ts';
import type { ConfigurationFiles } from './haproxy/files.ts';
import type { HaproxyProcess } from './haproxy/process.ts';
import { readyToPing } from './haproxy/ping.ts';
import type { reloadPeak } from './reload-peak.ts';
import { blame, HaproxyRefusal } from './haproxy/refusal.ts';
import { ask } from './haproxy/socket.ts';
import type { Machine } from './memory.ts';
import type { AgentPaths } from './paths.ts';
import { type Attempt, runtimeChanger } from './runtime/changer.ts';
import type { Datagrams } from './udp/datagrams.ts';

type Refused = Outcome['refused'];
type Warnings = Outcome['warnings'];

/** What an agent does about a wish: what was wished, what is carried of it, and what came of the rest. */
export interface Applied {
  readonly wanted: WantedAmphora;
  readonly carried: WantedAmphora;
  readonly refused: Refused;
  readonly warnings: Warnings;
  /** Global `maxconn` of HAProxy for what is carried. */
  readonly maxconn?: number;
  readonly closed?: readonly Closed[];
}

/** A listener that HAProxy has closed and keeps until it reloads, and the pools behind it as they were. */
type Closed = Pick<WantedAmphora, 'listeners' | 'pools'>;

export type Change = Outcome['change'];

/** How HAProxy came to carry what it does, and why so. */
interface Loaded {
  readonly change: Change;
  readonly why?: string | undefined;
  readonly made: Made;
}

interface Made {
  readonly budget: MemoryBudget;
  readonly rendered: RenderedHaproxy;
}

/** A wish that comes too late: a newer one is served or waits. */
export class Superseded extends Error {}

export interface ApplierOptions {
  readonly paths: AgentPaths;
  readonly files: ConfigurationFiles;
  readonly haproxy: HaproxyProcess;
  readonly machine: Machine;
  /** Of HAProxy. */
  readonly version: string;
  readonly user: { readonly name: string; readonly group: string } | null;
  /** Makes cards, own addresses and routes so. */
  readonly ensureLinks: (wanted: WantedAmphora) => Promise<void>;
  /** Takes the VIPs, or has keepalived see who is to have them. */
  readonly claimVips: (wanted: WantedAmphora) => Promise<void>;
  /** Turns away who is not to be heard. */
  readonly allowed: AllowedClients;
  /** Carries what is not HAProxy's. */
  readonly udp: Datagrams;
  /** Called when HAProxy serves again after it was down. */
  readonly revived: () => Promise<void>;
  /** Called before HAProxy is told anything, to hear what its workers have counted. */
  readonly beforeChange: () => Promise<void>;
  readonly peak: ReturnType<typeof reloadPeak>;
  readonly log: Log;
}

/** One wish at a time is made so. A newer one waits for it; of those that wait only the newest is served. */
export function applier(options: ApplierOptions) {
  const { paths, files, haproxy, machine, log } = options;
  let applied: Applied | undefined;
  let budget: MemoryBudget | undefined;
  /** What HAProxy was last told. */
  let running: RenderedHaproxy | undefined;
  /** What HAProxy calls the listeners and pools that are carried. */
  let proxies: ReadonlySet<string> = new Set();
  let turn: Promise<unknown> = Promise.resolve();
  let newestGeneration = -1;
  let stopped = false;

  const queued = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work);
    turn = mine.catch(() => {}); // the caller hears of it
    return mine;
  };

  const abilities = abilitiesOf(options.version);
  const changer = runtimeChanger({
    socket: paths.statsSocket,
    abilities,
    files,
    inTurn: queued,
    log,
  });

  /** What HAProxy keeps when, without a reload, it carries this tree. */
  function closedBeside(tree: WantedAmphora): readonly Closed[] {
    const served = new Set(tree.listeners.map(({ id }) => id));
    const carried = applied?.carried;
    const pools = carried === undefined ? new Map() : poolsById(carried);
    const now =
      carried?.listeners.map((one) => ({ listeners: [one], pools: [...poolsOf(one, pools)] })) ?? [];
    return [...now, ...(applied?.closed ?? [])].filter(({ listeners: [one] }) => !served.has(one?.id ?? ''));
  }

  /** `maxconn`: the bound on connections of a HAProxy that is not reloaded. */
  function boundsOf(tree: WantedAmphora, maxconn?: number): MemoryBudget {
    const reservedBytes = machine.reservedBytes + (tree.vrrp === undefined ? 0 : keepalivedBytes);
    // What is kept goes with the next reload.
    const kept =
      maxconn === undefined ? [] : closedBeside(tree).map((closed) => demandOf({ ...tree, ...closed }));
    const demand = kept.reduce(sumOfDemands, demandOf(tree));
    return memoryBudget({
      ...{ ...machine, ...demand, reservedBytes },
      ...{ version: options.version, running: maxconn },
    });
  }

  const rendered = (tree: WantedAmphora, bounds: MemoryBudget): Made => ({
    budget: bounds,
    rendered: renderHaproxy(tree, bounds, { ...paths, user: options.user }, abilities),
  });

  function serve({ budget: bounds, rendered: text }: Made): void {
    [budget, running] = [bounds, text];
    proxies = new Set(
      text.sections.map(({ listenerId, poolId }) =>
        poolId === null ? listenerId : `${poolId}:${listenerId}`,
      ),
    );
  }

  async function saveServerState(next: WantedAmphora): Promise<void> {
    const checked = next.pools.some(({ healthMonitor }) => healthMonitor !== null);
    const state =
      checked && haproxy.alive() ? await ask(paths.statsSocket, 'show servers state').catch(() => '') : '';
    const kept = state === '' ? '1\n' : stillTrue(state, applied?.carried, next);
    await writeFile(paths.serverState, kept, { mode: 0o600 });
  }

  /** Without a reload, where there is a way; then with HAProxy's present bound on connections. */
  async function tryRuntime(tree: WantedAmphora, full: Made): Promise<Attempt & { made: Made }> {
    if (applied === undefined || running === undefined)
      return { change: 'reload', why: 'it is not known what it serves', made: full };
    const { carried, maxconn } = applied;
    // HAProxy's own bound on connections cannot grow at run time. It need not when only a server less leaves room
    // for more, or when every listener has what it asked for.
    const capped = boundsOf(tree, maxconn);
    const limits = (wanted: WantedAmphora) => JSON.stringify(demandOf(wanted).listeners);
    const enough = [...full.budget.listenerMaxconn].every(
      ([id, limit]) => capped.listenerMaxconn.get(id) === limit,
    );
    const stays = enough || limits(carried) === limits(tree);
    const next = !stays || isDeepStrictEqual(capped, full.budget) ? full : rendered(tree, capped);
    const attempt = await changer.attempt(running, next.rendered);
    return { ...attempt, made: next };
  }

  /** Makes HAProxy carry exactly this tree. Throws `HaproxyRefusal`; HAProxy then carries what it did before. */
  async function load(tree: WantedAmphora, full: Made): Promise<Loaded> {
    const { budget: bounds, rendered: text } = full;
    const fingerprint = files.fingerprint(text);
    let why: string | undefined;
    if (haproxy.alive()) {
      if ((await files.running()) === fingerprint) return { change: 'none', made: full };
      const attempt = await tryRuntime(tree, full);
      if (attempt.change !== 'reload') return attempt;
      why = attempt.why;
    }
    await haproxy.settled(bounds.maxReloads);
    const change = haproxy.alive() ? 'reload' : 'start';
    const served =
      running !== undefined && (await files.running()) === files.fingerprint(running) ? running : undefined;
    await options.peak.during(async () => {
      // What starts shows by itself what it does not take, and nobody is served meanwhile.
      const version = change === 'start' ? await files.write(text) : await files.writeChecked(text, served);
      await options.beforeChange();
      await saveServerState(tree);
      changer.forget();
      await files.adopt(version, fingerprint, () =>
        change === 'reload' ? haproxy.reload(bounds.maxconn, bounds.maxReloads) : haproxy.start(),
      );
    });
    return { change, why, made: full };
  }

  /** Carries as much of the wish as can be; what cannot goes on as it was before, or is left out. */
  async function make(wanted: WantedAmphora): Promise<Loaded> {
    const held = withHeldCertificates(wanted, applied?.carried);
    const refused = new Map<string, string>();
    let tree = held.tree;
    for (;;) {
      const made = rendered(tree, boundsOf(tree));
      let problems: ReadonlyMap<string, string> = new Map(
        made.rendered.refused.map(({ id, reason }) => [id, reason] as const),
      );
      let loaded: Loaded | undefined;
      if (!made.budget.fits) throw new HaproxyRefusal(made.budget.sentence ?? 'it does not fit');
      if (problems.size === 0) {
        try {
          loaded = await load(tree, made);
        } catch (error) {
          if (!(error instanceof HaproxyRefusal)) throw error;
          problems = blame(error.said, made.rendered.sections);
          log.warn({ said: error.message, blamed: [...problems.keys()] }, 'HAProxy refused a configuration');
          if (problems.size === 0) throw error;
        }
      }
      if (loaded !== undefined) {
        serve(loaded.made);
        const isNew = loaded.change === 'start' || loaded.change === 'reload';
        applied = {
          wanted,
          carried: tree,
          refused: [...refused].map(([id, reason]) => ({ id, reason })),
          warnings: [...held.warnings, ...loaded.made.rendered.warnings],
          maxconn: loaded.made.budget.maxconn,
          closed: isNew ? [] : closedBeside(tree),
        };
        await save(applied);
        return loaded;
      }
      for (const [id, reason] of problems) if (!refused.has(id)) refused.set(id, reason);
      tree = without(tree, new Set(problems.keys()), applied?.carried);
    }
  }

  /** For the next agent. What is carried is left out when it is what was wished. */
  const save = ({ carried, ...rest }: Applied): Promise<void> =>
    writeWhole(paths.applied, JSON.stringify(carried === rest.wanted ? rest : { ...rest, carried }));

  async function tryRevive(): Promise<void> {
    if (haproxy.alive() || stopped || applied === undefined) return;
    const { wanted, refused } = applied;
    await make(applied.carried);
    applied = { ...applied, wanted, refused: [...refused, ...applied.refused] };
    await save(applied);
    await options.revived();
    log.warn({ master: haproxy.master() }, 'HAProxy was down and is started again');
  }

  return {
    applied: (): Applied | undefined => applied,
    budget: (): MemoryBudget | undefined => budget,
    /** Whether HAProxy is to have a frontend or backend of this name; one that went may still be there. */
    carries: (proxy: string): boolean => proxies.has(proxy),
    leaves: changer.leaves,

    /** Takes up what an agent before us has left. */
    async recall(): Promise<void> {
      const text = await readFile(paths.applied, 'utf8').catch(() => undefined);
      if (text === undefined) return;
      const saved = JSON.parse(text) as Omit<Applied, 'carried'> & Partial<Applied>;
      applied = { ...saved, carried: saved.carried ?? saved.wanted };
      newestGeneration = applied.wanted.generation;
      serve(rendered(applied.carried, boundsOf(applied.carried, applied.maxconn)));
    },

    /** HAProxy serves already. */
    async adopt(): Promise<void> {
      const adopted = running;
      if (adopted !== undefined) await queued(() => changer.adopt(adopted));
    },

    /** Throws `Superseded` for an old wish; another error when the world is not ready for it: ask again later. */
    apply(wanted: WantedAmphora): Promise<Applied & Pick<Loaded, 'change' | 'why'>> {
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
        const doors = await options.allowed.admit(wanted);
        const datagrams = await options.udp.apply(wanted);
        const streams = streamPart(wanted);
        await readyToPing(streams, paths);
        const answer = (
          one: Applied,
          change: Change,
          why?: string,
        ): Applied & Pick<Loaded, 'change' | 'why'> => ({
          ...one,
          change: change === 'none' && (datagrams.changed || doors.changed) ? 'runtime' : change,
          why: why ?? (change === 'none' && doors.changed ? 'allowed CIDRs' : undefined),
          refused: [...one.refused, ...datagrams.refused, ...doors.refused],
          warnings: [...one.warnings, ...datagrams.warnings],
        });
        try {
          const { change, why } = await make(streams);
          await options.allowed.settle(wanted);
          await options.claimVips(wanted);
          if (applied === undefined) throw new Error('nothing is applied after an apply');
          return answer(applied, change, why);
        } catch (error) {
          if (!(error instanceof HaproxyRefusal)) throw error;
          await options.claimVips(wanted);
          // Nobody to leave out: all of it stays as it was, and everything wanted is answered for.
          const refused = streams.listeners.map(({ id }) => ({ id, reason: error.message }));
          const carried = applied?.carried ?? { ...streams, listeners: [], pools: [] };
          applied = { ...applied, wanted: streams, carried, refused, warnings: [] };
          await save(applied);
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
      changer.stop();
      await turn;
    },
  };
}
