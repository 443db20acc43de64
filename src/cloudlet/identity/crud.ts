import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import Type, { type TSchema } from 'typebox';
import { type Caller, requireAdmin } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import { flag, many, matches, type Query } from '../lists.ts';
import type { Collection, Identified, Records } from '../records.ts';
import { badRequest, conflict, notFound } from '../refusal.ts';
import { byName, type Directory } from './directory.ts';
import { hashPassword } from './passwords.ts';

/** A kind of thing of Keystone's that is made, listed, changed and removed in the one usual way. */
export interface Kind {
  readonly one: string;
  readonly many: string;
  /** As Keystone words it: "Could not find user: x." */
  readonly words: string;
  readonly collection: Collection<Identified>;
  readonly filters: readonly string[];
  readonly create: TSchema;
  /** Body of a creation or change, checked, to the record. `before` undefined: a creation. Throws 4xx. */
  readonly record: (body: Body, before: Body | undefined) => Body | Promise<Body>;
  /** Readable by others than admins. */
  readonly readable?: (caller: Caller, id: string) => boolean;
  /** Removes what makes no sense without the thing. */
  readonly removed?: (id: string) => void;
}

type Body = Readonly<Record<string, unknown>>;

export function kinds(directory: Directory, forgetUser: (userId: string) => void): Kind[] {
  const dropAssignments = (which: (one: ReturnType<typeof directory.assignments.all>[number]) => boolean) => {
    for (const one of directory.assignments.all()) if (which(one)) directory.assignments.remove(one.id);
  };
  const unique = (collection: Collection<Identified>, what: string, body: Body, before: Body | undefined) => {
    const twin = byName(
      collection.all() as Named[],
      String(body['name']),
      body['domain_id'] as string | undefined,
    );
    if (twin && twin.id !== before?.['id']) {
      throw conflict(
        `Conflict occurred attempting to store ${what} - Duplicate entry found with name ${twin.name}.`,
      );
    }
    return body;
  };
  const inDomain = (body: Body) => {
    const domain = body['domain_id'];
    if (typeof domain !== 'string' || directory.domains.get(domain) === undefined) {
      throw notFound(`Could not find domain: ${String(domain)}.`);
    }
  };

  return [
    {
      one: 'domain',
      many: 'domains',
      words: 'domain',
      collection: directory.domains,
      filters: ['name', 'enabled'],
      create: named({}),
      record: (body, before) =>
        unique(directory.domains, 'domain', { description: '', enabled: true, ...before, ...body }, before),
      readable: (caller, id) => caller.domainId === id || id === 'default',
      removed: (id) => {
        if (directory.domains.get(id)?.enabled === true) {
          throw badRequest('Cannot delete a domain that is enabled, please disable it first.');
        }
        const used = [...directory.users.all(), ...directory.projects.all()].some(
          (one) => one.domain_id === id,
        );
        if (used) throw conflict('The domain still has users or projects.');
        dropAssignments((one) => one.scope.kind === 'domain' && one.scope.id === id);
      },
    },
    {
      one: 'project',
      many: 'projects',
      words: 'project',
      collection: directory.projects,
      filters: ['name', 'domain_id', 'enabled', 'parent_id', 'is_domain'],
      create: named({
        domain_id: Type.Optional(Type.String()),
        parent_id: Type.Optional(nullable(Type.String())),
      }),
      record: (body, before) => {
        const domain = body['domain_id'] ?? before?.['domain_id'] ?? 'default';
        const defaults = { description: '', enabled: true, is_domain: false, parent_id: domain, tags: [] };
        const project = { ...defaults, ...before, ...body, domain_id: domain };
        inDomain(project);
        return unique(directory.projects, 'project', project, before);
      },
      readable: (caller, id) => caller.projectId === id,
      removed: (id) => dropAssignments((one) => one.scope.kind === 'project' && one.scope.id === id),
    },
    {
      one: 'user',
      many: 'users',
      words: 'user',
      collection: directory.users,
      filters: ['name', 'domain_id', 'enabled'],
      create: named({
        domain_id: Type.Optional(Type.String()),
        password: Type.Optional(nullable(Type.String())),
        default_project_id: Type.Optional(nullable(Type.String())),
      }),
      record: async ({ password, password_hash: _, ...body }, before) => {
        const user = {
          enabled: true,
          password_hash: null,
          ...before,
          ...body,
          ...(typeof password === 'string' && { password_hash: await hashPassword(password) }),
          domain_id: body['domain_id'] ?? before?.['domain_id'] ?? 'default',
        };
        inDomain(user);
        if (before !== undefined && (password !== undefined || body['enabled'] === false)) {
          forgetUser(String(before['id']));
        }
        return unique(directory.users, 'user', user, before);
      },
      readable: (caller, id) => caller.userId === id,
      removed: (id) => {
        dropAssignments((one) => one.user_id === id);
        forgetUser(id);
      },
    },
    {
      one: 'role',
      many: 'roles',
      words: 'role',
      collection: directory.roles,
      filters: ['name', 'domain_id'],
      create: named({ domain_id: Type.Optional(Type.Null()) }),
      record: (body, before) =>
        unique(directory.roles, 'role', { description: null, ...before, ...body, domain_id: null }, before),
      removed: (id) => {
        dropAssignments((one) => one.role_id === id);
        for (const rule of directory.impliedRoles.all()) {
          if (rule.prior === id || rule.implied === id) directory.impliedRoles.remove(rule.id);
        }
      },
    },
    {
      one: 'region',
      many: 'regions',
      words: 'region',
      collection: directory.regions,
      filters: ['parent_region_id'],
      create: Type.Object({ id: Type.Optional(Type.String({ minLength: 1 })) }),
      record: (body, before) => ({ description: '', parent_region_id: null, ...before, ...body }),
      readable: () => true,
      removed: (id) => {
        if (directory.endpoints.all().some((one) => one.region_id === id)) {
          throw conflict(
            `Unable to delete region ${id} because it or its child regions have associated endpoints.`,
          );
        }
      },
    },
    {
      one: 'service',
      many: 'services',
      words: 'service',
      collection: directory.services,
      filters: ['name', 'type'],
      create: Type.Object({ type: Type.String(), enabled: Type.Optional(Type.Boolean()) }),
      record: (body, before) => ({ name: '', description: '', enabled: true, ...before, ...body }),
      removed: (id) => {
        for (const one of directory.endpoints.all())
          if (one.service_id === id) directory.endpoints.remove(one.id);
      },
    },
    {
      one: 'endpoint',
      many: 'endpoints',
      words: 'endpoint',
      collection: directory.endpoints,
      filters: ['service_id', 'interface', 'region_id'],
      create: Type.Object({
        service_id: Type.String(),
        interface: Type.Union([Type.Literal('public'), Type.Literal('internal'), Type.Literal('admin')]),
        url: Type.String({ minLength: 1 }),
        region_id: Type.Optional(nullable(Type.String())),
      }),
      record: ({ region, ...body }, before) => {
        const endpoint: Body = { enabled: true, ...before, ...body };
        if (directory.services.get(String(endpoint['service_id'])) === undefined) {
          throw badRequest(`Could not find service: ${String(endpoint['service_id'])}.`);
        }
        const regionId = endpoint['region_id'] ?? region ?? null;
        if (typeof regionId === 'string' && directory.regions.get(regionId) === undefined) {
          directory.regions.put({ id: regionId, description: '', parent_region_id: null });
        }
        return { ...endpoint, region_id: regionId };
      },
    },
  ];

  type Named = Identified & { readonly name: string; readonly domain_id?: string };
  function named(more: Record<string, TSchema>): TSchema {
    return Type.Object({
      name: Type.String({ minLength: 1, maxLength: 255 }),
      enabled: Type.Optional(Type.Boolean()),
      ...more,
    });
  }
  function nullable(type: TSchema): TSchema {
    return Type.Union([type, Type.Null()]);
  }
}

export function crudRoutes(app: FastifyInstance, kind: Kind, records: Records, base: string): void {
  const { collection } = kind;
  const self = `${base}/${kind.many}`;
  const view = (record: Identified) => {
    const { password_hash: _, ...shown } = record as Identified & { password_hash?: unknown };
    return {
      ...shown,
      ...(kind.one === 'user' && { password_expires_at: null, options: {} }),
      ...(kind.one === 'endpoint' && { region: Reflect.get(record, 'region_id') }),
      ...((kind.one === 'project' || kind.one === 'role' || kind.one === 'domain') && { options: {} }),
      links: { self: `${self}/${record.id}` },
    };
  };
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
