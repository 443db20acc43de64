import { type Kysely, sql, type Transaction } from 'kysely';
import { type DisplayName, type Problem, quotaMet } from '../lb/problems.ts';
import { type Database, tables } from './schema.ts';
import type { QuotaLimits, Quotas, ResourceKind } from './store.ts';

export type QuotaDefaults = Readonly<Record<ResourceKind, number>>;

const displayNames: Readonly<Record<ResourceKind, DisplayName>> = {
  loadBalancer: 'Load Balancer',
  listener: 'Listener',
  pool: 'Pool',
  member: 'Member',
  healthMonitor: 'Health Monitor',
  l7Policy: 'L7 Policy',
  l7Rule: 'L7 Rule',
};
const kinds = Object.keys(displayNames) as ResourceKind[];
const noLimits = Object.fromEntries(kinds.map((kind) => [kind, null])) as QuotaLimits;

export function quotas(db: Kysely<Database>): Quotas {
  return {
    of: (projectId) => limitsOf(db, projectId),
    async set(projectId, changes) {
      if (Object.keys(changes).length === 0) return;
      await db
        .insertInto('quotas')
        .values({ ...noLimits, ...changes, projectId })
        .onConflict((conflict) => conflict.column('projectId').doUpdateSet(changes))
        .execute();
    },
    async reset(projectId) {
      await db.deleteFrom('quotas').where('projectId', '=', projectId).execute();
    },
  };
}

async function limitsOf(db: Kysely<Database>, projectId: string): Promise<QuotaLimits> {
  const row = await db
    .selectFrom('quotas')
    .select(kinds)
    .where('projectId', '=', projectId)
    .executeTakeFirst();
  return row ?? noLimits;
}

/**
 * May the project have so many more of each kind? What is in use are the rows, those being deleted included. Of two
 * transactions of one project that grow something limited, the second waits here until the first is over.
 */
export async function checkQuotas(
  trx: Transaction<Database>,
  projectId: string,
  growth: Readonly<Partial<Record<ResourceKind, number>>>,
  defaults: Partial<QuotaDefaults>,
): Promise<Problem | undefined> {
  const growing = kinds.filter((kind) => (growth[kind] ?? 0) > 0);
  if (growing.length === 0) return undefined;
  const own = await limitsOf(trx, projectId);
  const limited = growing
    .map((kind) => ({ kind, limit: own[kind] ?? defaults[kind] ?? -1 }))
    .filter(({ limit }) => limit >= 0);
  if (limited.length === 0) return undefined;
  await sql`select pg_advisory_xact_lock(hashtextextended(${`livia quota ${projectId}`}, 0))`.execute(trx);
  for (const { kind, limit } of limited) {
    const { rows } = await sql<{ inUse: number }>`select count(*) as in_use from ${sql.raw(tables[kind].name)}
      where project_id = ${projectId} and provisioning_status <> 'DELETED'`.execute(trx);
    if ((rows[0]?.inUse ?? 0) + (growth[kind] ?? 0) > limit) return quotaMet(displayNames[kind]);
  }
  return undefined;
}
