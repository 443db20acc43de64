import { type RawBuilder, sql } from 'kysely';
import type { AnyTable, Table } from './schema.ts';

/** How domain objects become rows and come back: as JSON both ways, so that 10,000 rows are one parameter or one value. */

/** Column of a field: `l7PolicyId` → `l7_policy_id`. */
export const columnOf = (field: string): string =>
  field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** `t.project_id as "projectId", …`: all fields of the object, named as in the domain, from the table called `t`. */
export const fieldsOf = (table: AnyTable): RawBuilder<unknown> =>
  sql.raw(
    Object.keys(table.fields)
      .map((field) => `t.${columnOf(field)} as "${field}"`)
      .join(', '),
  );

/** A table's rows of one load balancer, in the order given, as one JSON array of objects. */
export const jsonRows = (table: AnyTable, where: RawBuilder<unknown>, order: string): RawBuilder<unknown> =>
  sql`coalesce((select json_agg(r) from (select ${fieldsOf(table)} from ${sql.raw(table.name)} t
    where ${where} order by ${sql.raw(order)}) r), '[]')`;

/** What the JSON could not carry: dates are text there. Changes the fresh objects in place. */
export function revive<T>(table: Table<T>, objects: readonly object[]): readonly T[] {
  const times = Object.entries<string>(table.fields)
    .filter(([, kind]) => kind.startsWith('time'))
    .map(([field]) => field);
  for (const object of objects as Record<string, unknown>[]) {
    for (const field of times) {
      const value = object[field];
      if (typeof value === 'string') object[field] = new Date(value);
    }
  }
  return objects as readonly T[];
}

/** All columns of the table, hidden ones included. */
const columnsOf = (table: AnyTable): readonly string[] =>
  [...Object.keys(table.fields), ...Object.keys(table.hiddenColumns)].map(columnOf);

/** Rows from objects, as a relation with the table's columns. `hidden`: values of the hidden columns. */
function relation(table: AnyTable, objects: readonly object[], hidden: object): RawBuilder<unknown> {
  const fields = Object.keys(table.fields).map((field) => [field, columnOf(field)] as const);
  const rows = objects.map((object) => {
    const row: Record<string, unknown> = { ...hidden };
    for (const [field, column] of fields) row[column] = (object as Record<string, unknown>)[field];
    return row;
  });
  return sql`json_populate_recordset(null::${sql.raw(table.name)}, ${JSON.stringify(rows)}::json)`;
}

/** One statement for any number of new objects. */
export function insertRows(table: AnyTable, objects: readonly object[], hidden: object): RawBuilder<unknown> {
  const columns = sql.raw(columnsOf(table).join(', '));
  return sql`insert into ${sql.raw(table.name)} (${columns}) select ${columns} from ${relation(table, objects, hidden)}`;
}

/** One statement for any number of changed objects. */
export function updateRows(table: AnyTable, objects: readonly object[], hidden: object): RawBuilder<unknown> {
  const key = columnOf(table.key ?? 'id');
  const columns = columnsOf(table).filter((column) => column !== key);
  return sql`update ${sql.raw(table.name)} t
    set (${sql.raw(columns.join(', '))}) = row(${sql.raw(columns.map((column) => `r.${column}`).join(', '))})
    from ${relation(table, objects, hidden)} r where t.${sql.raw(key)} = r.${sql.raw(key)}`;
}

export const deleteRows = (table: AnyTable, ids: readonly string[]): RawBuilder<unknown> =>
  sql`delete from ${sql.raw(table.name)} where id = any(${ids}::uuid[])`;

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Anything else names no object, and PostgreSQL would refuse to compare it. */
export const isUuid = (text: unknown): text is string => typeof text === 'string' && uuid.test(text);
