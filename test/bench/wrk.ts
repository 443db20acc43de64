import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../src/platform/run.ts';
import type { Latencies } from './latencies.ts';

export interface Sample {
  readonly perSecond: number;
  readonly latencies: Latencies;
  /** Of the process alone, with what the kernel does for it. */
  readonly cpuUsPerRequest: number;
}

export interface Load {
  readonly url: string;
  /** HAProxy's worker. */
  readonly pid: number;
  readonly seconds: number;
  readonly close: boolean;
  /** Headers as a browser sends them, and another path with each request, so that no cache knows the answer. */
  readonly asBrowser: boolean;
}

/** As a browser sends them, all but the first line. */
export const browserHeaders = {
  'User-Agent':
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
  Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  'Accept-Encoding': 'gzip, deflate, br',
  'Accept-Language': 'en-US,en;q=0.9,de;q=0.8',
  Cookie: 'session=0123456789abcdef0123456789abcdef; theme=dark',
  Referer: 'https://www.example.com/shop/',
} as const;

const lines = Object.entries(browserHeaders).map(([name, value]) => `wrk.headers["${name}"] = "${value}"\n`);
/** What wrk sends, and its summary: requests, duration in microseconds, failures; then how many took how long. */
const script = (asBrowser: boolean): string => `${asBrowser ? lines.join('') : ''}
${asBrowser ? 'n = 0\nrequest = function()\n n = n + 1\n return wrk.format("GET", "/shop/items/" .. n)\nend' : ''}
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("@%d %d %d\\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout))
  for i = 1, #latency do
    io.write(string.format("#%d %d\\n", latency(i)))
  end
end
`;

/** 32 clients of wrk, and what HAProxy spent on them. */
export async function underLoad({ url, pid, seconds, close, asBrowser }: Load): Promise<Sample> {
  const folder = await mkdtemp(join(tmpdir(), 'wrk-'));
  try {
    const file = join(folder, 'script.lua');
    await writeFile(file, script(asBrowser));
    const before = await cpuSeconds(pid);
    const said = await run(
      ['wrk', '-t1', '-c32', `-d${seconds}s`, '-s', file].concat(
        close ? ['-H', 'Connection: close', url] : [url],
      ),
      { timeoutMs: (seconds + 20) * 1000 },
    );
    const spent = (await cpuSeconds(pid)) - before;
    const [requests = 0, durationUs = 0, errors = 0] = (/^@(.*)$/m.exec(said)?.[1] ?? '')
      .split(' ')
      .map(Number);
    if (requests === 0 || errors > 0) throw new Error(`${url}: ${errors} errors\n${said}`);
    const latencies = new Map(
      [...said.matchAll(/^#(\d+) (\d+)$/gm)].map(([, us, count]) => [Number(us), Number(count)]),
    );
    return { perSecond: requests / (durationUs / 1e6), latencies, cpuUsPerRequest: (spent / requests) * 1e6 };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** User and system time of a process so far. */
export async function cpuSeconds(pid: number): Promise<number> {
  const cells = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(cells[11]) + Number(cells[12])) / 100;
}
