import { CamelCasePlugin, Kysely, PostgresDialect, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { type ClientConfig, type CustomTypesConfig, Pool, types } from 'pg';
import type { Log } from '../platform/log.ts';
import { amphorae } from './amphorae.ts';
import { fleet } from './fleet.ts';
import { lists } from './lists.ts';
import * as loadBalancers from './migrations/0001-load-balancers.ts';
import * as availabilityZones from './migrations/0002-availability-zones.ts';
import * as failover from './migrations/0003-failover.ts';
import { availabilityZonePair, flavorPair, offers } from './offers.ts';
import { purge } from './purge.ts';
import { type QuotaDefaults, quotas } from './quotas.ts';
import type { Database } from './schema.ts';
import { statistics } from './statistics.ts';
import type { Store } from './store.ts';
import { trees } from './trees.ts';
import { workQueue } from './work-queue.ts';

export interface StoreOptions {
  /** Name or address of the server, or the folder of its unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string;
  /** Connections at most, beside one for `work.listen`; default 10. */
  readonly connections?: number;
  /** Limits of projects that have none of their own; -1, unlimited, where nothing is said. */
  readonly quotaDefaults?: Partial<QuotaDefaults>;
  /** False: limits are kept and shown, and hold nobody back. Default true. */
  readonly quotasEnforced?: boolean;
  readonly log?: Log;
}

/** Named here and not found in a folder: programs are bundled into one file. */
const migrations: Readonly<Record<string, Migration>> = {
  '0001-load-balancers': loadBalancers,
  '0002-availability-zones': availabilityZones,
  '0003-failover': failover,
};

/** Connects, and brings the tables to the newest form first; any number of programs may do so at once. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const connection: ClientConfig = {
    host: options.host,
    port: options.port,
    database: options.database,
    user: options.user,
    ...(options.password !== undefined && { password: options.password }),
    application_name: 'livia',
    // Compiling a statement takes longer than any of ours runs.
    options: '-c jit=off',
    types: { getTypeParser: typeParser },
  };
  const limit = options.connections ?? 10;
  const pool = new Pool({ ...connection, max: limit });
  // An idle connection that breaks is replaced at the next use; that use reports a server that is gone.
  pool.on('error', (error) => options.log?.warn({ err: error }, 'an idle database connection broke'));
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool }),
    plugins: [new CamelCasePlugin({ maintainNestedObjectKeys: true })],
  });
  try {
    await migrate(db);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  const quotaRules = { defaults: options.quotaDefaults ?? {}, enforced: options.quotasEnforced ?? true };
  const work = workQueue(db, connection, options.log);
  return {
    trees: trees(db, quotaRules),
    lists: lists(db),
    amphorae: amphorae(db),
    flavors: offers(db, flavorPair),
    availabilityZones: offers(db, availabilityZonePair),
    quotas: quotas(db, quotaRules),
    statistics: statistics(db),
    work,
    fleet: () => fleet(db),
    connections: () => ({
      ...{ open: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount, limit },
    }),
    purge: purge(db),
    ping: async () => {
      await sql`select 1`.execute(db);
    },
    close: async () => {
      await work.close();
      await db.destroy();
    },
  };
}

async function migrate(db: Kysely<Database>): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve({ ...migrations }) },
  });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) {
    throw error instanceof Error ? error : new Error('the database could not be migrated', { cause: error });
  }
}

/** Counters come as numbers: they stay below 2^53. */
const typeParser: CustomTypesConfig['getTypeParser'] = (type, format) =>
  type === types.builtins.INT8 ? Number : types.getTypeParser(type, format);
