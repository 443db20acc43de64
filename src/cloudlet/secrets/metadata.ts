import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { callerOf, param, read } from '../http.ts';
import { badRequest, conflict, notFound } from '../refusal.ts';
import { requireChange, requireRead, type Shelf } from './access.ts';
import type { Secret } from './secret.ts';

const Values = Type.Object({ metadata: Type.Record(Type.String({ minLength: 1 }), Type.String()) });
const Pair = Type.Object({ key: Type.String({ minLength: 1 }), value: Type.String() });

/** `/secrets/{id}/metadata`: what users note on a secret. Barbican keeps the keys in small letters. */
export function metadataRoutes(app: FastifyInstance, shelf: Shelf<Secret>): void {
  const path = '/secrets/:id/metadata';
  const secretOf = (request: FastifyRequest): Secret => {
    const secret = shelf.find(param(request, 'id'));
    if (request.method === 'GET') requireRead(callerOf(request), secret);
    else requireChange(callerOf(request), secret);
    return secret;
  };
  const keyOf = (request: FastifyRequest) => param(request, 'key').toLowerCase();
  const valueOf = (request: FastifyRequest): string => {
    const value = secretOf(request).metadata?.[keyOf(request)];
    if (value === undefined) throw notFound('Secret metadata not found.');
    return value;
  };
  const write = (secret: Secret, metadata: Readonly<Record<string, string>>) =>
    shelf.collection.put({ ...secret, updated: shelf.time(), metadata });

  app.get(path, async (request) => ({ metadata: secretOf(request).metadata ?? {} }));
  app.put(path, async (request, reply) => {
    const secret = secretOf(request);
    const { metadata } = read(Values, request.body);
    write(
      secret,
      Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key.toLowerCase(), value])),
    );
    return reply.code(201).send({ metadata_ref: `${shelf.hrefOf(secret.id)}/metadata` });
  });
  app.post(path, async (request, reply) => {
    const secret = secretOf(request);
    const { key, value } = read(Pair, request.body);
    const name = key.toLowerCase();
    if (secret.metadata?.[name] !== undefined)
      throw conflict(`Secret metadata key '${name}' already exists.`);
    write(secret, { ...secret.metadata, [name]: value });
    return reply
      .code(201)
      .header('location', `${shelf.hrefOf(secret.id)}/metadata/${encodeURIComponent(name)}`)
      .send({ key: name, value });
  });

  app.get(`${path}/:key`, async (request) => ({ key: keyOf(request), value: valueOf(request) }));
  app.put(`${path}/:key`, async (request) => {
    valueOf(request);
    const secret = secretOf(request);
    const { key, value } = read(Pair, request.body);
    if (key.toLowerCase() !== keyOf(request)) throw badRequest('Key in the URI and in the body differ.');
    write(secret, { ...secret.metadata, [keyOf(request)]: value });
    return { key: keyOf(request), value };
  });
  app.delete(`${path}/:key`, async (request, reply) => {
    valueOf(request);
    const secret = secretOf(request);
    const { [keyOf(request)]: _, ...metadata } = secret.metadata ?? {};
    write(secret, metadata);
    return reply.code(204).send();
  });
}
