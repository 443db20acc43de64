import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setImmediate as othersTurn, setTimeout as sleep } from 'node:timers/promises';
import { Gauge, Registry } from 'prom-client';
import type { Log } from './log.ts';

/** Seconds, from a statement in the database to the boot of an amphora. */
export const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** A scrape goes on without what does not come so soon. */
const answerMs = 4000;

/** Asks once for all who want to know at the same time. Undefined: it failed, or takes too long for a scrape. */
export function inTime<T>(ask: () => Promise<T>, withinMs = answerMs): () => Promise<T | undefined> {
  let asked: Promise<T | undefined> | undefined;
  return () =>
    (asked ??= Promise.race([
      ask().catch(() => undefined),
      sleep(withinMs, undefined, { ref: false }),
    ]).finally(() => (asked = undefined)));
}

type Asked<T> = () => T | undefined | Promise<T | undefined>;

/** A gauge that is asked at every scrape; what nobody knows is not told. */
export function gauge(registry: Registry, name: string, help: string, ask: Asked<number>): void {
  const told = new Gauge({
    ...{ name, help, registers: [] },
    async collect() {
      const value = await ask();
      if (value === undefined) this.remove();
      else this.set(value);
    },
  });
  registry.registerMetric(told);
}

/** The same of several numbers, each with the label `state`. */
export function gaugeByState(
  registry: Registry,
  name: string,
  help: string,
  ask: Asked<Readonly<Record<string, number>>>,
): void {
  const told = new Gauge({
    ...{ name, help, labelNames: ['state'], registers: [] },
    async collect() {
      const values = await ask();
      this.reset();
      for (const [state, value] of Object.entries(values ?? {})) this.set({ state }, value);
    },
  });
  registry.registerMetric(told);
}

/** Lines of Prometheus' text format, in pieces; asked anew for each scrape. */
export type MetricsSource = () => AsyncIterable<string>;

export interface MetricsOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Told one after the other. */
  readonly sources: readonly MetricsSource[];
  readonly log: Log;
}

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Who asks and then does not read for so long is left alone. */
const patienceMs = 30_000;
/** Those who watch us are few. */
const connections = 32;

/** Answers `GET /metrics`, to anybody: where it listens decides who may know. Rejects when the address cannot be had. */
export async function serveMetrics({ host, port, sources, log }: MetricsOptions): Promise<MetricsServer> {
  async function* all(): AsyncGenerator<string> {
    for (const source of sources) {
      for await (const piece of source()) {
        yield piece;
        // Even one who reads as fast as we write keeps nobody else waiting.
        await othersTurn();
      }
    }
  }
  const server = createServer((request, answer) => {
    if (request.url?.split('?')[0] !== '/metrics') return refuse(answer, 404, 'Metrics are at /metrics.\n');
    if (request.method !== 'GET') return refuse(answer, 405, 'Metrics can only be read.\n', { allow: 'GET' });
    answer.writeHead(200, { 'content-type': Registry.PROMETHEUS_CONTENT_TYPE });
    pipeline(all, answer).catch((error: unknown) => log.warn({ err: error }, 'a scrape broke off'));
  });
  server.maxConnections = connections;
  server.setTimeout(patienceMs);
  server.listen(port, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function refuse(answer: ServerResponse, status: number, text: string, headers = {}): void {
  answer.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers }).end(text);
}
