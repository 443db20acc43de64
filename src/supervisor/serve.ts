import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { makeLog } from '../platform/log.ts';
import { startPostgres } from '../store/embedded.ts';
import { type CloudAccess, writeCloudConfiguration, writeServerConfiguration } from './configuration.ts';
import { type Kept, keepRunning, type Running } from './keep-running.ts';
import { accepts, type Ports } from './ports.ts';
import { startProgram } from './program.ts';
import { Refusal } from './refusal.ts';
import type { StateDir } from './state-dir.ts';

/** The programs of one machine, and what only the outermost wiring can give. */
export interface Parts {
  readonly node: string;
  /** Bundles. */
  readonly cloudletProgram: string;
  readonly serverProgram: string;
  /** Writes the image of amphorae to the path; called at every start. */
  writeBootScript(path: string): Promise<void>;
  /** Removes what a cloudlet that was killed left in the kernel. */
  sweepCloud(cloudletConfig: string, cloudDir: string): Promise<void>;
}

export interface Service {
  stop(): Promise<void>;
}

/**
 * Starts PostgreSQL, the cloudlet and the control plane, and keeps them running. Resolves when the API answers.
 * When the signal aborts meanwhile, or one does not start, it leaves nothing running and rejects.
 */
export async function serve(
  state: StateDir,
  ports: Ports,
  parts: Parts,
  note: (line: string) => void,
  signal: AbortSignal,
): Promise<Service> {
  if (!hasProgram('haproxy')) {
    throw new Refusal('haproxy is missing: on Debian, apt-get install -y --no-install-recommends haproxy');
  }
  let database: Kept | undefined;
  let cloudlet: Kept | undefined;
  let server: Kept | undefined;
  const stop = async (): Promise<void> => {
    for (const one of [server, cloudlet, database]) await one?.stop();
    if (await leftInCloud(state)) await parts.sweepCloud(state.cloudletConfig, state.cloud);
  };
  // Children carry the state folder in their environment, as the command line that reads it does.
  const env = { ...process.env, LIVIA_STATE_DIR: state.root, LIVIA_PORT_BASE: String(ports.api) };
  const startOurs = (name: string, program: string, config: string, ready: () => Promise<boolean>) =>
    keepRunning(
      name,
      (ending) =>
        startProgram(
          {
            name,
            // Without it V8 lets the heap of a busy hour stay: 190 to 240 MiB against about 100, at the same speed.
            command: [parts.node, '--max-semi-space-size=4', program, '--config', config],
            env,
            logFile: join(state.log, `${name.replace('livia-', '')}.log`),
            ready,
            startTimeoutMs: 60_000,
            stopTimeoutMs: 30_000,
          },
          ending,
        ),
      note,
      signal,
    );
  try {
    await parts.writeBootScript(state.bootScript);
    const cloud = await writeCloudConfiguration(state, ports);
    await all([
      async () => {
        const start = (): Promise<Running> => startDatabase(state, ports, cloud);
        database = await keepRunning('PostgreSQL', start, note, signal);
      },
      async () => {
        const ready = (): Promise<boolean> => accepts(ports.cloud);
        cloudlet = await startOurs('livia-cloudlet', parts.cloudletProgram, state.cloudletConfig, ready);
      },
    ]);
    const ready = (): Promise<boolean> => answers(`http://127.0.0.1:${ports.api}/`);
    server = await startOurs('livia-server', parts.serverProgram, state.serverConfig, ready);
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}

async function startDatabase(state: StateDir, ports: Ports, cloud: CloudAccess): Promise<Running> {
  const database = await startPostgres({
    dataDir: state.postgres,
    socketDir: state.postgresSocket,
    logFile: join(state.log, 'postgres.log'),
    log: makeLog('postgres', 'warn'),
  });
  const { host, port, database: name, user } = database;
  await writeServerConfiguration(state, ports, cloud, { host, port, name, user });
  return {
    pid: database.pid,
    exited: database.ended.then(() => `see ${join(state.log, 'postgres.log')}`),
    stop: () => database.stop(),
  };
}

/** All at once; when one fails, the others come to their end before that is said. */
async function all(tasks: readonly (() => Promise<void>)[]): Promise<void> {
  const results = await Promise.allSettled(tasks.map((task) => task()));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false; // not yet
  }
}

/** A cloudlet that was told to end takes these records away itself. */
async function leftInCloud(state: StateDir): Promise<boolean> {
  if (existsSync(join(state.cloud, 'holder'))) return true;
  const instances = join(state.cloud, 'instances');
  const ids = await readdir(instances).catch(() => []); // no cloudlet ever ran
  return ids.some((id) => existsSync(join(instances, id, 'pid')));
}

function hasProgram(name: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, name)));
}
