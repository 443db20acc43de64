import { randomUUID } from 'node:crypto';
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import type { Static, TSchema } from 'typebox';
import Value from 'typebox/value';
import { deepestJson, isTooDeep } from '../platform/json-depth.ts';
import type { Log } from '../platform/log.ts';
import type { Caller } from './caller.ts';
import { badRequest, Refusal } from './refusal.ts';

/** How one service words its errors. */
export type ErrorBody = (refusal: Refusal) => object;

export interface Door {
  /** Undefined: the token is unknown, expired or revoked. */
  readonly callerOf: (token: string) => Caller | undefined;
  /** For the `WWW-Authenticate` header. */
  readonly identityUrl: string;
  readonly log: Log;
}

export function makeServer(): FastifyInstance {
  const app = Fastify({
    routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, maxParamLength: 500 },
    bodyLimit: 1024 * 1024,
    forceCloseConnections: 'idle',
    genReqId: () => `req-${randomUUID()}`,
  });
  app.decorateRequest('caller', null);
  // Clients show it beside an error.
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-openstack-request-id', request.id);
  });
  app.removeAllContentTypeParsers();
  // Clients send "Content-Type: application/json" with nothing behind it on DELETE.
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null);
    let value: unknown;
    try {
      value = JSON.parse(body as string);
    } catch {
      return done(badRequest('The request body is not valid JSON.'));
    }
    return isTooDeep(value)
      ? done(badRequest(`The request body is nested deeper than ${deepestJson} levels.`))
      : done(null, value);
  });
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  return app;
}

/** Everything registered on `scope` from now on answers errors in the service's own words. */
export function speak(scope: FastifyInstance, body: ErrorBody, log: Log): void {
  scope.setErrorHandler((error: FastifyError | Refusal, request, reply) => {
    const refusal = error instanceof Refusal ? error : fromFastify(error);
    if (refusal === undefined) {
      log.error({ err: error, method: request.method, path: request.url }, 'a request failed');
      return sendRefusal(reply, body, new Refusal(500, 'The server has met an unexpected error.'));
    }
    return sendRefusal(reply, body, refusal);
  });
  scope.setNotFoundHandler((_request, reply) =>
    sendRefusal(reply, body, new Refusal(404, 'The resource could not be found.', 'HTTPNotFound')),
  );
}

function fromFastify(error: FastifyError): Refusal | undefined {
  const status = error.statusCode;
  return status !== undefined && status < 500 ? new Refusal(status, error.message) : undefined;
}

function sendRefusal(reply: FastifyReply, body: ErrorBody, refusal: Refusal): FastifyReply {
  return reply
    .code(refusal.status)
    .type('application/json')
    .send(JSON.stringify(body(refusal)));
}

/** Everything registered on `scope` from now on needs a valid token; `callerOf` then says whose. */
export function guard(scope: FastifyInstance, door: Door): void {
  scope.addHook('onRequest', async (request, reply) => {
    const token = request.headers['x-auth-token'];
    const caller = typeof token === 'string' ? door.callerOf(token) : undefined;
    if (caller === undefined) {
      reply.header('www-authenticate', `Keystone uri="${door.identityUrl}"`);
      throw new Refusal(401, 'The request you have made requires authentication.', 'HTTPUnauthorized');
    }
    request.setDecorator('caller', caller);
  });
}

/** Who is asking. Only for requests that passed `guard`. */
export function callerOf(request: FastifyRequest): Caller {
  const caller = request.getDecorator<Caller | null>('caller');
  if (caller === null) throw new Error(`${request.method} ${request.url} stands outside the guard`);
  return caller;
}

export function param(request: FastifyRequest, name: string): string {
  const value = (request.params as Record<string, string | undefined>)[name];
  if (value === undefined) throw new Error(`${request.routeOptions.url} has no parameter ${name}`);
  return value;
}

/** The body, if it is as the schema says; else 400 with the place and what is wrong there. */
export function read<S extends TSchema>(schema: S, body: unknown): Static<S> {
  if (Value.Check(schema, body)) return body;
  const first = Value.Errors(schema, body)[0];
  const where = (first?.instancePath ?? '').split('/').slice(1).join('.') || 'body';
  throw badRequest(`Invalid input for ${where}: ${first?.message ?? 'is not as expected'}.`);
}

/** The titles of the statuses we answer with. */
export const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  409: 'Conflict',
  410: 'Gone',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
};
