import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';

/** HAProxy's configuration, with the files that it names by paths relative to it. */
export interface Configuration {
  readonly text: string;
  readonly files: ReadonlyMap<string, string>;
}

export interface Requests {
  readonly port: number;
  readonly tls: boolean;
  /** A connection for each request. */
  readonly close: boolean;
  /** The head of the n-th, with its empty line. */
  readonly head: (n: number) => string;
}

/**
 * The instructions that HAProxy itself executes for a request, without the kernel's: as valgrind counts them, the same
 * whatever else the machine does. One thread, one client, one request at a time; the difference between a longer and
 * a shorter series, so that start and end do not count.
 */
export async function instructionsPerRequest(what: Configuration, requests: Requests): Promise<number> {
  const [fewer, more] = requests.tls && requests.close ? [20, 120] : [100, 1100];
  const [short, long] = [await counted(what, requests, fewer), await counted(what, requests, more)];
  return (long - short) / (more - fewer);
}

async function counted({ text, files }: Configuration, requests: Requests, count: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'instructions-'));
  try {
    for (const [path, content] of new Map([...files, ['haproxy.cfg', text]])) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), content, { mode: 0o600 });
    }
    const command = ['--tool=callgrind', `--callgrind-out-file=${join(folder, 'out')}`, 'haproxy', '-db'];
    const child = spawn('valgrind', [...command, '-C', folder, '-f', 'haproxy.cfg'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => (said += part));
    const ended = once(child, 'close');
    try {
      await ask(child, requests, count);
    } catch (error) {
      throw new Error(`valgrind: ${said}`, { cause: error });
    } finally {
      child.kill('SIGTERM');
      await ended;
    }
    return Number(/Collected : (\d+)/.exec(said)?.[1]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function ask(
  haproxy: ChildProcess,
  { port, tls, close, head }: Requests,
  count: number,
): Promise<void> {
  const opened = async (): Promise<Socket> => {
    const address = { host: '127.0.0.1', port, noDelay: true };
    const socket = tls ? connectTls({ ...address, rejectUnauthorized: false }) : connect(address);
    await once(socket, tls ? 'secureConnect' : 'connect');
    return socket;
  };
  let socket = await patiently(haproxy, opened);
  for (let n = 0; n < count; n += 1) {
    if (n > 0 && close) socket = await opened();
    socket.write(head(n));
    let answer = '';
    while (!/\r\n\r\n.+/.test(answer)) {
      const [part] = (await once(socket, 'data')) as [Buffer];
      answer += part.toString('latin1');
    }
    if (!answer.startsWith('HTTP/1.1 200')) throw new Error(answer);
    if (close) socket.destroy();
  }
  socket.destroy();
}

/** Under valgrind, HAProxy takes seconds to start. */
async function patiently<T>(child: ChildProcess, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (child.exitCode !== null) throw error;
      await sleep(50);
    }
  }
}
