import { readFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tryRun } from '../platform/run.ts';
import { Refusal } from './refusal.ts';

export interface Ports {
  /** The Octavia API. */
  readonly api: number;
  /** The cloudlet: Keystone, Barbican, Nova, Neutron, Glance. */
  readonly cloud: number;
  /** The demonstration's VIP, published; only rootless. */
  readonly demo: number;
  /** What Prometheus asks the control plane. */
  readonly metrics: number;
}

/** From `LIVIA_PORT_BASE`, default 9876. Throws a Refusal when that is no port. */
export function portsFrom(env: NodeJS.ProcessEnv): Ports {
  const text = env['LIVIA_PORT_BASE'] || '9876';
  const base = Number(text);
  if (!/^\d+$/.test(text) || base < 1 || base > 65_532) {
    throw new Refusal(`LIVIA_PORT_BASE is "${text}": it must be a port from 1 to 65532`);
  }
  return { api: base, cloud: base + 1, demo: base + 2, metrics: base + 3 };
}

/** Throws a Refusal that names who holds the port, as far as we may know. */
export async function refuseTaken(port: number): Promise<void> {
  const trouble = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(undefined)));
  });
  if (trouble === undefined) return;
  if (trouble.code !== 'EADDRINUSE') throw new Refusal(`port ${port} cannot be used: ${trouble.message}`);
  const holder = await holderOf(port);
  throw new Refusal(
    `port ${port} on 127.0.0.1 is taken${holder === undefined ? '' : ` by ${holder}`}: end that, or choose another LIVIA_PORT_BASE`,
  );
}

async function holderOf(port: number): Promise<string | undefined> {
  const sockets = await tryRun(['ss', '-Htlnp', `sport = :${port}`]).catch(() => undefined);
  const [, name, pid] = /users:\(\("([^"]+)",pid=(\d+)/.exec(sockets?.stdout ?? '') ?? [];
  if (name === undefined || pid === undefined) return undefined;
  // Its threads' names tell little; its command line does.
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => name);
  return `${command.replaceAll('\0', ' ').trim().slice(0, 100)} (pid ${pid})`;
}

/** Whether somebody accepts connections there. */
export function accepts(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host });
    const say = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(2000, say(false));
    socket.once('connect', say(true));
    socket.once('error', say(false));
  });
}
