import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type, { type Static } from 'typebox';
import { projectFor } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import { many, matches, type Query } from '../lists.ts';
import { badRequest, conflict, notFound, Refusal } from '../refusal.ts';
import type { Vault } from '../vault.ts';
import { aclRoutes, consumerRoutes, mayRead, requireChange, requireRead, type Shelf } from './access.ts';
import { metadataRoutes } from './metadata.ts';
import { offsetPage } from './paging.ts';
import type { Secret } from './secret.ts';

/** Bytes of a payload; Barbican's own limit is 20,000. */
const maxPayload = 65_536;

const text = Type.Optional(Type.Union([Type.String(), Type.Null()]));
const types = ['symmetric', 'public', 'private', 'passphrase', 'certificate', 'opaque'];
const Create = Type.Object({
  name: text,
  payload: text,
  payload_content_type: text,
  payload_content_encoding: text,
  algorithm: text,
  bit_length: Type.Optional(Type.Union([Type.Integer({ minimum: 1 }), Type.Null()])),
  mode: text,
  expiration: text,
  secret_type: text,
});

export function secretRoutes(
  app: FastifyInstance,
  shelf: Shelf<Secret>,
  vault: Vault,
  now: () => Date,
): void {
  const view = (secret: Secret, request: FastifyRequest) => ({
    secret_ref: shelf.hrefOf(secret.id),
    name: secret.name ?? secret.id,
    status: 'ACTIVE',
    secret_type: secret.secret_type,
    algorithm: secret.algorithm,
    bit_length: secret.bit_length,
    mode: secret.mode,
    expiration: secret.expiration?.replace(/\.?\d*Z$/, '') ?? null,
    created: secret.created,
    updated: secret.updated,
    creator_id: secret.creator_id,
    // Older clients cannot take it.
    ...(knowsConsumers(request) && { consumers: secret.consumers }),
    ...(secret.content_type !== null && { content_types: { default: secret.content_type } }),
  });

  app.post('/secrets', async (request, reply) => {
    const caller = callerOf(request);
    const wish = read(Create, request.body);
    const project_id = projectFor(caller, undefined);
    const id = randomUUID();
    const payload = payloadOf(wish);
    const secret_type = wish.secret_type ?? 'opaque';
    if (!types.includes(secret_type)) throw badRequest(`Unknown secret_type '${secret_type}'.`);
    shelf.collection.put({
      id,
      project_id,
      creator_id: caller.userId,
      consumers: [],
      name: wish.name ?? null,
      secret_type,
      algorithm: wish.algorithm ?? null,
      bit_length: wish.bit_length ?? null,
      mode: wish.mode ?? null,
      expiration: expirationOf(wish.expiration, now()),
      created: shelf.time(),
      updated: shelf.time(),
      content_type: payload?.contentType ?? null,
      sealed: payload === undefined ? null : vault.seal(payload.bytes, id),
    });
    const href = shelf.hrefOf(id);
    return reply.code(201).header('location', href).send({ secret_ref: href });
  });

  app.get<{ Querystring: Query }>('/secrets', async (request) => {
    const caller = callerOf(request);
    const wanted = {
      name: 'name',
      alg: 'algorithm',
      mode: 'mode',
      bits: 'bit_length',
      secret_type: 'secret_type',
    };
    const shown = shelf.collection
      .all()
      .filter((one) => one.project_id === caller.projectId && mayRead(caller, one) && !isExpired(one, now()))
      .filter((one) =>
        Object.entries(wanted).every(([key, field]) =>
          matches(Reflect.get(one, field), many(request.query, key)),
        ),
      );
    return offsetPage(
      'secrets',
      shown.map((one) => view(one, request)),
      request.query,
      shelf.hrefOf(''),
    );
  });

  app.get('/secrets/:id', async (request, reply) => {
    const secret = readable(request);
    const accept = request.headers.accept ?? '*/*';
    if (/json|\*\/\*/.test(accept)) return view(secret, request);
    return reply.type(secret.content_type ?? 'text/plain').send(payload(secret, accept));
  });

  app.get('/secrets/:id/payload', async (request, reply) => {
    const secret = readable(request);
    const bytes = payload(secret, request.headers.accept ?? '*/*');
    return reply.type(secret.content_type ?? 'application/octet-stream').send(bytes);
  });

  app.put('/secrets/:id', async (request, reply) => {
    const secret = shelf.find(param(request, 'id'));
    requireChange(callerOf(request), secret);
    if (secret.sealed !== null) throw conflict('Secret already has data, cannot modify it.');
    const contentType = normal(request.headers['content-type']);
    const raw = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'base64')
      throw new Refusal(415, `Unknown encoding '${encoding}'.`);
    const bytes = encoding === 'base64' ? base64(raw.toString('latin1')) : raw;
    check(bytes);
    shelf.collection.put({
      ...secret,
      updated: shelf.time(),
      content_type: contentType,
      sealed: vault.seal(bytes, secret.id),
    });
    return reply.code(204).send();
  });

  app.delete('/secrets/:id', async (request, reply) => {
    const secret = shelf.find(param(request, 'id'));
    requireChange(callerOf(request), secret);
    shelf.collection.remove(secret.id);
    return reply.code(204).send();
  });

  metadataRoutes(app, shelf);
  aclRoutes(app, shelf);
  consumerRoutes(app, shelf, ['service', 'resource_type', 'resource_id'], view);

  function readable(request: FastifyRequest): Secret {
    const secret = shelf.find(param(request, 'id'));
    requireRead(callerOf(request), secret);
    return secret;
  }

  function payload(secret: Secret, accept: string): Buffer {
    if (secret.sealed === null || secret.content_type === null)
      throw notFound('The secret has no payload yet.');
    const accepted = accept.split(',').map((each) => normal(each.trim()));
    const [family = ''] = secret.content_type.split('/');
    if (![secret.content_type, '*/*', `${family}/*`].some((each) => accepted.includes(each))) {
      throw new Refusal(406, `The secret is ${secret.content_type}, which is not among the accepted types.`);
    }
    return vault.open(secret.sealed, secret.id);
  }
}

/** Secrets have consumers since Barbican's microversion 1.1. */
function knowsConsumers(request: FastifyRequest): boolean {
  return /key-manager\s+(1\.[1-9]|latest)/.test(String(request.headers['openstack-api-version'] ?? ''));
}

export function isExpired(secret: Secret, now: Date): boolean {
  return secret.expiration !== null && secret.expiration <= now.toISOString();
}

function payloadOf(wish: Static<typeof Create>): { contentType: string; bytes: Buffer } | undefined {
  const { payload, payload_content_type: type, payload_content_encoding: encoding } = wish;
  if (payload == null) {
    if (type != null)
      throw badRequest("If 'payload_content_type' is supplied, 'payload' must be supplied too.");
    return undefined;
  }
  if (type == null)
    throw badRequest("If 'payload' is supplied, 'payload_content_type' must be supplied too.");
  const contentType = normal(type);
  if (contentType === 'text/plain') {
    if (encoding != null) throw badRequest("A 'text/plain' payload has no payload_content_encoding.");
    const bytes = Buffer.from(payload);
    check(bytes);
    return { contentType, bytes };
  }
  if (encoding !== 'base64')
    throw badRequest(`A payload of '${contentType}' needs payload_content_encoding 'base64'.`);
  const bytes = base64(payload);
  check(bytes);
  return { contentType, bytes };
}

function check(bytes: Buffer): void {
  if (bytes.length === 0) throw badRequest('The payload is empty.');
  if (bytes.length > maxPayload) {
    throw new Refusal(413, `Provided information too large to process: more than ${maxPayload} bytes.`);
  }
}

function base64(encoded: string): Buffer {
  const compact = encoded.replaceAll(/\s/g, '');
  if (compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) {
    throw badRequest('The payload is not valid base64.');
  }
  return Buffer.from(compact, 'base64');
}

/** Type without parameters, of those that can be kept. */
function normal(type: string | undefined): string {
  const [media = ''] = (type ?? '').toLowerCase().split(';');
  return media.trim() || 'application/octet-stream';
}

function expirationOf(wish: string | null | undefined, now: Date): string | null {
  if (wish == null || wish === '') return null;
  const time = new Date(/(Z|[+-]\d\d:?\d\d)$/i.test(wish) ? wish : `${wish}Z`);
  if (Number.isNaN(time.getTime())) throw badRequest(`'expiration' is not a time: '${wish}'.`);
  if (time <= now) throw badRequest("'expiration' is before the current time.");
  return time.toISOString();
}
