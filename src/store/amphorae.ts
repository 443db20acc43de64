import { type Kysely, sql } from 'kysely';
import { isUuid } from './rows.ts';
import type { Database } from './schema.ts';
import type { Amphorae } from './store.ts';
import { markForWork } from './work-queue.ts';

/** As `serves` in lb. */
const serving = ['ALLOCATED', 'FAILOVER_STOPPED'] as const;

/** One that was never heard is given time from the moment it was last written. */
const lastSign = sql`coalesce(last_heartbeat_at, updated_at, created_at)`;

/** An amphora with status DELETED is kept as a row and hidden here as everywhere. */
export function amphorae(db: Kysely<Database>): Amphorae {
  const present = db.selectFrom('amphorae').selectAll().where('status', '!=', 'DELETED');
  return {
    async of(loadBalancerId) {
      if (!isUuid(loadBalancerId)) return [];
      return present
        .where('loadBalancerId', '=', loadBalancerId)
        .orderBy('createdAt')
        .orderBy('id')
        .execute();
    },

    async get(id) {
      return isUuid(id) ? present.where('id', '=', id).executeTakeFirst() : undefined;
    },

    async discard(id, at) {
      if (!isUuid(id)) return false;
      return db.transaction().execute(async (trx) => {
        const [gone] = await trx
          .updateTable('amphorae')
          .set({ status: 'PENDING_DELETE', updatedAt: at })
          .where('id', '=', id)
          .where('status', '=', 'ERROR')
          .returning('loadBalancerId')
          .execute();
        if (gone !== undefined) await markForWork(trx, gone.loadBalancerId);
        return gone !== undefined;
      });
    },

    async save(amphora) {
      const { id: _, ...changes } = amphora;
      await db
        .insertInto('amphorae')
        .values(amphora)
        .onConflict((conflict) =>
          conflict.column('id').doUpdateSet({
            ...changes,
            // A heartbeat or the wish for a failover may have come since the loop read the amphora.
            outgoing: sql`amphorae.outgoing or excluded.outgoing`,
            lastHeartbeatAt: sql`greatest(amphorae.last_heartbeat_at, excluded.last_heartbeat_at)`,
          }),
        )
        .execute();
    },

    async heard(id, at) {
      if (!isUuid(id)) return false;
      const rows = await db
        .updateTable('amphorae')
        .set({
          lastHeartbeatAt: sql`greatest(last_heartbeat_at, ${at})`,
          status: sql`case status when 'FAILOVER_STOPPED' then 'ALLOCATED' else status end`,
        })
        .where('id', '=', id)
        .where('status', '!=', 'DELETED')
        .returning('id')
        .execute();
      return rows.length === 1;
    },

    async setBrake(ids) {
      await db
        .updateTable('amphorae')
        .set({
          status: sql`case when id = any(${ids}::uuid[]) then 'FAILOVER_STOPPED' else 'ALLOCATED' end`,
        })
        .where((eb) =>
          eb.or([
            eb('status', '=', 'FAILOVER_STOPPED').and(sql<boolean>`not id = any(${ids}::uuid[])`),
            eb('status', '=', 'ALLOCATED').and(sql<boolean>`id = any(${ids}::uuid[])`),
          ]),
        )
        .execute();
    },

    silentSince: (since) =>
      present
        .where('status', 'in', serving)
        .where(sql<boolean>`${lastSign} < ${since}`)
        .orderBy('createdAt')
        .orderBy('id')
        .execute(),

    async countAllocated() {
      const { count } = await db
        .selectFrom('amphorae')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .where('status', 'in', serving)
        .executeTakeFirstOrThrow();
      return count;
    },

    pulse: (since) =>
      db
        .selectFrom('amphorae')
        .select((eb) => [
          eb.fn.countAll<number>().as('serving'),
          sql<number>`count(*) filter (where ${lastSign} < ${since})`.as('silent'),
          sql<Date | null>`min(${lastSign})`.as('oldest'),
        ])
        .where('status', 'in', serving)
        .executeTakeFirstOrThrow(),
  };
}
