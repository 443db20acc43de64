import { type Kysely, sql, type Transaction } from 'kysely';
import { type DisplayName, notFound, type Problem, quotaMet } from '../lb/problems.ts';
import type { QuotaSettings } from '../platform/api-settings.ts';
import { transaction } from './refusals.ts';
import { type Database, tables } from './schema.ts';
import type { Growth, QuotaLimits, Quotas, ResourceKind } from './store.ts';

export type QuotaDefaults = Readonly<Record<ResourceKind, number>>;

/** What the operator's settings say of projects without limits of their own. */
export function quotaDefaults(settings: QuotaSettings): QuotaDefaults {
  return {
    loadBalancer: settings.default_load_balancer_quota,
    listener: settings.default_listener_quota,
    pool: settings.default_pool_quota,
    member: settings.default_member_quota,
    healthMonitor: settings.default_health_monitor_quota,
    l7Policy: settings.default_l7policy_quota,
    l7Rule: settings.default_l7rule_quota,
  };
}

/** What holds for projects without limits of their own, and whether any limit holds anybody back. */
export interface QuotaRules {
  readonly defaults: Partial<QuotaDefaults>;
  readonly enforced: boolean;
}

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
const unlimited = Object.fromEntries(kinds.map((kind) => [kind, -1])) as QuotaDefaults;
const noLimits = Object.fromEntries(kinds.map((kind) => [kind, null])) as QuotaLimits;

export function quotas(db: Kysely<Database>, rules: QuotaRules): Quotas {
  return {
    defaults: { ...unlimited, ...rules.defaults },
    problem: (projectId, growth) => transaction(db, (trx) => checkQuotas(trx, projectId, growth, rules)),
    of: async (projectId) =>
      projectId.includes('\0') ? noLimits : ((await limitsOf(db, projectId)) ?? noLimits),
    set: (projectId, changes) =>
      transaction(db, (trx) =>
        trx
          .insertInto('quotas')
          .values({ ...noLimits, ...changes, projectId })
          .onConflict((conflict) => conflict.column('projectId').doUpdateSet({ ...changes, projectId }))
          .returning(kinds)
          .executeTakeFirstOrThrow(),
      ),
    async reset(projectId) {
      const missing = notFound('Quotas', projectId);
      if (projectId.includes('\0')) return missing;
      const rows = await db
        .updateTable('quotas')
        .set(noLimits)
        .where('projectId', '=', projectId)
        .returning('projectId')
        .execute();
      return rows.length === 0 ? missing : undefined;
    },
  };
}

async function limitsOf(db: Kysely<Database>, projectId: string): Promise<QuotaLimits | undefined> {
  return db.selectFrom('quotas').select(kinds).where('projectId', '=', projectId).executeTakeFirst();
}

/** The limits of a project, which from now on has a record of its own. */
async function recordedLimits(trx: Transaction<Database>, projectId: string): Promise<QuotaLimits> {
  const own = await limitsOf(trx, projectId);
  if (own !== undefined) return own;
  await trx
    .insertInto('quotas')
    .values({ ...noLimits, projectId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return (await limitsOf(trx, projectId)) ?? noLimits;
}

/**
 * May the project have so many more of each kind? What is in use are the rows, those being deleted included. Of two
 * transactions of one project that grow something limited, the second waits here until the first is over.
 */
export async function checkQuotas(
  trx: Transaction<Database>,
  projectId: string,
  growth: Growth,
  { defaults, enforced }: QuotaRules,
): Promise<Problem | undefined> {
  const growing = kinds.filter((kind) => (growth[kind] ?? 0) > 0);
  if (growing.length === 0) return undefined;
  const own = await recordedLimits(trx, projectId);
  if (!enforced) return undefined;
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
