import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { run } from '../../src/platform/run.ts';
import { type EmbeddedPostgres, startPostgres } from '../../src/store/embedded.ts';
import { openStore } from '../../src/store/open-store.ts';
import type { Store } from '../../src/store/store.ts';
import { writeCloudConfiguration, writeServerConfiguration } from '../../src/supervisor/configuration.ts';
import type { Running } from '../../src/supervisor/keep-running.ts';
import { startProgram } from '../../src/supervisor/program.ts';
import { prepareStateDir, stateDirFrom } from '../../src/supervisor/state-dir.ts';

/**
 * The API as `npm start` runs it: the bundled livia-server, PostgreSQL with its settings (fsync on), and the cloudlet
 * for Keystone and Neutron, each a process of its own. Only the roles worker and health are left out, so that a bench
 * may write a thousand load balancers without a thousand amphorae being booted.
 */
export interface ControlPlane {
  readonly url: string;
  readonly cloudUrl: string;
  readonly store: Store;
  readonly database: EmbeddedPostgres;
  /** Of the project admin. */
  readonly token: string;
  readonly projectId: string;
  /** CPU milliseconds used so far by the API, by PostgreSQL and by the cloudlet. */
  cpuMs(): { readonly api: number; readonly database: number; readonly cloudlet: number };
  stop(): Promise<void>;
}

const project = resolve(import.meta.dirname, '../..');

export async function startControlPlane(portBase: number): Promise<ControlPlane> {
  await run([process.execPath, '-e', "import('./setup/bundle.mjs').then(({ bundle }) => bundle())"], {
    cwd: project,
    timeoutMs: 60_000,
  });
  const root = mkdtempSync(join(tmpdir(), 'livia-bench-'));
  const state = await prepareStateDir(stateDirFrom({ LIVIA_STATE_DIR: root }, root));
  const ports = { api: portBase, cloud: portBase + 1, demo: portBase + 2, metrics: portBase + 3 };
  const endings: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of endings.toReversed()) await end();
    rmSync(root, { recursive: true, force: true });
  };
  const start = async (name: string, config: string, ...args: string[]): Promise<Running> => {
    const program = join(project, 'dist', `${name}.mjs`);
    const port = name === 'livia-server' ? ports.api : ports.cloud;
    const running = await startProgram(
      {
        name,
        command: [process.execPath, '--max-semi-space-size=4', program, '--config', config, ...args],
        env: { ...process.env, LIVIA_STATE_DIR: root },
        logFile: join(state.log, `${name}.log`),
        ready: () => answers(`http://127.0.0.1:${port}/`),
        startTimeoutMs: 60_000,
        stopTimeoutMs: 30_000,
      },
      new AbortController().signal,
    );
    endings.push(() => running.stop());
    return running;
  };
  try {
    writeFileSync(state.bootScript, '#!/bin/sh\nexec sleep infinity\n');
    const cloud = await writeCloudConfiguration(state, ports);
    const database = await startPostgres({
      dataDir: state.postgres,
      socketDir: state.postgresSocket,
      logFile: join(state.log, 'postgres.log'),
    });
    endings.push(() => database.stop());
    const { host, port, database: name, user } = database;
    await writeServerConfiguration(state, ports, cloud, { host, port, name, user });
    const cloudlet = await start('livia-cloudlet', state.cloudletConfig);
    const api = await start('livia-server', state.serverConfig, '--roles', 'api');
    const store = await openStore({ host, port, user, database: name });
    endings.push(() => store.close());
    const password = /^export OS_PASSWORD='(.*)'$/m.exec(readFileSync(state.openrc, 'utf8'))?.[1] ?? '';
    return {
      url: `http://127.0.0.1:${ports.api}`,
      cloudUrl: `http://127.0.0.1:${ports.cloud}`,
      store,
      database,
      ...(await logIn(cloud.authUrl, password)),
      cpuMs: () => ({
        api: cpuMsOf(api.pid),
        database: childrenOf(database.pid).reduce(
          (sum, pid) => sum + cpuMsOf(pid),
          cpuMsOf(database.pid, { endedChildren: true }),
        ),
        cloudlet: cpuMsOf(cloudlet.pid),
      }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    await fetch(url, { signal: AbortSignal.timeout(2000) });
    return true;
  } catch {
    return false; // not yet
  }
}

async function logIn(authUrl: string, password: string): Promise<{ token: string; projectId: string }> {
  const domain = { name: 'Default' };
  const response = await fetch(`${authUrl}/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      auth: {
        identity: { methods: ['password'], password: { user: { name: 'admin', password, domain } } },
        scope: { project: { name: 'admin', domain } },
      },
    }),
  });
  const body = (await response.json()) as { token: { project: { id: string } } };
  return { token: response.headers.get('x-subject-token') ?? '', projectId: body.token.project.id };
}

const clockTicksPerSecond = 100;

/** User and system time, that of children that have ended too if wished; 0 for a process that is gone. */
export function cpuMsOf(pid: number, { endedChildren = false } = {}): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    const ticks = fields.slice(11, endedChildren ? 15 : 13).reduce((sum, text) => sum + Number(text), 0);
    return (ticks * 1000) / clockTicksPerSecond;
  } catch {
    return 0;
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(parent);
      } catch {
        return false; // it ended while we looked
      }
    })
    .map(Number);
}
