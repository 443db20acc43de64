import { chmod, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream';

export interface Open {
  close(): Promise<void>;
}

/**
 * How a program outside reaches an address inside the namespaces: unix sockets cross where networks do not. The first
 * line of a connection is `host:port`, all that follows is the connection to it. This is the end inside.
 */
export async function openRelay(socketPath: string): Promise<Open> {
  await rm(socketPath, { force: true });
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on('error', () => client.destroy());
    let head = '';
    const read = (chunk: Buffer): void => {
      const newline = chunk.indexOf(10);
      head += chunk.subarray(0, newline === -1 ? undefined : newline).toString('utf8');
      if (newline === -1 && head.length < 300) return;
      client.off('data', read);
      client.pause();
      const target = parseTarget(head);
      if (target === undefined) return void client.destroy();
      if (newline + 1 < chunk.length) client.unshift(chunk.subarray(newline + 1));
      join(client, createConnection({ ...target, allowHalfOpen: true }));
    };
    client.on('data', read);
  });
  await listening(server, () => server.listen(socketPath));
  await chmod(socketPath, 0o600);
  return closable(server);
}

/** The end outside: what connects to the port of 127.0.0.1 reaches `target` inside, as it is at that moment. */
export async function publish(
  socketPath: string,
  port: number,
  target: () => string | undefined,
): Promise<Open> {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on('error', () => client.destroy());
    const where = target();
    if (where === undefined) return void client.destroy();
    const inside = createConnection({ path: socketPath, allowHalfOpen: true });
    inside.write(`${where}\n`);
    join(client, inside);
  });
  await listening(server, () => server.listen(port, '127.0.0.1'));
  return closable(server);
}

/** `address:port`, or `[address]:port` for IPv6. */
export function parseTarget(text: string): { readonly host: string; readonly port: number } | undefined {
  const [, six, four, port] = /^(?:\[([0-9a-fA-F:]+)\]|([\w.-]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = six ?? four;
  return host === undefined || Number(port) > 65_535 ? undefined : { host, port: Number(port) };
}

function join(one: Socket, other: Socket): void {
  const end = (error?: Error | null): void => {
    if (!error) return; // one direction is through; the other may go on
    one.destroy();
    other.destroy();
  };
  pipeline(one, other, end);
  pipeline(other, one, end);
}

function listening(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    listen();
  });
}

function closable(server: Server): Open {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
