import { createHash } from 'node:crypto';
import { createServer as createWeb, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer as createSecureWeb } from 'node:https';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { proxyHeader } from './proxy-header.ts';

/** What a member received of one request; it is its answer, as JSON. */
export interface Received {
  readonly member: string;
  readonly method: string;
  readonly url: string;
  readonly version: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the connection from the balancer; null without TLS. */
  readonly tls: {
    readonly sni: string | null;
    readonly alpn: string | null;
    readonly version: string | null;
    readonly cipher: string;
    /** Common name of the client's certificate. */
    readonly client: string | null;
  } | null;
  /** The PROXY header before the request, in words. */
  readonly proxy: string | null;
}

export interface EchoMember {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** Everything asked so far, health checks too. */
  readonly received: readonly Received[];
  /** The status it answers with; 0: it takes the connection and never answers. */
  status: number;
  close(): Promise<void>;
}

export interface EchoOptions {
  readonly port?: number;
  readonly tls?: {
    readonly key: string;
    readonly cert: string;
    readonly ca?: string;
    readonly requestCert?: boolean;
    /** It speaks HTTP/2 too, with who asks for it by ALPN. */
    readonly http2?: boolean;
  };
  /** Every connection begins with a PROXY header. */
  readonly proxy?: boolean;
}

/**
 * A small web server that says what it received. `/delay/500` answers after so many milliseconds, `/cookie` sets a
 * cookie `SESSION` with its name, and a WebSocket says each message again with the name before it.
 */
export async function echoMember(
  name: string,
  address: string,
  options: EchoOptions = {},
): Promise<EchoMember> {
  const received: Received[] = [];
  const headers = new WeakMap<Duplex, string>();
  const sockets = new Set<Socket>();
  const member = { name, address, received, status: 200 };

  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const socket = request.socket as TLSSocket;
    const echo: Received = {
      member: name,
      method: request.method ?? '',
      url: request.url ?? '',
      version: request.httpVersion,
      headers: request.headers as Record<string, string>,
      tls: socket.encrypted ? tlsOf(socket) : null,
      proxy: proxied(request.socket),
    };
    received.push(echo);
    // As it is when the request comes: what a test counts from now on is answered as it says from now on.
    const { status } = member;
    if (status === 0) return;
    const delayMs = Number(/^\/delay\/(\d+)/.exec(echo.url)?.[1] ?? 0);
    const timer = setTimeout(() => {
      response.writeHead(status, {
        'content-type': 'application/json',
        ...(echo.url === '/cookie' && { 'set-cookie': `SESSION=of-${name}; Path=/` }),
      });
      response.end(JSON.stringify(echo));
    }, delayMs);
    response.on('close', () => clearTimeout(timer));
  };
  const proxied = (socket: Duplex): string | null => {
    const parent = (socket as { _parent?: Duplex })._parent;
    return headers.get(socket) ?? (parent === undefined ? null : (headers.get(parent) ?? null));
  };

  const { tls } = options;
  const secured = tls && {
    key: tls.key,
    cert: tls.cert,
    ...(tls.ca !== undefined && { ca: tls.ca }),
    ...(tls.requestCert === true && { requestCert: true, rejectUnauthorized: false }),
  };
  const web =
    secured === undefined
      ? createWeb(answer)
      : tls?.http2 === true
        ? // The compatible API of HTTP/2 has all of HTTP/1.1 that is used here.
          createSecureServer({ ...secured, allowHTTP1: true }, answer as never)
        : createSecureWeb(secured, answer);
  web.on('upgrade', (request: IncomingMessage, socket: Duplex) => webSocket(name, request, socket));
  web.on('error', () => {});

  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    if (options.proxy !== true) return web.emit('connection', socket);
    socket.once('data', (bytes: Buffer) => {
      const found = proxyHeader(bytes);
      headers.set(socket, found?.words ?? 'none');
      socket.pause();
      const rest = bytes.subarray(found?.length ?? 0);
      if (rest.length > 0) socket.unshift(rest);
      web.emit('connection', socket);
      socket.resume();
    });
    return undefined;
  });
  await new Promise<void>((done, failed) => {
    server.once('error', failed).listen(options.port ?? 0, address, done);
  });
  return Object.assign(member, {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise<void>((done) => {
        server.close(() => done());
        for (const socket of sockets) socket.destroy();
      }),
  });
}

function tlsOf(socket: TLSSocket): Received['tls'] {
  const { servername } = socket as TLSSocket & { servername?: string | false };
  const peer = socket.getPeerCertificate();
  return {
    sni: servername === undefined || servername === false ? null : servername,
    alpn: socket.alpnProtocol === false ? null : socket.alpnProtocol,
    version: socket.getProtocol(),
    cipher: socket.getCipher().name,
    client: typeof peer?.subject?.CN === 'string' ? peer.subject.CN : null,
  };
}

/** Takes a WebSocket up and echoes its short text messages. */
function webSocket(name: string, request: IncomingMessage, socket: Duplex): void {
  const key = request.headers['sec-websocket-key'] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  socket.on('error', () => {});
  socket.on('data', (frame: Buffer) => {
    if (((frame[0] ?? 0) & 0xf) !== 1) return socket.end();
    const length = (frame[1] ?? 0) & 0x7f;
    const mask = frame.subarray(2, 6);
    const said = frame.subarray(6, 6 + length).map((byte, n) => byte ^ (mask[n % 4] ?? 0));
    const text = Buffer.from(`${name}: ${Buffer.from(said).toString()}`);
    return socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]));
  });
}
