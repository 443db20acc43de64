import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { isAdmin, owns, projectFor } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import { flag, type Query } from '../lists.ts';
import { badRequest, notFound } from '../refusal.ts';
import { minorOf } from './microversion.ts';
import type { Nova, ServerGroup } from './records.ts';

const policies = ['affinity', 'anti-affinity', 'soft-affinity', 'soft-anti-affinity'];
const Create = Type.Object({
  server_group: Type.Object({
    name: Type.String({ minLength: 1, maxLength: 255 }),
    policies: Type.Optional(Type.Array(Type.String(), { minItems: 1, maxItems: 1 })),
    policy: Type.Optional(Type.String()),
    rules: Type.Optional(Type.Object({})),
  }),
});

/** `/os-server-groups`: kept and shown. On one machine there is no choice that a policy could change. */
export function serverGroupRoutes(app: FastifyInstance, nova: Nova): void {
  const view = (group: ServerGroup, minor: number) => ({
    id: group.id,
    name: group.name,
    members: nova.servers
      .all()
      .filter((server) => server.group_id === group.id)
      .map((server) => server.id),
    ...(minor >= 64
      ? { policy: group.policy, rules: group.rules }
      : { policies: [group.policy], metadata: {} }),
    ...(minor >= 13 && { project_id: group.project_id, user_id: group.user_id }),
  });
  const find = (request: FastifyRequest): ServerGroup => {
    const id = param(request, 'id');
    const group = nova.groups.get(id);
    if (group === undefined || !owns(callerOf(request), group.project_id)) {
      throw notFound(`Instance group ${id} could not be found.`);
    }
    return group;
  };

  app.get<{ Querystring: Query }>('/os-server-groups', async (request) => {
    const caller = callerOf(request);
    const everywhere = isAdmin(caller) && (flag(request.query, 'all_projects') ?? false);
    const shown = nova.groups.all().filter((group) => everywhere || group.project_id === caller.projectId);
    return { server_groups: shown.map((group) => view(group, minorOf(request))) };
  });
  app.get('/os-server-groups/:id', async (request) => ({
    server_group: view(find(request), minorOf(request)),
  }));
  app.post('/os-server-groups', async (request) => {
    const caller = callerOf(request);
    const wish = read(Create, request.body).server_group;
    const policy = wish.policy ?? wish.policies?.[0] ?? '';
    if (!policies.includes(policy)) throw badRequest(`Invalid policy '${policy}'.`);
    const group = nova.groups.put({
      id: randomUUID(),
      name: wish.name,
      project_id: projectFor(caller, undefined),
      user_id: caller.userId,
      policy,
      rules: wish.rules ?? {},
    });
    return { server_group: view(group, minorOf(request)) };
  });
  app.delete('/os-server-groups/:id', async (request, reply) => {
    nova.groups.remove(find(request).id);
    return reply.code(204).send();
  });
}
