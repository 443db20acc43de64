import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:tls';

/** Connections that stay. */
export interface Held {
  /** How many of them live. */
  alive(): number;
  end(): void;
}

/**
 * Connections that a server at this port of 127.0.0.1 has, by the kernel's table: a client that does not read may not
 * notice that its own is gone.
 */
export async function establishedAt(port: number): Promise<number> {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const [, ...sockets] = (await readFile('/proc/net/tcp', 'utf8')).trimEnd().split('\n');
  return sockets.filter((socket) => {
    const [, at, , state] = socket.trim().split(/\s+/);
    return at === local && state === '01';
  }).length;
}

/** Long-lived answers over TLS: begun, and never finished by the member. Resolves once all have begun. */
export async function holdAnswers(port: number, count: number): Promise<Held> {
  const sockets = Array.from({ length: count }, () => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    socket.on('error', () => {}); // seen by `alive`
    socket.write('GET /slow HTTP/1.1\r\nHost: held\r\n\r\n');
    return socket;
  });
  await Promise.all(sockets.map((socket) => once(socket, 'data')));
  return {
    alive: () => sockets.filter((socket) => !socket.destroyed).length,
    end: () => sockets.forEach((socket) => socket.destroy()),
  };
}

/** Clients that ask for a long answer over TLS and do not read it, in a process of their own. */
export async function slowReaders(port: number, count: number): Promise<Held> {
  const child = spawn(process.execPath, [import.meta.filename, String(port), String(count)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let alive = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    alive = Number(text.trim().split('\n').at(-1));
  });
  while (alive < count && child.exitCode === null) await once(child.stdout, 'data');
  return { alive: () => alive, end: () => child.kill('SIGKILL') };
}

function readSlowly(port: number, count: number): void {
  let [begun, alive] = [0, 0];
  const next = (): void => {
    if (begun === count) return;
    begun += 1;
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    socket.once('secureConnect', () => {
      alive += 1;
      socket.pause();
      socket.write('GET /long HTTP/1.1\r\nHost: slow\r\n\r\n');
      next();
    });
    socket.once('close', () => (alive -= 1));
    socket.on('error', () => next());
  };
  for (let side = 0; side < 16; side += 1) next();
  setInterval(() => process.stdout.write(`${alive}\n`), 100);
  process.stdin.resume().once('end', () => process.exit());
  process.stdout.on('error', () => process.exit()); // nobody asks any longer
}

if (process.argv[1] === import.meta.filename) {
  readSlowly(Number(process.argv[2]), Number(process.argv[3]));
}
