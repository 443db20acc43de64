import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../platform/run.ts';
import { type Body, eventually, passwordLogin } from './cloudlet.fixture.ts';
import { needRoot } from './host/host.fixture.ts';

/** The program itself, on this machine. */

const program = resolve(import.meta.dirname, '../../bin/livia-cloudlet.ts');
const name = `p${randomBytes(2).toString('hex')}`;

let folder: string;
let url: string;
let config: string;
let running: ChildProcess | undefined;
let token: string | undefined;

beforeEach(async () => {
  needRoot();
  folder = await mkdtemp(join(tmpdir(), 'cloudlet-'));
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const image = join(folder, 'boot.sh');
  await writeFile(image, '#!/bin/sh\ncat /run/greeting\nexec sleep infinity\n');
  const third = randomInt(0, 255);
  const settings = {
    listen_port: port,
    public_url: url,
    state_dir: join(folder, 'cloud'),
    name,
    octavia_url: 'http://127.0.0.1:1/load-balancer',
    admin_password: 'admin-secret',
    service_password: 'service-secret',
    management_cidr: `198.19.${third}.0/24`,
    external_cidr: `198.19.${third + 1}.0/24`,
    boot_image: image,
  };
  config = join(folder, 'cloudlet.toml');
  await writeFile(
    config,
    Object.entries(settings)
      .map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
      .join('\n'),
  );
  token = undefined;
});
afterEach(async () => {
  if (running?.exitCode === null) {
    running.kill('SIGTERM');
    await once(running, 'exit');
  }
  await rm(folder, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function start(): Promise<void> {
  const child = spawn(process.execPath, [program, '--config', config], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running = child;
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(said);
    return said.includes('the cloud is open');
  });
}

async function end(signal: NodeJS.Signals): Promise<number | null> {
  const child = running;
  if (child === undefined) throw new Error('it is not running');
  child.kill(signal);
  const [code] = await once(child, 'exit');
  return code;
}

async function ask(method: string, path: string, body?: object): Promise<Body> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...(token !== undefined && { 'x-auth-token': token }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  token ??= answer.headers.get('x-subject-token') ?? undefined;
  const text = await answer.text();
  return text === '' ? undefined : JSON.parse(text);
}

async function bootServer(): Promise<string> {
  await ask('POST', '/identity/v3/auth/tokens', passwordLogin('livia', 'service-secret', 'service'));
  const [image] = (await ask('GET', '/image/v2/images?tag=amphora')).images;
  const [network] = (await ask('GET', '/network/v2.0/networks?name=ext_net')).networks;
  const files = JSON.stringify({ write_files: [{ path: '/run/greeting', content: 'hello\n' }] });
  const server = {
    name: 'amphora-1',
    imageRef: image.id,
    flavorRef: 'livia-amphora',
    networks: [{ uuid: network.id }],
    user_data: Buffer.from(`#cloud-config\n${files}`).toString('base64'),
  };
  const { id } = (await ask('POST', '/compute/v2.1/servers', { server })).server;
  await eventually(async () => (await statusOf(id)) === 'ACTIVE');
  return id;
}
const statusOf = async (id: string): Promise<string> =>
  (await ask('GET', `/compute/v2.1/servers/${id}`)).server.status;
const pidOf = async (id: string): Promise<string> =>
  (await readFile(join(folder, 'cloud/instances', id, 'pid'), 'utf8')).split(' ')[0] ?? '';

describe('the cloudlet program', () => {
  it('boots a server, finds it alive after kill -9, and leaves nothing when it is told to end', async () => {
    await start();
    const id = await bootServer();
    const pid = await pidOf(id);
    await eventually(async () => {
      const action = { 'os-getConsoleOutput': {} };
      return (await ask('POST', `/compute/v2.1/servers/${id}/action`, action)).output === 'hello\n';
    });

    await end('SIGKILL');
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    await start();
    expect(await statusOf(id)).toBe('ACTIVE');
    expect(await pidOf(id)).toBe(pid);

    process.kill(Number(pid), 'SIGKILL');
    await eventually(async () => (await statusOf(id)) === 'ERROR');
    await ask('POST', `/compute/v2.1/servers/${id}/action`, { reboot: { type: 'HARD' } });
    await eventually(async () => (await statusOf(id)) === 'ACTIVE');

    expect(await end('SIGTERM')).toBe(0);
    const links: Body[] = JSON.parse(await run(['ip', '-json', 'link', 'show']));
    expect(links.filter((link) => link.ifname.includes(name))).toEqual([]);
    await start();
    await eventually(async () => (await statusOf(id)) === 'ACTIVE' && existsSync(`/proc/${await pidOf(id)}`));
  });

  it('says in one line what is wrong with its configuration', async () => {
    await writeFile(config, 'listen_port = 1\n');
    await expect(start()).rejects.toThrow(/cloudlet\.toml/);
  });
});
