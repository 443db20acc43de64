import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../src/platform/run.ts';

/** Clients at once, each with one connection and one request under way. */
const clients = 32;

export const slice = {
  /** The clients connect, and are not measured yet. */
  warmUpMs: 60,
  measuredMs: 150,
} as const;

export interface Load {
  readonly url: string;
  /** HAProxy's worker, of one thread. */
  readonly pid: number;
  /** A connection for each request, instead of one that each client keeps. */
  readonly close: boolean;
  /** Headers as a browser sends them, and a thousand paths in turn, which come again. */
  readonly asBrowser: boolean;
  /** Of all clients together, whatever the answers take; as many as they get when there is none. */
  readonly perSecond?: number;
  /** How many a slice is, its warm-up included: more than are measured. */
  readonly requests: number;
}

export interface Sample {
  readonly requests: number;
  readonly ms: number;
  /** How many requests took so many microseconds. */
  readonly latencies: ReadonlyMap<number, number>;
  /** CPU time of HAProxy's, with what the kernel did for it: as the requests before and after took. */
  readonly cpuNs: number;
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

const header = (line: string): string[] => ['-H', line];
const browserLines = Object.entries(browserHeaders).flatMap(([name, value]) => header(`${name}: ${value}`));

/**
 * A slice of h2load: throws when an answer was not 200. Told by their number, since h2load 1.52 does not always end
 * when it is told how long and the server closes connections.
 */
export async function slicedLoad({ url, pid, close, asBrowser, perSecond, requests }: Load): Promise<Sample> {
  const folder = await mkdtemp(join(tmpdir(), 'load-'));
  try {
    const [log, urls] = [join(folder, 'log'), join(folder, 'urls')];
    const paths = asBrowser ? Array.from({ length: 1000 }, (_, n) => `${url}shop/items/${n}`) : [url];
    await writeFile(urls, `${paths.join('\n')}\n`);
    const before = await cpuNs(pid);
    const said = await run(
      [
        ...[
          'h2load',
          '--h1',
          '-t1',
          `-c${clients}`,
          `-n${Math.max(clients, requests)}`,
          `-i${urls}`,
          `--log-file=${log}`,
        ],
        ...(perSecond === undefined ? [] : [`--rps=${Math.max(1, Math.round(perSecond / clients))}`]),
        ...(close ? header('Connection: close') : []),
        ...(asBrowser ? browserLines : []),
      ],
      { timeoutMs: 20_000 },
    );
    const spent = (await cpuNs(pid)) - before;
    const answers = (await readFile(log, 'utf8')).trimEnd().split('\n').map(answerOf);
    const failed = answers.find(({ status }) => status !== 200);
    if (failed !== undefined) throw new Error(`${url}: ${failed.status}\n${said}`);
    return measured(answers, spent);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Microseconds. */
interface Answer {
  readonly askedAt: number;
  readonly status: number;
  readonly took: number;
}

function answerOf(line: string): Answer {
  const [askedAt = Number.NaN, status = Number.NaN, took = Number.NaN] = line.split('\t').map(Number);
  return { askedAt, status, took };
}

/** What was asked between the warm-up and the end. */
function measured(answers: readonly Answer[], cpuNs: number): Sample {
  const bound = (of: (one: number, other: number) => number, what: (answer: Answer) => number): number =>
    answers.map(what).reduce((one, other) => of(one, other));
  const from = bound(Math.min, ({ askedAt }) => askedAt) + slice.warmUpMs * 1000;
  const last = bound(Math.max, ({ askedAt }) => askedAt);
  const until = Math.min(last, from + slice.measuredMs * 1000);
  const latencies = new Map<number, number>();
  let requests = 0;
  for (const { askedAt, took } of answers) {
    if (askedAt < from || askedAt >= until) continue;
    latencies.set(took, (latencies.get(took) ?? 0) + 1);
    requests += 1;
  }
  if (requests === 0) throw new Error(`a slice of ${answers.length} requests ends with its warm-up`);
  return { requests, ms: (until - from) / 1000, latencies, cpuNs: (cpuNs * requests) / answers.length };
}

export function together(samples: readonly Sample[]): Sample {
  const sum = (of: (sample: Sample) => number): number =>
    samples.reduce((all, sample) => all + of(sample), 0);
  const latencies = new Map<number, number>();
  for (const sample of samples) {
    for (const [us, count] of sample.latencies) latencies.set(us, (latencies.get(us) ?? 0) + count);
  }
  return {
    requests: sum(({ requests }) => requests),
    ms: sum(({ ms }) => ms),
    latencies,
    cpuNs: sum((sample) => sample.cpuNs),
  };
}

/** What lies at a share (0 to 1) of the requests, in microseconds. */
export function latencyAt({ requests, latencies }: Sample, share: number): number {
  let seen = 0;
  for (const [us, count] of [...latencies].toSorted(([a], [b]) => a - b)) {
    seen += count;
    if (seen >= requests * share) return us;
  }
  return Number.NaN;
}

/** What the first thread of a process has had of a CPU so far. */
async function cpuNs(pid: number): Promise<number> {
  return Number((await readFile(`/proc/${pid}/schedstat`, 'utf8')).split(' ')[0]);
}
