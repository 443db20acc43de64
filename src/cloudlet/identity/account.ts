import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { isAdmin } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import { forbidden, Refusal } from '../refusal.ts';
import { projectsOf } from './auth.ts';
import type { Directory } from './directory.ts';
import { hashPassword, passwordMatches } from './passwords.ts';
import type { Tokens } from './tokens.ts';

const PasswordChange = Type.Object({
  user: Type.Object({ password: Type.String({ minLength: 1 }), original_password: Type.String() }),
});

/** What a user may do with their own account. */
export function accountRoutes(app: FastifyInstance, directory: Directory, tokens: Tokens): void {
  app.get('/users/:user/projects', async (request) => {
    const user = param(request, 'user');
    const caller = callerOf(request);
    if (!isAdmin(caller) && caller.userId !== user) throw forbidden();
    return { projects: projectsOf(directory, user), links: { next: null, previous: null } };
  });

  app.post('/users/:user/password', async (request, reply) => {
    const { user: wish } = read(PasswordChange, request.body);
    const user = directory.users.get(param(request, 'user'));
    const matches = await passwordMatches(wish.original_password, user?.password_hash ?? undefined);
    if (user === undefined || !matches) {
      throw new Refusal(401, 'The request you have made requires authentication.');
    }
    directory.users.put({ ...user, password_hash: await hashPassword(wish.password) });
    tokens.revokeAllOf(user.id);
    return reply.code(204).send();
  });
}
