import type { Identified } from './records.ts';
import { badRequest } from './refusal.ts';

/** What stands behind the `?`: repeated keys are arrays. */
export type Query = Readonly<Record<string, string | string[] | undefined>>;

export function many(query: Query, key: string): string[] {
  const value = query[key];
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

/** The last value, when a key is repeated. */
export function one(query: Query, key: string): string | undefined {
  return many(query, key).at(-1);
}

/** Undefined: not asked. Throws 400 for what is no boolean. */
export function flag(query: Query, key: string): boolean | undefined {
  const value = one(query, key)?.toLowerCase();
  if (value === undefined) return undefined;
  if (['true', '1', 'yes', 'on', 't'].includes(value)) return true;
  if (['false', '0', 'no', 'off', 'f'].includes(value)) return false;
  throw badRequest(`Invalid value for ${key}: '${value}' is not a boolean.`);
}

export function count(query: Query, key: string): number | undefined {
  const value = one(query, key);
  if (value === undefined) return undefined;
  if (!/^[0-9]+$/.test(value))
    throw badRequest(`Invalid value for ${key}: '${value}' is not a whole number.`);
  return Number(value);
}

/** Equality as a query string can say it: any of the values, booleans and numbers by their text, empty for null. */
export function matches(actual: unknown, wanted: readonly string[]): boolean {
  if (wanted.length === 0) return true;
  if (Array.isArray(actual)) return wanted.some((value) => actual.includes(value));
  const text = actual === null || actual === undefined ? '' : String(actual);
  return wanted.some((value) =>
    typeof actual === 'boolean' ? value.toLowerCase() === text : value === text,
  );
}

export type SortKey = readonly [key: string, direction: 'asc' | 'desc'];

/** Stable; nulls first, as in ascending order. */
export function sorted<T extends object>(items: readonly T[], keys: readonly SortKey[]): T[] {
  return items.toSorted((left, right) => {
    for (const [key, direction] of keys) {
      const order = compare(Reflect.get(left, key), Reflect.get(right, key));
      if (order !== 0) return direction === 'asc' ? order : -order;
    }
    return 0;
  });
}

function compare(left: unknown, right: unknown): number {
  if (left === right) return 0;
  if (left === null || left === undefined) return -1;
  if (right === null || right === undefined) return 1;
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  return String(left) < String(right) ? -1 : 1;
}

export interface Page<T> {
  readonly items: T[];
  /** Id to give as marker for what follows; undefined: this was the last page. */
  readonly next: string | undefined;
}

/** At most `limit` items after the one whose id is `marker`. */
export function page<T extends Identified>(items: readonly T[], query: Query): Page<T> {
  const limit = count(query, 'limit');
  const marker = one(query, 'marker');
  let start = 0;
  if (marker !== undefined && marker !== '') {
    start = items.findIndex((item) => item.id === marker) + 1;
    if (start === 0) throw badRequest(`marker [${marker}] not found`);
  }
  const rest = items.slice(start);
  if (limit === undefined || limit === 0 || rest.length <= limit) return { items: rest, next: undefined };
  const cut = rest.slice(0, limit);
  return { items: cut, next: cut.at(-1)?.id };
}

/** The query with another marker, for "next" links. */
export function nextLink(base: string, query: Query, marker: string): string {
  const search = new URLSearchParams();
  for (const key of Object.keys(query)) {
    if (key !== 'marker') for (const value of many(query, key)) search.append(key, value);
  }
  search.append('marker', marker);
  return `${base}?${search}`;
}
