import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { type Cgroups, findPlaces, openCgroups } from '../../src/cloudlet/host/cgroups.ts';

/** A memory cgroup of a size: stands for the memory of an amphora. */
export interface MemoryGroup {
  readonly limitBytes: number;
  /** Where the kernel shows it. */
  readonly folder: string;
  /** Runs the command it is followed by inside the group. */
  readonly within: readonly string[];
  usedBytes(): Promise<number>;
  /** The most since the group began, or since `forgetPeak` where the kernel can forget (cgroup v1). */
  peakBytes(): Promise<number>;
  forgetPeak(): Promise<void>;
  /**
   * The most that its TCP sockets had in buffers. Version 1 of cgroups counts them beside the group's memory; of version 2,
   * which counts them in it and keeps no peak, the most of ten readings a second.
   */
  tcpPeakBytes(): Promise<number>;
  oomKills(): Promise<number>;
  /** Ends what is left inside. */
  remove(): Promise<void>;
}

/** The most of ten readings a second. */
function highest(read: () => Promise<number>) {
  let most = 0;
  const reading = setInterval(() => {
    void read().then((now) => {
      most = Math.max(most, now);
    });
  }, 100);
  return { most: () => Promise.resolve(most), end: () => clearInterval(reading) };
}

const textOf = (path: string) => readFile(path, 'utf8').catch(() => '');
const found = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0);

let cgroups: Promise<Cgroups> | undefined;

async function open(): Promise<Cgroups> {
  const texts = ['/proc/self/mountinfo', '/proc/self/cgroup'].map((path) => readFile(path, 'utf8'));
  const [mountinfo = '', own = ''] = await Promise.all(texts);
  const opened = await openCgroups(
    `memory-${randomBytes(3).toString('hex')}`,
    findPlaces(mountinfo, own),
    () => {},
  );
  if (opened.version === 'none') throw new Error('memory cgroups cannot be made here: this needs root');
  return opened;
}

export async function memoryGroup(limitBytes: number): Promise<MemoryGroup> {
  cgroups ??= open();
  const groups = await cgroups;
  const id = randomBytes(4).toString('hex');
  const joins = await groups.create(id, { memoryBytes: limitBytes, vcpus: 2 });
  const folder = dirname(joins[0] ?? '');
  const peakFile = join(folder, groups.version === 'v1' ? 'memory.max_usage_in_bytes' : 'memory.peak');
  const usage = async () => {
    const now = await groups.usage(id);
    if (now === undefined) throw new Error('the memory group is gone');
    return now;
  };
  const sock = highest(async () => found(await textOf(join(folder, 'memory.stat')), /^sock (\d+)$/m));
  return {
    limitBytes,
    folder,
    within: ['sh', '-c', `for file in ${joins.join(' ')}; do echo 0 > $file; done; exec "$0" "$@"`],
    usedBytes: async () => (await usage()).memoryBytes,
    oomKills: async () => (await usage()).oomKills,
    peakBytes: async () => Number(await readFile(peakFile, 'utf8')),
    async tcpPeakBytes() {
      if (groups.version === 'v2') return sock.most();
      return Number(await readFile(join(folder, 'memory.kmem.tcp.max_usage_in_bytes'), 'utf8'));
    },
    async forgetPeak() {
      if (groups.version === 'v1') await writeFile(peakFile, '0');
    },
    async remove() {
      sock.end();
      for (const pid of await groups.processes(id)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // it has ended meanwhile
        }
      }
      await groups.remove(id);
      if ((await groups.ids()).length > 0) return;
      cgroups = undefined;
      await groups.close();
    },
  };
}

/** A machine that is the amphora's alone, with clients and members on it: their memory and their sockets count as well. */
export function wholeMachine(): MemoryGroup {
  const limitBytes = totalmem();
  const usedBytes = async () =>
    limitBytes - found(await textOf('/proc/meminfo'), /^MemAvailable:\s+(\d+) kB/m) * 1024;
  const used = highest(usedBytes);
  const tcp = highest(async () => found(await textOf('/proc/net/sockstat'), /^TCP: .* mem (\d+)$/m) * 4096);
  return {
    ...{ limitBytes, folder: '/proc', within: [], usedBytes, peakBytes: used.most, tcpPeakBytes: tcp.most },
    forgetPeak: () => Promise.resolve(),
    oomKills: async () => found(await textOf('/proc/vmstat'), /^oom_kill (\d+)$/m),
    remove() {
      used.end();
      tcp.end();
      return Promise.resolve();
    },
  };
}
