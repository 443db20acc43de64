import type { Collection, Records } from '../records.ts';

interface Domain {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly enabled: boolean;
}

interface Project {
  readonly id: string;
  readonly name: string;
  readonly domain_id: string;
  readonly description: string;
  readonly enabled: boolean;
  readonly is_domain: boolean;
  readonly parent_id: string | null;
  readonly tags: readonly string[];
}

export interface User {
  readonly id: string;
  readonly name: string;
  readonly domain_id: string;
  readonly enabled: boolean;
  readonly default_project_id?: string | null;
  /** As `hashPassword` gives; null: cannot log in with a password. */
  readonly password_hash: string | null;
}

export interface Role {
  readonly id: string;
  readonly name: string;
  readonly domain_id: null;
  readonly description: string | null;
}

interface Group {
  readonly id: string;
  readonly name: string;
  readonly domain_id: string;
  readonly description: string;
}

/** The id is `group:user`. */
interface Membership {
  readonly id: string;
  readonly group_id: string;
  readonly user_id: string;
}

/** Who has the prior role has the implied one too. The id is `prior:implied`. */
interface ImpliedRole {
  readonly id: string;
  readonly prior: string;
  readonly implied: string;
}

/** Where a token or an assignment holds. */
export type Scope =
  | { readonly kind: 'project'; readonly id: string }
  | { readonly kind: 'domain'; readonly id: string }
  | { readonly kind: 'system'; readonly id: 'all' };

export type Actor = { readonly user_id: string } | { readonly group_id: string };

/** The id is made of all its parts, so that an assignment exists once. */
export type Assignment = Actor & {
  readonly id: string;
  readonly role_id: string;
  readonly scope: Scope;
  /** It holds not there, but in all projects below. */
  readonly inherited?: boolean;
};

interface Region {
  readonly id: string;
  readonly description: string;
  readonly parent_region_id: string | null;
}

interface Service {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly description: string;
  readonly enabled: boolean;
}

interface Endpoint {
  readonly id: string;
  readonly service_id: string;
  readonly interface: 'public' | 'internal' | 'admin';
  readonly region_id: string | null;
  readonly url: string;
  readonly enabled: boolean;
}

export interface Directory {
  readonly domains: Collection<Domain>;
  readonly projects: Collection<Project>;
  readonly users: Collection<User>;
  readonly groups: Collection<Group>;
  readonly memberships: Collection<Membership>;
  readonly roles: Collection<Role>;
  readonly impliedRoles: Collection<ImpliedRole>;
  readonly assignments: Collection<Assignment>;
  readonly regions: Collection<Region>;
  readonly services: Collection<Service>;
  readonly endpoints: Collection<Endpoint>;
}

export function openDirectory(records: Records): Directory {
  return {
    domains: records.collection('domain'),
    projects: records.collection('project'),
    users: records.collection('user'),
    groups: records.collection('group'),
    memberships: records.collection('membership'),
    roles: records.collection('role'),
    impliedRoles: records.collection('implied-role'),
    assignments: records.collection('assignment'),
    regions: records.collection('region'),
    services: records.collection('service'),
    endpoints: records.collection('endpoint'),
  };
}

export function grant(
  directory: Directory,
  actor: Actor,
  roleId: string,
  scope: Scope,
  inherited = false,
): void {
  const id = assignmentId(actor, roleId, scope, inherited);
  directory.assignments.put({ ...actor, id, role_id: roleId, scope, ...(inherited && { inherited }) });
}

export function assignmentId(actor: Actor, roleId: string, scope: Scope, inherited = false): string {
  const who = 'user_id' in actor ? actor.user_id : `group:${actor.group_id}`;
  return [who, roleId, scope.kind, scope.id, ...(inherited ? ['inherited'] : [])].join(':');
}

/** Roles of the user in the scope: their own, their groups', inherited ones, and those they imply. */
export function rolesIn(directory: Directory, userId: string, scope: Scope): Role[] {
  const direct = directory.assignments
    .all()
    .filter((one) => isOf(directory, one, userId) && holdsIn(directory, one, scope))
    .map((one) => one.role_id);
  return withImplied(directory, direct);
}

function isOf(directory: Directory, one: Assignment, userId: string): boolean {
  if ('user_id' in one) return one.user_id === userId;
  return directory.memberships.get(`${one.group_id}:${userId}`) !== undefined;
}

export function holdsIn(directory: Directory, { scope, inherited }: Assignment, where: Scope): boolean {
  if (inherited !== true) return sameScope(scope, where);
  return where.kind === 'project' && above(directory, where.id).some((place) => sameScope(place, scope));
}

/** The projects above the project, and its domain. */
function above(directory: Directory, projectId: string): Scope[] {
  const places: Scope[] = [];
  const seen = new Set([projectId]);
  let project = directory.projects.get(projectId);
  if (project !== undefined) places.push({ kind: 'domain', id: project.domain_id });
  while (project?.parent_id != null && !seen.has(project.parent_id)) {
    seen.add(project.parent_id);
    places.push({ kind: 'project', id: project.parent_id });
    project = directory.projects.get(project.parent_id);
  }
  return places;
}

export function sameScope(left: Scope, right: Scope): boolean {
  return left.kind === right.kind && left.id === right.id;
}

export function withImplied(directory: Directory, roleIds: readonly string[]): Role[] {
  const found = new Set<string>();
  const open = [...roleIds];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    for (const rule of directory.impliedRoles.all()) if (rule.prior === id) open.push(rule.implied);
  }
  return directory.roles.all().filter((role) => found.has(role.id));
}

export function byName<T extends { readonly name: string; readonly domain_id?: string | null }>(
  things: readonly T[],
  name: string,
  domainId?: string,
): T | undefined {
  return things.find((one) => one.name === name && (domainId === undefined || one.domain_id === domainId));
}
