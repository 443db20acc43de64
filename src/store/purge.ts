import { type Kysely, sql } from 'kysely';
import type { Database } from './schema.ts';
import type { Store } from './store.ts';

/** Rows that say DELETED are kept for a while, for those who look into the database afterwards. */
export function purge(db: Kysely<Database>): Store['purge'] {
  return async ({ loadBalancersBefore, amphoraeBefore }) => {
    const amphorae = await sql`delete from amphorae
      where status = 'DELETED' and coalesce(updated_at, created_at) < ${amphoraeBefore}`.execute(db);
    // One whose amphorae are still there goes after them.
    const loadBalancers = await sql`delete from load_balancers b
      where b.provisioning_status = 'DELETED' and coalesce(b.updated_at, b.created_at) < ${loadBalancersBefore}
        and not exists (select from amphorae a where a.load_balancer_id = b.id)`.execute(db);
    return Number(amphorae.numAffectedRows ?? 0) + Number(loadBalancers.numAffectedRows ?? 0);
  };
}
