import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { type Caller, owns, requireMember } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import { many, matches, nextLink, one, page, type Query, sorted, type SortKey } from '../lists.ts';
import type { Collection } from '../records.ts';
import { badRequest, forbidden, notFound } from '../refusal.ts';
import { changed, type Common, type Net } from './records.ts';

type Stored = Omit<Common, 'name' | 'tags'>;

/** One kind of Neutron's things, and how it is made, shown, changed and removed. */
export interface Resource<T extends Stored> {
  /** Key of one in a body, such as `security_group`. */
  readonly one: string;
  readonly many: string;
  /** When it is not `/` and `many`. */
  readonly path?: string;
  /** Neutron's class name, for `NetworkNotFound`. */
  readonly type: string;
  readonly collection: Collection<T>;
  readonly sees: (caller: Caller, item: T) => boolean;
  readonly view: (item: T) => object;
  /** Attributes that lists can be filtered and sorted by. */
  readonly filters: readonly string[];
  /** Filters that are more than equality with an attribute. */
  readonly special?: Readonly<Record<string, (item: T, values: readonly string[]) => boolean>>;
  /** In a transaction; throws what is wrong with the body. */
  readonly create: (caller: Caller, body: unknown) => T;
  readonly update?: (caller: Caller, item: T, body: unknown) => T;
  readonly remove: (caller: Caller, item: T) => void;
  /** Before a list is given. */
  readonly listing?: (caller: Caller, query: Query) => void;
  /** What the machine must do after the record was made, changed or removed; awaited before the answer. */
  readonly settled?: (item: T, what: 'created' | 'changed' | 'removed') => Promise<void>;
}

const paging = new Set(['fields', 'limit', 'marker', 'sort_key', 'sort_dir', 'page_reverse']);

/** The five routes of the kind below `base`, and its tags. */
export function resourceRoutes<T extends Stored>(
  app: FastifyInstance,
  net: Net,
  base: string,
  kind: Resource<T>,
): void {
  const path = pathOf(kind);
  const find = (request: FastifyRequest): T => findVisible(kind, callerOf(request), param(request, 'id'));
  const findOwn = (request: FastifyRequest): T => findOwned(kind, request);

  app.get<{ Querystring: Query }>(path, async (request) => {
    const { query } = request;
    const caller = callerOf(request);
    kind.listing?.(caller, query);
    checkKeys(kind, query);
    const reverse = one(query, 'page_reverse')?.toLowerCase() === 'true';
    const visible = kind.collection
      .all()
      .filter((item) => kind.sees(caller, item) && fits(kind, item, query));
    const ordered = sorted(visible, sortKeys(kind, query));
    const cut = page(reverse ? ordered.toReversed() : ordered, query);
    const items = reverse ? cut.items.toReversed() : cut.items;
    return {
      [kind.many]: items.map((item) => chosen(kind.view(item), many(query, 'fields'))),
      ...(cut.next !== undefined && {
        [`${kind.many}_links`]: [{ rel: 'next', href: nextLink(`${base}${path}`, query, cut.next) }],
      }),
    };
  });

  app.get<{ Querystring: Query }>(`${path}/:id`, async (request) => ({
    [kind.one]: chosen(kind.view(find(request)), many(request.query, 'fields')),
  }));

  app.post(path, async (request, reply) => {
    const caller = callerOf(request);
    requireMember(caller);
    const body = read(Type.Object({}), request.body) as Record<string, unknown>;
    const bulk = body[kind.many];
    const wishes = Array.isArray(bulk) ? bulk : [body[kind.one]];
    const made = net.records.transaction(() => wishes.map((wish) => kind.create(caller, wish)));
    try {
      for (const item of made) await kind.settled?.(item, 'created');
    } catch (error) {
      net.records.transaction(() => made.forEach((item) => kind.collection.remove(item.id)));
      throw error;
    }
    const shown = made.map((item) => kind.view(item));
    return reply.code(201).send(Array.isArray(bulk) ? { [kind.many]: shown } : { [kind.one]: shown[0] });
  });

  const { update } = kind;
  if (update !== undefined) {
    app.put(`${path}/:id`, async (request) => {
      const item = findOwn(request);
      const body = read(Type.Object({}), request.body) as Record<string, unknown>;
      const after = net.records.transaction(() => update(callerOf(request), item, body[kind.one]));
      await kind.settled?.(after, 'changed');
      return { [kind.one]: kind.view(after) };
    });
  }

  app.delete(`${path}/:id`, async (request, reply) => {
    const item = findOwn(request);
    net.records.transaction(() => {
      kind.remove(callerOf(request), item);
      kind.collection.remove(item.id);
    });
    await kind.settled?.(item, 'removed');
    return reply.code(204).send();
  });
}

const TagList = Type.Object({ tags: Type.Array(Type.String({ minLength: 1, maxLength: 255 })) });

/** `…/{id}/tags`, for the kinds that have some. */
export function tagRoutes<T extends Common>(app: FastifyInstance, net: Net, kind: Resource<T>): void {
  const path = `${pathOf(kind)}/:id/tags`;
  const find = (request: FastifyRequest): T => findVisible(kind, callerOf(request), param(request, 'id'));
  const write = (request: FastifyRequest, item: T, tags: readonly string[]): void => {
    requireMember(callerOf(request));
    if (!owns(callerOf(request), item.project_id)) throw forbidden();
    kind.collection.put(
      changed<T>(net, item, { tags: [...new Set(tags)].toSorted() } as unknown as Partial<T>),
    );
  };
  const tagNotFound = (tag: string) => notFound(`Tag ${tag} could not be found.`, 'TagNotFound');

  app.get(path, async (request) => ({ tags: find(request).tags }));
  app.put(path, async (request) => {
    const { tags } = read(TagList, request.body);
    write(request, find(request), tags);
    return { tags };
  });
  app.delete(path, async (request, reply) => {
    write(request, find(request), []);
    return reply.code(204).send();
  });
  app.get(`${path}/:tag`, async (request, reply) => {
    if (!find(request).tags.includes(param(request, 'tag'))) throw tagNotFound(param(request, 'tag'));
    return reply.code(204).send();
  });
  app.put(`${path}/:tag`, async (request, reply) => {
    const item = find(request);
    write(request, item, [...item.tags, param(request, 'tag')]);
    return reply.code(201).send();
  });
  app.delete(`${path}/:tag`, async (request, reply) => {
    const item = find(request);
    const tag = param(request, 'tag');
    if (!item.tags.includes(tag)) throw tagNotFound(tag);
    write(
      request,
      item,
      item.tags.filter((each) => each !== tag),
    );
    return reply.code(204).send();
  });
}

export function pathOf(kind: { readonly path?: string; readonly many: string }): string {
  return kind.path ?? `/${kind.many.replaceAll('_', '-')}`;
}

/** The one the path names, if the caller may change it. */
export function findOwned<T extends Stored>(kind: Resource<T>, request: FastifyRequest): T {
  const caller = callerOf(request);
  requireMember(caller);
  const item = findVisible(kind, caller, param(request, 'id'));
  if (!owns(caller, item.project_id)) throw forbidden();
  return item;
}

export function findVisible<T extends Stored>(kind: Resource<T>, caller: Caller, id: string): T {
  const item = kind.collection.get(id);
  if (item !== undefined && kind.sees(caller, item)) return item;
  const words = kind.type.replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ');
  throw notFound(`${words} ${id} could not be found.`, `${kind.type}NotFound`);
}

/** A filter that would be ignored could delete the wrong things: it is refused. */
function checkKeys<T extends Stored>(kind: Resource<T>, query: Query): void {
  const strange = Object.keys(query).filter(
    (key) =>
      !paging.has(key) &&
      key !== 'tenant_id' &&
      !kind.filters.includes(key) &&
      kind.special?.[key] === undefined,
  );
  if (strange.length > 0)
    throw badRequest(`[${strange.join(', ')}] are invalid attributes for filtering`, 'HTTPBadRequest');
}

function fits<T extends Stored>(kind: Resource<T>, item: T, query: Query): boolean {
  let view: object | undefined;
  return Object.keys(query).every((key) => {
    if (paging.has(key)) return true;
    const values = many(query, key);
    const special = kind.special?.[key];
    if (special !== undefined) return special(item, values);
    const name = key === 'tenant_id' ? 'project_id' : key;
    if (name in item) return matches(Reflect.get(item, name), values);
    view ??= kind.view(item);
    return matches(Reflect.get(view, name), values);
  });
}

function sortKeys<T extends Stored>(kind: Resource<T>, query: Query): SortKey[] {
  const directions = many(query, 'sort_dir');
  return many(query, 'sort_key').map((key, index) => {
    if (!kind.filters.includes(key))
      throw badRequest(`[${key}] is invalid attribute for sort_keys`, 'HTTPBadRequest');
    return [key, directions[index] === 'desc' ? 'desc' : 'asc'];
  });
}

function chosen(view: object, fields: readonly string[]): object {
  if (fields.length === 0) return view;
  return Object.fromEntries(Object.entries(view).filter(([key]) => fields.includes(key)));
}

/** Tags as lists are filtered by them: all of them, any of them, not … */
export function tagFilters<T extends Common>(): NonNullable<Resource<T>['special']> {
  const split = (values: readonly string[]) => values.flatMap((value) => value.split(','));
  return {
    tags: (item, values) => split(values).every((tag) => item.tags.includes(tag)),
    'tags-any': (item, values) => split(values).some((tag) => item.tags.includes(tag)),
    'not-tags': (item, values) => !split(values).every((tag) => item.tags.includes(tag)),
    'not-tags-any': (item, values) => !split(values).some((tag) => item.tags.includes(tag)),
  };
}
