import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { callerOf, type Door, guard, read } from '../http.ts';
import { notFound, forbidden, Refusal } from '../refusal.ts';
import { isAdmin } from '../caller.ts';
import type { ApplicationCredential } from './application-credentials.ts';
import { catalog } from './catalog.ts';
import { byName, type Directory, rolesIn, type Scope, type User } from './directory.ts';
import { passwordMatches } from './passwords.ts';
import { isActive, type NewToken, type Tokens, tokenView } from './tokens.ts';
import type { Collection } from '../records.ts';

const DomainRef = Type.Object({ id: Type.Optional(Type.String()), name: Type.Optional(Type.String()) });
const NamedRef = Type.Object({
  id: Type.Optional(Type.String()),
  name: Type.Optional(Type.String()),
  domain: Type.Optional(DomainRef),
});
const AuthBody = Type.Object({
  auth: Type.Object({
    identity: Type.Object({
      methods: Type.Array(Type.String(), { minItems: 1 }),
      password: Type.Optional(
        Type.Object({ user: Type.Intersect([NamedRef, Type.Object({ password: Type.String() })]) }),
      ),
      token: Type.Optional(Type.Object({ id: Type.String() })),
      application_credential: Type.Optional(
        Type.Object({
          id: Type.Optional(Type.String()),
          name: Type.Optional(Type.String()),
          user: Type.Optional(NamedRef),
          secret: Type.String(),
        }),
      ),
    }),
    scope: Type.Optional(
      Type.Union([
        Type.Literal('unscoped'),
        Type.Object({
          project: Type.Optional(NamedRef),
          domain: Type.Optional(DomainRef),
          system: Type.Optional(Type.Object({ all: Type.Optional(Type.Boolean()) })),
          unscoped: Type.Optional(Type.Unknown()),
        }),
      ]),
    ),
  }),
});
type AuthBody = Static<typeof AuthBody>;
type NamedRef = Static<typeof NamedRef>;

export interface Auth {
  readonly directory: Directory;
  readonly tokens: Tokens;
  readonly applicationCredentials: Collection<ApplicationCredential>;
  readonly door: Door;
  readonly now: () => Date;
}

/** `/auth/…`: tokens, and what the bearer of one may see of the cloud. */
export function authRoutes(app: FastifyInstance, auth: Auth): void {
  const { directory, tokens } = auth;
  const answer = (token: Parameters<typeof tokenView>[2], withCatalog: boolean) => ({
    token: {
      ...tokenView(directory, tokens, token),
      ...(withCatalog && token.scope !== null && { catalog: catalog(directory) }),
    },
  });

  app.post<{ Querystring: { nocatalog?: string } }>('/auth/tokens', async (request, reply) => {
    const body = read(AuthBody, request.body);
    const { secret, token } = tokens.issue(await authenticate(auth, body));
    reply.code(201).header('x-subject-token', secret).header('vary', 'X-Auth-Token');
    return answer(token, request.query.nocatalog === undefined);
  });

  app.register(async (inner) => {
    guard(inner, auth.door);

    inner.get<{ Querystring: { nocatalog?: string } }>('/auth/tokens', async (request, reply) => {
      const secret = subjectToken(request.headers);
      const token = tokens.find(secret);
      if (token === undefined) throw notFound('Failed to validate token');
      const caller = callerOf(request);
      if (!isAdmin(caller) && !caller.roles.has('service') && caller.userId !== token.user_id)
        throw forbidden();
      reply.header('x-subject-token', secret).header('vary', 'X-Auth-Token');
      return answer(token, request.query.nocatalog === undefined);
    });

    inner.delete('/auth/tokens', async (request, reply) => {
      const secret = subjectToken(request.headers);
      const token = tokens.find(secret);
      if (token === undefined) throw notFound('Failed to validate token');
      const caller = callerOf(request);
      if (!isAdmin(caller) && caller.userId !== token.user_id) throw forbidden();
      tokens.revoke(secret);
      return reply.code(204).send();
    });

    inner.get('/auth/catalog', async () => ({
      catalog: catalog(directory),
      links: { next: null, previous: null },
    }));
    inner.get('/auth/projects', async (request) => ({
      projects: projectsOf(directory, callerOf(request).userId),
      links: { next: null, previous: null },
    }));
    inner.get('/auth/domains', async (request) => ({
      domains: directory.domains
        .all()
        .filter(
          (one) => rolesIn(directory, callerOf(request).userId, { kind: 'domain', id: one.id }).length > 0,
        ),
      links: { next: null, previous: null },
    }));
    inner.get('/auth/system', async (request) => ({
      system:
        rolesIn(directory, callerOf(request).userId, { kind: 'system', id: 'all' }).length > 0
          ? [{ all: true }]
          : [],
      links: { next: null, previous: null },
    }));
  });
}

export function projectsOf(directory: Directory, userId: string) {
  return directory.projects
    .all()
    .filter((one) => one.enabled && rolesIn(directory, userId, { kind: 'project', id: one.id }).length > 0);
}

function subjectToken(headers: Record<string, unknown>): string {
  const secret = headers['x-subject-token'];
  if (typeof secret !== 'string') throw notFound('Failed to validate token');
  return secret;
}

/** One sentence for every reason, so that nothing can be learned by trying. */
function unauthorized(): Refusal {
  return new Refusal(401, 'The request you have made requires authentication.');
}

async function authenticate(auth: Auth, { auth: wish }: AuthBody): Promise<NewToken> {
  const { identity } = wish;
  const scope = wish.scope === 'unscoped' ? { unscoped: {} } : wish.scope;
  if (identity.methods.includes('application_credential')) {
    if (scope !== undefined) throw new Refusal(401, 'Application credentials cannot request a scope.');
    return byApplicationCredential(auth, identity.application_credential);
  }
  const proof = identity.methods.includes('token')
    ? byToken(auth, identity.token?.id)
    : { user: await byPassword(auth.directory, identity.password?.user), methods: [], notAfter: undefined };
  return {
    user_id: proof.user.id,
    methods: [...new Set([...proof.methods, ...identity.methods])],
    scope: wantedScope(auth.directory, proof.user, scope),
    ...(proof.notAfter !== undefined && { notAfter: proof.notAfter }),
  };
}

async function byPassword(
  directory: Directory,
  wanted: (NamedRef & { password: string }) | undefined,
): Promise<User> {
  const user = wanted && findUser(directory, wanted);
  const matches = await passwordMatches(wanted?.password ?? '', user?.password_hash ?? undefined);
  if (user === undefined || !isActive(directory, user) || !matches) throw unauthorized();
  return user;
}

function byToken({ tokens, directory }: Auth, secret: string | undefined) {
  const token = secret === undefined ? undefined : tokens.find(secret);
  const user = token && directory.users.get(token.user_id);
  if (token === undefined || user === undefined) throw unauthorized();
  if (token.application_credential) throw forbidden('An application credential token cannot be rescoped.');
  return { user, methods: token.methods, notAfter: token.expires_at };
}

async function byApplicationCredential(
  auth: Auth,
  wanted: AuthBody['auth']['identity']['application_credential'],
): Promise<NewToken> {
  const { directory, applicationCredentials } = auth;
  const owner = wanted?.user && findUser(directory, wanted.user);
  const found =
    wanted?.id !== undefined
      ? applicationCredentials.get(wanted.id)
      : applicationCredentials.all().find((one) => one.name === wanted?.name && one.user_id === owner?.id);
  const matches = await passwordMatches(wanted?.secret ?? '', found?.secret_hash);
  const expired =
    found?.expires_at !== null && found !== undefined && found.expires_at <= auth.now().toISOString();
  if (
    found === undefined ||
    !matches ||
    expired ||
    !isActive(directory, directory.users.get(found.user_id))
  ) {
    throw unauthorized();
  }
  const scope: Scope = { kind: 'project', id: found.project_id };
  const kept = rolesIn(directory, found.user_id, scope).some((role) => found.role_ids.includes(role.id));
  if (!kept || !isActive(directory, directory.projects.get(found.project_id))) throw unauthorized();
  return {
    user_id: found.user_id,
    methods: ['application_credential'],
    scope,
    application_credential: {
      ...{ id: found.id, role_ids: found.role_ids },
      restricted: found.unrestricted !== true,
    },
  };
}

function findUser(directory: Directory, wanted: NamedRef): User | undefined {
  if (wanted.id !== undefined) return directory.users.get(wanted.id);
  if (wanted.name === undefined) return undefined;
  return byName(directory.users.all(), wanted.name, domainOf(directory, wanted.domain) ?? 'none');
}

function domainOf(
  directory: Directory,
  wanted: { id?: string; name?: string } | undefined,
): string | undefined {
  if (wanted?.id !== undefined) return wanted.id;
  return wanted?.name === undefined ? undefined : byName(directory.domains.all(), wanted.name)?.id;
}

/** Throws 401 when the user has no role there. */
function wantedScope(
  directory: Directory,
  user: User,
  wanted: Exclude<AuthBody['auth']['scope'], 'unscoped'>,
): Scope | null {
  let scope: Scope | undefined;
  if (wanted === undefined) {
    const home = user.default_project_id ?? undefined;
    if (home === undefined) return null;
    scope = { kind: 'project', id: home };
    return rolesIn(directory, user.id, scope).length > 0 ? scope : null;
  }
  if (wanted.unscoped !== undefined) return null;
  if (wanted.system?.all === true) scope = { kind: 'system', id: 'all' };
  if (wanted.domain !== undefined) scope = { kind: 'domain', id: domainOf(directory, wanted.domain) ?? '' };
  if (wanted.project !== undefined)
    scope = { kind: 'project', id: projectId(directory, wanted.project) ?? '' };
  if (scope === undefined || rolesIn(directory, user.id, scope).length === 0) throw unauthorized();
  if (scope.kind === 'project' && !isActive(directory, directory.projects.get(scope.id)))
    throw unauthorized();
  return scope;
}

function projectId(directory: Directory, wanted: NamedRef): string | undefined {
  if (wanted.id !== undefined) return wanted.id;
  if (wanted.name === undefined) return undefined;
  return byName(directory.projects.all(), wanted.name, domainOf(directory, wanted.domain) ?? 'none')?.id;
}
