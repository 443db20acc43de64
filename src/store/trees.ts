import { type Kysely, sql, type Transaction } from 'kysely';
import { cloudObjectNotFound, isProblem } from '../lb/problems.ts';
import type { Resource } from '../lb/resource.ts';
import type { OperatingStatus } from '../lb/status.ts';
import { type Outgoing, type Tree, type TreeList, treeLists } from '../lb/tree.ts';
import { checkQuotas, type QuotaRules } from './quotas.ts';
import { holdRow } from './offers.ts';
import { transaction } from './refusals.ts';
import { deleteRows, fieldsOf, insertRows, isUuid, jsonRows, revive, updateRows } from './rows.ts';
import { type AnyTable, type Database, tables } from './schema.ts';
import type { ResourceKind, Trees } from './store.ts';
import { markForWork } from './work-queue.ts';

const kindOf: { readonly [L in TreeList]: ResourceKind } = {
  listeners: 'listener',
  pools: 'pool',
  members: 'member',
  healthMonitors: 'healthMonitor',
  l7Policies: 'l7Policy',
  l7Rules: 'l7Rule',
};
const tableOf = (list: TreeList): AnyTable => tables[kindOf[list]];

const nothingBelow = {
  listeners: [],
  pools: [],
  members: [],
  healthMonitors: [],
  l7Policies: [],
  l7Rules: [],
} satisfies Omit<Tree, 'loadBalancer'>;

export function trees(db: Kysely<Database>, quotaRules: QuotaRules): Trees {
  return {
    read: (loadBalancerId) => readTree(db, loadBalancerId),

    async loadBalancerOf(kind, id) {
      if (!isUuid(id)) return undefined;
      const column = sql.raw(kind === 'loadBalancer' ? 'id' : 'load_balancer_id');
      const { rows } = await sql<{ loadBalancerId: string }>`select ${column} as load_balancer_id
        from ${sql.raw(tables[kind].name)} where id = ${id} and provisioning_status <> 'DELETED'`.execute(db);
      return rows[0]?.loadBalancerId;
    },

    async create(tree) {
      const refusal = await transaction(db, async (trx) => {
        const { id, projectId, flavorId, availabilityZone } = tree.loadBalancer;
        // Octavia counts everything in a whole load balancer but its policies and rules.
        const { l7Policy: _, l7Rule: __, ...growth } = growthBetween({ ...tree, ...nothingBelow }, tree);
        const overQuota = await checkQuotas(trx, projectId, { ...growth, loadBalancer: 1 }, quotaRules);
        if (overQuota) return overQuota;
        if (flavorId !== null && !(await holdRow(trx, tables.flavor, flavorId)))
          return cloudObjectNotFound('Flavor', flavorId);
        if (availabilityZone !== null && !(await holdRow(trx, tables.availabilityZone, availabilityZone)))
          return cloudObjectNotFound('Availability Zone', availabilityZone);
        await insertRows(tables.loadBalancer, [tree.loadBalancer], {}).execute(trx);
        await writeLists(trx, { ...tree, ...nothingBelow }, tree);
        await markForWork(trx, id);
        return undefined;
      });
      return refusal;
    },

    change: (loadBalancerId, decide, asked = {}) =>
      transaction(db, async (trx) => {
        const before = await lockTree(trx, loadBalancerId);
        const change = decide(before);
        if (isProblem(change)) {
          if (before === undefined || change.status < 409) return change;
          return (await checkQuotas(trx, before.loadBalancer.projectId, asked, quotaRules)) ?? change;
        }
        const after = change.tree;
        if (after === before) return change.answer;
        if (!before) throw new Error(`load balancer ${loadBalancerId} is gone and cannot be changed`);
        const overQuota = await checkQuotas(
          trx,
          before.loadBalancer.projectId,
          growthBetween(before, after),
          quotaRules,
        );
        if (overQuota) return overQuota;
        const loadBalancer = { ...after.loadBalancer, generation: before.loadBalancer.generation + 1 };
        await writeDifference(trx, before, { ...after, loadBalancer });
        if (change.outgoing !== undefined) await markOutgoing(trx, loadBalancerId, change.outgoing);
        await markForWork(trx, loadBalancerId);
        return change.answer;
      }),

    async settle(loadBalancerId, settle) {
      await db.transaction().execute(async (trx) => {
        const before = await lockTree(trx, loadBalancerId);
        if (!before) return;
        const after = settle(before);
        const deleted = after.loadBalancer.provisioningStatus === 'DELETED';
        await writeDifference(trx, before, deleted ? { ...after, ...nothingBelow } : after);
      });
    },

    async setOperatingStatuses(loadBalancerId, statuses) {
      if (!isUuid(loadBalancerId) || statuses.size === 0) return;
      // Reports come every few seconds and mostly say the same: look before taking the lock.
      if (!(await operatingStatusesDiffer(db, loadBalancerId, statuses))) return;
      await db.transaction().execute(async (trx) => {
        if (!(await lock(trx, loadBalancerId))) return;
        await writeOperatingStatuses(trx, loadBalancerId, statuses);
      });
    },
  };
}

async function markOutgoing(
  trx: Transaction<Database>,
  loadBalancerId: string,
  outgoing: Outgoing,
): Promise<void> {
  const all = trx
    .updateTable('amphorae')
    .set({ outgoing: true })
    .where('loadBalancerId', '=', loadBalancerId)
    .where('status', 'not in', ['DELETED', 'PENDING_DELETE']);
  await (outgoing === 'all' ? all : all.where('id', 'in', outgoing)).execute();
}

/** One round trip, whatever the size. */
async function readTree(db: Kysely<Database>, loadBalancerId: string): Promise<Tree | undefined> {
  if (!isUuid(loadBalancerId)) return undefined;
  const below = treeLists.map((list) => {
    const order = list === 'l7Policies' ? 't.position, t.created_at, t.id' : 't.created_at, t.id';
    return sql`${jsonRows(tableOf(list), sql`t.load_balancer_id = ${loadBalancerId}`, order)} as ${sql.ref(list)}`;
  });
  const { rows } = await sql<Record<TreeList | 'loadBalancer', object[]>>`
    select json_build_array(to_json(b)) as load_balancer, ${sql.join(below)}
    from (select ${fieldsOf(tables.loadBalancer)} from load_balancers t
      where t.id = ${loadBalancerId} and t.provisioning_status <> 'DELETED') b`.execute(db);
  const row = rows[0];
  const loadBalancer = row && revive(tables.loadBalancer, row.loadBalancer)[0];
  if (!row || !loadBalancer) return undefined;
  return {
    loadBalancer,
    listeners: revive(tables.listener, row.listeners),
    pools: revive(tables.pool, row.pools),
    members: revive(tables.member, row.members),
    healthMonitors: revive(tables.healthMonitor, row.healthMonitors),
    l7Policies: revive(tables.l7Policy, row.l7Policies),
    l7Rules: revive(tables.l7Rule, row.l7Rules),
  };
}

/** Whoever writes to a tree holds its load balancer's row: the second sees what the first wrote. */
async function lock(trx: Transaction<Database>, loadBalancerId: string): Promise<boolean> {
  const { rows } = await sql`select from load_balancers
    where id = ${loadBalancerId} and provisioning_status <> 'DELETED' for update`.execute(trx);
  return rows.length === 1;
}

async function lockTree(trx: Transaction<Database>, loadBalancerId: string): Promise<Tree | undefined> {
  if (!isUuid(loadBalancerId) || !(await lock(trx, loadBalancerId))) return undefined;
  return readTree(trx, loadBalancerId);
}

function growthBetween(before: Tree, after: Tree): Partial<Record<ResourceKind, number>> {
  return Object.fromEntries(
    treeLists.map((list) => [kindOf[list], after[list].length - before[list].length]),
  );
}

async function writeDifference(trx: Transaction<Database>, before: Tree, after: Tree): Promise<void> {
  if (after.loadBalancer !== before.loadBalancer) {
    await updateRows(tables.loadBalancer, [after.loadBalancer], {}).execute(trx);
  }
  await writeLists(trx, before, after);
}

async function writeLists(trx: Transaction<Database>, before: Tree, after: Tree): Promise<void> {
  for (const list of treeLists) await writeList(trx, list, before, after);
}

/** Three statements at most: gone, changed and new objects. */
async function writeList(
  trx: Transaction<Database>,
  list: TreeList,
  before: Tree,
  after: Tree,
): Promise<void> {
  if (before[list] === after[list]) return;
  const table = tableOf(list);
  const gone = new Map(before[list].map((object): [string, Resource] => [object.id, object]));
  const added: Resource[] = [];
  const changed: Resource[] = [];
  for (const object of after[list]) {
    const was = gone.get(object.id);
    if (!was) added.push(object);
    else if (was !== object) changed.push(object);
    gone.delete(object.id);
  }
  const hidden = 'loadBalancerId' in table.hiddenColumns ? { load_balancer_id: after.loadBalancer.id } : {};
  if (gone.size > 0) await deleteRows(table, [...gone.keys()]).execute(trx);
  if (changed.length > 0) await updateRows(table, changed, hidden).execute(trx);
  if (added.length > 0) await insertRows(table, added, hidden).execute(trx);
}

const statusTables = [tables.loadBalancer, ...treeLists.map((list) => tableOf(list))].map(
  (table) => table.name,
);

/** Rows of one table whose operating status is said to be another. */
const differing = (table: string, loadBalancerId: string) => {
  const owner = sql.raw(table === tables.loadBalancer.name ? 't.id' : 't.load_balancer_id');
  return sql`${owner} = ${loadBalancerId} and t.id = said.id and t.operating_status <> said.status`;
};

const said = (statuses: ReadonlyMap<string, OperatingStatus>) =>
  sql`said as materialized (select * from unnest(
    ${[...statuses.keys()].filter(isUuid)}::uuid[],
    ${[...statuses].filter(([id]) => isUuid(id)).map(([, status]) => status)}::text[]) as said (id, status))`;

async function operatingStatusesDiffer(
  db: Kysely<Database>,
  loadBalancerId: string,
  statuses: ReadonlyMap<string, OperatingStatus>,
): Promise<boolean> {
  const looks = statusTables.map(
    (table) => sql`exists (select from ${sql.raw(table)} t, said where ${differing(table, loadBalancerId)})`,
  );
  const { rows } = await sql<{ differ: boolean }>`with ${said(statuses)}
    select ${sql.join(looks, sql` or `)} as differ`.execute(db);
  return rows[0]?.differ === true;
}

async function writeOperatingStatuses(
  trx: Transaction<Database>,
  loadBalancerId: string,
  statuses: ReadonlyMap<string, OperatingStatus>,
): Promise<void> {
  const writes = statusTables.map(
    (table, n) => sql`${sql.raw(`w${n}`)} as (update ${sql.raw(table)} t set operating_status = said.status
      from said where ${differing(table, loadBalancerId)})`,
  );
  await sql`with ${said(statuses)}, ${sql.join(writes)} select`.execute(trx);
}
