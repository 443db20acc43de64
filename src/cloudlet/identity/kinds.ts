import Type, { type TSchema } from 'typebox';
import type { Caller } from '../caller.ts';
import type { Collection, Identified } from '../records.ts';
import { badRequest, conflict, forbidden, notFound } from '../refusal.ts';
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

export type Body = Readonly<Record<string, unknown>>;

export function kinds(directory: Directory, forgetUser: (userId: string) => void): Kind[] {
  const dropAssignments = (which: (one: ReturnType<typeof directory.assignments.all>[number]) => boolean) => {
    for (const one of directory.assignments.all()) if (which(one)) directory.assignments.remove(one.id);
  };
  const dropMemberships = (which: (one: ReturnType<typeof directory.memberships.all>[number]) => boolean) => {
    for (const one of directory.memberships.all()) if (which(one)) directory.memberships.remove(one.id);
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

  const all: Kind[] = [
    {
      one: 'domain',
      many: 'domains',
      words: 'domain',
      collection: directory.domains,
      filters: ['name', 'enabled'],
      create: named({}, 64),
      record: (body, before) =>
        unique(directory.domains, 'domain', { description: '', enabled: true, ...before, ...body }, before),
      readable: (caller, id) => caller.domainId === id || id === 'default',
      removed: (id) => {
        if (directory.domains.get(id)?.enabled === true) {
          throw forbidden('Cannot delete a domain that is enabled, please disable it first.');
        }
        for (const { one, collection, removed } of all) {
          if (!['user', 'group', 'project'].includes(one)) continue;
          const inside = collection.all().filter((each) => Reflect.get(each, 'domain_id') === id);
          // Children before their parents.
          for (const each of inside.toReversed()) {
            removed?.(each.id);
            collection.remove(each.id);
          }
        }
        dropAssignments((one) => one.scope.kind === 'domain' && one.scope.id === id);
      },
    },
    {
      one: 'project',
      many: 'projects',
      words: 'project',
      collection: directory.projects,
      filters: ['name', 'domain_id', 'enabled', 'parent_id', 'is_domain'],
      create: named(
        {
          domain_id: Type.Optional(Type.String()),
          parent_id: Type.Optional(nullable(Type.String())),
          is_domain: Type.Optional(Type.Literal(false)), // domains are made as such
        },
        64,
      ),
      record: (body, before) => {
        const domain = body['domain_id'] ?? before?.['domain_id'] ?? 'default';
        const defaults = { description: '', enabled: true, is_domain: false, parent_id: domain, tags: [] };
        const project: Body = { ...defaults, ...before, ...body, domain_id: domain };
        inDomain(project);
        const parent = project['parent_id'] ?? domain;
        if (parent !== domain && directory.projects.get(String(parent)) === undefined) {
          throw notFound(`Could not find project: ${String(parent)}.`);
        }
        return unique(directory.projects, 'project', project, before);
      },
      readable: (caller, id) => caller.projectId === id,
      removed: (id) => {
        if (directory.projects.all().some((one) => one.parent_id === id)) {
          throw forbidden(`Cannot delete the project ${id} since it is not a leaf in the hierarchy.`);
        }
        dropAssignments((one) => one.scope.kind === 'project' && one.scope.id === id);
      },
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
        dropAssignments((one) => 'user_id' in one && one.user_id === id);
        dropMemberships((one) => one.user_id === id);
        forgetUser(id);
      },
    },
    {
      one: 'group',
      many: 'groups',
      words: 'group',
      collection: directory.groups,
      filters: ['name', 'domain_id'],
      create: named({ domain_id: Type.Optional(Type.String()) }),
      record: (body, before) => {
        const domain = body['domain_id'] ?? before?.['domain_id'] ?? 'default';
        const group = { description: '', ...before, ...body, domain_id: domain };
        inDomain(group);
        return unique(directory.groups, 'group', group, before);
      },
      removed: (id) => {
        dropAssignments((one) => 'group_id' in one && one.group_id === id);
        dropMemberships((one) => one.group_id === id);
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
        enabled: Type.Optional(Type.Boolean()),
        region_id: Type.Optional(nullable(Type.String())),
      }),
      record: ({ region, ...body }, before) => {
        const endpoint: Body = { enabled: true, ...before, ...body };
        if (directory.services.get(String(endpoint['service_id'])) === undefined) {
          throw badRequest(`Could not find service: ${String(endpoint['service_id'])}.`);
        }
        const regionId = body['region_id'] ?? region ?? before?.['region_id'] ?? null;
        if (typeof regionId === 'string' && directory.regions.get(regionId) === undefined) {
          directory.regions.put({ id: regionId, description: '', parent_region_id: null });
        }
        return { ...endpoint, region_id: regionId };
      },
    },
  ];
  return all;

  type Named = Identified & { readonly name: string; readonly domain_id?: string };
  function named(more: Record<string, TSchema>, maxLength = 255): TSchema {
    return Type.Object({
      name: Type.String({ minLength: 1, maxLength }),
      enabled: Type.Optional(Type.Boolean()),
      ...more,
    });
  }
  function nullable(type: TSchema): TSchema {
    return Type.Union([type, Type.Null()]);
  }
}
