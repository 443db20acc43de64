import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** cgroup v1 writes no limit as the largest number of pages it can count. */
export const unlimitedBytes = 2 ** 60;

export interface Cgroup {
  readonly version: 'v1' | 'v2';
  readonly folder: string;
  readonly limitBytes: number;
  readonly usedBytes: number;
}

export async function numberIn(path: string): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const value = Number.parseInt(text, 10);
  return Number.isFinite(value) ? value : undefined;
}

/** The memory cgroup we are in, v1 or v2, where it is visible and has a limit. */
export async function ownCgroup(): Promise<Cgroup | undefined> {
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
      return { version: v1 ? 'v1' : 'v2', folder, limitBytes, usedBytes: usedBytes ?? 0 };
  }
  return undefined;
}
