import type { FastifyReply, FastifyRequest } from 'fastify';

/** Pages of other origins in browsers: which may use the API, and what of it they may see. */

const methods = ['GET', 'PUT', 'POST', 'DELETE'];
const visible = ['X-Auth-Token', 'X-Openstack-Request-Id'];
/** Headers any page may send, beside those above. */
const simple = ['accept', 'accept-language', 'cache-control', 'content-language', 'content-type', 'expires'];
const sendable = new Set([
  ...visible.map((name) => name.toLowerCase()),
  ...simple,
  'last-modified',
  'pragma',
]);

/** Says on the answer what the page may do. True: the browser asked only that, and the answer is complete. */
export function crossOrigin(
  request: FastifyRequest,
  reply: FastifyReply,
  allowedOrigins: readonly string[],
): boolean {
  const { origin } = request.headers;
  if (typeof origin !== 'string' || !(allowedOrigins.includes(origin) || allowedOrigins.includes('*'))) {
    return false;
  }
  reply.headers({
    vary: 'Origin',
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
  });
  const method = request.headers['access-control-request-method'];
  if (request.method !== 'OPTIONS' || method === undefined) {
    reply.header('access-control-expose-headers', visible.join(','));
    return false;
  }
  const wanted = (request.headers['access-control-request-headers'] ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (methods.includes(method) && wanted.every((name) => sendable.has(name.toLowerCase()))) {
    reply.headers({
      'access-control-max-age': '3600',
      'access-control-allow-methods': method,
      'access-control-allow-headers': wanted.join(','),
    });
  }
  return true;
}
