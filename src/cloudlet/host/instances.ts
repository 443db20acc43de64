import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { Log } from '../../platform/log.ts';
import type { Cgroups } from './cgroups.ts';
import { type Ending, reasonOfDeath } from './death.ts';
import { fromCards, untilCards } from './first-script.ts';
import type { InstanceSpec, InstanceState } from './host.ts';
import type { Networks } from './networks.ts';
import {
  ended,
  findProcess,
  isAlive,
  killProcess,
  type Process,
  parseStat,
  readRecord,
  searchPath,
  writeRecord,
} from './processes.ts';

type DeathListener = (id: string, state: InstanceState) => void;

interface Running {
  /** PID 1 of the instance. */
  readonly first: Process;
  /** Resolves when it is gone; how it went is known of our own children only. */
  readonly ending: Promise<Ending>;
}

export interface Instances {
  running(id: string): Running | undefined;
  boot(spec: InstanceSpec): Promise<void>;
  kill(id: string): Promise<void>;
  observe(id: string): Promise<InstanceState>;
  onDeath(listener: DeathListener): void;
  /** Those alive and those whose death was seen. */
  ids(): readonly string[];
}

// The parent of a first process stays outside its process namespace and passes on how it ended, as shells do. They die
// together. (unshare's own --fork loses a death by signal up to util-linux 2.38.)
const parent = 'setpriv --pdeathsig KILL sh; exit $?';

/** How long the way to the image's own script may take before the boot is given up. */
const bootLimitMs = 30_000;

/**
 * The folder of an instance holds `pid` (PID 1 in the host's numbering and its start time) and `console.log`.
 * `adopt` false: what an earlier run left has lost its network and is of no use.
 */
export async function openInstances(options: {
  stateDir: string;
  adopt: boolean;
  cgroups: Cgroups;
  networks: Networks;
  log: Log;
}): Promise<Instances> {
  const { cgroups, networks, log } = options;
  const home = join(options.stateDir, 'instances');
  const folder = (id: string, file = '') => join(home, id, file);
  const running = new Map<string, Running>();
  const dead = new Map<string, InstanceState>();
  const listeners: DeathListener[] = [];

  await mkdir(home, { recursive: true, mode: 0o700 });
  for (const id of await readdir(home)) {
    const first = await readRecord(folder(id, 'pid'));
    if (first !== undefined && options.adopt) {
      adopt(
        id,
        first,
        ended(first).then(() => undefined),
      );
      continue;
    }
    if (first !== undefined) await killProcess(first);
    dead.set(id, await stateOfDead(id, undefined));
    await clear(id);
  }
  for (const id of await cgroups.ids()) {
    if (!running.has(id)) await clear(id);
  }

  function adopt(id: string, first: Process, ending: Promise<Ending>): void {
    const entry = { first, ending };
    running.set(id, entry);
    dead.delete(id);
    async function watch(): Promise<void> {
      const how = await ending;
      if (running.get(id) !== entry) return; // it was asked for
      const state = await stateOfDead(id, how);
      if (running.get(id) !== entry) return;
      running.delete(id);
      dead.set(id, state);
      log.warn({ instance: id, reason: state.reason }, 'an instance died');
      for (const listener of listeners) listener(id, state);
    }
    watch().catch((error: unknown) => log.error({ instance: id, error }, 'cannot watch an instance'));
  }

  async function stateOfDead(id: string, ending: Ending): Promise<InstanceState> {
    const usage = await cgroups.usage(id);
    const reason = reasonOfDeath(ending, usage);
    return { alive: false, pid: null, oomKills: usage?.oomKills ?? 0, memoryBytes: null, reason };
  }

  /** Takes away what is left of an instance whose first process is dead; keeps its console. */
  async function clear(id: string): Promise<void> {
    for (const pid of await cgroups.processes(id)) {
      const left = await findProcess(pid);
      if (left !== undefined) await killProcess(left);
    }
    await cgroups.remove(id);
    await networks.unplugAll(id);
    await rm(folder(id, 'pid'), { force: true });
  }

  async function boot(spec: InstanceSpec): Promise<void> {
    const { id } = spec;
    const before = running.get(id);
    if (before !== undefined && (await isAlive(before.first))) return;
    running.delete(id);
    await clear(id);
    await mkdir(folder(id), { recursive: true, mode: 0o700 });
    const groups = await cgroups.create(id, spec);
    const child = await start(spec);
    const ending = once(child, 'exit').then(([code]: (number | null)[]) => code ?? 137);
    try {
      const first = await bring(child, spec, groups);
      adopt(id, first, ending);
      child.unref();
    } catch (error) {
      child.kill('SIGKILL');
      await ending;
      await clear(id);
      throw error;
    }
  }

  async function start(spec: InstanceSpec): Promise<ChildProcess> {
    const console = await open(folder(spec.id, 'console.log'), 'w', 0o600);
    try {
      const namespaces = ['--pid', '--net', '--uts', '--mount', '--propagation', 'unchanged'];
      const child = spawn('unshare', [...namespaces, 'sh', '-c', parent], {
        detached: true,
        cwd: '/',
        stdio: ['pipe', console.fd, console.fd, 'pipe'],
        env: {
          PATH: searchPath,
          HOME: '/root',
          LIVIA_MEMORY_LIMIT_BYTES: String(spec.memoryBytes),
        },
      });
      await once(child, 'spawn');
      return child;
    } finally {
      await console.close();
    }
  }

  /** Leads the first process to the image's script, while its cards are made outside. */
  async function bring(child: ChildProcess, spec: InstanceSpec, groups: readonly string[]): Promise<Process> {
    const says = child.stdio[3];
    if (!(says instanceof Readable)) throw new Error('descriptor 3 of a first process is not a pipe');
    const lines = createInterface({ input: says })[Symbol.asyncIterator]();
    const limit = setTimeout(() => child.kill('SIGKILL'), bootLimitMs);
    const next = async () => {
      const line = await lines.next();
      if (line.done !== true) return line.value;
      const console = await readFile(folder(spec.id, 'console.log'), 'utf8');
      throw new Error(`instance ${spec.id} did not come up: ${console.trim().slice(-500)}`);
    };
    try {
      child.stdin?.on('error', () => {}); // a first process that ended shows at its other end
      child.stdin?.write(untilCards(spec, groups));
      const first = parseStat(await next());
      await Promise.all([
        writeRecord(folder(spec.id, 'pid'), first),
        networks.plug(spec.id, first.pid, spec.nics, 0),
      ]);
      child.stdin?.end(fromCards(spec));
      await next();
      return first;
    } finally {
      clearTimeout(limit);
      child.stdin?.destroy();
      says.destroy();
    }
  }

  return {
    boot,
    running: (id) => running.get(id),
    ids: () => [...running.keys(), ...dead.keys()],

    async kill(id) {
      const entry = running.get(id);
      running.delete(id);
      if (entry !== undefined) await killProcess(entry.first);
      await clear(id);
      dead.delete(id);
      await rm(folder(id), { recursive: true, force: true });
    },

    async observe(id) {
      const entry = running.get(id);
      if (entry !== undefined && (await isAlive(entry.first))) {
        const usage = await cgroups.usage(id);
        const memoryBytes = usage?.memoryBytes ?? null;
        return {
          alive: true,
          pid: entry.first.pid,
          oomKills: usage?.oomKills ?? 0,
          memoryBytes,
          reason: null,
        };
      }
      // Gone, but the watch has not come round yet.
      if (entry !== undefined) return stateOfDead(id, await entry.ending);
      return dead.get(id) ?? { alive: false, pid: null, oomKills: 0, memoryBytes: null, reason: null };
    },

    onDeath(listener) {
      listeners.push(listener);
    },
  };
}
