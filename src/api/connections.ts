import { type IncomingMessage, maxHeaderSize, type Server, type ServerResponse } from 'node:http';
import type { FastifyHttpOptions } from 'fastify';
import { type Refusal, refusal, refusalBody } from './faults.ts';

/** How long a client may take, in milliseconds; the next request on a connection starts anew. */
export interface RequestPatience {
  /** For the headers. */
  readonly headersMs: number;
  /** For the whole request, headers and body. */
  readonly requestMs: number;
  /** Between two requests on one connection. */
  readonly idleMs: number;
  /** How often slow requests are looked for. */
  readonly lookMs: number;
}

export const standardPatience: RequestPatience = {
  headersMs: 20_000,
  requestMs: 60_000,
  idleMs: 72_000,
  lookMs: 5000,
};

/** What becomes of connections on which no request comes about: too slow, too big, or no HTTP at all. */
export function connectionOptions({ headersMs, requestMs, idleMs, lookMs }: RequestPatience) {
  return {
    http: { headersTimeout: headersMs, connectionsCheckingInterval: lookMs, requireHostHeader: false },
    requestTimeout: requestMs,
    keepAliveTimeout: idleMs,
    clientErrorHandler(error, socket) {
      if (error.code === 'ECONNRESET' || socket.destroyed) return;
      if (socket.writable) socket.write(rawAnswer(refusalOfConnection(error.code)));
      socket.destroy(error);
    },
  } satisfies FastifyHttpOptions<Server>;
}

function refusalOfConnection(code: string): Refusal {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return refusal(408, 'The request did not arrive in time.');
    case 'HPE_HEADER_OVERFLOW':
      return refusal(431, `The headers are larger than ${maxHeaderSize} bytes.`);
    default:
      return refusal(400, 'The request is not valid HTTP.');
  }
}

const json = 'application/json; charset=utf-8';

function rawAnswer(refused: Refusal): string {
  const body = JSON.stringify(refusalBody(refused));
  const headers = [`Content-Type: ${json}`, `Content-Length: ${body.length}`, 'Connection: close'];
  return [`HTTP/1.1 ${refused.status} ${refused.title}`, ...headers, '', body].join('\r\n');
}

/** Nothing but `100-continue` can be expected of this server. */
export function refuseExpectations(server: Server): void {
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    const refused = refusal(417, 'Nothing but 100-continue can be expected.');
    const body = JSON.stringify(refusalBody(refused));
    response.writeHead(refused.status, {
      'content-type': json,
      'content-length': body.length,
      connection: 'close',
    });
    response.end(body);
  });
}
