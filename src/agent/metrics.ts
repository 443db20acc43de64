import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createInterface } from 'node:readline';
import { isInternal } from '../plan/haproxy/exporter.ts';
import { memberOf } from '../plan/haproxy/server-names.ts';
import type { Log } from '../platform/log.ts';
import type { AgentPaths } from './paths.ts';

/**
 * The metrics of a PROMETHEUS listener: HAProxy's own, by the names and labels that Octavia gives them, so that
 * dashboards made for Octavia go on working.
 */

/** HAProxy's process in Octavia's words; what is not here is of no interest to a user. */
const ofLoadBalancer: ReadonlySet<string> = new Set(
  `max_connections current_connections connections_total requests_total max_ssl_connections current_ssl_connections
   ssl_connections_total current_connection_rate limit_connection_rate max_connection_rate current_session_rate
   limit_session_rate max_session_rate current_ssl_rate limit_ssl_rate max_ssl_rate
   current_frontend_ssl_key_rate max_frontend_ssl_key_rate frontend_ssl_reuse current_backend_ssl_key_rate
   max_backend_ssl_key_rate ssl_cache_lookups_total ssl_cache_misses_total http_comp_bytes_in_total
   http_comp_bytes_out_total limit_http_comp listeners dropped_logs_total`.split(/\s+/),
);
const kinds: Readonly<Record<string, string>> = { frontend: 'listener', backend: 'pool', server: 'member' };

function nameOf(kind: string, rest: string): string | undefined {
  if (kind !== 'process') return `octavia_${kinds[kind]}_${rest}`;
  if (/^pool_(allocated_bytes|used_bytes|failures_total)$/.test(rest)) return `octavia_memory_${rest}`;
  return ofLoadBalancer.has(rest) ? `octavia_loadbalancer_${rest}` : undefined;
}

/**
 * One line of Prometheus' text format; undefined: it is not for users. `leaves`: whether a server is there only until its
 * last connections have ended; its member may have another.
 */
export function translated(line: string, leaves: Leaves): string | undefined {
  const found = /^(# (?:HELP|TYPE) )?haproxy_(process|frontend|backend|server)_(\w+)(.*)$/.exec(line);
  if (found === null) return undefined;
  const [, head = '', kind = '', rest = '', tail = ''] = found;
  const name = nameOf(kind, rest);
  if (name === undefined) return undefined;
  // HAProxy 3.0.0 says the head of its helps twice.
  if (head !== '') return `${head}${name}${tail.replace(/^ # HELP \w+/, '')}`;
  const proxy = /^\{proxy="([^"]*)"/.exec(tail)?.[1];
  if (proxy !== undefined && isInternal(proxy)) return undefined;
  const server = /,server="([^"]*)"/.exec(tail)?.[1];
  if (proxy !== undefined && server !== undefined && leaves(proxy, server)) return undefined;
  const label = kind === 'frontend' ? 'listener' : 'pool';
  return `${name}${tail.replace('{proxy=', `{${label}=`).replace(/,server="([^"]*)"/, (_, name: string) => `,member="${memberOf(name)}"`)}`;
}

function gauge(name: string, help: string, value: number): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${value.toFixed(1)}\n`;
}

type Leaves = (proxy: string, server: string) => boolean;

export interface MetricsOptions {
  readonly paths: AgentPaths;
  /** Of the amphora's memory limit, how much is in use. */
  readonly memoryPercent: () => Promise<number>;
  readonly leaves: Leaves;
  readonly log: Log;
}

/** Listens for HAProxy, which passes scrapes on. Line by line: of ten thousand members there are many megabytes. */
export async function serveMetrics({ paths, memoryPercent, leaves, log }: MetricsOptions): Promise<Server> {
  async function scrape(answer: ServerResponse): Promise<void> {
    const asked = request({ socketPath: paths.exporterSocket, path: '/metrics', timeout: 20_000 }).end();
    const [own] = (await once(asked, 'response')) as [IncomingMessage];
    answer.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
    const memory = 'Load balancer memory utilization (percentage).';
    answer.write(gauge('octavia_loadbalancer_memory', memory, await memoryPercent()));
    for await (const line of createInterface({ input: own })) {
      const idle = /^haproxy_process_idle_time_percent (\d+)/.exec(line)?.[1];
      if (idle !== undefined) {
        const help = 'Load balancer CPU utilization (percentage).';
        answer.write(gauge('octavia_loadbalancer_cpu', help, 100 - Number(idle)));
      }
      const said = translated(line, leaves);
      if (said !== undefined && !answer.write(`${said}\n`)) await once(answer, 'drain');
    }
    answer.end();
  }

  const server = createServer((_, answer) => {
    scrape(answer).catch((error: unknown) => {
      log.warn({ err: error }, 'the metrics could not be told');
      answer.destroy();
    });
  });
  await rm(paths.metricsSocket, { force: true });
  server.listen(paths.metricsSocket);
  await once(server, 'listening');
  // HAProxy comes as the user it has dropped to.
  await chmod(paths.run, 0o711);
  await chmod(paths.metricsSocket, 0o666);
  return server;
}
