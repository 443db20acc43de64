import type { Log } from '../platform/log.ts';
import { tryRun } from '../platform/run.ts';
import type { Boot } from '../wire/boot.ts';
import type { AgentStatus, Outcome, Report } from '../wire/report.ts';
import type { WantedAmphora } from '../wire/wanted.ts';
import { allowedClients } from './admission.ts';
import { applier } from './apply.ts';
import { configurationFiles } from './haproxy/files.ts';
import { haproxyProcess } from './haproxy/process.ts';
import { ask } from './haproxy/socket.ts';
import { haproxyVersion } from './haproxy/version.ts';
import { pastChanges } from './changes.ts';
import { hearing } from './hearing.ts';
import { startHeartbeat } from './heartbeat.ts';
import { keepalivedProcess } from './keepalived.ts';
import { cardName, ensureLinks, managementAddresses, takeVips } from './links.ts';
import { worstCaseBytes } from '../plan/memory-budget.ts';
import { measureMachine, rssBytes, usedBytes } from './memory.ts';
import { serveMetrics } from './metrics.ts';
import { agentPaths } from './paths.ts';
import { unprivileged } from './privileges.ts';
import { reloadPeak } from './reload-peak.ts';
import { unbound } from './runtime/limits.ts';
import { buildReport } from './report.ts';
import { listen } from './server.ts';
import { boundTcp, tcpMemory } from './tcp-memory.ts';
import { datagrams } from './udp/datagrams.ts';

export interface AgentOptions {
  readonly boot: Boot;
  /** Directory on tmpfs for everything it keeps. */
  readonly run: string;
  readonly version: string;
  readonly log: Log;
  /** The machine is the amphora's alone: its kernel may be told what it needs. */
  readonly ownMachine?: boolean;
  /** The program; default `haproxy`. */
  readonly haproxy?: string;
}

export interface Agent {
  /** Ends HAProxy and the agent's own work. */
  stop(): Promise<void>;
}

/** Starts the agent of one amphora; when this resolves it listens. A HAProxy that serves already is adopted. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { boot, log } = options;
  const program = options.haproxy ?? 'haproxy';
  const paths = agentPaths(options.run);
  const files = configurationFiles(paths, program);
  // Where we may, more open files than the few an instance starts with; a refusal leaves what there is.
  const moreFiles = tryRun(['prlimit', `--pid=${process.pid}`, '--nofile=1048576:1048576']);
  const [machine, user, version, addresses] = await Promise.all([
    moreFiles.catch(() => undefined).then(() => measureMachine()),
    unprivileged(),
    haproxyVersion(program),
    managementAddresses(boot.heartbeat.receivers),
    files.prepare(),
  ]);

  if (options.ownMachine === true) {
    await boundTcp(machine.limitBytes, machine.tcpInside).catch((error: unknown) =>
      log.error({ err: error }, 'buffers of TCP have no bound'),
    );
  }
  const keepalived = keepalivedProcess(paths.keepalived, log);
  async function claimVips(wanted: WantedAmphora): Promise<void> {
    if (wanted.vrrp !== undefined) await keepalived.track(haproxy.alive());
    await keepalived.ensure(wanted);
    if (wanted.vrrp === undefined) await takeVips(wanted);
  }

  const allowed = allowedClients({ path: paths.allowed, log });
  const udp = datagrams({ path: paths.datagrams, log });
  const haproxy = haproxyProcess(paths, program, () => {
    log.error('HAProxy died');
    void keepalived.track(false);
    void apply.revive();
  });

  const workers = await hearing({ paths, haproxy, carries: (proxy) => apply.carries(proxy) });
  const changes = await pastChanges(paths.changes);
  const peak = reloadPeak();
  const surroundings = { paths, files, haproxy, machine, version, user, allowed, udp, peak, log };
  const apply = applier({
    ...{ ...surroundings, ensureLinks, claimVips },
    beforeChange: workers.count,
    revived: () => keepalived.track(true),
  });

  async function report(): Promise<Report> {
    const [carried] = await Promise.all([udp.report(), workers.hear(), allowed.look()]);
    const generation = apply.applied()?.wanted.generation ?? -1;
    const own = buildReport({ id: boot.amphoraId, generation }, workers.last());
    const { listeners, pools } = own;
    return {
      ...own,
      listeners: { ...listeners, ...carried.listeners },
      pools: { ...pools, ...carried.pools },
    };
  }

  async function status(): Promise<AgentStatus> {
    const own = await report();
    const { ticketKeys, heartbeat: told, flowLog, vrrp } = apply.applied()?.carried ?? {};
    const master = haproxy.master();
    const live = (await haproxy.workers()) ?? [];
    const budget = apply.budget();
    const tcp = await tcpMemory();
    const processes = [
      ...(master === undefined ? [] : [{ pid: master, role: 'master', reloads: 0 }]),
      ...live.map((worker, n) => ({ ...worker, role: n === 0 ? 'worker' : 'old worker' })),
    ];
    return {
      wire: 1,
      agentVersion: options.version,
      haproxyVersion: version,
      report: own,
      ...(ticketKeys !== undefined && { ticketPeriod: ticketKeys.period }),
      warnings: [...(apply.applied()?.warnings ?? [])],
      changes: changes.list(),
      ...(told !== undefined && { heartbeat: told }),
      ...(flowLog !== undefined && { flowLog }),
      ...(vrrp !== undefined && { vrrpPeers: vrrp.peers }),
      memory: {
        limitBytes: machine.limitBytes,
        usedBytes: await usedBytes(),
        maxconn: budget?.maxconn ?? 0,
        ...(budget !== undefined && {
          budget: {
            ...budget.terms,
            maxReloads: budget.maxReloads,
            hardStopAfterSeconds: budget.hardStopAfterSeconds,
            maxconn: budget.maxconn,
            worstCaseBytes: worstCaseBytes(budget),
          },
        }),
        peakBytes: peak.lastBytes(),
        agentBytes: process.memoryUsage.rss(),
        ...(tcp.usedBytes !== undefined && { tcpBytes: tcp.usedBytes }),
        ...(tcp.limitBytes !== undefined && { tcpLimitBytes: tcp.limitBytes }),
        haproxy: await Promise.all(
          processes.map(async ({ pid, role, reloads }) => ({
            pid,
            role,
            rssBytes: await rssBytes(pid),
            generation: reloads,
          })),
        ),
      },
    };
  }

  async function put(wanted: WantedAmphora): Promise<Outcome> {
    const startedAt = performance.now();
    const { change, why, refused, warnings } = await apply.apply(wanted);
    const durationMs = Math.round(performance.now() - startedAt);
    heartbeat.now(wanted.heartbeat);
    const [at, left] = [new Date().toISOString(), refused.length];
    const noted = changes
      .add({
        ...{ generation: wanted.generation, at, change, why: why ?? null, durationMs },
        ...{ refused: left, warnings: [...warnings] },
      })
      .catch((error: unknown) => log.warn({ err: error }, 'what became of a change cannot be kept'));
    log.info({ generation: wanted.generation, change, why, durationMs, refused, warnings }, 'applied');
    const { generation, interfaces } = wanted;
    const vipCard = interfaces[0] && (await cardName(interfaces[0].mac));
    await noted;
    return {
      wire: 1,
      generation,
      change,
      ...(why !== undefined && { why }),
      durationMs,
      ...(vipCard !== undefined && { vipCard }),
      refused: [...refused],
      warnings: [...warnings],
      report: await report(),
    };
  }

  const memoryPercent = async () => ((await usedBytes()) / machine.limitBytes) * 100;
  const metrics = await serveMetrics({ paths, memoryPercent, leaves: apply.leaves, log });
  await Promise.all([apply.recall(), allowed.recall(), udp.recall()]);
  if (await haproxy.adopt()) {
    // The agent before us may have been killed while it held HAProxy back, or before all had left who were to leave.
    await ask(paths.statsSocket, unbound)
      .then(apply.adopt)
      .catch((error: unknown) => log.warn({ err: error }, 'HAProxy is silent'));
    log.info({ master: haproxy.master() }, 'adopted HAProxy');
  } else if (apply.applied() !== undefined) await apply.revive();
  const recalled = apply.applied()?.carried;
  if (recalled?.vrrp !== undefined) await claimVips(recalled);

  const heartbeat = startHeartbeat({
    born: { ...boot.heartbeat, ...apply.applied()?.wanted.heartbeat },
    observe: report,
    busy: workers.busy,
    log,
  });
  // Its own card alone: on any other the port is the users', and a listener may want it.
  const hosts = addresses.length > 0 ? addresses : ['::'];
  const routes = { put, status };
  const servers = await Promise.all(hosts.map((host) => listen(boot, host, routes, log)));
  log.info({ hosts, port: boot.port, haproxyVersion: version, ...machine }, 'agent listens');

  return {
    async stop() {
      heartbeat.stop();
      for (const server of [...servers, metrics]) {
        server.close();
        server.closeAllConnections();
      }
      await keepalived.stop();
      await apply.stop();
      await udp.stop();
      await haproxy.stop();
    },
  };
}
