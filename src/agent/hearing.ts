import { renameSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isInternal } from '../plan/haproxy/exporter.ts';
import type { AgentPaths } from './paths.ts';
import { type HaproxyProcess, workerAnswersMs } from './haproxy/process.ts';
import { parseServers, type RunningServer } from './haproxy/servers.ts';
import { ask, parseStat, type StatRow } from './haproxy/socket.ts';
import { heard, noTraffic, type Traffic } from './traffic.ts';

/** What workers have said of themselves. */
export interface Heard {
  /** Of the worker that takes new connections: what it says of the listeners and pools that are carried. */
  readonly current: readonly StatRow[];
  /** Its servers in those pools. */
  readonly servers: readonly RunningServer[];
  /** Of those that end their last connections: frontends alone. */
  readonly old: readonly StatRow[];
  readonly traffic: Traffic;
}

interface Said {
  readonly rows: readonly StatRow[];
  /** Those last heard of when none was asked for, or told. */
  readonly servers: readonly RunningServer[];
}

interface SaidItself extends Said {
  readonly pid: number;
  readonly busy: boolean;
}

export interface Hearing {
  /** Hears all workers, one hearing at a time, so that no older word overtakes a newer one. */
  hear(): Promise<void>;
  /** Hears no more than what listeners have counted: of 10,000 members it takes HAProxy 0.3 ms instead of 11. */
  count(): Promise<void>;
  /** As last heard. */
  last(): Heard;
  /** Whether the worker that takes new connections had less than three quarters of its time left when it was last heard. */
  busy(): boolean;
}

export interface HearingOptions {
  /** `counters`: where they are kept for the next agent. */
  readonly paths: Pick<AgentPaths, 'counters' | 'masterSocket' | 'statsSocket'>;
  readonly haproxy: Pick<HaproxyProcess, 'workers' | 'loads'>;
  /** Whether a proxy is one of the listeners and pools of the tree. */
  readonly carries: (proxy: string) => boolean;
}

/** -1 for any proxy, 1 for frontends, 3 for backends as well. What servers are is told at less cost by their state. */
const frontends = 'show stat -1 1 -1';
const proxies = 'show stat -1 3 -1';
const states = 'show servers state';
/** Whether an answer to it is there, be it of no server. */
const areTold = (answer: string): boolean => answer.includes('# be_id');

/** Per cent of its time that the worker's thread which answers has left, over some half second. */
const idlePercent = (info: string): number => Number(/^Idle_pct: (\d+)$/m.exec(info)?.[1] ?? 100);
const busyBelowPercent = 75;

const rowsOf = (csv: string): StatRow[] => parseStat(csv).filter(({ proxy }) => !isInternal(proxy));

/**
 * What HAProxy's workers say of themselves, and its counters since the amphora's birth.
 *
 * It is asked every second, on a CPU that may be busy: each time the agent wakes, who runs there waits. So the current
 * worker is asked by one question to itself, which says as well whether it is still the one that was alone; the master is
 * asked of others, or for one that is silent. And the counters are written without a thread to wait for (`test/bench/data-plane.ts`: the 99th percentile on one busy CPU).
 */
export async function hearing({ paths, haproxy, carries }: HearingOptions): Promise<Hearing> {
  let traffic: Traffic = await readFile(paths.counters, 'utf8').then(
    (text) => JSON.parse(text) as Traffic,
    () => noTraffic,
  );
  let rows: Omit<Heard, 'traffic'> = { current: [], servers: [], old: [] };
  /** The worker that was alone when the workers were last counted. */
  let alone: number | undefined;
  let busy = false;
  let turn: Promise<unknown> = Promise.resolve();

  function note(
    pids: readonly number[],
    answers: ReadonlyMap<number, readonly StatRow[]>,
    /** Undefined: nobody asked for more than counters. */
    servers: readonly RunningServer[] | undefined,
  ): void {
    const [current = [], ...old] = pids.map((pid) => answers.get(pid) ?? []);
    if (servers !== undefined)
      rows = {
        current: current.filter(({ proxy }) => carries(proxy)),
        servers: servers.filter(({ backend }) => carries(backend)),
        old: old.flat(),
      };
    const next = heard(traffic, pids, answers);
    const changed = JSON.stringify(next) !== JSON.stringify(traffic);
    traffic = next;
    if (changed) keep();
  }

  /** Whole or not at all, as far as a process can be killed; the file is on a tmpfs, which no crash outlives. */
  function keep(): void {
    writeFileSync(`${paths.counters}.new`, JSON.stringify(traffic), { mode: 0o600 });
    renameSync(`${paths.counters}.new`, paths.counters);
  }

  /** Of the worker whose socket that of the Runtime API is, by one question; undefined when it is silent. */
  async function saidAtSocket(whole: boolean): Promise<SaidItself | undefined> {
    const question = ['show info', ...(whole ? [proxies, states] : [frontends])].join(';');
    const said = await ask(paths.statsSocket, question).catch(() => '');
    const [info = '', stat] = said.split('# pxname');
    const pid = /^Pid: (\d+)$/m.exec(info)?.[1];
    if (pid === undefined || stat === undefined) return undefined;
    const [rowsSaid = '', serversSaid = ''] = stat.split('\n\n');
    if (whole && !areTold(serversSaid)) return undefined;
    return {
      pid: Number(pid),
      busy: idlePercent(info) < busyBelowPercent,
      rows: rowsOf(`# pxname${rowsSaid}`),
      servers: parseServers(serversSaid),
    };
  }

  async function saidThroughMaster(
    pid: number,
    whole: boolean,
    patienceMs?: number,
  ): Promise<Said | undefined> {
    const asked = (question: string) =>
      ask(paths.masterSocket, `@!${pid} ${question}`, patienceMs).catch(() => '');
    const stat = await asked(whole ? proxies : frontends);
    if (!stat.startsWith('#')) return undefined;
    const told = whole ? await asked(states) : '';
    return { rows: rowsOf(stat), servers: areTold(told) ? parseServers(told) : rows.servers };
  }

  async function hearNow(whole: boolean): Promise<void> {
    const current = await saidAtSocket(whole);
    busy = current?.busy ?? false;
    if (current !== undefined && current.pid === alone) {
      note([current.pid], new Map([[current.pid, current.rows]]), whole ? current.servers : undefined);
      return;
    }
    alone = undefined;
    const live = await haproxy.workers();
    if (live === undefined) return; // its master is loading; what was heard last stands
    const workers = live.filter(({ pid }) => !haproxy.loads(pid));
    const answers = new Map<number, readonly StatRow[]>();
    let servers: readonly RunningServer[] = [];
    for (const [age, { pid }] of workers.entries()) {
      const isCurrent = age === 0;
      const said =
        isCurrent && pid === current?.pid
          ? current
          : // Of an old worker only what its frontends count is of interest.
            await saidThroughMaster(pid, whole && isCurrent, isCurrent ? undefined : workerAnswersMs);
      if (said === undefined) continue;
      answers.set(pid, said.rows);
      if (isCurrent) servers = said.servers;
    }
    alone = live.length === 1 ? live[0]?.pid : undefined;
    const pids = workers.map(({ pid }) => pid);
    note(pids, answers, whole ? servers : undefined);
  }

  function inTurn(whole: boolean): Promise<void> {
    const mine = turn.then(() => hearNow(whole));
    turn = mine.catch(() => {}); // the caller hears of it
    return mine;
  }

  return {
    hear: () => inTurn(true),
    count: () => inTurn(false),
    last: () => ({ ...rows, traffic }),
    busy: () => busy,
  };
}
