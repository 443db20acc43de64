import type { FastifyInstance } from 'fastify';
import { requireAdmin } from '../caller.ts';
import { callerOf, param } from '../http.ts';
import { notFound, forbidden } from '../refusal.ts';
import type { Directory } from './directory.ts';
import { exists } from './grants.ts';

/** `/roles/{prior}/implies/{implied}`: who has the one has the other. */
export function impliedRoleRoutes(app: FastifyInstance, directory: Directory, base: string): void {
  const named = (id: string) => {
    const role = directory.roles.get(id);
    const links = { self: `${base}/roles/${id}` };
    return { id, name: role?.name, description: role?.description ?? null, links };
  };
  const impliedBy = (prior: string) =>
    directory.impliedRoles
      .all()
      .filter((rule) => rule.prior === prior)
      .map((rule) => named(rule.implied));
  const path = '/roles/:id/implies';

  app.addHook('preHandler', async (request) => requireAdmin(callerOf(request)));

  app.get('/role_inferences', async () => ({
    role_inferences: directory.roles
      .all()
      .map(({ id }) => ({ prior_role: named(id), implies: impliedBy(id) }))
      .filter((each) => each.implies.length > 0),
    links: { next: null, previous: null },
  }));

  app.get(path, async (request) => {
    const prior = exists(directory.roles, param(request, 'id'), 'role');
    return { role_inference: { prior_role: named(prior), implies: impliedBy(prior) } };
  });
  app.head(`${path}/:implied`, async (request, reply) => {
    found(param(request, 'id'), param(request, 'implied'));
    return reply.code(204).send();
  });
  app.get(`${path}/:implied`, { exposeHeadRoute: false }, async (request) => {
    const { prior, implied } = found(param(request, 'id'), param(request, 'implied'));
    return { role_inference: { prior_role: named(prior), implies: named(implied) } };
  });
  app.put(`${path}/:implied`, async (request, reply) => {
    const prior = exists(directory.roles, param(request, 'id'), 'role');
    const implied = exists(directory.roles, param(request, 'implied'), 'role');
    if (directory.roles.get(implied)?.name === 'admin')
      throw forbidden('Role admin cannot be an implied role.');
    directory.impliedRoles.put({ id: `${prior}:${implied}`, prior, implied });
    return reply.code(201).send({ role_inference: { prior_role: named(prior), implies: named(implied) } });
  });
  app.delete(`${path}/:implied`, async (request, reply) => {
    directory.impliedRoles.remove(found(param(request, 'id'), param(request, 'implied')).id);
    return reply.code(204).send();
  });

  function found(prior: string, implied: string) {
    const rule = directory.impliedRoles.get(`${prior}:${implied}`);
    if (rule === undefined) throw notFound(`${prior} does not imply ${implied}`);
    return rule;
  }
}
