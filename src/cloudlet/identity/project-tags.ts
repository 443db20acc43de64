import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { isAdmin, requireAdmin } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import { forbidden, notFound } from '../refusal.ts';
import type { Directory } from './directory.ts';

const Tags = Type.Object({
  tags: Type.Array(Type.String({ minLength: 1, maxLength: 255, pattern: '^[^,/]+$' })),
});

/** `/projects/{id}/tags` */
export function projectTagRoutes(app: FastifyInstance, directory: Directory): void {
  const path = '/projects/:id/tags';
  const projectOf = (request: FastifyRequest) => {
    const id = param(request, 'id');
    const caller = callerOf(request);
    if (!isAdmin(caller) && caller.projectId !== id) throw forbidden();
    const project = directory.projects.get(id);
    if (project === undefined) throw notFound(`Could not find project: ${id}.`);
    return project;
  };
  const write = (request: FastifyRequest, tags: readonly string[]) => {
    requireAdmin(callerOf(request));
    directory.projects.put({ ...projectOf(request), tags: [...new Set(tags)].toSorted() });
  };
  const tagged = (request: FastifyRequest) => {
    const project = projectOf(request);
    const tag = param(request, 'tag');
    if (!project.tags.includes(tag)) throw notFound(`Could not find project tag: ${tag}.`);
    return { project, tag };
  };

  app.get(path, async (request) => ({ tags: projectOf(request).tags }));
  app.put(path, async (request) => {
    const { tags } = read(Tags, request.body);
    write(request, tags);
    return { tags };
  });
  app.delete(path, async (request, reply) => {
    write(request, []);
    return reply.code(204).send();
  });
  app.get(`${path}/:tag`, async (request, reply) => {
    tagged(request);
    return reply.code(204).send();
  });
  app.put(`${path}/:tag`, async (request, reply) => {
    write(request, [...projectOf(request).tags, param(request, 'tag')]);
    return reply.code(201).send();
  });
  app.delete(`${path}/:tag`, async (request, reply) => {
    const { project, tag } = tagged(request);
    write(
      request,
      project.tags.filter((each) => each !== tag),
    );
    return reply.code(204).send();
  });
}
