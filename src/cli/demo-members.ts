import { createServer, type Server } from 'node:http';

/** A small web server that says who it is. */
export interface DemoMember {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  stop(): Promise<void>;
}

const firstPort = 8081;
const lastPort = 8180;

/** Listens on the wished port, or else on the first free one from 8081. */
export async function startDemoMember(name: string, address: string, wished?: number): Promise<DemoMember> {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'text/plain');
    response.end(`${name}\n`);
    request.resume();
  });
  const candidates = Array.from({ length: lastPort - firstPort + 1 }, (_, index) => firstPort + index);
  for (const port of wished === undefined ? candidates : [wished, ...candidates]) {
    if (!(await listens(server, port, address))) continue;
    return {
      name,
      address,
      port,
      stop: () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    };
  }
  throw new Error(`no port from ${firstPort} to ${lastPort} is free on ${address}`);
}

function listens(server: Server, port: number, address: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    };
    server.once('error', failed);
    server.listen(port, address, () => {
      server.off('error', failed);
      resolve(true);
    });
  });
}
