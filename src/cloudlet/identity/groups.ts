import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isAdmin, requireAdmin } from '../caller.ts';
import { callerOf, param } from '../http.ts';
import { many, matches, type Query } from '../lists.ts';
import { forbidden, notFound } from '../refusal.ts';
import { viewOf } from './crud.ts';
import type { Directory } from './directory.ts';
import { exists } from './grants.ts';

/** Who is in which group. */
export function membershipRoutes(app: FastifyInstance, directory: Directory, base: string): void {
  const links = { next: null, self: `${base}/groups`, previous: null };
  const path = '/groups/:group/users/:user';
  const target = (request: FastifyRequest) => {
    requireAdmin(callerOf(request));
    const group_id = exists(directory.groups, param(request, 'group'), 'group');
    const user_id = exists(directory.users, param(request, 'user'), 'user');
    return { id: `${group_id}:${user_id}`, group_id, user_id };
  };
  const membership = (request: FastifyRequest): string => {
    const { id, user_id } = target(request);
    if (directory.memberships.get(id) === undefined) throw notFound(`Could not find user: ${user_id}.`);
    return id;
  };

  app.put(path, async (request, reply) => {
    directory.memberships.put(target(request));
    return reply.code(204).send();
  });
  app.get(path, async (request, reply) => {
    membership(request);
    return reply.code(204).send();
  });
  app.delete(path, async (request, reply) => {
    directory.memberships.remove(membership(request));
    return reply.code(204).send();
  });

  app.get<{ Querystring: Query }>('/groups/:group/users', async (request) => {
    requireAdmin(callerOf(request));
    const group = exists(directory.groups, param(request, 'group'), 'group');
    const users = directory.memberships
      .all()
      .filter((each) => each.group_id === group)
      .map((each) => directory.users.get(each.user_id))
      .filter((user) => user !== undefined)
      .filter((user) => matches(user.name, many(request.query, 'name')));
    return { users: users.map((user) => viewOf({ one: 'user', many: 'users' }, user, base)), links };
  });
  app.get('/users/:user/groups', async (request) => {
    const user = param(request, 'user');
    if (!isAdmin(callerOf(request)) && callerOf(request).userId !== user) throw forbidden();
    exists(directory.users, user, 'user');
    const groups = directory.memberships
      .all()
      .filter((each) => each.user_id === user)
      .map((each) => directory.groups.get(each.group_id))
      .filter((group) => group !== undefined);
    return { groups: groups.map((group) => viewOf({ one: 'group', many: 'groups' }, group, base)), links };
  });
}
