import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { asNobody, userNamespaces } from '../../test/ordinary-user.ts';
import { type EmbeddedPostgres, startPostgres, stopStalePostgres } from './embedded.ts';

const isRoot = process.geteuid?.() === 0;
const settings = { fsync: 'off' };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp('/tmp/livia-embedded-');
  await chmod(folder, 0o755);
});
afterEach(async () => {
  await stopStalePostgres(join(folder, 'data'));
  await rm(folder, { recursive: true, force: true });
});

const places = (below = folder) => ({
  dataDir: join(below, 'data'),
  socketDir: join(below, 'run'),
  logFile: join(folder, 'log'),
});
const start = (below?: string) => startPostgres({ ...places(below), settings });

async function ask(host: string, statement: string): Promise<unknown[]> {
  const client = new Client({ host, port: 5432, user: 'livia', database: 'livia' });
  await client.connect();
  try {
    return (await client.query<{ answer: unknown }>(statement)).rows.map((row) => row.answer);
  } finally {
    await client.end();
  }
}

const remember = (host: string) => ask(host, `create table kept as select 42 as answer`);
const recall = (host: string) => ask(host, 'select answer from kept');
/** A zombie, which its new parent has yet to fetch, is dead. */
const isAlive = async (pid: number): Promise<boolean> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State: gone');
  return !/^State:\s*[ZXg]/m.test(status);
};

describe('a private PostgreSQL', () => {
  it('is started, stopped and started again, and keeps what it was told', async () => {
    const first = await start();
    await remember(first.host);
    await first.stop();
    await first.ended;
    expect(await isAlive(first.pid)).toBe(false);
    const second = await start();
    expect(await recall(second.host)).toEqual([42]);
    await second.stop();
    await second.stop();
  });

  it('listens on its socket alone, which only its owner reaches', async () => {
    const server = await start();
    expect(await ask(server.host, `select current_setting('listen_addresses') as answer`)).toEqual(['']);
    expect((await stat(server.host)).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder, 'data'))).mode & 0o777).toBe(0o700);
    await server.stop();
  });

  it('comes back after a kill -9 of the server', async () => {
    const first = await start();
    await remember(first.host);
    process.kill(first.pid, 'SIGKILL');
    const second = await start();
    expect(await recall(second.host)).toEqual([42]);
    await second.stop();
  });

  it.runIf(isRoot)('works as root below a folder that nobody else may enter', async () => {
    const closed = join(folder, 'closed');
    await mkdir(closed, { mode: 0o700 });
    // Others mount elsewhere meanwhile.
    const mounts = async () =>
      (await readFile('/proc/self/mountinfo', 'utf8'))
        .split('\n')
        .filter((line) => / \/mnt[ /]/.test(line) || line.includes(folder));
    const before = await mounts();
    const first = await start(closed);
    await remember(first.host);
    process.kill(first.pid, 'SIGKILL');
    const second = await start(closed);
    expect(await recall(second.host)).toEqual([42]);
    await second.stop();
    expect(await mounts()).toEqual(before);
  });

  it('leaves a stranger alone that has got the number of a server long gone', async () => {
    const server = await start();
    await server.stop();
    const stranger = spawn('sleep', ['1000'], { stdio: 'ignore', uid: (await stat(server.host)).uid });
    try {
      await writeFile(
        join(folder, 'data/postmaster.pid'),
        `${stranger.pid}\n${folder}/data\n1\n5432\n\n\n 1 1\n`,
      );
      const again = await start();
      expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
      await again.stop();
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  it('says in one line why it cannot start', async () => {
    const long = join(folder, 'x'.repeat(100));
    await expect(startPostgres({ ...places(), socketDir: long })).rejects.toThrow(
      /^\/tmp\/.* is longer than the 107 bytes/,
    );
    await writeFile(join(folder, 'file'), '');
    await expect(start(join(folder, 'file'))).rejects.toThrow(
      /^\/tmp\/\S*\/file\/run cannot be written: ENOTDIR$/,
    );
    const absurd = startPostgres({ ...places(), settings: { ...settings, shared_buffers: 'absurd' } });
    await expect(absurd).rejects.toThrow(/^PostgreSQL did not start: .*FATAL: .*shared_buffers.*$/);
  });
});

const fixture = fileURLToPath(new URL('embedded.fixture.ts', import.meta.url));
const onlyUser0 = ['unshare', '--user', '--map-root-user', process.execPath, fixture];
const namespaces = await userNamespaces();

/** The parent of that command line; its server's number. */
async function parent(line: readonly string[]): Promise<{ child: ChildProcess; pid: number }> {
  const [program = '', ...args] = line;
  const child = spawn(program, [...args, folder], {
    cwd: '/',
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [said] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as [Buffer | number];
  return { child, pid: Number(String(said)) };
}

async function ends(child: ChildProcess, how: () => void): Promise<void> {
  const ended = once(child, 'exit');
  how();
  await ended;
}

describe('the parent of a private PostgreSQL', () => {
  it('may be killed: the next one stops the server left behind and starts its own', async () => {
    const { child, pid } = await parent([process.execPath, fixture]);
    await remember(join(folder, 'run'));
    await ends(child, () => child.kill('SIGKILL'));
    expect(await isAlive(pid)).toBe(true);
    const next: EmbeddedPostgres = await start();
    expect(await isAlive(pid)).toBe(false);
    expect(await recall(next.host)).toEqual([42]);
    await next.stop();
  });

  const others = isRoot
    ? {
        'an ordinary user': asNobody(process.execPath, fixture),
        'user 0 of a user namespace with nobody else in it': onlyUser0,
      }
    : { 'user 0 of a user namespace with nobody else in it': onlyUser0 };
  for (const [who, line] of Object.entries(others)) {
    it.runIf(line !== onlyUser0 || namespaces)(`may be ${who}, and be killed`, async () => {
      await chmod(folder, 0o777);
      const first = await parent(line);
      await ends(first.child, () => first.child.kill('SIGKILL'));
      expect(await isAlive(first.pid)).toBe(true);
      const second = await parent(line);
      expect(await isAlive(first.pid)).toBe(false);
      expect(await isAlive(second.pid)).toBe(true);
      await ends(second.child, () => second.child.stdin?.write('stop\n'));
      expect(await isAlive(second.pid)).toBe(false);
    });
  }
});
