import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { projectFor } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import { many, matches, type Query } from '../lists.ts';
import { badRequest, conflict, notFound } from '../refusal.ts';
import {
  aclRoutes,
  consumerRoutes,
  type Held,
  mayRead,
  requireChange,
  requireRead,
  type Shelf,
} from './access.ts';
import { offsetPage } from './paging.ts';

export interface Container extends Held {
  readonly name: string | null;
  readonly type: 'generic' | 'certificate' | 'rsa';
  readonly secrets: readonly { readonly name: string | null; readonly secret_id: string }[];
  readonly created: string;
}

const Reference = Type.Object({
  name: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  secret_ref: Type.String(),
});
const Create = Type.Object({
  name: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  type: Type.Union([Type.Literal('generic'), Type.Literal('certificate'), Type.Literal('rsa')]),
  secret_refs: Type.Optional(Type.Array(Reference)),
});

/** The names that a typed container must and may hold. */
const roles = {
  generic: undefined,
  certificate: {
    must: ['certificate'],
    may: ['certificate', 'private_key', 'private_key_passphrase', 'intermediates'],
  },
  rsa: { must: ['public_key', 'private_key'], may: ['public_key', 'private_key', 'private_key_passphrase'] },
} as const;

export function containerRoutes(
  app: FastifyInstance,
  shelf: Shelf<Container>,
  secretHref: (id: string) => string,
  secretExists: (id: string) => boolean,
): void {
  const view = (container: Container) => ({
    container_ref: shelf.hrefOf(container.id),
    name: container.name,
    type: container.type,
    status: 'ACTIVE',
    creator_id: container.creator_id,
    created: container.created,
    updated: container.created,
    secret_refs: container.secrets.map((each) => ({
      name: each.name,
      secret_ref: secretHref(each.secret_id),
    })),
    consumers: container.consumers,
  });

  app.post('/containers', async (request, reply) => {
    const caller = callerOf(request);
    const wish = read(Create, request.body);
    const refs = wish.secret_refs ?? [];
    const names = refs.map((each) => each.name ?? null);
    const rule = roles[wish.type];
    if (rule !== undefined) {
      const missing = rule.must.find((name) => !names.includes(name));
      if (missing !== undefined)
        throw badRequest(`A ${wish.type} container needs a secret named '${missing}'.`);
      const strange = names.find((name) => !(rule.may as readonly (string | null)[]).includes(name));
      if (strange !== undefined) throw badRequest(`A ${wish.type} container has no place for '${strange}'.`);
    }
    if (new Set(names).size !== names.length)
      throw badRequest('Two secrets of a container have the same name.');
    const secrets = refs.map((each) => {
      const secret_id = each.secret_ref.split('/').at(-1) ?? '';
      if (!secretExists(secret_id)) throw notFound(`Secret provided for '${each.name}' doesn't exist.`);
      return { name: each.name ?? null, secret_id };
    });
    const made = shelf.collection.put({
      id: randomUUID(),
      project_id: projectFor(caller, undefined),
      creator_id: caller.userId,
      consumers: [],
      name: wish.name ?? null,
      type: wish.type,
      secrets,
      created: shelf.time(),
    });
    const href = shelf.hrefOf(made.id);
    return reply.code(201).header('location', href).send({ container_ref: href });
  });

  app.get<{ Querystring: Query }>('/containers', async (request) => {
    const caller = callerOf(request);
    const shown = shelf.collection
      .all()
      .filter((one) => one.project_id === caller.projectId && mayRead(caller, one))
      .filter(
        (one) =>
          matches(one.name, many(request.query, 'name')) && matches(one.type, many(request.query, 'type')),
      );
    return offsetPage('containers', shown.map(view), request.query, shelf.hrefOf(''));
  });

  app.get('/containers/:id', async (request) => {
    const container = shelf.find(param(request, 'id'));
    requireRead(callerOf(request), container);
    return view(container);
  });

  app.post('/containers/:id/secrets', async (request, reply) => {
    const container = generic(request);
    const { name, secret_id } = reference(request);
    if (!secretExists(secret_id)) throw notFound(`Secret provided for '${name}' doesn't exist.`);
    if (container.secrets.some((each) => each.secret_id === secret_id || each.name === name))
      throw conflict('Conflict. A secret with that name and ID is already stored in this container.');
    shelf.collection.put({ ...container, secrets: [...container.secrets, { name, secret_id }] });
    return reply.code(201).send({ container_ref: shelf.hrefOf(container.id) });
  });
  app.delete('/containers/:id/secrets', async (request, reply) => {
    const container = generic(request);
    const { name, secret_id } = reference(request);
    const rest = container.secrets.filter((each) => each.secret_id !== secret_id || each.name !== name);
    if (rest.length === container.secrets.length) throw notFound('Secret not found in the container.');
    shelf.collection.put({ ...container, secrets: rest });
    return reply.code(204).send();
  });

  function generic(request: FastifyRequest): Container {
    const container = shelf.find(param(request, 'id'));
    requireChange(callerOf(request), container);
    if (container.type !== 'generic') throw badRequest('Only generic containers can be modified.');
    return container;
  }
  function reference(request: FastifyRequest) {
    const wish = read(Reference, request.body);
    return { name: wish.name ?? null, secret_id: wish.secret_ref.split('/').at(-1) ?? '' };
  }

  app.delete('/containers/:id', async (request, reply) => {
    const container = shelf.find(param(request, 'id'));
    requireChange(callerOf(request), container);
    shelf.collection.remove(container.id);
    return reply.code(204).send();
  });

  aclRoutes(app, shelf);
  consumerRoutes(app, shelf, ['name', 'URL'], view);
}
