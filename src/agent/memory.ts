import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { availableParallelism, totalmem } from 'node:os';

const miB = 1024 * 1024;
/** cgroup v1 writes no limit as the largest number of pages it can count. */
const unlimitedBytes = 2 ** 60;

interface Cgroup {
  readonly limitBytes: number;
  readonly usedBytes: number;
}

async function numberIn(path: string): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const value = Number.parseInt(text, 10);
  return Number.isFinite(value) ? value : undefined;
}

/** The memory cgroup we are in, v1 or v2, where it is visible and has a limit. */
async function ownCgroup(): Promise<Cgroup | undefined> {
  const text = await readFile('/proc/self/cgroup', 'utf8').catch(() => '');
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const v1 = controllers.split(',').includes('memory');
    if (!v1 && controllers !== '') continue;
    const mount = mounts
      .split('\n')
      .map((entry) => entry.split(' '))
      .find((cells) => {
        const type = cells[cells.indexOf('-') + 1];
        return v1
          ? type === 'cgroup' && cells.at(-1)?.split(',').includes('memory') === true
          : type === 'cgroup2';
      });
    const [root = '', point = ''] = mount?.slice(3, 5) ?? [];
    if (point === '') continue;
    const folder = join(point, path.startsWith(root) ? path.slice(root.length) : path);
    const limitBytes = await numberIn(join(folder, v1 ? 'memory.limit_in_bytes' : 'memory.max'));
    const usedBytes = await numberIn(join(folder, v1 ? 'memory.usage_in_bytes' : 'memory.current'));
    if (limitBytes !== undefined && limitBytes < unlimitedBytes)
      return { limitBytes, usedBytes: usedBytes ?? 0 };
  }
  return undefined;
}

async function machineUsedBytes(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  return totalmem() - Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}

export interface Machine {
  readonly limitBytes: number;
  readonly reservedBytes: number;
  readonly fileLimit: number;
  readonly threads: number;
}

/**
 * What this amphora has: the smallest of its cgroup's limit, its memory and the size it was told
 * (`LIVIA_MEMORY_LIMIT_BYTES`). Never what happens to be free. With an own limit it holds the agent and HAProxy
 * alone; a whole machine also holds an operating system.
 */
export async function measureMachine(env: NodeJS.ProcessEnv = process.env): Promise<Machine> {
  const told = Number(env['LIVIA_MEMORY_LIMIT_BYTES']);
  const cgroup = await ownCgroup();
  const limitBytes = Math.min(totalmem(), cgroup?.limitBytes ?? Infinity, told > 0 ? told : Infinity);
  const limits = await readFile('/proc/self/limits', 'utf8');
  return {
    limitBytes,
    reservedBytes: limitBytes < totalmem() ? 96 * miB : Math.max(384 * miB, Math.floor(limitBytes * 0.08)),
    // HAProxy raises its soft limit to the hard one by itself.
    fileLimit: Number(/^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1] ?? 1024),
    threads: Math.min(availableParallelism(), 64),
  };
}

export async function usedBytes(): Promise<number> {
  return (await ownCgroup())?.usedBytes ?? (await machineUsedBytes());
}

export async function rssBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}

/** Pages that TCP has taken for buffers, as this network namespace tells. */
export async function tcpBytes(): Promise<number> {
  const text = await readFile('/proc/net/sockstat', 'utf8').catch(() => '');
  return Number(/^TCP: .* mem (\d+)$/m.exec(text)?.[1] ?? 0) * 4096;
}
