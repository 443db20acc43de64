import { readFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { ownCgroup } from './cgroup.ts';

const miB = 1024 * 1024;
async function machineUsedBytes(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  return totalmem() - Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}

export interface Machine {
  readonly limitBytes: number;
  readonly reservedBytes: number;
  readonly tcpInside: boolean;
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
    tcpInside: cgroup?.version === 'v2',
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
