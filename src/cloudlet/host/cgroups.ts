import { access, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno } from './processes.ts';

/**
 * Where groups can be made: the folder of the memory controller, and of the CPU controller when that is another (v1).
 * Kernel documentation: admin-guide/cgroup-v1/memory.rst, admin-guide/cgroup-v2.rst.
 */
export interface Place {
  readonly version: 'v1' | 'v2';
  readonly memory: string;
  readonly cpu: string | undefined;
}

export interface Usage {
  readonly oomKills: number;
  readonly memoryBytes: number;
  readonly limitBytes: number;
}

/** Limits of instances. Without cgroups (`none`) every call does nothing. */
export interface Cgroups {
  readonly version: 'v1' | 'v2' | 'none';
  /** Makes the group; gives the files into which a process writes 0 to join. */
  create(id: string, limits: { memoryBytes: number; vcpus: number }): Promise<readonly string[]>;
  /** Undefined: there is no such group. */
  usage(id: string): Promise<Usage | undefined>;
  ids(): Promise<readonly string[]>;
  processes(id: string): Promise<readonly number[]>;
  /** Waits until the last process has left. */
  remove(id: string): Promise<void>;
  close(): Promise<void>;
}

const none: Cgroups = {
  version: 'none',
  create: async () => [],
  usage: async () => undefined,
  ids: async () => [],
  processes: async () => [],
  remove: async () => {},
  close: async () => {},
};

/** The first place where groups can really be made. `refused` is told why another could not be used. */
export async function openCgroups(
  name: string,
  places: readonly Place[],
  refused: (place: Place, error: unknown) => void,
): Promise<Cgroups> {
  for (const place of places) {
    const cgroups = cgroupsAt(place, name);
    try {
      await cgroups.create('probe', { memoryBytes: 2 ** 25, vcpus: 1 });
      await cgroups.remove('probe');
      return cgroups;
    } catch (error) {
      refused(place, error);
    }
  }
  return none;
}

/**
 * The mounts' own root first: it stays the same when the program is started again from elsewhere. Then our own group,
 * which may have been given to us.
 * @param mountinfo text of /proc/self/mountinfo
 * @param own text of /proc/self/cgroup
 */
export function findPlaces(mountinfo: string, own: string): Place[] {
  const mounts = mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [type, , options = ''] = after.split(' ');
    const [, , , root = '/', point = ''] = before.split(' ');
    return type === 'cgroup' || type === 'cgroup2'
      ? [{ type, root, point, options: options.split(',') }]
      : [];
  });
  const groups = own.split('\n').map((line) => line.split(':'));
  const folders = (controller: string) => {
    const mount = mounts.find(({ type, options }) =>
      controller === '' ? type === 'cgroup2' : type === 'cgroup' && options.includes(controller),
    );
    if (mount === undefined) return [];
    const group =
      groups.find(([, controllers = '']) => controllers.split(',').includes(controller))?.[2] ?? '/';
    const inside = group.startsWith(mount.root) ? group.slice(mount.root.length) : group;
    return [mount.point, join(mount.point, inside)].map((folder) => folder.replace(/\/$/, ''));
  };
  const cpu = folders('cpu');
  const v1 = folders('memory').map((memory, index): Place => ({ version: 'v1', memory, cpu: cpu[index] }));
  const v2 = folders('').map((memory): Place => ({ version: 'v2', memory, cpu: undefined }));
  const all = [...v1, ...v2];
  return all.filter((place, index) => all.findIndex(({ memory }) => memory === place.memory) === index);
}

/**
 * Of an instance's memory, for the buffers of its TCP sockets: about what a kernel gives TCP on a machine of that size
 * (`net.ipv4.tcp_mem`), which namespaces of one machine would else share. Version 2 counts them as the group's memory
 * and has no such bound: there an instance sees to them itself.
 */
const tcpShare = 0.08;

/** Groups `livia-<host>/<instance>` in the place. */
export function cgroupsAt(place: Place, host: string): Cgroups {
  const name = `livia-${host}`;
  const v1 = place.version === 'v1';
  const tops = place.cpu === undefined ? [place.memory] : [place.memory, place.cpu];
  const memory = (id: string, file = '') => join(place.memory, name, id, file);

  async function create(id: string, limits: { memoryBytes: number; vcpus: number }): Promise<string[]> {
    if (!v1) {
      await delegate(place.memory);
      await mkdir(join(place.memory, name), { recursive: true });
      await delegate(join(place.memory, name));
    }
    for (const top of tops) await mkdir(join(top, name, id), { recursive: true });
    const bytes = String(limits.memoryBytes);
    const quota = String(limits.vcpus * 100_000);
    if (v1) {
      await writeFile(memory(id, 'memory.limit_in_bytes'), bytes);
      await writeIfThere(memory(id, 'memory.memsw.limit_in_bytes'), bytes);
      const tcpBytes = String(Math.floor(limits.memoryBytes * tcpShare));
      await writeIfThere(memory(id, 'memory.kmem.tcp.limit_in_bytes'), tcpBytes);
      if (place.cpu !== undefined) await writeFile(join(place.cpu, name, id, 'cpu.cfs_quota_us'), quota);
    } else {
      await writeFile(memory(id, 'memory.max'), bytes);
      await writeIfThere(memory(id, 'memory.swap.max'), '0');
      await writeFile(memory(id, 'memory.oom.group'), '0');
      await writeFile(memory(id, 'cpu.max'), `${quota} 100000`);
    }
    return tops.map((top) => join(top, name, id, 'cgroup.procs'));
  }

  async function processes(id: string): Promise<number[]> {
    const text = await readIfThere(memory(id, 'cgroup.procs'));
    return (text ?? '').split('\n').filter(Boolean).map(Number);
  }

  return {
    version: place.version,
    create,
    processes,

    async usage(id) {
      const events = await readIfThere(memory(id, v1 ? 'memory.oom_control' : 'memory.events'));
      const used = await readIfThere(memory(id, v1 ? 'memory.usage_in_bytes' : 'memory.current'));
      const limit = await readIfThere(memory(id, v1 ? 'memory.limit_in_bytes' : 'memory.max'));
      if (events === undefined || used === undefined || limit === undefined) return undefined;
      const oomKills = Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? 0);
      return { oomKills, memoryBytes: Number(used), limitBytes: Number(limit) };
    },

    async ids() {
      const entries = await readdir(join(place.memory, name), { withFileTypes: true }).catch(
        (error: unknown) => {
          if (isErrno(error, 'ENOENT')) return [];
          throw error;
        },
      );
      return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    },

    async remove(id) {
      for (const top of tops) await removeGroup(join(top, name, id));
    },

    async close() {
      for (const top of tops) await removeGroup(join(top, name));
    },
  };
}

/** Hands memory and CPU control on to the groups below (v2). */
async function delegate(folder: string): Promise<void> {
  const control = join(folder, 'cgroup.subtree_control');
  try {
    await writeFile(control, '+memory +cpu');
  } catch (error) {
    // A group with processes of its own cannot have limited groups below it; the root of a container is such a group.
    if (!isErrno(error, 'EBUSY')) throw error;
    const leaf = join(folder, 'init');
    await mkdir(leaf, { recursive: true });
    for (const pid of (await readFile(join(folder, 'cgroup.procs'), 'utf8')).split('\n').filter(Boolean)) {
      await writeFile(join(leaf, 'cgroup.procs'), pid).catch((gone: unknown) => {
        if (!isErrno(gone, 'ESRCH')) throw gone;
      });
    }
    await writeFile(control, '+memory +cpu');
  }
}

/** A group is busy until the kernel has done away with its last process. */
async function removeGroup(folder: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    try {
      await rmdir(folder);
      return;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return;
      if (!isErrno(error, 'EBUSY') || Date.now() > deadline) throw error;
    }
    await sleep(5);
  }
}

async function writeIfThere(path: string, text: string): Promise<void> {
  const there = await access(path).then(
    () => true,
    () => false,
  );
  if (there) await writeFile(path, text);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENODEV')) return undefined;
    throw error;
  }
}
