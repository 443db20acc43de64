import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { requireMember } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import { badRequest, notFound } from '../refusal.ts';
import { portsOf } from './cards.ts';
import { changeServer, type Server } from './records.ts';
import { findServer, type ServerParts } from './server-routes.ts';

const Values = Type.Record(Type.String(), Type.String({ maxLength: 255 }));
const Metadata = Type.Object({ metadata: Values });
const Meta = Type.Object({ meta: Values });
const Tag = Type.String({ minLength: 1, maxLength: 60, pattern: '^[^,/]+$' });
const Tags = Type.Object({ tags: Type.Array(Tag, { maxItems: 50 }) });

/** What servers are labelled with, metadata and tags; and the security groups of their cards. */
export function labelRoutes(app: FastifyInstance, parts: ServerParts): void {
  metadataRoutes(app, parts);
  tagRoutes(app, parts);

  app.get('/servers/:id/os-security-groups', async (request) => {
    const { net } = parts;
    const ids = new Set(portsOf(net, findServer(parts, request)).flatMap((port) => port.security_groups));
    const groups = [...ids].map((id) => net.groups.get(id)).filter((group) => group !== undefined);
    return {
      security_groups: groups.map(({ id, name, description, project_id }) => ({
        ...{ id, name, description, tenant_id: project_id },
        rules: net.rules
          .all()
          .filter((rule) => rule.security_group_id === id && rule.direction === 'ingress')
          .map((rule) => ({
            id: rule.id,
            parent_group_id: id,
            ip_protocol: rule.protocol,
            from_port: rule.port_range_min,
            to_port: rule.port_range_max,
            ip_range: rule.remote_ip_prefix === null ? {} : { cidr: rule.remote_ip_prefix },
            group: {},
          })),
      })),
    };
  });
}

function metadataRoutes(app: FastifyInstance, parts: ServerParts): void {
  const path = '/servers/:id/metadata';
  const write = (request: FastifyRequest, metadata: Server['metadata']) => {
    requireMember(callerOf(request));
    changeServer(parts.nova, findServer(parts, request).id, { metadata });
    return { metadata };
  };
  const item = (request: FastifyRequest): Record<string, string> => {
    const key = param(request, 'key');
    const value = findServer(parts, request).metadata[key];
    if (value === undefined) throw notFound('Metadata item was not found');
    return { [key]: value };
  };

  app.get(path, async (request) => ({ metadata: findServer(parts, request).metadata }));
  app.put(path, async (request) => write(request, read(Metadata, request.body).metadata));
  app.post(path, async (request) => {
    const { metadata } = findServer(parts, request);
    return write(request, { ...metadata, ...read(Metadata, request.body).metadata });
  });
  app.get(`${path}/:key`, async (request) => ({ meta: item(request) }));
  app.put(`${path}/:key`, async (request) => {
    const key = param(request, 'key');
    const { meta } = read(Meta, request.body);
    if (Object.keys(meta).length !== 1 || meta[key] === undefined)
      throw badRequest('Request body and URI mismatch');
    write(request, { ...findServer(parts, request).metadata, ...meta });
    return { meta };
  });
  app.delete(`${path}/:key`, async (request, reply) => {
    item(request);
    const { [param(request, 'key')]: _, ...metadata } = findServer(parts, request).metadata;
    write(request, metadata);
    return reply.code(204).send();
  });
}

/** Since microversion 2.26. */
function tagRoutes(app: FastifyInstance, parts: ServerParts): void {
  const path = '/servers/:id/tags';
  const write = (request: FastifyRequest, tags: readonly string[]) => {
    requireMember(callerOf(request));
    changeServer(parts.nova, findServer(parts, request).id, { tags: [...new Set(tags)] });
  };
  const tagged = (request: FastifyRequest): string => {
    const tag = param(request, 'tag');
    const server = findServer(parts, request);
    if (!server.tags.includes(tag)) throw notFound(`Server ${server.id} has no tag '${tag}'`);
    return tag;
  };

  app.get(path, async (request) => ({ tags: findServer(parts, request).tags }));
  app.put(path, async (request) => {
    const { tags } = read(Tags, request.body);
    write(request, tags);
    return { tags: [...new Set(tags)] };
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
    const tag = read(Tag, param(request, 'tag'));
    const { tags } = findServer(parts, request);
    write(request, [...tags, tag]);
    reply.header('location', `${parts.base}/servers/${param(request, 'id')}/tags/${encodeURIComponent(tag)}`);
    return reply.code(tags.includes(tag) ? 204 : 201).send();
  });
  app.delete(`${path}/:tag`, async (request, reply) => {
    const gone = tagged(request);
    write(
      request,
      findServer(parts, request).tags.filter((tag) => tag !== gone),
    );
    return reply.code(204).send();
  });
}
