import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tryRun } from '../platform/run.ts';
import { findInstance } from './instance.ts';
import { accepts } from './ports.ts';
import { findProcesses } from './processes.ts';

const nobody = 65_534;
const root = process.getuid?.() === 0;
const project = resolve(import.meta.dirname, '../..');

const folder = mkdtempSync(join(tmpdir(), 'livia-up-'));
const programs = join(folder, 'programs');
const state = join(folder, 'state');
let nextPort: number;

/** Answers on the port of its configuration, and writes down when it is asked to end. */
const standIn = (portKey: string): string => `
  import { appendFileSync, readFileSync } from 'node:fs';
  import { createServer } from 'node:http';
  import { basename, dirname, join } from 'node:path';
  const config = process.argv[3];
  const port = Number(/${portKey}/.exec(readFileSync(config, 'utf8'))[1]);
  createServer((_, response) => response.end(String(process.pid))).listen(port, '127.0.0.1');
  process.on('SIGTERM', () => {
    appendFileSync(join(dirname(config), 'log', 'endings'), basename(process.argv[1]) + '\\n');
    process.exit(0);
  });
`;

beforeAll(async () => {
  nextPort = await freePorts();
  chmodSync(folder, 0o755);
  mkdirSync(programs, { recursive: true });
  writeFileSync(join(programs, 'livia-cloudlet.mjs'), standIn(String.raw`listen_port = (\d+)`));
  writeFileSync(join(programs, 'livia-server.mjs'), standIn(String.raw`\[api\]\nport = (\d+)`));
});
afterAll(async () => {
  await livia('stop', state, nextPort);
  rmSync(folder, { recursive: true, force: true });
});

/** As a user without rights, who may not enter the folder the project lies in: for him it is shown in /mnt. */
const asNobody = [
  ...['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /mnt && exec "$@"', project],
  ...['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--'],
];

function fixture(command: string, from: string, as: readonly string[] = []): readonly string[] {
  const seen = as === asNobody ? '/mnt' : project;
  const node = process.execPath.replace(project, seen);
  return as.concat(node, join(seen, 'src/supervisor/up.fixture.ts'), command, from);
}

/** The first of four ports that nobody has, below those of outgoing connections. */
async function freePorts(): Promise<number> {
  for (;;) {
    const base = 22_000 + 10 * Math.floor(Math.random() * 1000);
    const taken = await Promise.all([base, base + 1, base + 2, base + 3].map((port) => accepts(port)));
    if (!taken.includes(true)) return base;
  }
}

function environment(stateDir: string, port: number): NodeJS.ProcessEnv {
  return { ...process.env, LIVIA_STATE_DIR: stateDir, LIVIA_PORT_BASE: String(port) };
}

function livia(command: string, stateDir: string, port: number, as: readonly string[] = []) {
  const line = fixture(command, programs, as);
  return tryRun(line, { env: environment(stateDir, port), timeoutMs: 120_000 });
}

interface Started {
  readonly process: ChildProcess;
  readonly port: number;
  readonly said: () => string;
  readonly exited: Promise<number | null>;
}

/** In the foreground, until it says that it is up. */
async function start(stateDir: string, port: number, as: readonly string[] = []): Promise<Started> {
  const line = fixture('up', programs, as);
  const child = spawn(line[0] ?? '', line.slice(1), {
    env: environment(stateDir, port),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await until(() => {
    if (child.exitCode !== null) throw new Error(said);
    return said.includes('Livia is up');
  });
  return { process: child, port, said: () => said, exited };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error('it did not come true within 60 s');
    await pause(50);
  }
}

/** The pid of the stand-in that answers there; undefined: nobody does. */
async function answering(port: number): Promise<number | undefined> {
  try {
    return Number(await (await fetch(`http://127.0.0.1:${port}/`)).text());
  } catch {
    return undefined;
  }
}

/** Every process that has to do with the state folder. */
function processes(stateDir: string) {
  return findProcesses((argv) => argv.some((word) => word.includes(stateDir)));
}

describe('a Livia in the foreground', () => {
  it('restarts what is killed, and ends in order leaving nothing', async () => {
    const service = await start(state, nextPort);
    for (const port of [service.port, service.port + 1]) {
      const before = (await answering(port)) ?? 0;
      process.kill(before, 'SIGKILL');
      await until(async () => ![undefined, before].includes(await answering(port)));
    }
    expect(service.said()).toContain('livia-server died (killed by SIGKILL), is started again');

    service.process.kill('SIGTERM');
    expect(await service.exited).toBe(0);
    expect(readFileSync(join(state, 'log/endings'), 'utf8')).toBe('livia-server.mjs\nlivia-cloudlet.mjs\n');
    expect(await processes(state)).toEqual([]);
  });

  it('keeps passwords and networks over a restart, and follows to other ports', async () => {
    const read = (file: string): string => readFileSync(join(state, file), 'utf8');
    const kept = /(name|password|cidr) = .*/g;
    const [before, openrc, former] = [read('cloudlet.toml'), read('openrc'), nextPort];
    nextPort = await freePorts();
    const service = await start(state, nextPort);
    expect(await answering(nextPort)).toBeDefined();
    expect(read('cloudlet.toml').match(kept)).toEqual(before.match(kept));
    expect(read('cloudlet.toml')).toContain(`http://127.0.0.1:${nextPort + 1}`);
    expect(read('openrc')).toBe(openrc.replace(String(former + 1), String(nextPort + 1)));
    service.process.kill('SIGINT');
    expect(await service.exited).toBe(0);
  });

  it('ends what a killed one left, and goes on', async () => {
    const first = await start(state, nextPort);
    const left = await answering(nextPort);
    first.process.kill('SIGKILL');
    await first.exited;
    expect(await answering(nextPort)).toBe(left);

    const second = await start(state, nextPort);
    expect(second.said()).toContain(
      'ended what an earlier Livia left running: livia-server, livia-cloudlet, PostgreSQL',
    );
    expect(await answering(nextPort)).not.toBe(left);
    second.process.kill('SIGKILL');
    await second.exited;
    expect((await livia('stop', state, nextPort)).stdout).toContain('livia-server');
    expect(await processes(state)).toEqual([]);
  });

  it('refuses a second one on its state folder, and one on its ports, in one line', async () => {
    const service = await start(state, nextPort);
    const second = await livia('up', state, nextPort);
    expect(second).toMatchObject({ code: 1, stdout: '' });
    expect(second.stderr).toMatch(/^livia: already running on .* \(pid \d+, Octavia API on port \d+.*\n$/);

    const other = join(folder, 'other');
    const third = await livia('up', other, nextPort);
    expect(third).toMatchObject({ code: 1, stdout: '' });
    expect(third.stderr).toMatch(
      new RegExp(`^livia: port ${nextPort} on 127.0.0.1 is taken by .*pid \\d+.*\n$`),
    );
    service.process.kill('SIGTERM');
    await service.exited;
  });

  it('says in one line that a program does not come up, with the reason it gave', async () => {
    const broken = join(folder, 'broken');
    mkdirSync(broken);
    writeFileSync(
      join(broken, 'livia-cloudlet.mjs'),
      "console.error('Error: the moon is in the way');process.exit(1)",
    );
    const line = fixture('up', broken);
    const result = await tryRun(line, { env: environment(state, nextPort), timeoutMs: 60_000 });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(
      /^livia: livia-cloudlet does not start: the moon is in the way \(.*cloudlet.log\)\n$/,
    );
    expect(await processes(state)).toEqual([]);
  });
});

describe('a Livia in the background', () => {
  it('is ready when the command returns, and gone when stop returns', async () => {
    const started = await livia('detach', state, nextPort);
    expect(started).toMatchObject({ code: 0, stderr: '' });
    expect(started.stdout).toContain('Livia is up');
    expect(await findInstance(state)).toMatchObject({ phase: 'ready', ports: { api: nextPort } });
    expect(await answering(nextPort)).toBeDefined();
    await livia('stop', state, nextPort);
    expect(await processes(state)).toEqual([]);
  });

  it('passes on why it does not start', async () => {
    const holder = createServer().listen(nextPort, '127.0.0.1');
    const result = await livia('detach', state, nextPort);
    holder.close();
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(new RegExp(`^livia: port ${nextPort} on 127.0.0.1 is taken`));
  });
});

describe('a state folder that cannot be', () => {
  it('is refused for the length of its path', async () => {
    const result = await livia('up', join(folder, 'x'.repeat(100)), nextPort);
    expect(result).toMatchObject({ code: 1 });
    expect(result.stderr).toMatch(/^livia: the path .* is too long for unix sockets.*\n$/);
  });

  it.runIf(root)('is refused when it is not writable', async () => {
    const closed = join(folder, 'closed');
    mkdirSync(closed, { mode: 0o755 });
    const result = await livia('up', closed, nextPort, asNobody);
    expect(result).toMatchObject({ code: 1 });
    expect(result.stderr).toMatch(/^livia: the state folder .* is not writable.*\n$/);
  });
});

describe.runIf(root)('a Livia without root', () => {
  const own = join(folder, 'nobody');
  beforeAll(() => {
    mkdirSync(own, { mode: 0o700 });
    chownSync(own, nobody, nobody);
  });

  it('runs inside namespaces of its own and publishes its ports', async () => {
    nextPort = await freePorts();
    const service = await start(own, nextPort, asNobody);
    expect(await answering(nextPort)).toBeDefined();
    expect(await answering(nextPort + 1)).toBeDefined();
    service.process.kill('SIGTERM');
    expect(await service.exited).toBe(0);
    expect(readFileSync(join(own, 'log/endings'), 'utf8')).toBe('livia-server.mjs\nlivia-cloudlet.mjs\n');
    expect(await processes(own)).toEqual([]);
  });

  it('takes everything with it when it is killed, and starts again', async () => {
    const service = await start(own, nextPort, asNobody);
    service.process.kill('SIGKILL');
    await service.exited;
    await until(async () => (await processes(own)).length === 0);
    expect(await livia('detach', own, nextPort, asNobody)).toMatchObject({ code: 0 });
    expect(await livia('stop', own, nextPort, asNobody)).toMatchObject({ code: 0 });
    expect(await processes(own)).toEqual([]);
  });
});
