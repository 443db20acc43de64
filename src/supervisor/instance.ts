import { createHash } from 'node:crypto';
import { createConnection, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Ports } from './ports.ts';
import { Refusal } from './refusal.ts';

export type Phase = 'starting' | 'ready' | 'stopping';

/** What a running Livia says of itself to whoever asks on this machine. */
export interface Instance {
  /** The process to send SIGTERM to. */
  readonly pid: number;
  readonly phase: Phase;
  readonly ports: Ports;
  /** Rootless: PID 1 of the namespaces that everything runs in. */
  readonly namespacePid?: number;
}

export interface Claim {
  /** Changes what is said from now on. */
  say(change: Partial<Instance>): void;
  release(): Promise<void>;
}

/**
 * One Livia for one state folder: an abstract unix socket is both the lock, which the kernel frees with its holder
 * however that ends, and the place to ask who holds it.
 */
function nameOf(stateRoot: string): string {
  return `\0livia-${createHash('sha256').update(stateRoot).digest('hex').slice(0, 32)}`;
}

/** Takes the state folder. Waits for one that is just stopping; throws a Refusal when one is running. */
export async function claimInstance(stateRoot: string, ports: Ports): Promise<Claim> {
  let instance: Instance = { pid: process.pid, phase: 'starting', ports };
  const server = createServer((socket) => {
    socket.on('error', () => {}); // who asks and does not listen misses the answer
    socket.end(JSON.stringify(instance));
  });
  const end = Date.now() + 60_000;
  while (!(await listens(server, nameOf(stateRoot)))) {
    const other = await findInstance(stateRoot);
    if (other !== undefined && (other.phase !== 'stopping' || Date.now() > end)) {
      throw new Refusal(
        `already running on ${stateRoot} (pid ${other.pid}, Octavia API on port ${other.ports.api}, ` +
          `cloud on port ${other.ports.cloud}): npm stop ends it`,
      );
    }
    await pause(50);
  }
  return {
    say(change) {
      instance = { ...instance, ...change };
    },
    release: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function listens(server: ReturnType<typeof createServer>, path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    };
    server.once('error', failed);
    server.listen(path, () => {
      server.off('error', failed);
      resolve(true);
    });
  });
}

/** The Livia that runs on the state folder; undefined when there is none. */
export function findInstance(stateRoot: string): Promise<Instance | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const socket = createConnection(nameOf(stateRoot));
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => (text += chunk));
    socket.on('error', () => resolve(undefined));
    socket.on('close', () => {
      try {
        resolve(JSON.parse(text) as Instance);
      } catch {
        resolve(undefined); // it ended in the middle of its answer
      }
    });
  });
}
