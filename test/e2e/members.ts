import { createServer, type Server } from 'node:http';

/** A small web server that says its name and what it received; a member of a pool. */
export interface WebMember {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

export async function webMember(name: string, address: string, port = 0): Promise<WebMember> {
  const server: Server = createServer((request, response) => {
    if (request.url === '/slow') {
      // A long-lived answer: one line a second until the client leaves.
      response.writeHead(200);
      const timer = setInterval(() => response.write('.\n'), 1000);
      response.write('begun\n');
      response.on('close', () => clearInterval(timer));
      return;
    }
    response.setHeader('x-member', name);
    response.end(`${name}\n`);
  });
  await new Promise<void>((done, failed) => {
    server.once('error', failed);
    server.listen(port, address, done);
  });
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('member is not listening');
  return {
    name,
    address,
    port: bound.port,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
