import { invalidInput, isProblem, mandatory, type Problem, unknownAttributes } from '../lb/problems.ts';
import type { At, Schema, Type } from './types.ts';

/**
 * The typing layer. Every resource has one table of its fields; bodies, filters, sort keys, the choice of `fields` and
 * answers all follow from it. Keys are the domain's names; JSON has them in snake_case.
 */

/** What null means on a key: 400. */
export const refused: unique symbol = Symbol('refused');
/** What null means on a key: as if it were not there. */
export const unsent: unique symbol = Symbol('unsent');

export interface Field<T = unknown> {
  readonly type: Type<T>;
  /** Name in JSON where it is not the snake_case of the field's. */
  readonly api?: string;
  /** On create; absent: an unknown attribute. */
  readonly post?: 'required' | 'optional' | 'ignored';
  /** On update; absent: an unknown attribute. */
  readonly put?: 'optional';
  /** The value when the key is absent on create. None: the key stays absent. */
  readonly default?: unknown;
  /** What null means; otherwise null itself, on a required field a 400. */
  readonly nullOnPost?: unknown;
  readonly nullOnPut?: unknown;
  /** The value in answers, otherwise that of the row's field; false: never shown. */
  readonly show?: false | ((row: never) => unknown);
  /** Never null in answers, which the rest does not tell. */
  readonly always?: true;
  /** Not an attribute of the stored object: no filter and no sort key. */
  readonly stored?: false;
  /** Another spelling of that field: filters and sorts as it does. */
  readonly as?: string;
  /** A filter, and no sort key. */
  readonly sort?: false;
}

export type Fields = Readonly<Record<string, Field>>;

/** Keeps the table's literal types, from which those of the values come. */
export const fields = <const F extends Fields>(table: F): F => table;

/** The table less some of its fields. */
export function without<F extends Fields, K extends keyof F>(table: F, ...keys: readonly K[]): Omit<F, K> {
  return Object.fromEntries(
    Object.entries(table).filter(([key]) => !keys.some((other) => other === key)),
  ) as unknown as Omit<F, K>;
}

type ValueOf<F> = F extends { readonly type: Type<infer T> } ? T : never;
type NullOf<F, K extends string> = F extends { readonly [P in K]: infer N }
  ? N extends symbol
    ? never
    : N
  : F extends { readonly post: 'required' }
    ? never
    : null;
type DefaultOf<F> = F extends { readonly default: infer D } ? D : never;
type Sent<F> = F extends { readonly post: 'required' | 'optional' } ? F : never;
type Always<F> = F extends { readonly post: 'required' } | { readonly default: unknown } ? F : never;

/** Values of a create: required ones and those with a default are always there. */
export type Created<T extends Fields> = {
  readonly [K in keyof T as Always<Sent<T[K]>> extends never ? never : K]:
    | ValueOf<T[K]>
    | NullOf<T[K], 'nullOnPost'>
    | DefaultOf<T[K]>;
} & {
  readonly [K in keyof T as Sent<T[K]> extends never ? never : Always<T[K]> extends never ? K : never]?:
    | ValueOf<T[K]>
    | NullOf<T[K], 'nullOnPost'>;
};

/** Values of an update: what is absent stays. */
export type Updated<T extends Fields> = {
  readonly [K in keyof T as T[K] extends { readonly put: 'optional' } ? K : never]?:
    | ValueOf<T[K]>
    | NullOf<T[K], 'nullOnPut'>;
};

/** Name of a field in JSON. */
export function apiName(key: string, field: Field): string {
  return field.api ?? key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

const names = new WeakMap<Fields, ReadonlyMap<string, string>>();

/** Fields by their JSON names. */
export function keysOf(table: Fields): ReadonlyMap<string, string> {
  let known = names.get(table);
  if (known === undefined) {
    known = new Map(Object.entries(table).map(([key, field]) => [apiName(key, field), key]));
    names.set(table, known);
  }
  return known;
}

/** `argument`: path of the object in the fault texts, such as `listener_.listener`. */
export function readCreated<T extends Fields>(
  table: T,
  raw: unknown,
  argument: string,
): Created<T> | Problem {
  const values = read(table, 'post', raw, argument);
  if (isProblem(values)) return values;
  for (const [key, field] of Object.entries<Field>(table)) {
    if (key in values || (field.post ?? 'ignored') === 'ignored') continue;
    if (field.post === 'required') return mandatory(apiName(key, field));
    if ('default' in field) values[key] = field.default;
  }
  return values as Created<T>;
}

export function readUpdated<T extends Fields>(
  table: T,
  raw: unknown,
  argument: string,
): Updated<T> | Problem {
  return read(table, 'put', raw, argument) as Updated<T> | Problem;
}

function read(
  table: Fields,
  mode: 'post' | 'put',
  raw: unknown,
  argument: string,
): Record<string, unknown> | Problem {
  if (!isObject(raw)) {
    const attribute = argument.slice(argument.lastIndexOf('.') + 1);
    return invalidInput(attribute, JSON.stringify(raw) ?? '', 'Value should be an object');
  }
  const keys = keysOf(table);
  const known = (name: string): Field | undefined => {
    const field = table[keys.get(name) ?? ''];
    return field?.[mode] === undefined ? undefined : field;
  };
  const unknown = Object.keys(raw).filter((name) => known(name) === undefined);
  if (unknown.length > 0) return unknownAttributes(argument, unknown);
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(raw)) {
    const field = known(name);
    if (field === undefined) continue;
    const meant = value === null ? meaningOfNull(field, mode) : value;
    if (meant === unsent) continue;
    if (meant === refused)
      return field.post === 'required'
        ? mandatory(name)
        : invalidInput(name, 'None', 'Value should not be null');
    const at: At = { attribute: name, argument: `${argument}.${name}` };
    const result = value === null ? meant : field.type.read(value, at);
    if (isProblem(result)) return result;
    if (field[mode] !== 'ignored') values[keys.get(name) ?? ''] = result;
  }
  return values;
}

function meaningOfNull(field: Field, mode: 'post' | 'put'): unknown {
  const key = mode === 'post' ? 'nullOnPost' : 'nullOnPut';
  if (key in field) return field[key];
  return field.post === 'required' ? refused : null;
}

export function isObject(raw: unknown): raw is Readonly<Record<string, unknown>> {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw);
}

/** An object inside an object, with a table of its own; what is absent stays absent, unless it has a default. */
export function object<T extends Fields>(table: T): Type<Created<T>> {
  return {
    schema: bodySchema(table, 'post'),
    shown: answerSchema(table),
    read: (raw, at) => readCreated(table, raw, at.argument),
  };
}

/** JSON Schema of the object in the body of a create or an update. */
export function bodySchema(table: Fields, mode: 'post' | 'put'): Schema {
  const taken = Object.entries(table).filter(([, field]) => field[mode] !== undefined);
  const required = taken.filter(([, field]) => field[mode] === 'required');
  return {
    type: 'object',
    properties: Object.fromEntries(
      taken.map(([key, field]) => {
        const schema = meaningOfNull(field, mode) === refused ? field.type.schema : orNull(field.type.schema);
        const defaulted = mode === 'post' && 'default' in field;
        return [apiName(key, field), defaulted ? { ...schema, default: field.default } : schema];
      }),
    ),
    ...(required.length > 0 && { required: required.map(([key, field]) => apiName(key, field)) }),
    additionalProperties: false,
  };
}

/** JSON Schema of a row in answers. Nothing is required: the query may choose the fields. */
export function answerSchema(table: Fields): Schema {
  const shown = Object.entries(table).filter(([, field]) => field.show !== false);
  return {
    type: 'object',
    properties: Object.fromEntries(
      shown.map(([key, field]) => {
        const schema = field.type.shown ?? field.type.schema;
        return [apiName(key, field), isNeverNull(field) ? schema : orNull(schema)];
      }),
    ),
  };
}

function isNeverNull(field: Field): boolean {
  if (field.always === true || field.post === 'required') return true;
  // Without other objects a list of them is empty.
  if (field.type.shown?.['type'] === 'array') return true;
  return (
    (field.default ?? null) !== null &&
    (field.post === undefined || meaningOfNull(field, 'post') !== null) &&
    (field.put === undefined || meaningOfNull(field, 'put') !== null)
  );
}

function orNull(schema: Schema): Schema {
  const { type, enum: values } = schema;
  if (type === 'null') return schema;
  if ('anyOf' in schema) return { anyOf: [schema, { type: 'null' }] };
  return { ...schema, type: [type, 'null'], ...(Array.isArray(values) && { enum: [...values, null] }) };
}

/** How a row of a table looks in JSON. `only`: the JSON names wanted; the old name of the project is none of them. */
export type Render<Row> = (row: Row, only?: ReadonlySet<string>) => Record<string, unknown>;

export function renderer<Row>(table: Fields): Render<Row> {
  const shown = Object.entries(table)
    .filter(([, field]) => field.show !== false)
    .map(([key, field]) => {
      const show = field.show as ((row: Row) => unknown) | undefined;
      return [
        apiName(key, field),
        show ?? ((row: Row) => plain((row as Record<string, unknown>)[key])),
      ] as const;
    });
  return (row, only) => {
    const answer: Record<string, unknown> = {};
    for (const [name, show] of shown) {
      if (only !== undefined && (name === 'tenant_id' || !only.has(name))) continue;
      const value = show(row);
      if (value !== undefined) answer[name] = value;
    }
    return answer;
  };
}

function plain(value: unknown): unknown {
  return value instanceof Date ? value.toISOString().slice(0, 19) : value;
}

/** Child ids as answers hold them. */
export const idObjects = (ids: readonly string[]): readonly { readonly id: string }[] =>
  ids.map((id) => ({ id }));

/** A number that keeps its decimals in JSON: 1.0, not 1. */
export function decimal(value: number, digits: number): unknown {
  return (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON(value.toFixed(digits));
}
