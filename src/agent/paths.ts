import { join } from 'node:path';

/** Where the agent keeps everything: on tmpfs, readable by root alone. Another `run` than /run/livia for tests. */
export function agentPaths(run: string) {
  const haproxy = join(run, 'haproxy');
  const keepalived = join(run, 'keepalived');
  return {
    run,
    /** What it was last told and what came of it. */
    applied: join(run, 'applied.json'),
    /** What became of its latest changes. */
    changes: join(run, 'changes.json'),
    counters: join(run, 'counters.json'),
    /** What of it the kernel carries, and which members are down. */
    datagrams: join(run, 'datagrams.json'),
    /** Who is let in where. */
    allowed: join(run, 'allowed.json'),
    keepalived: {
      folder: keepalived,
      configuration: join(keepalived, 'keepalived.conf'),
      /** 0 while HAProxy serves, else 1. */
      trackFile: join(keepalived, 'haproxy-down'),
      pid: join(keepalived, 'pid'),
      vrrpPid: join(keepalived, 'vrrp-pid'),
    },
    haproxy,
    /** Link to the directory of the version HAProxy loads; the directories beside it are numbered. */
    current: join(haproxy, 'current'),
    /** Fingerprint of what HAProxy has loaded and serves. */
    running: join(haproxy, 'running'),
    /** The program that pings a member. */
    pingCheck: join(run, 'ping'),
    serverState: join(haproxy, 'server-state'),
    statsSocket: join(haproxy, 'stats.sock'),
    masterSocket: join(haproxy, 'master.sock'),
    /** Where HAProxy tells its own metrics, and where the agent tells them by Octavia's names. */
    exporterSocket: join(haproxy, 'exporter.sock'),
    metricsSocket: join(run, 'metrics.sock'),
    pid: join(haproxy, 'pid'),
    log: join(haproxy, 'log'),
    /** Laid over a configuration for `haproxy -c`, so that a check never pays for the session cache. */
    checkOverride: join(haproxy, 'check.cfg'),
  } as const;
}
export type AgentPaths = ReturnType<typeof agentPaths>;
