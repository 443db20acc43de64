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

/** The id is made of all three parts, so that an assignment exists once. */
export interface Assignment {
  readonly id: string;
  readonly user_id: string;
  readonly role_id: string;
  readonly scope: Scope;
}

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
    roles: records.collection('role'),
    impliedRoles: records.collection('implied-role'),
    assignments: records.collection('assignment'),
    regions: records.collection('region'),
    services: records.collection('service'),
    endpoints: records.collection('endpoint'),
  };
}

export function grant(directory: Directory, userId: string, roleId: string, scope: Scope): void {
  const id = assignmentId(userId, roleId, scope);
  directory.assignments.put({ id, user_id: userId, role_id: roleId, scope });
}

export function assignmentId(userId: string, roleId: string, scope: Scope): string {
  return `${userId}:${roleId}:${scope.kind}:${scope.id}`;
}

/** Roles of the user in the scope, with those they imply. */
export function rolesIn(directory: Directory, userId: string, scope: Scope): Role[] {
  const direct = directory.assignments
    .all()
    .filter((one) => one.user_id === userId && one.scope.kind === scope.kind && one.scope.id === scope.id)
    .map((one) => one.role_id);
  return withImplied(directory, direct);
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
