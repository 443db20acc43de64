import { type Kysely, sql } from 'kysely';
import type { Database } from './schema.ts';
import { totalsOfTraffic } from './statistics.ts';
import type { Fleet } from './store.ts';

export async function fleet(db: Kysely<Database>): Promise<Fleet> {
  const [loadBalancers, pools, amphorae, listeners] = await Promise.all([
    db
      .selectFrom('loadBalancers')
      .select(['id', 'projectId', 'name', 'operatingStatus', 'provisioningStatus', 'provider', 'vipAddress'])
      .where('provisioningStatus', '!=', 'DELETED')
      .execute(),
    db
      .selectFrom('pools')
      .select(['id', 'projectId', 'loadBalancerId', 'name', 'operatingStatus', 'provisioningStatus'])
      .select(['protocol', 'lbAlgorithm'])
      .execute(),
    db
      .selectFrom('amphorae')
      .select([
        'id',
        'loadBalancerId',
        'status',
        'role',
        'computeId',
        'lbNetworkIp',
        'haIp',
        'certExpiration',
      ])
      .where('status', '!=', 'DELETED')
      .execute(),
    sql<Fleet['listeners'][number]>`select l.id, l.project_id, l.load_balancer_id, ${totalsOfTraffic}
      from listeners l left join traffic t on t.listener_id = l.id left join amphorae a on a.id = t.amphora_id
      group by l.id`.execute(db),
  ]);
  return { loadBalancers, pools, amphorae, listeners: listeners.rows };
}
