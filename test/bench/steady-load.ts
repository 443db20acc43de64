import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../src/platform/run.ts';
import { cpuSeconds, type Sample } from './wrk.ts';

const clients = 32;

export interface SteadyLoad {
  readonly url: string;
  /** HAProxy's worker. */
  readonly pid: number;
  readonly seconds: number;
  /** Of all clients together. */
  readonly perSecond: number;
}

/** 32 clients of h2load, each with a connection that it keeps, who ask at a rate that does not depend on the answers. */
export async function atRate({ url, pid, seconds, perSecond }: SteadyLoad): Promise<Sample> {
  const folder = await mkdtemp(join(tmpdir(), 'h2load-'));
  try {
    const log = join(folder, 'log');
    const each = Math.max(1, Math.round(perSecond / clients));
    const before = await cpuSeconds(pid);
    const startedAt = performance.now();
    await run(
      ['h2load', '--h1', '-t1', `-c${clients}`, `-n${clients * each * seconds}`, `--rps=${each}`].concat(
        `--log-file=${log}`,
        url,
      ),
      { timeoutMs: (seconds + 20) * 1000 },
    );
    const took = (performance.now() - startedAt) / 1000;
    const spent = (await cpuSeconds(pid)) - before;
    const latencies = new Map<number, number>();
    let requests = 0;
    for (const line of (await readFile(log, 'utf8')).trimEnd().split('\n')) {
      const [, status, us] = line.split('\t').map(Number);
      if (status !== 200 || us === undefined) throw new Error(`${url}: ${line}`);
      latencies.set(us, (latencies.get(us) ?? 0) + 1);
      requests += 1;
    }
    return { perSecond: requests / took, latencies, cpuUsPerRequest: (spent / requests) * 1e6 };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
