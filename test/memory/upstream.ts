import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, parseProc } from '../../src/agent/haproxy/socket.ts';
import { tryRun } from '../../src/platform/run.ts';
import type { MemoryGroup } from './memory-group.ts';

/**
 * How Octavia sizes the session cache, before and after the fix of bug 2119987: a share of the memory that looks free
 * at that moment, less 32 KiB a connection, counted at 200 bytes an entry. An entry really takes 248.
 */
export type UpstreamPolicy = 'before its fix' | 'after its fix';

export function upstreamCacheSize(policy: UpstreamPolicy, availableKiB: number, maxconn: number): number {
  const leftKiB = Math.max(0, availableKiB - maxconn * 32);
  return policy === 'before its fix' ? Math.floor(leftKiB / 2) * 5 : Math.floor((leftKiB * 2) / 5) * 4;
}

/**
 * MemFree + Buffers + Cached of a machine that has the group's memory: the shared memory of a running cache counts as
 * Cached, so only what is neither shared nor of files is missing from it.
 */
async function availableKiB(group: MemoryGroup): Promise<number> {
  const stat = await readFile(join(group.folder, 'memory.stat'), 'utf8');
  const cached = Number(/^(?:cache|file) (\d+)$/m.exec(stat)?.[1] ?? 0);
  return (group.limitBytes - (await group.usedBytes()) + cached) / 1024;
}

/** HAProxy as Octavia runs it: written anew, checked with `-c`, and reloaded by SIGUSR2 at every change. */
export interface UpstreamAmphora {
  /** One change: how it ended. */
  change(): Promise<'done' | 'killed in the check' | 'down'>;
  remove(): Promise<void>;
}

export async function upstreamAmphora(options: {
  readonly group: MemoryGroup;
  readonly policy: UpstreamPolicy;
  readonly port: number;
  readonly memberPort: number;
  readonly maxconn: number;
  readonly certificatePem: string;
}): Promise<UpstreamAmphora> {
  const { group, policy, maxconn } = options;
  const folder = await mkdtemp(join(tmpdir(), 'upstream-'));
  const [configuration, master] = [join(folder, 'haproxy.cfg'), join(folder, 'master.sock')];
  await writeFile(join(folder, 'bundle.pem'), options.certificatePem, { mode: 0o600 });

  const write = async (): Promise<void> => {
    const cacheSize = upstreamCacheSize(policy, await availableKiB(group), maxconn);
    await writeFile(
      configuration,
      `global
    nbthread 2
    maxconn ${maxconn}
    tune.ssl.cachesize ${cacheSize}
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
frontend listener
    bind 127.0.0.1:${options.port} ssl crt ${folder}/bundle.pem
    default_backend pool
backend pool
    server member 127.0.0.1:${options.memberPort}
`,
    );
  };
  const state = async () => {
    try {
      return parseProc(await ask(master, 'show proc'));
    } catch {
      return undefined;
    }
  };
  const eventually = async (there: () => Promise<boolean>): Promise<boolean> => {
    for (let tries = 0; tries < 1500; tries += 1) {
      if (await there()) return true;
      if (child.exitCode !== null || child.signalCode !== null) return false;
      await sleep(20);
    }
    return false;
  };

  await write();
  const command = [...group.within, 'haproxy', '-W', '-S', master, '-f', configuration];
  const child = spawn('env', command, { stdio: 'ignore' });
  if (!(await eventually(async () => ((await state())?.workers.length ?? 0) > 0))) {
    throw new Error('HAProxy did not start');
  }

  return {
    async change() {
      await write();
      const check = await tryRun([...group.within, 'haproxy', '-c', '-f', configuration], {
        timeoutMs: 120_000,
      });
      if (check.code !== 0) return 'killed in the check';
      const before = await state();
      child.kill('SIGUSR2');
      const loaded = await eventually(async () => {
        const now = await state();
        return now !== undefined && now.reloads > (before?.reloads ?? 0) && now.workers[0]?.reloads === 0;
      });
      return loaded ? 'done' : 'down';
    },
    async remove() {
      child.kill('SIGKILL');
      await group.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
