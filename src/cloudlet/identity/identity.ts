import type { FastifyInstance } from 'fastify';
import { type Door, type ErrorBody, guard, speak, titles } from '../http.ts';
import type { Records } from '../records.ts';
import { accountRoutes } from './account.ts';
import { applicationCredentialRoutes } from './application-credentials.ts';
import { assignmentRoutes } from './assignments.ts';
import { authRoutes } from './auth.ts';
import { crudRoutes } from './crud.ts';
import type { Directory } from './directory.ts';
import { grantRoutes } from './grants.ts';
import { membershipRoutes } from './groups.ts';
import { impliedRoleRoutes } from './implied-roles.ts';
import { kinds } from './kinds.ts';
import { projectTagRoutes } from './project-tags.ts';
import type { Tokens } from './tokens.ts';

export interface IdentityParts {
  readonly records: Records;
  readonly directory: Directory;
  readonly tokens: Tokens;
  readonly door: Door;
  readonly now: () => Date;
}

const errorBody: ErrorBody = ({ status, message }) => ({
  error: { code: status, message, title: titles[status] ?? 'Error' },
});

/** Keystone v3, to be registered under its own prefix, whose public URL is `door.identityUrl`. */
export function identity(
  app: FastifyInstance,
  { records, directory, tokens, door, now }: IdentityParts,
): void {
  speak(app, errorBody, door.log);
  const base = `${door.identityUrl}/v3`;
  const version = {
    id: 'v3.14',
    status: 'stable',
    updated: '2020-04-07T00:00:00Z',
    links: [{ rel: 'self', href: `${base}/` }],
    'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
  };
  app.get('/', async (_request, reply) => reply.code(300).send({ versions: { values: [version] } }));
  app.get('/v3', async () => ({ version }));

  app.register(
    async (v3) => {
      authRoutes(v3, {
        directory,
        tokens,
        door,
        now,
        applicationCredentials: records.collection('application-credential'),
      });
      v3.register(async (inner) => {
        guard(inner, door);
        for (const kind of kinds(directory, (userId) => tokens.revokeAllOf(userId))) {
          crudRoutes(inner, kind, records, base);
        }
        grantRoutes(inner, directory);
        assignmentRoutes(inner, directory, base);
        membershipRoutes(inner, directory, base);
        projectTagRoutes(inner, directory);
        accountRoutes(inner, directory, tokens);
        inner.register(async (roles) => impliedRoleRoutes(roles, directory, base));
        inner.register(async (own) =>
          applicationCredentialRoutes(own, directory, tokens, records.collection('application-credential')),
        );
      });
    },
    { prefix: '/v3' },
  );
}
