import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { makeLog } from '../platform/log.ts';
import { startPostgres } from '../store/embedded.ts';
import { type DatabaseAddress, writeConfiguration } from './configuration.ts';
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
  const kept: Kept[] = [];
  const keep = async (name: string, start: (signal: AbortSignal) => Promise<Running>): Promise<void> => {
    kept.push(await keepRunning(name, start, note, signal));
  };
  const stop = async (): Promise<void> => {
    for (const one of kept.toReversed()) await one.stop();
    if (await leftInCloud(state)) await parts.sweepCloud(state.cloudletConfig, state.cloud);
  };
  // Children carry the state folder in their environment, as the command line that reads it does.
  const env = { ...process.env, LIVIA_STATE_DIR: state.root, LIVIA_PORT_BASE: String(ports.api) };
  try {
    await keep('PostgreSQL', async () => {
      const database = await startDatabase(state);
      await writeConfiguration(state, ports, database.address);
      return database;
    });
    await parts.writeBootScript(state.bootScript);
    await keep('livia-cloudlet', (ending) =>
      startProgram(
        {
          name: 'livia-cloudlet',
          command: [parts.node, parts.cloudletProgram, '--config', state.cloudletConfig],
          env,
          logFile: join(state.log, 'cloudlet.log'),
          ready: () => accepts(ports.cloud),
          startTimeoutMs: 60_000,
          stopTimeoutMs: 30_000,
        },
        ending,
      ),
    );
    await keep('livia-server', (ending) =>
      startProgram(
        {
          name: 'livia-server',
          command: [parts.node, parts.serverProgram, '--config', state.serverConfig],
          env,
          logFile: join(state.log, 'server.log'),
          ready: () => answers(`http://127.0.0.1:${ports.api}/`),
          startTimeoutMs: 60_000,
          stopTimeoutMs: 15_000,
        },
        ending,
      ),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}

async function startDatabase(state: StateDir): Promise<Running & { readonly address: DatabaseAddress }> {
  const database = await startPostgres({
    dataDir: state.postgres,
    socketDir: state.postgresSocket,
    logFile: join(state.log, 'postgres.log'),
    log: makeLog('postgres', 'warn'),
  });
  return {
    pid: database.pid,
    exited: database.ended.then(() => `see ${join(state.log, 'postgres.log')}`),
    stop: () => database.stop(),
    address: { host: database.host, port: database.port, name: database.database, user: database.user },
  };
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
