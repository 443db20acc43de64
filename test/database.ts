import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import { inject } from 'vitest';
import type { TestProject } from 'vitest/node';
import { writeWhole } from '../src/platform/files.ts';
import { startPostgres, stopStalePostgres } from '../src/store/embedded.ts';
import { openStore, type StoreOptions } from '../src/store/open-store.ts';
import type { Store } from '../src/store/store.ts';

/**
 * Databases for tests. One PostgreSQL serves a whole test run, started by the first test that asks; each
 * `freshDatabase` is a copy of a migrated template.
 */

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of this run's server. */
    databaseFolder: string;
  }
}

export interface TestDatabase {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly drop: () => Promise<void>;
}

/** An empty, migrated database of the caller's own. */
export async function freshDatabase(): Promise<TestDatabase> {
  const server = await testServer();
  const database = `test_${randomBytes(6).toString('hex')}`;
  await asAdmin(server, `create database ${database} template ${template} strategy wal_log`);
  return { ...server, database, drop: () => asAdmin(server, `drop database ${database} with (force)`) };
}

/** A store on a database of its own; `drop` closes both. */
export async function freshStore(
  options: Partial<StoreOptions> = {},
): Promise<{ store: Store; database: TestDatabase; drop: () => Promise<void> }> {
  const database = await freshDatabase();
  const { host, port, user } = database;
  const store = await openStore({ host, port, user, database: database.database, ...options });
  const drop = async () => {
    await store.close();
    await database.drop();
  };
  return { store, database, drop };
}

interface Server {
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

const template = 'livia_template';
const prefix = 'livia-test-';

/** Of the workers of a run, the one that can make the folder starts the server; the others wait for its note. */
async function testServer(): Promise<Server> {
  const folder = inject('databaseFolder');
  const note = join(folder, 'server.json');
  const first = await mkdir(join(folder, 'starting')).then(
    () => true,
    () => false,
  );
  if (first) {
    try {
      await writeWhole(note, JSON.stringify(await startServer(folder)));
    } catch (error) {
      await writeWhole(note, JSON.stringify({ error: String(error) }));
    }
  }
  for (;;) {
    const text = await readFile(note, 'utf8').catch(() => undefined);
    if (text === undefined) {
      await pause(20);
      continue;
    }
    const server = JSON.parse(text) as Server & { error?: string };
    if (server.error !== undefined) throw new Error(server.error);
    return server;
  }
}

async function startServer(folder: string): Promise<Server> {
  const { host, port, user } = await startPostgres({
    dataDir: join(folder, 'data'),
    socketDir: join(folder, 'run'),
    logFile: join(folder, 'log'),
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' },
  });
  const server = { host, port, user };
  await asAdmin(server, `create database ${template}`);
  const store = await openStore({ ...server, database: template });
  await store.close();
  return server;
}

async function asAdmin(server: Server, statement: string): Promise<void> {
  const client = new Client({ ...server, database: 'postgres' });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Vitest's global setup: names the run's folder, and at the end stops the server if one was started. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await removeLeftovers();
  const folder = join(tmpdir(), `${prefix}${process.pid}-${randomBytes(3).toString('hex')}`);
  await mkdir(folder, { mode: 0o755 });
  project.provide('databaseFolder', folder);
  return () => remove(folder);
}

/** Of runs that were killed. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = name.startsWith(prefix) ? Number(name.slice(prefix.length).split('-')[0]) : Number.NaN;
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    await remove(join(tmpdir(), name)).catch(() => {}); // another user's
  }
}

async function remove(folder: string): Promise<void> {
  await stopStalePostgres(join(folder, 'data'));
  await rm(folder, { recursive: true, force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
