import { spawn } from 'node:child_process';
import {
  access,
  chmod,
  chown,
  constants,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
} from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import type { Log } from '../platform/log.ts';
import { tryRun } from '../platform/run.ts';
import { stopStalePostgres } from './stale-postgres.ts';
import { type RunAs, runAs } from './unprivileged.ts';

export { stopStalePostgres };

/** A private PostgreSQL on a unix socket: the database of a service that has one machine to itself. */
export interface EmbeddedOptions {
  /** The cluster; made when missing. */
  readonly dataDir: string;
  /** A folder for the socket alone; it is closed to all but the server's user. */
  readonly socketDir: string;
  readonly logFile: string;
  readonly log?: Log;
  /** Settings beside ours, by PostgreSQL's names. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** `host` is the socket's folder: what `openStore` takes. */
export interface EmbeddedPostgres {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly pid: number;
  /** Fulfilled when the server has ended, for whatever reason. */
  readonly ended: Promise<void>;
  readonly stop: () => Promise<void>;
}

const port = 5432;
const user = 'livia';
const database = 'livia';
const longestSocketPath = 107;
const deadlineMs = 60_000;
const stopGraceMs = 30_000;

const ourSettings = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  port: String(port),
  shared_buffers: '32MB',
  max_connections: '100',
  max_wal_size: '256MB',
  logging_collector: 'off',
  log_checkpoints: 'off',
};

/** Starts the server, or throws one line that says what is wrong. One left by a kill -9 is stopped first. */
export async function startPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir);
  const socketDir = resolve(options.socketDir);
  const socket = join(socketDir, `.s.PGSQL.${port}`);
  if (Buffer.byteLength(socket) > longestSocketPath) {
    throw new Error(`${socket} is longer than the ${longestSocketPath} bytes a socket's path may have`);
  }
  const binaries = await findBinaries();
  const as = await runAs();
  await ownFolder(socketDir, as);
  if (!(await exists(join(dataDir, 'PG_VERSION')))) {
    options.log?.info({ dataDir }, 'making the database cluster');
    await makeCluster(binaries, as, dataDir, socketDir, options.settings?.['fsync'] === 'off');
  }
  await ownFolder(dataDir, as);

  const settings = Object.entries({ ...ourSettings, ...options.settings });
  const command = await as.command({ dataDir, socketDir }, (seen) => [
    join(binaries, 'postgres'),
    '-D',
    seen.dataDir,
    '-c',
    `unix_socket_directories=${seen.socketDir}`,
    ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]);
  for (const deadline = Date.now() + deadlineMs; ; ) {
    await stopStalePostgres(dataDir);
    const server = await launch(command, options.logFile);
    const failure = await untilAnswering(server, socketDir, deadline);
    if (failure === undefined) {
      const { pid, ended, stop } = server;
      return { host: socketDir, port, user, database, pid, ended, stop };
    }
    await server.stop();
    // The children of a server that was killed need a moment to notice.
    const busy = /already exists|still in use/.test(failure);
    if (!busy || Date.now() > deadline) throw new Error(`PostgreSQL did not start: ${failure}`);
    await pause(100);
  }
}

async function findBinaries(): Promise<string> {
  const debian = '/usr/lib/postgresql';
  const versions = await readdir(debian).catch(() => []);
  const newestFirst = versions
    .toSorted((a, b) => Number(b) - Number(a))
    .map((version) => join(debian, version, 'bin'));
  const onPath = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder.startsWith('/'));
  for (const folder of [...newestFirst, ...onPath]) {
    if ((await exists(join(folder, 'postgres'))) && (await exists(join(folder, 'initdb')))) return folder;
  }
  throw new Error('PostgreSQL is not installed: apt-get install postgresql-15');
}

/** Beside its place and then renamed, so that a half-made cluster is never taken for one. */
async function makeCluster(
  binaries: string,
  as: RunAs,
  dataDir: string,
  socketDir: string,
  hasty: boolean,
): Promise<void> {
  const unfinished = `${dataDir}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await ownFolder(unfinished, as);
  const command = await as.command({ dataDir: unfinished, socketDir }, (seen) => [
    join(binaries, 'initdb'),
    `--pgdata=${seen.dataDir}`,
    `--username=${user}`,
    '--auth=trust',
    '--encoding=UTF8',
    '--locale=C.UTF-8',
    ...(hasty ? ['--no-sync'] : []),
  ]);
  const made = await tryRun(command, { timeoutMs: deadlineMs, cwd: '/', env: environment() });
  if (made.code !== 0) throw new Error(`initdb: ${lastLine(fatal(made.stderr || made.stdout))}`);
  await rename(unfinished, dataDir);
}

async function ownFolder(folder: string, as: RunAs): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    if (as.owner) await chown(folder, as.owner.uid, as.owner.gid);
    await chmod(folder, 0o700);
    await access(folder, constants.W_OK);
  } catch (error) {
    throw new Error(`${folder} cannot be written: ${String((error as NodeJS.ErrnoException).code)}`, {
      cause: error,
    });
  }
}

interface Launched {
  readonly pid: number;
  readonly ended: Promise<void>;
  readonly hasEnded: () => boolean;
  readonly stop: () => Promise<void>;
  /** What the server has written to its log since it was launched. */
  words(): Promise<string>;
}

/** In a session of its own: Ctrl-C in a terminal is for its parent, which stops it last. */
async function launch(command: readonly string[], logFile: string): Promise<Launched> {
  const [program = '', ...args] = command;
  const logged = await open(logFile, 'a', 0o600);
  try {
    const from = (await logged.stat()).size;
    const child = spawn(program, args, {
      cwd: '/',
      detached: true,
      env: environment(),
      stdio: ['ignore', logged.fd, logged.fd],
    });
    let over = false;
    const ended = new Promise<void>((resolveEnded) => {
      const end = () => {
        over = true;
        resolveEnded();
      };
      child.once('exit', end);
      child.once('error', end);
    });
    await new Promise<void>((started, failed) => child.once('spawn', started).once('error', failed));
    child.unref();
    return {
      pid: child.pid ?? 0,
      ended,
      hasEnded: () => over,
      stop: async () => {
        child.ref();
        if (!over) child.kill('SIGINT');
        const impatience = setTimeout(() => child.kill('SIGQUIT'), stopGraceMs);
        await ended;
        clearTimeout(impatience);
      },
      words: async () => (await readFile(logFile)).subarray(from).toString(),
    };
  } finally {
    await logged.close();
  }
}

/** Undefined when it answers and has our database; else why it does not, in the server's words. */
async function untilAnswering(server: Launched, host: string, deadline: number): Promise<string | undefined> {
  for (;;) {
    const client = new Client({ host, port, user, database: 'postgres' });
    client.on('error', () => {}); // reported by the query that runs into it
    try {
      await client.connect();
      const { rowCount } = await client.query('select from pg_database where datname = $1', [database]);
      if (rowCount === 0) await client.query(`create database ${database}`);
      return undefined;
    } catch (error) {
      if (server.hasEnded()) return lastLine(fatal(await server.words()));
      if (Date.now() > deadline) return error instanceof Error ? error.message : String(error);
    } finally {
      await client.end().catch(() => {}); // it may never have been connected
    }
    await pause(20);
  }
}

/** The lines that say why, where there are some; hints follow them. */
const fatal = (words: string): string =>
  words
    .split('\n')
    .filter((line) => line.includes('FATAL'))
    .join('\n') || words;

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

/** Without what would lead PostgreSQL elsewhere. */
const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PG')));

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
