import type { FastifyInstance, FastifyRequest } from 'fastify';
import { requireAdmin } from '../caller.ts';
import { callerOf, param } from '../http.ts';
import { notFound } from '../refusal.ts';
import { type Actor, assignmentId, type Directory, grant, type Scope, sameScope } from './directory.ts';

/** Who has which role where: `/projects/{id}/users/{id}/roles/{id}`, and so on for domains, the system and groups. */
export function grantRoutes(app: FastifyInstance, directory: Directory): void {
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
  const actors = {
    users: (id: string): Actor => ({ user_id: exists(directory.users, id, 'user') }),
    groups: (id: string): Actor => ({ group_id: exists(directory.groups, id, 'group') }),
  };

  for (const [place, scopeOf] of Object.entries(places)) {
    for (const [kind, actorOf] of Object.entries(actors)) {
      const path = `${place}/${kind}/:actor/roles`;
      const who = { scopeOf, actorOf };
      routes(app, directory, { ...who, inherited: false, list: path, one: `${path}/:role` });
      if (place === '/system') continue;
      const list = `/OS-INHERIT${path}/inherited_to_projects`;
      const one = `/OS-INHERIT${path}/:role/inherited_to_projects`;
      routes(app, directory, { ...who, inherited: true, list, one });
    }
  }
}

interface Place {
  readonly list: string;
  readonly one: string;
  readonly inherited: boolean;
  readonly scopeOf: (id: string) => Scope;
  readonly actorOf: (id: string) => Actor;
}

function routes(app: FastifyInstance, directory: Directory, place: Place): void {
  const { inherited } = place;
  const target = (request: FastifyRequest) => {
    requireAdmin(callerOf(request));
    const scope = place.scopeOf((request.params as { scope?: string }).scope ?? 'all');
    return { scope, actor: place.actorOf(param(request, 'actor')) };
  };
  const role = (request: FastifyRequest) => exists(directory.roles, param(request, 'role'), 'role');
  const find = (request: FastifyRequest): string => {
    const { actor, scope } = target(request);
    const id = assignmentId(actor, role(request), scope, inherited);
    if (directory.assignments.get(id) === undefined) throw notFound(`Could not find role assignment: ${id}.`);
    return id;
  };

  app.get(place.list, async (request) => {
    const { actor, scope } = target(request);
    const direct = directory.assignments
      .all()
      .filter((each) => sameScope(each.scope, scope) && (each.inherited ?? false) === inherited)
      .filter((each) => each.id === assignmentId(actor, each.role_id, scope, inherited));
    return {
      roles: direct.map((each) => directory.roles.get(each.role_id)),
      links: { next: null, previous: null },
    };
  });
  app.put(place.one, async (request, reply) => {
    const { actor, scope } = target(request);
    grant(directory, actor, role(request), scope, inherited);
    return reply.code(204).send();
  });
  app.get(place.one, async (request, reply) => {
    find(request);
    return reply.code(204).send();
  });
  app.delete(place.one, async (request, reply) => {
    directory.assignments.remove(find(request));
    return reply.code(204).send();
  });
}

/** The id, if there is such a thing. */
export function exists(collection: { get(id: string): unknown }, id: string, words: string): string {
  if (collection.get(id) === undefined) throw notFound(`Could not find ${words}: ${id}.`);
  return id;
}
