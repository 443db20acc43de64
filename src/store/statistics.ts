import { type Kysely, type RawBuilder, sql } from 'kysely';
import { isUuid } from './rows.ts';
import type { Database } from './schema.ts';
import type { Statistics, TrafficSample } from './store.ts';

type Totals = Omit<TrafficSample, 'listenerId'>;

const nothing: Totals = {
  activeConnections: 0,
  bytesIn: 0,
  bytesOut: 0,
  totalConnections: 0,
  requestErrors: 0,
};

export function statistics(db: Kysely<Database>): Statistics {
  return {
    async record(amphoraId, loadBalancerId, samples) {
      if (samples.length === 0) return;
      // Of listeners that are gone nothing is kept; holding the others' rows, none goes while this is written.
      await sql`insert into traffic (amphora_id, listener_id, load_balancer_id,
          active_connections, bytes_in, bytes_out, total_connections, request_errors)
        select ${amphoraId}::uuid, l.id, l.load_balancer_id,
          s."activeConnections", s."bytesIn", s."bytesOut", s."totalConnections", s."requestErrors"
        from json_to_recordset(${JSON.stringify(samples)}::json) as s ("listenerId" uuid,
          "activeConnections" bigint, "bytesIn" bigint, "bytesOut" bigint, "totalConnections" bigint, "requestErrors" bigint)
        join listeners l on l.id = s."listenerId" and l.load_balancer_id = ${loadBalancerId}
        order by l.id
        for key share of l
        on conflict (listener_id, amphora_id) do update set
          active_connections = excluded.active_connections,
          bytes_in = greatest(traffic.bytes_in, excluded.bytes_in),
          bytes_out = greatest(traffic.bytes_out, excluded.bytes_out),
          total_connections = greatest(traffic.total_connections, excluded.total_connections),
          request_errors = greatest(traffic.request_errors, excluded.request_errors)`.execute(db);
    },

    ofListener: (listenerId) => totals(db, listenerId, sql`t.listener_id = ${listenerId}`),
    ofLoadBalancer: (loadBalancerId) =>
      totals(db, loadBalancerId, sql`t.load_balancer_id = ${loadBalancerId}`),

    async ofAmphora(amphoraId) {
      if (!isUuid(amphoraId)) return [];
      return db
        .selectFrom('traffic')
        .select(['listenerId', 'loadBalancerId', 'activeConnections', 'bytesIn', 'bytesOut'])
        .select(['totalConnections', 'requestErrors'])
        .where('amphoraId', '=', amphoraId)
        .orderBy('listenerId')
        .execute();
    },
  };
}

/**
 * Of rows `t` of the traffic, each with its amphora `a`. Counters of amphorae that are gone still count; connections are
 * active only in those that serve.
 */
export const totalsOfTraffic = sql`
  coalesce(sum(t.active_connections) filter (where a.status = 'ALLOCATED'), 0)::bigint as active_connections,
  coalesce(sum(t.bytes_in), 0)::bigint as bytes_in,
  coalesce(sum(t.bytes_out), 0)::bigint as bytes_out,
  coalesce(sum(t.total_connections), 0)::bigint as total_connections,
  coalesce(sum(t.request_errors), 0)::bigint as request_errors`;

async function totals(db: Kysely<Database>, id: string, where: RawBuilder<unknown>): Promise<Totals> {
  if (!isUuid(id)) return nothing;
  const { rows } = await sql<Totals>`select ${totalsOfTraffic}
    from traffic t left join amphorae a on a.id = t.amphora_id where ${where}`.execute(db);
  return rows[0] ?? nothing;
}
