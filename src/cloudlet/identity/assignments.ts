import type { FastifyInstance } from 'fastify';
import { isAdmin } from '../caller.ts';
import { callerOf } from '../http.ts';
import { one, type Query } from '../lists.ts';
import { forbidden } from '../refusal.ts';
import { type Assignment, type Directory, holdsIn, sameScope, type Scope, withImplied } from './directory.ts';

/** `/role_assignments`: who has which role where, as given, or as it comes out. */
export function assignmentRoutes(app: FastifyInstance, directory: Directory, base: string): void {
  app.get<{ Querystring: Query }>('/role_assignments', async (request) => {
    const { query } = request;
    const caller = callerOf(request);
    const user = one(query, 'user.id');
    if (!isAdmin(caller) && (user === undefined || caller.userId !== user)) throw forbidden();
    const group = one(query, 'group.id');
    const project = one(query, 'scope.project.id');
    const domain = one(query, 'scope.domain.id');
    const role = one(query, 'role.id');
    const inherited = one(query, 'scope.OS-INHERIT:inherited_to') !== undefined;
    const names = asked(query, 'include_names');
    const all = asked(query, 'effective') ? effective(directory) : directory.assignments.all();
    const shown = all.filter(
      (each) =>
        (user === undefined || ('user_id' in each && each.user_id === user)) &&
        (group === undefined || ('group_id' in each && each.group_id === group)) &&
        (role === undefined || each.role_id === role) &&
        (project === undefined || sameScope(each.scope, { kind: 'project', id: project })) &&
        (domain === undefined || sameScope(each.scope, { kind: 'domain', id: domain })) &&
        (one(query, 'scope.system') === undefined || each.scope.kind === 'system') &&
        (!inherited || each.inherited === true),
    );
    return {
      role_assignments: shown.map((each) => assignmentView(directory, each, names, base)),
      links: { next: null, self: `${base}/role_assignments`, previous: null },
    };
  });
}

/** Groups as their members, inherited ones where they hold, and what roles imply. */
function effective(directory: Directory): Assignment[] {
  const found = new Map<string, Assignment>();
  for (const given of directory.assignments.all()) {
    const scopes: Scope[] =
      given.inherited === true
        ? directory.projects
            .all()
            .map(({ id }): Scope => ({ kind: 'project', id }))
            .filter((scope) => holdsIn(directory, given, scope))
        : [given.scope];
    const users = 'user_id' in given ? [given.user_id] : membersOf(directory, given.group_id);
    for (const scope of scopes) {
      for (const user_id of users) {
        for (const role of withImplied(directory, [given.role_id])) {
          const id = [user_id, role.id, scope.kind, scope.id].join(':');
          found.set(id, { id, user_id, role_id: role.id, scope });
        }
      }
    }
  }
  return [...found.values()];
}

function membersOf(directory: Directory, groupId: string): string[] {
  return directory.memberships
    .all()
    .filter((each) => each.group_id === groupId)
    .map((each) => each.user_id);
}

function assignmentView(directory: Directory, each: Assignment, names: boolean, base: string): object {
  const { scope, role_id } = each;
  const inDomain = (thing: { name: string; domain_id: string } | undefined) =>
    names && thing
      ? {
          name: thing.name,
          domain: { id: thing.domain_id, name: directory.domains.get(thing.domain_id)?.name },
        }
      : {};
  const place = {
    project: { id: scope.id, ...inDomain(directory.projects.get(scope.id)) },
    domain: { id: scope.id, ...(names && { name: directory.domains.get(scope.id)?.name }) },
    system: { all: true },
  }[scope.kind];
  const actor =
    'user_id' in each
      ? { user: { id: each.user_id, ...inDomain(directory.users.get(each.user_id)) } }
      : { group: { id: each.group_id, ...inDomain(directory.groups.get(each.group_id)) } };
  const who = 'user_id' in each ? `users/${each.user_id}` : `groups/${each.group_id}`;
  const where = scope.kind === 'system' ? 'system' : `${scope.kind}s/${scope.id}`;
  const inherited = each.inherited === true;
  const path = `${where}/${who}/roles/${role_id}`;
  return {
    role: { id: role_id, ...(names && { name: directory.roles.get(role_id)?.name }) },
    ...actor,
    scope: { [scope.kind]: place, ...(inherited && { 'OS-INHERIT:inherited_to': 'projects' }) },
    links: { assignment: inherited ? `${base}/OS-INHERIT/${path}/inherited_to_projects` : `${base}/${path}` },
  };
}

/** Keystone's switches are on when the key is there, whatever its value but 0 and false. */
function asked(query: Query, key: string): boolean {
  const value = one(query, key);
  return value !== undefined && !['0', 'false'].includes(value.toLowerCase());
}
