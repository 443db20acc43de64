import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { requireAdmin } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import { flag, many, matches, type Query } from '../lists.ts';
import type { Identified, Records } from '../records.ts';
import { conflict, notFound } from '../refusal.ts';
import type { Body, Kind } from './kinds.ts';

/** As Keystone's API shows a record of the kind. */
export function viewOf(kind: Pick<Kind, 'one' | 'many'>, record: Identified, base: string): object {
  const { password_hash: _, ...shown } = record as Identified & { password_hash?: unknown };
  const options = ['project', 'role', 'domain', 'user'].includes(kind.one);
  return {
    ...shown,
    ...(kind.one === 'user' && { password_expires_at: null }),
    ...(kind.one === 'endpoint' && { region: Reflect.get(record, 'region_id') }),
    ...(options && { options: {} }),
    links: { self: `${base}/${kind.many}/${record.id}` },
  };
}

export function crudRoutes(app: FastifyInstance, kind: Kind, records: Records, base: string): void {
  const { collection } = kind;
  const self = `${base}/${kind.many}`;
  const view = (record: Identified) => viewOf(kind, record, base);
  const found = (id: string): Identified => {
    const record = collection.get(id);
    if (record === undefined) throw notFound(`Could not find ${kind.words}: ${id}.`);
    return record;
  };

  app.get<{ Querystring: Query }>(`/${kind.many}`, async (request) => {
    const caller = callerOf(request);
    if (kind.readable?.(caller, '') !== true) requireAdmin(caller);
    flag(request.query, 'enabled');
    const shown = collection
      .all()
      .filter((one) => kind.filters.every((key) => matches(Reflect.get(one, key), many(request.query, key))));
    return { [kind.many]: shown.map(view), links: { next: null, self, previous: null } };
  });

  app.get(`/${kind.many}/:id`, async (request) => {
    const id = param(request, 'id');
    if (kind.readable?.(callerOf(request), id) !== true) requireAdmin(callerOf(request));
    return { [kind.one]: view(found(id)) };
  });

  app.post(`/${kind.many}`, async (request, reply) => {
    requireAdmin(callerOf(request));
    const body = read(Type.Object({ [kind.one]: kind.create }), request.body)[kind.one] as Body;
    const id = kind.one === 'region' ? (body['id'] ?? newId()) : newId();
    const record = { ...(await kind.record(body, undefined)), id } as Identified;
    if (collection.get(record.id)) throw conflict(`Duplicate ID, ${record.id}.`);
    collection.put(record);
    return reply.code(201).send({ [kind.one]: view(record) });
  });

  if (kind.one === 'region') {
    app.put('/regions/:id', async (request, reply) => {
      requireAdmin(callerOf(request));
      const id = param(request, 'id');
      const body = read(Type.Object({ region: kind.create }), request.body).region as Body;
      if (collection.get(id)) throw conflict(`Duplicate ID, ${id}.`);
      const record = { ...(await kind.record(body, undefined)), id } as Identified;
      return reply.code(201).send({ region: view(collection.put(record)) });
    });
  }

  app.patch(`/${kind.many}/:id`, async (request) => {
    requireAdmin(callerOf(request));
    const before = found(param(request, 'id')) as unknown as Body;
    const body = read(Type.Object({ [kind.one]: Type.Partial(kind.create as Type.TObject) }), request.body);
    const { id: _, ...change } = body[kind.one] as Body;
    const record = { ...(await kind.record(change, before)), id: before['id'] } as Identified;
    return { [kind.one]: view(collection.put(record)) };
  });

  app.delete(`/${kind.many}/:id`, async (request, reply) => {
    requireAdmin(callerOf(request));
    const { id } = found(param(request, 'id'));
    records.transaction(() => {
      kind.removed?.(id);
      collection.remove(id);
    });
    return reply.code(204).send();
  });
}

function newId(): string {
  return randomUUID().replaceAll('-', '');
}
