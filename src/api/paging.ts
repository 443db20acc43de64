import { type Problem, problem } from '../lb/problems.ts';
import type { ListQuery } from '../store/store.ts';
import { clientRefusal, type Refusal } from './faults.ts';
import { type Fields, keysOf } from './fields.ts';
import type { ApiConfig, Follows } from './request.ts';
import { uuidOf } from './types.ts';

/** What a list request asks for: which rows, in which order, which page, which fields. */
export interface Page {
  readonly query: ListQuery;
  /** No row can match; the store need not be asked. */
  readonly empty: boolean;
  /** JSON names of the wanted fields; undefined: all. */
  readonly only: ReadonlySet<string> | undefined;
  /** Null: there are no pages. */
  readonly links: (ids: readonly string[]) => readonly Link[] | null;
}

export interface Link {
  readonly rel: 'previous' | 'next';
  readonly href: string;
}

export const tagFilters = {
  tags: 'all',
  'tags-any': 'any',
  'not-tags': 'notAll',
  'not-tags-any': 'notAny',
} as const;
const paging = ['limit', 'marker', 'page_reverse'];
const sorting = ['sort', 'sort_key', 'sort_dir'];
const reserved = [...paging, ...sorting, 'fields'];

/** The fields wanted of a show or a list. */
export function wantedFields(
  query: URLSearchParams,
  { fieldSelection }: Pick<Follows, 'fieldSelection'>,
): ReadonlySet<string> | undefined {
  const wanted = query.getAll('fields');
  return wanted.length === 0 || !fieldSelection ? undefined : new Set(wanted);
}

/** `url`: the list's own, for links. */
export function page(
  table: Fields,
  sent: URLSearchParams,
  url: string,
  { follows, paginationMaxLimit }: Pick<ApiConfig, 'follows' | 'paginationMaxLimit'>,
): Page | Problem | Refusal {
  const query = followed(sent, follows);
  const limit = follows.pagination ? limitOf(query, paginationMaxLimit) : { rows: undefined };
  if ('refusal' in limit) return limit;
  const sort = sortOf(table, query);
  if ('problem' in sort || 'refusal' in sort) return sort;
  const filters = filtersOf(table, query);
  if ('problem' in filters) return filters;
  const marker = query.get('marker') ?? undefined;
  const tags = 'tags' in table ? tagsOf(query) : undefined;
  return {
    query: {
      filters: filters.values,
      ...(tags && { tags }),
      sort,
      ...(marker !== undefined && { marker: uuidOf(marker) ?? marker }),
      ...(query.get('page_reverse') === 'True' && { reverse: true }),
      ...(limit.rows !== undefined && { limit: limit.rows }),
    },
    empty: filters.impossible,
    only: wantedFields(query, follows),
    links: (ids) => (follows.pagination ? linksOf(ids, query, url, limit.rows) : null),
  };
}

/** The query less what the operator does not let lists follow. */
function followed(sent: URLSearchParams, follows: Follows): URLSearchParams {
  return new URLSearchParams(
    [...sent].filter(([name]) => {
      if (paging.includes(name)) return follows.pagination;
      if (sorting.includes(name)) return follows.sorting;
      return name === 'fields' || follows.filtering;
    }),
  );
}

function limitOf(query: URLSearchParams, maxLimit: number | null): { rows: number | undefined } | Refusal {
  const sent = query.get('limit');
  if (sent === null) return { rows: maxLimit ?? undefined };
  if (sent === 'infinite') return { rows: undefined };
  if (!/^[+-]?\d+$/.test(sent)) return clientRefusal(400, `The limit '${sent}' is not a number.`);
  const rows = Number(sent);
  if (rows <= 0) return { rows: undefined };
  return { rows: Math.min(rows, maxLimit ?? Number.MAX_SAFE_INTEGER) };
}

function sortOf(table: Fields, query: URLSearchParams): ListQuery['sort'] | Problem | Refusal {
  const wishes = sortWishes(query);
  if ('refusal' in wishes) return wishes;
  const sort: { key: string; descending: boolean }[] = [];
  for (const { name, direction } of wishes) {
    if (direction !== 'asc' && direction !== 'desc') {
      return clientRefusal(400, `The sort direction '${direction}' is neither asc nor desc.`);
    }
    const key = storedKey(table, name);
    if (key === undefined || table[key]?.sort === false)
      return problem(400, `The sort key '${name}' is not valid.`);
    sort.push({ key, descending: direction === 'desc' });
  }
  for (const tie of ['createdAt', 'id']) {
    if (tie in table && !sort.some(({ key }) => key === tie)) sort.push({ key: tie, descending: false });
  }
  return sort;
}

function sortWishes(query: URLSearchParams): readonly { name: string; direction: string }[] | Refusal {
  const sort = query.get('sort');
  if (sort !== null && sort !== '') {
    const wishes = sort.split(',').map((wish) => wish.split(':'));
    return wishes.some((wish) => wish.length > 2)
      ? clientRefusal(400, `The sort '${sort}' is not key:direction.`)
      : wishes.map(([name = '', direction = 'asc']) => ({ name, direction }));
  }
  const keys = query.get('sort_key');
  if (keys === null || keys === '') return [];
  const directions = query.get('sort_dir')?.split(',') ?? [];
  return keys.split(',').map((name, n) => ({ name, direction: directions[n] ?? 'asc' }));
}

/** The key of a stored, scalar attribute, by its JSON name. */
export function storedKey(table: Fields, name: string): string | undefined {
  const key = keysOf(table).get(name);
  const field = key === undefined ? undefined : table[key];
  return field?.type.parse === undefined || field.stored === false ? undefined : (field.as ?? key);
}

function filtersOf(
  table: Fields,
  query: URLSearchParams,
): { values: Record<string, string | number | boolean>; impossible: boolean } | Problem {
  const values: Record<string, string | number | boolean> = {};
  let impossible = false;
  for (const name of new Set(query.keys())) {
    if (reserved.includes(name) || Object.hasOwn(tagFilters, name)) continue;
    const key = storedKey(table, name);
    const texts = query.getAll(name);
    if (key === undefined || texts.length > 1) {
      return problem(400, 'The request holds an invalid or duplicate argument.');
    }
    const value = table[key]?.type.parse?.(texts[0] ?? '');
    if (value === undefined) impossible = true;
    else values[key] = value;
  }
  return { values, impossible };
}

function tagsOf(query: URLSearchParams): NonNullable<ListQuery['tags']> {
  return Object.fromEntries(
    Object.entries(tagFilters).flatMap(([name, key]) => {
      const tags = query
        .getAll(name)
        .flatMap((value) => value.split(','))
        .filter((tag) => tag !== '');
      return tags.length === 0 ? [] : [[key, tags]];
    }),
  );
}

function linksOf(
  ids: readonly string[],
  query: URLSearchParams,
  url: string,
  limit: number | undefined,
): readonly Link[] {
  const [first, last] = [ids[0], ids.at(-1)];
  if (first === undefined || last === undefined) return [];
  const repeated = ['sort', 'sort_key'].flatMap((name) => {
    const value = query.get(name);
    return value === null ? [] : [`${name}=${escaped(value)}`];
  });
  const href = (marker: string, ...more: string[]): string =>
    `${url}?${[`limit=${limit ?? 'None'}`, ...repeated, `marker=${marker}`, ...more].join('&')}`;
  return [
    ...(query.has('marker') ? [{ rel: 'previous', href: href(first, 'page_reverse=True') } as const] : []),
    ...(limit === undefined || ids.length >= limit ? [{ rel: 'next', href: href(last) } as const] : []),
  ];
}

/** Sort wishes stay readable. */
function escaped(value: string): string {
  return encodeURIComponent(value).replaceAll('%3A', ':').replaceAll('%2C', ',');
}
