import { Command, InvalidArgumentError } from 'commander';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { apiConfig } from '../src/api/config.ts';
import { measureRequests } from '../src/api/request-metrics.ts';
import { buildApi } from '../src/api/server.ts';
import type { Clouds } from '../src/clouds/clouds.ts';
import { connectClouds } from '../src/clouds/connect-clouds.ts';
import { fleetMetrics } from '../src/health/fleet-metrics.ts';
import { startFlowLogFile } from '../src/health/flow-log.ts';
import { heartbeatMetrics, measureSilence } from '../src/health/metrics.ts';
import { startReceiver } from '../src/health/receiver.ts';
import { keepWatch, SilenceWatch } from '../src/health/stale.ts';
import { type OpenedAuthority, openAuthority } from '../src/pki/authority-folder.ts';
import { heartbeatKey, openSecretKey } from '../src/pki/heartbeat-key.ts';
import { loadConfig } from '../src/platform/config.ts';
import { type Log, makeLog } from '../src/platform/log.ts';
import { type MetricsSource, serveMetrics } from '../src/platform/metrics.ts';
import { Settings } from '../src/platform/settings.ts';
import { keepHouse } from '../src/reconcile/housekeeping.ts';
import { reconcile } from '../src/reconcile/load-balancer.ts';
import { startLoop } from '../src/reconcile/loop.ts';
import { loopMetrics, measureQueue } from '../src/reconcile/metrics.ts';
import { measureDatabase } from '../src/store/metrics.ts';
import { openStore } from '../src/store/open-store.ts';
import { quotaDefaults } from '../src/store/quotas.ts';
import type { Store } from '../src/store/store.ts';

const roles = ['api', 'worker', 'health'] as const;
type Role = (typeof roles)[number];

interface Options {
  readonly roles: readonly Role[];
  readonly metricsPort?: number;
}

/** What the roles share, and how each ends: the last started first. */
interface Server {
  readonly settings: Settings;
  readonly store: Store;
  readonly clouds: Clouds;
  readonly authority: OpenedAuthority;
  readonly secretKey: Buffer;
  readonly watch: SilenceWatch;
  readonly log: Log;
  readonly registry: Registry;
  readonly endings: (() => unknown)[];
}

async function startApi({ settings, store, clouds, log, registry, endings }: Server): Promise<void> {
  const { api } = settings;
  const app = buildApi({
    ...clouds,
    store,
    log,
    clock: () => new Date(),
    newId: randomUUID,
    config: await apiConfig(settings, log),
  });
  measureRequests(app, registry);
  const address = await app.listen({ host: api.host, port: api.port });
  endings.push(() => app.close());
  log.info({ address }, 'the API listens');
  if (api.auth_strategy !== 'keystone') {
    log.warn({ auth_strategy: api.auth_strategy }, 'the API believes whoever asks');
  }
}

async function startWorker(server: Server): Promise<void> {
  const { settings, store, log, watch, registry, endings } = server;
  const metrics = loopMetrics(registry);
  measureQueue(store.work, registry);
  const context = { ...server, metrics, listeningSince: () => watch.listeningSince };
  const loop = await startLoop({
    work: store.work,
    run: (key, options) => metrics.run(reconcile(key, context, options)),
    owner: `${hostname()}-${process.pid}-${randomUUID()}`,
    log,
    parallel: settings.worker.parallel,
    leaseMs: settings.worker.lease_seconds * 1000,
  });
  endings.push(() => loop.stop(), keepHouse(server));
}

async function startHealth(server: Server): Promise<void> {
  const { settings, store, secretKey, watch, log, registry, endings } = server;
  const { host, port, heartbeat_timeout_seconds: timeoutSeconds } = settings.health;
  measureSilence({ amphorae: store.amphorae, watch, timeoutMs: timeoutSeconds * 1000 }, registry);
  const receiver = await startReceiver({
    store,
    host,
    port,
    log,
    keyOf: (id) => heartbeatKey(secretKey, id),
    metrics: heartbeatMetrics(registry),
  });
  endings.push(() => receiver.close(), keepWatch(watch, log));
  log.info({ host, port: receiver.port }, 'heartbeats are listened to');
  const { file, file_port: filePort, file_megabytes: megabytes, files } = settings.flow_logs;
  if (file === undefined) return;
  const fileBytes = Math.ceil(megabytes * 1e6);
  const flowLog = await startFlowLogFile({ path: file, host, port: filePort, fileBytes, files, log });
  endings.push(() => flowLog.close());
  log.info({ file, port: flowLog.port }, 'flow logs are written');
}

async function startMetrics(server: Server, wantedRoles: readonly Role[], port: number): Promise<void> {
  const { settings, store, log, registry, endings } = server;
  const { host, fleet } = settings.metrics;
  if (host === '') return;
  collectDefaultMetrics({ register: registry });
  measureDatabase(store, registry);
  const sources: MetricsSource[] = [() => own(registry)];
  if (fleet && wantedRoles.includes('health')) sources.push(fleetMetrics(store));
  const metrics = await serveMetrics({ host, port, sources, log });
  endings.push(() => metrics.close());
  log.info({ host, port: metrics.port }, 'metrics are told');
}

async function* own(registry: Registry): AsyncGenerator<string> {
  yield await registry.metrics();
}

async function serve(configPath: string, { roles: wantedRoles, metricsPort }: Options): Promise<void> {
  const settings = await loadConfig(Settings, configPath);
  const log = makeLog('livia-server');
  const { database, keystone, pki, health, amphora } = settings;
  const [authority, secretKey] = await Promise.all([
    openAuthority(pki.dir),
    openSecretKey(pki.secret_key_file),
  ]);
  const { name, ...address } = database;
  const store = await openStore({
    ...address,
    database: name,
    quotaDefaults: quotaDefaults(settings.quotas),
    quotasEnforced: settings.api.auth_strategy !== 'noauth',
    log,
  });
  const clouds = connectClouds({
    session: {
      authUrl: keystone.auth_url,
      username: keystone.username,
      password: keystone.password,
      projectName: keystone.project_name,
      userDomainName: keystone.user_domain_name,
      projectDomainName: keystone.project_domain_name,
      region: keystone.region,
      interface: keystone.interface,
    },
    agent: {
      caPem: authority.certificatePem,
      ...authority.controller,
      port: amphora.agent_port,
    },
  });
  const watch = new SilenceWatch({
    store,
    timeoutMs: health.heartbeat_timeout_seconds * 1000,
    share: health.failover_threshold_share,
    log,
  });
  const endings: Server['endings'] = [() => store.close(), () => clouds.close()];
  const registry = new Registry();
  const server: Server = { settings, store, clouds, authority, secretKey, watch, log, registry, endings };
  const end = async (signal: string): Promise<void> => {
    log.info({ signal }, 'stopping');
    // What still hangs after this is cut off; the next start takes it up.
    void sleep(10_000, undefined, { ref: false }).then(() => process.exit(1));
    try {
      for (const ending of endings.toReversed()) await ending();
      process.exit(0);
    } catch (error) {
      log.error({ err: error }, 'could not stop in order');
      process.exit(1);
    }
  };
  process.once('SIGTERM', (signal) => void end(signal));
  process.once('SIGINT', (signal) => void end(signal));

  const starts: Record<Role, (server: Server) => Promise<void>> = {
    api: startApi,
    worker: startWorker,
    health: startHealth,
  };
  await startMetrics(server, wantedRoles, metricsPort ?? settings.metrics.port);
  for (const role of roles.filter((candidate) => wantedRoles.includes(candidate))) await starts[role](server);
  log.info({ roles: wantedRoles }, 'ready');
}

function parseRoles(text: string): readonly Role[] {
  return text.split(',').map((word) => {
    const role = roles.find((candidate) => candidate === word.trim());
    if (role === undefined) throw new InvalidArgumentError(`a role is one of ${roles.join(', ')}.`);
    return role;
  });
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('a port is a number up to 65535.');
  return port;
}

const program = new Command('livia-server')
  .description('the control plane: Octavia API, loop, heartbeats')
  .requiredOption('--config <file>', 'livia.toml')
  .option('--roles <roles>', `some of ${roles.join(',')}`, parseRoles, roles)
  .option('--metrics-port <port>', 'instead of metrics.port, for several on one machine', parsePort)
  .action(async ({ config, ...options }: Options & { config: string }) => {
    await serve(config, options);
  });

try {
  await program.parseAsync();
} catch (error) {
  console.error(`livia-server: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
