import { randomBytes, randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { isAdmin } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import type { Collection } from '../records.ts';
import { badRequest, conflict, forbidden, notFound, Refusal } from '../refusal.ts';
import { byName, type Directory, rolesIn } from './directory.ts';
import { hashPassword } from './passwords.ts';
import type { Tokens } from './tokens.ts';

/** A password for programs: acts as its user, in one project, with no more than the given roles. */
export interface ApplicationCredential {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly user_id: string;
  readonly project_id: string;
  readonly role_ids: readonly string[];
  readonly secret_hash: string;
  readonly expires_at: string | null;
  /** Its tokens may make and remove application credentials. */
  readonly unrestricted?: boolean;
}

const Create = Type.Object({
  application_credential: Type.Object({
    name: Type.String({ minLength: 1 }),
    description: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    secret: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    expires_at: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    unrestricted: Type.Optional(Type.Boolean()),
    access_rules: Type.Optional(Type.Array(Type.Object({}))),
    roles: Type.Optional(
      Type.Array(Type.Object({ id: Type.Optional(Type.String()), name: Type.Optional(Type.String()) })),
    ),
  }),
});

export function applicationCredentialRoutes(
  app: FastifyInstance,
  directory: Directory,
  tokens: Tokens,
  credentials: Collection<ApplicationCredential>,
): void {
  const view = (one: ApplicationCredential) => ({
    id: one.id,
    name: one.name,
    description: one.description,
    project_id: one.project_id,
    expires_at: one.expires_at,
    unrestricted: one.unrestricted ?? false,
    system: null,
    roles: one.role_ids.map((id) => ({ id, name: directory.roles.get(id)?.name, domain_id: null })),
  });
  const owned = (userId: string) => credentials.all().filter((one) => one.user_id === userId);
  const path = '/users/:user/application_credentials';

  app.addHook('preHandler', async (request) => {
    const caller = callerOf(request);
    if (!isAdmin(caller) && caller.userId !== param(request, 'user')) throw forbidden();
  });

  app.get<{ Querystring: { name?: string } }>(path, async (request) => ({
    application_credentials: owned(param(request, 'user'))
      .filter((one) => request.query.name === undefined || one.name === request.query.name)
      .map(view),
    links: { next: null, previous: null },
  }));

  app.get(`${path}/:id`, async (request) => ({ application_credential: view(found(request)) }));

  app.post(path, async (request, reply) => {
    const caller = callerOf(request);
    const wanted = read(Create, request.body).application_credential;
    requireUnrestricted(request);
    if (caller.userId !== param(request, 'user')) throw forbidden();
    if (caller.projectId === null)
      throw badRequest('An application credential needs a token scoped to a project.');
    if ((wanted.access_rules ?? []).length > 0)
      throw new Refusal(501, 'Access rules of application credentials are not offered.');
    if (byName(owned(caller.userId), wanted.name)) {
      throw conflict(
        `Conflict occurred attempting to store application_credential - name ${wanted.name} is taken.`,
      );
    }
    const own = rolesIn(directory, caller.userId, { kind: 'project', id: caller.projectId });
    const roles = (wanted.roles ?? []).map((ref) => {
      const role = own.find((one) => one.id === ref.id || one.name === ref.name);
      if (role === undefined) throw badRequest('The role is not assigned to the user on the project.');
      return role;
    });
    const secret = wanted.secret ?? randomBytes(48).toString('base64url');
    const made = credentials.put({
      id: randomUUID().replaceAll('-', ''),
      name: wanted.name,
      description: wanted.description ?? null,
      user_id: caller.userId,
      project_id: caller.projectId,
      role_ids: (roles.length > 0 ? roles : own).map((role) => role.id),
      unrestricted: wanted.unrestricted ?? false,
      secret_hash: await hashPassword(secret),
      expires_at: wanted.expires_at == null ? null : utc(wanted.expires_at),
    });
    return reply.code(201).send({ application_credential: { ...view(made), secret } });
  });

  app.delete(`${path}/:id`, async (request, reply) => {
    requireUnrestricted(request);
    credentials.remove(found(request).id);
    return reply.code(204).send();
  });

  app.get('/users/:user/access_rules', async () => ({
    access_rules: [],
    links: { next: null, previous: null },
  }));

  /** What a program was lent it cannot lend on. */
  function requireUnrestricted(request: FastifyRequest): void {
    const lender = tokens.find(String(request.headers['x-auth-token']))?.application_credential?.id;
    if (lender !== undefined && credentials.get(lender)?.unrestricted !== true)
      throw forbidden(
        'Using method application_credential is not allowed for managing application credentials.',
      );
  }

  function found(request: Parameters<typeof param>[0]): ApplicationCredential {
    const id = param(request, 'id');
    const one = credentials.get(id);
    if (one === undefined || one.user_id !== param(request, 'user')) {
      throw notFound(`Could not find Application Credential: ${id}.`);
    }
    return one;
  }
}

/** Clients leave the zone out and mean UTC; shown so as well, with microseconds. */
function utc(time: string): string {
  const date = new Date(/(Z|[+-][0-9:]+)$/i.test(time) ? time : `${time}Z`);
  if (Number.isNaN(date.getTime()))
    throw badRequest(`Invalid input for expires_at: '${time}' is not a time.`);
  const fraction = /\.(\d{1,6})/.exec(time)?.[1] ?? '';
  return `${date.toISOString().slice(0, 19)}.${fraction.padEnd(6, '0')}`;
}
