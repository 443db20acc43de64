import { count, type Query } from '../lists.ts';

/** Barbican's pages: by offset, ten at a time unless asked otherwise, with links to the neighbours. */
export function offsetPage(key: string, items: readonly object[], query: Query, href: string): object {
  const limit = Math.min(count(query, 'limit') ?? 10, 100);
  const offset = count(query, 'offset') ?? 0;
  const base = href.replace(/\/$/, '');
  const link = (at: number) => `${base}?limit=${limit}&offset=${at}`;
  return {
    [key]: items.slice(offset, offset + limit),
    total: items.length,
    ...(offset + limit < items.length && { next: link(offset + limit) }),
    ...(offset > 0 && { previous: link(Math.max(0, offset - limit)) }),
  };
}
