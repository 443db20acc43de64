import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { Compile } from 'typebox/compile';
import { controllerName } from '../pki/names.ts';
import type { Log } from '../platform/log.ts';
import type { Boot } from '../wire/boot.ts';
import type { AgentStatus, Outcome } from '../wire/report.ts';
import { WantedAmphora } from '../wire/wanted.ts';
import { Superseded } from './apply.ts';

const largestBodyBytes = 64 * 1024 * 1024;
/** As code: 1,000 certificates and 10,000 members are checked in 4 to 52 ms on a busy machine, and in 535 to 1,280 without. */
const wish = Compile(WantedAmphora);

class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface AgentRoutes {
  /** Rejects with `Superseded`, or with whatever keeps the world from being so: 503. */
  readonly put: (wanted: WantedAmphora) => Promise<Outcome>;
  readonly status: () => Promise<AgentStatus>;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > largestBodyBytes) throw new Refusal(413, `more than ${largestBodyBytes} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    throw new Refusal(400, 'the body is no JSON');
  }
}

/** The CA signs amphorae as well: only the controller's name commands. */
function isController(request: IncomingMessage): boolean {
  const certificate = (request.socket as TLSSocket).getPeerCertificate();
  const names = (certificate.subjectaltname ?? '').split(', ');
  return certificate.subject?.CN === controllerName || names.includes(`DNS:${controllerName}`);
}

async function answer(request: IncomingMessage, routes: AgentRoutes): Promise<unknown> {
  if (!isController(request)) throw new Refusal(403, `only ${controllerName} may ask`);
  switch (`${request.method} ${request.url}`) {
    case 'GET /v1/status':
      return routes.status();
    case 'PUT /v1/wanted': {
      const body = await bodyOf(request);
      if (!wish.Check(body)) {
        const [first] = wish.Errors(body);
        throw new Refusal(400, `${first?.instancePath || '/'} ${first?.message ?? 'is not as expected'}`);
      }
      return routes.put(body);
    }
    default:
      throw new Refusal(404, `no ${request.method} ${request.url} here`);
  }
}

/** HTTPS with mutual TLS 1.3, JSON both ways; a failure is `{ message }`. */
export async function listen(boot: Boot, host: string, routes: AgentRoutes, log: Log): Promise<Server> {
  const server = createServer({
    cert: boot.certificatePem,
    key: boot.keyPem,
    ca: boot.caPem,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    requestTimeout: 60_000,
    keepAliveTimeout: 60_000,
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const reply = (status: number, body: unknown): void => {
      const text = JSON.stringify(body);
      response.writeHead(status, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      });
      response.end(text);
      if (status === 413) request.destroy();
    };
    answer(request, routes).then(
      (body) => reply(200, body),
      (error: unknown) => {
        const status = error instanceof Refusal ? error.status : error instanceof Superseded ? 409 : 503;
        const message = error instanceof Error ? error.message : String(error);
        log.warn({ status, message, url: request.url }, 'request refused');
        reply(status, { message });
      },
    );
  });
  server.on('tlsClientError', (error) => log.debug({ message: error.message }, 'TLS refused'));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(boot.port, host, resolve);
  });
  return server;
}
