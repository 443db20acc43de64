import { forbidden } from './refusal.ts';

/** Who is asking, as the token says. */
export interface Caller {
  readonly userId: string;
  readonly projectId: string | null;
  readonly domainId: string | null;
  readonly system: boolean;
  /** Names of the roles in this scope, implied ones included. */
  readonly roles: ReadonlySet<string>;
}

/**
 * The cloudlet's whole policy: an admin may all; others see what is their project's or shared, and change it as members
 * of the project, or as those who may make load balancers there: their users need networks too, and many have that one
 * role alone.
 */
export function isAdmin(caller: Caller): boolean {
  return caller.roles.has('admin');
}

export function owns(caller: Caller, projectId: string | null): boolean {
  return isAdmin(caller) || (projectId !== null && caller.projectId === projectId);
}

export function requireAdmin(caller: Caller): void {
  if (!isAdmin(caller)) throw forbidden();
}

const membersRoles = ['member', 'load-balancer_member', 'load-balancer_admin'];

/** May change things of its own project. */
export function isMember(caller: Caller): boolean {
  return isAdmin(caller) || membersRoles.some((role) => caller.roles.has(role));
}

/** The project of such a caller is what a new thing will belong to. */
export function requireMember(caller: Caller): void {
  if (!isMember(caller)) throw forbidden();
}

/** The project a new thing belongs to: the wished one, which only an admin may choose freely, else the caller's. */
export function projectFor(caller: Caller, wished: string | undefined): string {
  requireMember(caller);
  const project = wished ?? caller.projectId;
  if (project === null) throw forbidden('The token is not scoped to a project.');
  if (!owns(caller, project)) throw forbidden();
  return project;
}
