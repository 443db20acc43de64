import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { isAdmin, requireAdmin } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import { one, type Query } from '../lists.ts';
import { forbidden, notFound, Refusal } from '../refusal.ts';
import { projectsOf } from './auth.ts';
import { type Assignment, assignmentId, type Directory, grant, rolesIn, type Scope } from './directory.ts';
import { hashPassword, passwordMatches } from './passwords.ts';
import type { Tokens } from './tokens.ts';

const PasswordChange = Type.Object({
  user: Type.Object({ password: Type.String({ minLength: 1 }), original_password: Type.String() }),
});

/** Who has which role where; and what a user may do with their own account. */
export function assignmentRoutes(
  app: FastifyInstance,
  directory: Directory,
  tokens: Tokens,
  base: string,
): void {
  const places = {
    '/projects/:scope': (id: string): Scope => ({
      kind: 'project',
      id: exists(directory.projects, id, 'project'),
    }),
    '/domains/:scope': (id: string): Scope => ({
      kind: 'domain',
      id: exists(directory.domains, id, 'domain'),
    }),
    '/system': (): Scope => ({ kind: 'system', id: 'all' }),
  };

  for (const [path, scopeOf] of Object.entries(places)) {
    const scope = (request: FastifyRequest) => scopeOf((request.params as { scope?: string }).scope ?? 'all');
    const target = (request: FastifyRequest) => ({
      user: exists(directory.users, param(request, 'user'), 'user'),
      role: exists(directory.roles, param(request, 'role'), 'role'),
      scope: scope(request),
    });

    app.get(`${path}/users/:user/roles`, async (request) => {
      requireAdmin(callerOf(request));
      const where = scope(request);
      const user = exists(directory.users, param(request, 'user'), 'user');
      const direct = directory.assignments
        .all()
        .filter((each) => each.user_id === user && same(each.scope, where));
      return {
        roles: direct.map((each) => directory.roles.get(each.role_id)),
        links: { next: null, previous: null },
      };
    });
    app.put(`${path}/users/:user/roles/:role`, async (request, reply) => {
      requireAdmin(callerOf(request));
      const { user, role, scope: where } = target(request);
      grant(directory, user, role, where);
      return reply.code(204).send();
    });
    const find = (request: FastifyRequest): string => {
      requireAdmin(callerOf(request));
      const { user, role, scope: where } = target(request);
      const id = assignmentId(user, role, where);
      if (directory.assignments.get(id) === undefined)
        throw notFound(`Could not find role assignment: ${id}.`);
      return id;
    };
    app.get(`${path}/users/:user/roles/:role`, async (request, reply) => {
      find(request);
      return reply.code(204).send();
    });
    app.delete(`${path}/users/:user/roles/:role`, async (request, reply) => {
      directory.assignments.remove(find(request));
      return reply.code(204).send();
    });
  }

  app.get<{ Querystring: Query }>('/role_assignments', async (request) => {
    const { query } = request;
    const caller = callerOf(request);
    const user = one(query, 'user.id');
    if (!isAdmin(caller) && caller.userId !== user) throw forbidden();
    const project = one(query, 'scope.project.id');
    const domain = one(query, 'scope.domain.id');
    const role = one(query, 'role.id');
    const names = asked(query, 'include_names');
    const shown = (asked(query, 'effective') ? effective(directory) : directory.assignments.all()).filter(
      (each) =>
        (user === undefined || each.user_id === user) &&
        (role === undefined || each.role_id === role) &&
        (project === undefined || same(each.scope, { kind: 'project', id: project })) &&
        (domain === undefined || same(each.scope, { kind: 'domain', id: domain })) &&
        (one(query, 'scope.system') === undefined || each.scope.kind === 'system') &&
        one(query, 'group.id') === undefined,
    );
    return {
      role_assignments: shown.map((each) => assignmentView(directory, each, names, base)),
      links: { next: null, self: `${base}/role_assignments`, previous: null },
    };
  });

  app.get('/role_inferences', async (request) => {
    requireAdmin(callerOf(request));
    const inferences = directory.roles.all().map((prior) => ({
      prior_role: { id: prior.id, name: prior.name, description: prior.description },
      implies: directory.impliedRoles
        .all()
        .filter((rule) => rule.prior === prior.id)
        .map((rule) => ({ id: rule.implied, name: directory.roles.get(rule.implied)?.name })),
    }));
    return {
      role_inferences: inferences.filter((each) => each.implies.length > 0),
      links: { next: null, previous: null },
    };
  });

  app.get('/users/:user/projects', async (request) => {
    const user = param(request, 'user');
    const caller = callerOf(request);
    if (!isAdmin(caller) && caller.userId !== user) throw forbidden();
    return { projects: projectsOf(directory, user), links: { next: null, previous: null } };
  });

  app.post('/users/:user/password', async (request, reply) => {
    const { user: wish } = read(PasswordChange, request.body);
    const user = directory.users.get(param(request, 'user'));
    const matches = await passwordMatches(wish.original_password, user?.password_hash ?? undefined);
    if (user === undefined || !matches) {
      throw new Refusal(401, 'The request you have made requires authentication.');
    }
    directory.users.put({ ...user, password_hash: await hashPassword(wish.password) });
    tokens.revokeAllOf(user.id);
    return reply.code(204).send();
  });

  // Groups are not offered; clients that look one up learn that there is none.
  app.get('/groups', async (request) => {
    requireAdmin(callerOf(request));
    return { groups: [], links: { next: null, self: `${base}/groups`, previous: null } };
  });
  app.get('/users/:user/groups', async () => ({ groups: [], links: { next: null, previous: null } }));
}

function effective(directory: Directory): Assignment[] {
  const places = new Map(directory.assignments.all().map((one) => [`${one.user_id} ${one.scope.id}`, one]));
  return [...places.values()].flatMap(({ user_id, scope }) =>
    rolesIn(directory, user_id, scope).map((role) => ({
      id: assignmentId(user_id, role.id, scope),
      user_id,
      role_id: role.id,
      scope,
    })),
  );
}

function assignmentView(directory: Directory, each: Assignment, names: boolean, base: string): object {
  const role = directory.roles.get(each.role_id);
  const user = directory.users.get(each.user_id);
  const inDomain = (thing: { name: string; domain_id: string } | undefined) =>
    names && thing
      ? {
          name: thing.name,
          domain: { id: thing.domain_id, name: directory.domains.get(thing.domain_id)?.name },
        }
      : {};
  const scope =
    each.scope.kind === 'system'
      ? { system: { all: true } }
      : each.scope.kind === 'project'
        ? { project: { id: each.scope.id, ...inDomain(directory.projects.get(each.scope.id)) } }
        : {
            domain: {
              id: each.scope.id,
              ...(names && { name: directory.domains.get(each.scope.id)?.name }),
            },
          };
  return {
    role: { id: each.role_id, ...(names && { name: role?.name }) },
    user: { id: each.user_id, ...inDomain(user) },
    scope,
    links: {
      assignment: `${base}/${each.scope.kind}s/${each.scope.id}/users/${each.user_id}/roles/${each.role_id}`,
    },
  };
}

/** Keystone's switches are on when the key is there, whatever its value but 0 and false. */
function asked(query: Query, key: string): boolean {
  const value = one(query, key);
  return value !== undefined && !['0', 'false'].includes(value.toLowerCase());
}

function same(left: Scope, right: Scope): boolean {
  return left.kind === right.kind && left.id === right.id;
}

function exists(collection: { get(id: string): unknown }, id: string, words: string): string {
  if (collection.get(id) === undefined) throw notFound(`Could not find ${words}: ${id}.`);
  return id;
}
