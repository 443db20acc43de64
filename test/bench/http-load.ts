import { Client } from 'undici';
import { median, percentile } from './figures.ts';

export interface Load {
  readonly url: string;
  readonly clients: number;
  /** Milliseconds; a request under way at the end is waited for. */
  readonly forMs: number;
  /** Requests at most. */
  readonly atMost?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The n-th request. */
  readonly request: (n: number) => {
    readonly method: 'GET' | 'POST';
    readonly path: string;
    readonly body?: unknown;
  };
}

export interface Figures {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** So many clients, each on one kept connection, each with one request at a time. Any status of 400 or more throws. */
export async function drive(load: Load): Promise<Figures> {
  const times: number[] = [];
  let sent = 0;
  const since = performance.now();
  const client = async (): Promise<void> => {
    const connection = new Client(load.url);
    while (performance.now() - since < load.forMs && sent < (load.atMost ?? Infinity)) {
      const { method, path, body } = load.request(sent++);
      const begun = performance.now();
      const answer = await connection.request({
        method,
        path,
        headers: { ...load.headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
        body: body === undefined ? null : JSON.stringify(body),
      });
      const bytes = await answer.body.arrayBuffer();
      if (answer.statusCode >= 400) {
        throw new Error(`${method} ${path}: ${answer.statusCode} ${Buffer.from(bytes).toString()}`);
      }
      times.push(performance.now() - begun);
    }
    await connection.close();
  };
  await Promise.all(Array.from({ length: load.clients }, client));
  return {
    requests: times.length,
    perSecond: (times.length * 1000) / (performance.now() - since),
    p50Ms: median(times),
    p99Ms: percentile(times, 0.99),
  };
}
