import { type Kysely, sql } from 'kysely';
import { Client, type ClientConfig } from 'pg';
import type { Log } from '../platform/log.ts';
import type { Database } from './schema.ts';
import type { Claim, QueueDepth, WorkQueue } from './store.ts';

/**
 * A key that is worked on is due at 'infinity' and has an owner whose lease ends. A mark only moves `due_at` to an
 * earlier time, so a mark during work is there when the work is over. Every time is the database's: clocks of
 * controllers may differ.
 */

const channel = 'livia_work';
const reconnectAfterMs = 1000;
const milliseconds = (count: number) =>
  sql`${Math.max(0, count)}::double precision * interval '1 millisecond'`;

/** Puts the load balancer on the queue when the transaction commits. */
export async function markForWork(db: Kysely<Database>, key: string, afterMs = 0): Promise<void> {
  await sql`with marked as (
      insert into work (key, due_at) values (${key}, now() + ${milliseconds(afterMs)})
      on conflict (key) do update set due_at = least(work.due_at, excluded.due_at))
    select pg_notify(${channel}, ${key})`.execute(db);
}

/** The row as this claim left it; the attempt tells it from a later claim of the same owner. */
const held = (claim: Claim) =>
  sql`key = ${claim.key} and owner = ${claim.owner} and attempt = ${claim.attempt}`;

export function workQueue(
  db: Kysely<Database>,
  connection: ClientConfig,
  log?: Log,
): WorkQueue & { close(): Promise<void> } {
  const listeners = new Set<() => Promise<void>>();
  return {
    mark: (key, notBefore) => markForWork(db, key, notBefore ? notBefore.getTime() - Date.now() : 0),

    async markUnfinished() {
      // What is on the queue already keeps its time: waiting after a failure is not to be cut short.
      const { rows } = await sql`insert into work (key)
        select b.id::text from load_balancers b
        where b.provisioning_status <> 'DELETED' and (b.provisioning_status <> 'ACTIVE' or exists (
          select from amphorae a where a.load_balancer_id = b.id
            and a.status <> 'DELETED' and (a.status not in ('ALLOCATED', 'FAILOVER_STOPPED') or a.applied_generation < b.generation)))
        order by b.id
        on conflict (key) do nothing
        returning pg_notify(${channel}, key)`.execute(db);
      return rows.length;
    },

    async claim(owner, limit, leaseMs) {
      // A lease that ran out counts as a try.
      const { rows } = await sql<Claim>`update work
        set owner = ${owner}, lease_until = now() + ${milliseconds(leaseMs)}, due_at = 'infinity',
          attempt = attempt + case when owner is null then 0 else 1 end
        where key in (
          select key from work
          where (owner is null and due_at <= now()) or lease_until <= now()
          order by least(due_at, lease_until) limit ${limit} for update skip locked)
        returning key, owner, attempt`.execute(db);
      return rows;
    },

    async renew(claim, leaseMs) {
      const { rows } = await sql`update work set lease_until = now() + ${milliseconds(leaseMs)}
        where ${held(claim)} returning key`.execute(db);
      return rows.length === 1;
    },

    async release(claim) {
      const { rows } = await sql`delete from work
        where ${held(claim)} and due_at = 'infinity' returning key`.execute(db);
      if (rows.length === 1) return;
      await sql`with marked as (
          update work set owner = null, lease_until = null, attempt = 0 where ${held(claim)} returning key)
        select pg_notify(${channel}, key) from marked`.execute(db);
    },

    async retry(claim, delayMs) {
      await sql`with marked as (
          update work set owner = null, lease_until = null, attempt = attempt + 1,
            due_at = least(due_at, now() + ${milliseconds(delayMs)})
          where ${held(claim)} returning key, due_at)
        select pg_notify(${channel}, key) from marked where due_at <= now()`.execute(db);
    },

    async depth() {
      const { rows } = await sql<QueueDepth>`select
          count(*) filter (where owner is null and due_at <= now()) as due,
          count(*) filter (where owner is null and due_at > now()) as waiting,
          count(*) filter (where owner is not null) as leased,
          coalesce(extract(epoch from now() - min(due_at) filter (where owner is null and due_at <= now())), 0)
            ::double precision as oldest_due_seconds
        from work`.execute(db);
      const [depth] = rows;
      if (depth === undefined) throw new Error('a count without an answer');
      return depth;
    },

    async listen(onMark) {
      const end = await listenForMarks(connection, onMark, log);
      listeners.add(end);
      return async () => {
        listeners.delete(end);
        await end();
      };
    },

    async close() {
      await Promise.all([...listeners].map((end) => end()));
    },
  };
}

/** Listens on a connection of its own, and on a new one when that breaks. */
async function listenForMarks(
  connection: ClientConfig,
  onMark: () => void,
  log: Log | undefined,
): Promise<() => Promise<void>> {
  let ended = false;
  let client: Client | undefined;
  let timer: NodeJS.Timeout | undefined;

  const connect = async (): Promise<void> => {
    const next = new Client(connection);
    client = next;
    next.on('notification', onMark);
    next.on('error', (error) => log?.warn({ err: error }, 'the connection that listens for work broke'));
    next.on('end', () => {
      if (!ended && client === next) reconnectSoon();
    });
    await next.connect();
    await next.query(`listen ${channel}`);
  };
  const reconnectSoon = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      connect().then(onMark, (error: unknown) => {
        log?.warn({ err: error }, 'cannot listen for work');
        if (!ended) reconnectSoon();
      });
    }, reconnectAfterMs);
  };

  await connect();
  return async () => {
    ended = true;
    clearTimeout(timer);
    await client?.end();
  };
}
