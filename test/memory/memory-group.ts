import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
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
   * The most that its TCP sockets had in buffers, which version 1 of cgroups counts beside the group's memory;
   * undefined where it does not count them.
   */
  tcpPeakBytes(): Promise<number | undefined>;
  oomKills(): Promise<number>;
  /** Ends what is left inside. */
  remove(): Promise<void>;
}

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
  return {
    limitBytes,
    folder,
    within: ['sh', '-c', `for file in ${joins.join(' ')}; do echo 0 > $file; done; exec "$0" "$@"`],
    usedBytes: async () => (await usage()).memoryBytes,
    oomKills: async () => (await usage()).oomKills,
    peakBytes: async () => Number(await readFile(peakFile, 'utf8')),
    async tcpPeakBytes() {
      const text = await readFile(join(folder, 'memory.kmem.tcp.max_usage_in_bytes'), 'utf8').catch(() => '');
      return text === '' ? undefined : Number(text);
    },
    async forgetPeak() {
      if (groups.version === 'v1') await writeFile(peakFile, '0');
    },
    async remove() {
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
