import { createHash, randomBytes } from 'node:crypto';
import type { Caller } from '../caller.ts';
import type { Records } from '../records.ts';
import { type Directory, rolesIn, type Role, type Scope, withImplied } from './directory.ts';

export interface Token {
  /** SHA-256 of what the client holds. */
  readonly id: string;
  readonly user_id: string;
  readonly methods: readonly string[];
  readonly audit_ids: readonly string[];
  /** Null: unscoped. */
  readonly scope: Scope | null;
  /** ISO 8601. */
  readonly issued_at: string;
  readonly expires_at: string;
  /** When set, the token is an application credential's and has no more than these roles. */
  readonly application_credential?: {
    readonly id: string;
    readonly role_ids: readonly string[];
    readonly restricted?: boolean;
  };
}

export type NewToken = Omit<Token, 'id' | 'audit_ids' | 'issued_at' | 'expires_at'> & {
  /** Not after this; for tokens got with a token. */
  readonly notAfter?: string;
};

export interface Tokens {
  issue(token: NewToken): { readonly secret: string; readonly token: Token };
  /** Undefined: unknown, expired, revoked, or its user or project is gone or disabled. */
  find(secret: string): Token | undefined;
  rolesOf(token: Token): Role[];
  callerOf(secret: string): Caller | undefined;
  revoke(secret: string): void;
  revokeAllOf(userId: string): void;
}

export function openTokens(
  records: Records,
  directory: Directory,
  lifeSeconds: number,
  now: () => Date,
): Tokens {
  const tokens = records.collection<Token>('token');
  const applicationCredentials = records.collection('application-credential');

  function forgetExpired(): void {
    const time = now().toISOString();
    for (const token of tokens.all()) if (token.expires_at <= time) tokens.remove(token.id);
  }

  function rolesOf(token: Token): Role[] {
    if (token.scope === null) return [];
    const roles = rolesIn(directory, token.user_id, token.scope);
    if (token.application_credential === undefined) return roles;
    const lent = new Set(
      withImplied(directory, token.application_credential.role_ids).map((role) => role.id),
    );
    return roles.filter((role) => lent.has(role.id));
  }

  function find(secret: string): Token | undefined {
    const token = tokens.get(fingerprint(secret));
    if (token === undefined || token.expires_at <= now().toISOString()) return undefined;
    if (!isActive(directory, directory.users.get(token.user_id))) return undefined;
    const lender = token.application_credential;
    if (lender !== undefined && applicationCredentials.get(lender.id) === undefined) return undefined;
    return token.scope === null || (isOpen(directory, token.scope) && rolesOf(token).length > 0)
      ? token
      : undefined;
  }

  return {
    issue({ notAfter, ...wanted }) {
      const time = now();
      const secret = randomBytes(32).toString('base64url');
      const ownEnd = new Date(time.getTime() + lifeSeconds * 1000).toISOString();
      const token: Token = {
        ...wanted,
        id: fingerprint(secret),
        audit_ids: [randomBytes(16).toString('base64url')],
        issued_at: time.toISOString(),
        expires_at: notAfter !== undefined && notAfter < ownEnd ? notAfter : ownEnd,
      };
      records.transaction(() => {
        forgetExpired();
        tokens.put(token);
      });
      return { secret, token };
    },
    find,
    rolesOf,
    callerOf(secret) {
      const token = find(secret);
      if (token === undefined) return undefined;
      return {
        userId: token.user_id,
        projectId: token.scope?.kind === 'project' ? token.scope.id : null,
        domainId: token.scope?.kind === 'domain' ? token.scope.id : null,
        system: token.scope?.kind === 'system',
        roles: new Set(rolesOf(token).map((role) => role.name)),
      };
    },
    revoke(secret) {
      tokens.remove(fingerprint(secret));
    },
    revokeAllOf(userId) {
      for (const token of tokens.all()) if (token.user_id === userId) tokens.remove(token.id);
    },
  };
}

function fingerprint(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}

/** Enabled, and its domain as well. */
export function isActive(
  directory: Directory,
  thing: { readonly enabled: boolean; readonly domain_id: string } | undefined,
): boolean {
  return thing?.enabled === true && directory.domains.get(thing.domain_id)?.enabled === true;
}

function isOpen(directory: Directory, scope: Scope): boolean {
  if (scope.kind === 'project') return isActive(directory, directory.projects.get(scope.id));
  return scope.kind === 'system' || directory.domains.get(scope.id)?.enabled === true;
}

/** The token as Keystone's API shows it, without its catalog. */
export function tokenView(directory: Directory, tokens: Tokens, token: Token): object {
  const user = directory.users.get(token.user_id);
  const { scope } = token;
  return {
    methods: token.methods,
    user: user && {
      id: user.id,
      name: user.name,
      domain: named(directory.domains.get(user.domain_id)),
      password_expires_at: null,
    },
    audit_ids: token.audit_ids,
    issued_at: microseconds(token.issued_at),
    expires_at: microseconds(token.expires_at),
    ...(scope !== null && { roles: tokens.rolesOf(token).map(named) }),
    ...(scope !== null && scopeView(directory, scope)),
    ...(token.application_credential && {
      application_credential: {
        id: token.application_credential.id,
        restricted: token.application_credential.restricted ?? true,
      },
    }),
  };
}

function scopeView(directory: Directory, scope: Scope): object {
  if (scope.kind === 'system') return { system: { all: true } };
  if (scope.kind === 'domain') return { domain: named(directory.domains.get(scope.id)) };
  const project = directory.projects.get(scope.id);
  return {
    is_domain: false,
    project: project && { ...named(project), domain: named(directory.domains.get(project.domain_id)) },
  };
}

function named(thing: { readonly id: string; readonly name: string } | undefined) {
  return thing && { id: thing.id, name: thing.name };
}

function microseconds(iso: string): string {
  return iso.replace('Z', '000Z');
}
