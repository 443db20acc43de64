import { type ChildProcess, spawn } from 'node:child_process';
import { open, readFile, rm, stat, truncate } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentPaths } from '../paths.ts';
import { failureOf } from './refusal.ts';
import { ask, type MasterState, parseProc } from './socket.ts';

const pollMs = 5;
const readyLimitMs = 60_000;
/** From 3.0 on a question to a worker that begins or ends is lost now and then: it is asked again. */
export const workerAnswersMs = 300;
const largestLogBytes = 1024 * 1024;

/**
 * HAProxy in master-worker mode: the agent is its parent, or has adopted it from an agent that was killed. All
 * methods but `workers`, `loads` and `alive` are for one caller at a time.
 */
export function haproxyProcess(paths: AgentPaths, haproxy: string, onDeath: () => void) {
  let pid: number | undefined;
  let stopping = false;
  /** While a worker loads, those that were there before. */
  let settledWorkers: ReadonlySet<number> | undefined;

  const state = async (): Promise<MasterState | undefined> => {
    try {
      return parseProc(await ask(paths.masterSocket, 'show proc'));
    } catch {
      return undefined; // between two lives of the master's socket
    }
  };

  /** A worker answers once it runs its own loop: only then is it READY. */
  const answers = async (worker: number): Promise<boolean> => {
    try {
      const said = await ask(paths.masterSocket, `@!${worker} show info`, workerAnswersMs);
      return said.includes(`Pid: ${worker}`);
    } catch {
      return false;
    }
  };

  /** Of clients, in a worker; none once it has ended. */
  async function connections(worker: number): Promise<number> {
    const text = await ask(paths.masterSocket, `@!${worker} show info`, workerAnswersMs).catch(() => '');
    return Number(/^CurrConns: (\d+)$/m.exec(text)?.[1] ?? 0);
  }

  const logSize = async (): Promise<number> => (await stat(paths.log).catch(() => undefined))?.size ?? 0;
  const saidSince = async (offset: number): Promise<string> =>
    (await readFile(paths.log)).subarray(offset).toString();

  /** Waits until a worker that was not there `before` is READY. */
  async function ready(before: MasterState | undefined, logOffset: number): Promise<void> {
    const old = new Set(before?.workers.map((worker) => worker.pid));
    settledWorkers = old;
    try {
      await readyBeside(old, before, logOffset);
    } finally {
      settledWorkers = undefined;
    }
  }

  async function readyBeside(
    old: ReadonlySet<number>,
    before: MasterState | undefined,
    logOffset: number,
  ): Promise<void> {
    for (let waitedMs = 0; waitedMs < readyLimitMs; waitedMs += pollMs) {
      if (pid === undefined || !(await isHaproxy(pid)))
        throw failureOf(await saidSince(logOffset), 'HAProxy ended');
      const now = await state();
      if (now !== undefined && (before === undefined || now.reloads > before.reloads)) {
        if (now.failed) throw failureOf(await saidSince(logOffset), 'HAProxy could not reload');
        const worker = now.workers.find((candidate) => candidate.reloads === 0 && !old.has(candidate.pid));
        if (worker !== undefined && (await answers(worker.pid))) return;
      }
      await sleep(pollMs);
    }
    throw new Error(`HAProxy is not ready after ${readyLimitMs / 1000} s`);
  }

  function died(): void {
    pid = undefined;
    if (!stopping) onDeath();
  }

  /** For a HAProxy that is not our child: the kernel does not tell us of its death. */
  async function watch(adopted: number): Promise<void> {
    while (pid === adopted) {
      await sleep(100);
      if (pid === adopted && !(await isHaproxy(adopted))) died();
    }
  }

  return {
    alive: (): boolean => pid !== undefined,

    /** Live workers, the current one first; none when HAProxy is down, undefined while its master is busy. */
    async workers(): Promise<MasterState['workers'] | undefined> {
      return pid === undefined ? [] : (await state())?.workers;
    },
    /** Whether a worker is not yet READY: it has nothing to say. */
    loads: (worker: number): boolean => settledWorkers?.has(worker) === false,
    master: (): number | undefined => pid,

    /** Takes over a HAProxy that serves; false when there is none. */
    async adopt(): Promise<boolean> {
      const found = Number(await readFile(paths.pid, 'utf8').catch(() => ''));
      if (!(found > 0) || !(await isHaproxy(found))) return false;
      pid = found;
      void watch(found);
      return true;
    },

    /** Starts it on the current version. Throws `HaproxyRefusal`. */
    async start(): Promise<void> {
      await rm(paths.masterSocket, { force: true });
      const log = await open(paths.log, 'a', 0o600);
      const offset = await logSize();
      const command = [
        ['-W', '-S', `${paths.masterSocket},mode,600`, '-p', paths.pid],
        ['-C', paths.current, '-f', 'haproxy.cfg'],
      ].flat();
      const child: ChildProcess = spawn(haproxy, command, {
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
      });
      try {
        await new Promise<void>((resolve, reject) => {
          child.on('error', reject).on('spawn', resolve);
        });
      } finally {
        await log.close();
      }
      const started = child.pid;
      pid = started;
      child.unref();
      let isReady = false;
      child.on('exit', () => {
        if (pid !== started) return;
        pid = undefined;
        if (isReady) died();
      });
      try {
        await ready(undefined, offset);
      } catch (error) {
        if (pid === started) child.kill('SIGKILL');
        pid = undefined;
        throw error;
      }
      isReady = true;
      if (child.exitCode !== null || child.signalCode !== null) died();
    },

    /**
     * Waits until at most `maxReloads` + 1 workers live: before that neither a check nor a reload may start, so that
     * the memory budget holds.
     */
    async settled(maxReloads: number): Promise<void> {
      for (let tries = 0; pid !== undefined; tries += 1) {
        const now = await state();
        if (now !== undefined && now.workers.length <= maxReloads + 1) return;
        // mworker-max-reloads has told the eldest to go; after a second nobody waits for it any longer.
        const eldest = now?.workers.at(-1);
        if (tries > 100 && eldest !== undefined) signal(eldest.pid, 'SIGKILL');
        if (tries > 600) throw new Error('the master of HAProxy does not answer');
        await sleep(10);
      }
    },

    /**
     * Has it load the current version. Throws `HaproxyRefusal`; the workers of before then go on, at last no more of
     * them than have `maxconn` connections together: the memory budget holds no more. The youngest always goes on.
     *
     * Who is too old for `maxReloads` would be ended once a new worker is there, and is ended before one loads: there is
     * never memory for both to be found.
     */
    async reload(maxconn: number, maxReloads: number): Promise<void> {
      if ((await logSize()) > largestLogBytes) await truncate(paths.log);
      const offset = await logSize();
      const before = await state();
      if (pid === undefined || before === undefined) throw new Error('the master of HAProxy does not answer');
      const [, ...old] = before.workers;
      await Promise.all(old.filter(({ reloads }) => reloads >= maxReloads).map((eldest) => end(eldest.pid)));
      signal(pid, 'SIGUSR2');
      await ready(before, offset);
      let sum = 0;
      for (const [age, worker] of before.workers.entries()) {
        sum += await connections(worker.pid);
        if (age > 0 && sum > maxconn) signal(worker.pid, 'SIGTERM');
      }
    },

    /** Ends it and all its connections. */
    async stop(): Promise<void> {
      stopping = true;
      const ending = pid;
      if (ending === undefined) return;
      const workers = (await state())?.workers ?? [];
      signal(ending, 'SIGTERM');
      for (let tries = 0; await isHaproxy(ending); tries += 1) {
        if (tries === 250)
          for (const victim of [ending, ...workers.map((w) => w.pid)]) signal(victim, 'SIGKILL');
        await sleep(20);
      }
      pid = undefined;
      await rm(paths.pid, { force: true });
    },
  };
}
export type HaproxyProcess = ReturnType<typeof haproxyProcess>;

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended meanwhile
  }
}

/** Ends a worker at once: asked to, it would free all it has piece by piece, up to 50 ms of 10,000 servers. */
async function end(pid: number): Promise<void> {
  signal(pid, 'SIGKILL');
  while (await isHaproxy(pid)) await sleep(pollMs);
}

/** A zombie answers `kill -0` until its parent looks; /proc does not lie. */
async function isHaproxy(pid: number): Promise<boolean> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return /^\d+ \(haproxy\) [^ZX]/.test(line);
}
