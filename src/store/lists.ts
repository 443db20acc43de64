import { type Kysely, type RawBuilder, sql } from 'kysely';
import { columnOf, fieldsOf, isUuid, revive } from './rows.ts';
import { type AnyTable, type ColumnKind, type Database, tables } from './schema.ts';
import type { ListQuery, Lists, ViewKind, Views } from './store.ts';

type Sql = RawBuilder<unknown>;

interface View {
  readonly table: AnyTable;
  /** Rows that are kept and never shown. */
  readonly hidden?: string;
  /** What the view shows around the object: for each field a subquery on the row `t`. */
  readonly around?: Readonly<Record<string, string>>;
  /** Filters that are no column of the row `t`. */
  readonly filters?: Readonly<Record<string, (id: string | null) => Sql>>;
}

const idsBelow = (from: string, where: string, order = 'c.created_at, c.id'): string =>
  `coalesce((select json_agg(c.id order by ${order}) from ${from} c where ${where}), '[]')`;

/** Listeners that use a pool: as default pool, or by an enabled policy with at least one rule (`listenersUsing`). */
const usersOfPool = `(select u.id from listeners u where u.default_pool_id = t.id
  union select p.listener_id from l7_policies p where p.redirect_pool_id = t.id and p.admin_state_up
    and exists (select from l7_rules r where r.l7_policy_id = p.id))`;

const views: Readonly<Record<ViewKind, View>> = {
  loadBalancer: {
    table: tables.loadBalancer,
    hidden: `t.provisioning_status = 'DELETED'`,
    around: {
      listenerIds: idsBelow('listeners', 'c.load_balancer_id = t.id'),
      poolIds: idsBelow('pools', 'c.load_balancer_id = t.id'),
    },
  },
  listener: {
    table: tables.listener,
    around: {
      l7PolicyIds: idsBelow('l7_policies', 'c.listener_id = t.id', 'c.position, c.created_at, c.id'),
    },
  },
  pool: {
    table: tables.pool,
    around: {
      listenerIds: idsBelow('listeners', `c.id in ${usersOfPool}`),
      memberIds: idsBelow('members', 'c.pool_id = t.id'),
      healthMonitorId: '(select c.id from health_monitors c where c.pool_id = t.id)',
    },
    filters: {
      listenerId: (id) =>
        id === null ? sql`not exists ${sql.raw(usersOfPool)}` : sql`${id}::uuid in ${sql.raw(usersOfPool)}`,
      healthMonitorId: (id) =>
        id === null
          ? sql`not exists (select from health_monitors c where c.pool_id = t.id)`
          : sql`t.id in (select c.pool_id from health_monitors c where c.id = ${id})`,
    },
  },
  member: { table: tables.member },
  healthMonitor: { table: tables.healthMonitor },
  l7Policy: {
    table: tables.l7Policy,
    around: { l7RuleIds: idsBelow('l7_rules', 'c.l7_policy_id = t.id') },
  },
  l7Rule: { table: tables.l7Rule },
  flavor: { table: tables.flavor },
  flavorProfile: { table: tables.flavorProfile },
  amphora: {
    table: tables.amphora,
    hidden: `t.status = 'DELETED'`,
    filters: {
      projectId: (id) =>
        sql`t.load_balancer_id in (select b.id from load_balancers b where b.project_id = ${id})`,
    },
  },
  availabilityZone: { table: tables.availabilityZone },
  availabilityZoneProfile: { table: tables.availabilityZoneProfile },
  quota: { table: tables.quota },
};

export function lists(db: Kysely<Database>): Lists {
  return {
    async list<K extends ViewKind>(kind: K, query: ListQuery) {
      const { markerFound, rows } = await page(db, views[kind], query);
      return markerFound ? (rows as unknown as readonly Views[K][]) : undefined;
    },
    async show<K extends ViewKind>(kind: K, id: string) {
      const { rows } = await page(db, views[kind], {
        filters: { [views[kind].table.key ?? 'id']: id },
        sort: [],
      });
      return rows[0] as Views[K] | undefined;
    },
  };
}

async function page(
  db: Kysely<Database>,
  view: View,
  query: ListQuery,
): Promise<{ markerFound: boolean; rows: readonly unknown[] }> {
  const { key: named } = view.table;
  if (query.marker !== undefined && (named !== undefined || !isUuid(query.marker)))
    return { markerFound: false, rows: [] };
  const tie = named === undefined ? [] : [{ key: named, descending: false }];
  const sort = [...query.sort, ...tie].map(({ key, descending }) => ({
    value: sortValue(view.table, key),
    descending,
  }));
  const conditions = [
    view.hidden === undefined ? sql`true` : sql`not (${sql.raw(view.hidden)})`,
    ...Object.entries(query.filters).map(([field, value]) => filter(view, field, value)),
    ...tagConditions(view.table, query.tags ?? {}),
    ...(query.marker === undefined ? [] : [beyondMarker(sort, query.reverse ?? false)]),
  ];
  const order = sort.map(({ value, descending }) => sql`${value} ${sql.raw(descending ? 'desc' : 'asc')}`);
  const around = Object.entries(view.around ?? {}).map(([field, subquery]) =>
    sql.raw(`, ${subquery} as "${field}"`),
  );
  const table = sql.raw(view.table.name);
  // The page is cut first, then what stands around its rows is gathered.
  const statement = sql<{ markerFound: boolean; rows: object[] }>`
    with marker as materialized (
      select ${sort.length > 0 ? sql.join(sort.map(({ value }, n) => sql`${value} as ${key(n)}`)) : sql``}
      from ${table} t where ${query.marker === undefined ? sql`false` : sql`t.id = ${query.marker}::uuid`})
    select exists (select from marker) as marker_found,
      coalesce((select json_agg(r) from (
        select ${fieldsOf(view.table)}${sql.join(around, sql``)} from (
          select * from ${table} t where ${sql.join(conditions, sql` and `)}
          ${order.length > 0 ? sql`order by ${sql.join(order)}` : sql``}
          ${query.limit === undefined ? sql`` : sql`limit ${query.limit}`}) t) r), '[]') as rows`;
  const { rows } = await statement.execute(db);
  const found = rows[0];
  if (!found) throw new Error('a list without an answer');
  return {
    markerFound: query.marker === undefined || found.markerFound,
    rows: revive(view.table, found.rows),
  };
}

const key = (n: number): Sql => sql.raw(`k${n}`);

/**
 * Rows strictly after the marker in sort order, or before it. The first condition is implied by the second; it is
 * there because an index can use it.
 */
function beyondMarker(sort: readonly { value: Sql; descending: boolean }[], reverse: boolean): Sql {
  const markers = sort.map((_, n) => sql`(select ${key(n)} from marker)`);
  const beyond = sort.map(({ value, descending }, n) => {
    const equal = sort.slice(0, n).map((earlier, m) => sql`${earlier.value} = ${markers[m]} and `);
    const side = sql.raw(descending === reverse ? '>' : '<');
    return sql`(${sql.join(equal, sql``)}${value} ${side} ${markers[n]})`;
  });
  const [first] = sort;
  if (!first) throw new Error('a marker needs a sort order');
  const notBehind = sql.raw(first.descending === reverse ? '>=' : '<=');
  return sql`${first.value} ${notBehind} ${markers[0]} and (${sql.join(beyond, sql` or `)})`;
}

function kindOfColumn(table: AnyTable, field: string): ColumnKind {
  const kind = {
    ...table.hiddenColumns,
    ...(table.fields as Record<string, ColumnKind>),
  }[field];
  if (kind === undefined) throw new Error(`${table.name} has no column for ${field}`);
  return kind;
}

const emptyValues: Readonly<Record<string, string>> = {
  uuid: `'00000000-0000-0000-0000-000000000000'::uuid`,
  text: `''`,
  number: '0',
  boolean: 'false',
  time: `'-infinity'::timestamptz`,
};

/** Null sorts as the empty value. Lists and objects sort by their text. */
function sortValue(table: AnyTable, field: string): Sql {
  const kind = kindOfColumn(table, field);
  const column = `t.${columnOf(field)}`;
  const bare = kind.replace('?', '');
  const empty = emptyValues[bare];
  if (empty === undefined) return sql.raw(`coalesce(${column}::text, '')`);
  return sql.raw(bare === kind ? column : `coalesce(${column}, ${empty})`);
}

function filter(view: View, field: string, value: string | number | boolean | null): Sql {
  const own = view.filters?.[field];
  if (own) {
    const id = value === null ? null : storable(value);
    return id === null || field === 'projectId' || isUuid(id) ? own(id) : sql`false`;
  }
  const kind = kindOfColumn(view.table, field).replace('?', '');
  const column = sql.raw(`t.${columnOf(field)}`);
  if (value === null) return sql`${column} is null`;
  switch (kind) {
    case 'uuid':
      return isUuid(value) ? sql`${column} = ${value}` : sql`false`;
    case 'number':
      return Number.isFinite(Number(value)) ? sql`${column} = ${Number(value)}::numeric` : sql`false`;
    case 'boolean':
      return typeof value === 'boolean' ? sql`${column} = ${value}` : sql`false`;
    case 'time': {
      // Shown without a zone and to the second, so asked for in the same way.
      const text = String(value);
      const time = new Date(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
      return Number.isNaN(time.getTime()) ? sql`false` : sql`date_trunc('second', ${column}) = ${time}`;
    }
    default:
      return sql`${column}::text = ${storable(value)}`;
  }
}

/** NUL is in no stored text and may not even be asked for. */
const storable = (value: string | number | boolean): string => String(value).replaceAll('\0', '\ufffd');

function tagConditions(table: AnyTable, tags: NonNullable<ListQuery['tags']>): readonly Sql[] {
  if (!('tags' in table.fields)) return [];
  const has = (operator: string, wanted: readonly string[]): Sql =>
    sql`t.tags ${sql.raw(operator)} ${wanted.map(storable)}::text[]`;
  return [
    ...(tags.all ? [has('@>', tags.all)] : []),
    ...(tags.any ? [has('&&', tags.any)] : []),
    ...(tags.notAll ? [sql`not ${has('@>', tags.notAll)}`] : []),
    ...(tags.notAny ? [sql`not ${has('&&', tags.notAny)}`] : []),
  ];
}
