import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { run, tryRun, type RunResult } from '../../src/platform/run.ts';

/** A whole Livia on this machine in a state folder of its own, started and stopped as a user does. */
export interface Service {
  readonly stateDir: string;
  readonly portBase: number;
  /** What sourcing `openrc` gives. */
  readonly env: NodeJS.ProcessEnv;
  start(options?: { demo?: boolean }): Promise<void>;
  stop(): Promise<void>;
  /** Debian's `openstack` client; its table as JSON. Rejects with the client's words. */
  openstack<T = Record<string, unknown>>(...args: string[]): Promise<T>;
  tryOpenstack(...args: string[]): Promise<RunResult>;
  /** A request to the Octavia API (`/v2/…`) or to a service of the cloudlet (`cloud:/network/v2.0/…`). */
  request<T = any>(
    method: string,
    path: string,
    body?: unknown,
    token?: string,
  ): Promise<{ status: number; body: T }>;
  /** As `request`, but any status of 400 or more rejects. */
  call<T = any>(method: string, path: string, body?: unknown): Promise<T>;
  token(): Promise<string>;
  /** Waits until the load balancer is ACTIVE; rejects with what the API says when it is ERROR. */
  active(loadBalancerId: string): Promise<any>;
  livia(...args: string[]): Promise<RunResult>;
}

const project = resolve(import.meta.dirname, '../..');

export const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** Calls until it gives a value; rejects with the last reason when `withinMs` have passed. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined>,
  withinMs = 60_000,
): Promise<T> {
  const end = Date.now() + withinMs;
  let last: unknown = 'nothing yet';
  while (Date.now() < end) {
    try {
      const value = await ask();
      if (value !== undefined) return value;
    } catch (error) {
      last = error;
    }
    await pause(100);
  }
  throw new Error(`${what} did not come true within ${withinMs} ms: ${String(last)}`);
}

/** Each service of a test run gets ports of its own, below the range of outgoing connections. */
export function makeService(portBase: number): Service {
  const stateDir = mkdtempSync(join(tmpdir(), 'livia-e2e-'));
  const setup = join(project, 'setup/run.mjs');
  const baseEnv: NodeJS.ProcessEnv = {
    ...process.env,
    LIVIA_STATE_DIR: stateDir,
    LIVIA_PORT_BASE: String(portBase),
  };
  let cachedToken: string | undefined;
  const clientEnv = (): NodeJS.ProcessEnv => {
    const exports = readFileSync(join(stateDir, 'openrc'), 'utf8').matchAll(
      /^export (\w+)=['"]?(.*?)['"]?$/gm,
    );
    return { ...baseEnv, ...Object.fromEntries([...exports].map(([, name, value]) => [name, value])) };
  };
  const url = (path: string): string =>
    path.startsWith('cloud:')
      ? `http://127.0.0.1:${portBase + 1}${path.slice('cloud:'.length)}`
      : `http://127.0.0.1:${portBase}${path}`;

  const service: Service = {
    stateDir,
    portBase,
    get env() {
      return clientEnv();
    },
    async start(options = {}) {
      cachedToken = undefined;
      const args = ['start', '--detach', ...(options.demo ? [] : ['--no-demo'])];
      await run(['node', setup, ...args], { env: baseEnv, cwd: project, timeoutMs: 300_000 });
    },
    async stop() {
      await run(['node', setup, 'stop'], { env: baseEnv, cwd: project, timeoutMs: 120_000 });
    },
    async openstack<T>(...args: string[]) {
      return JSON.parse(
        await run(['openstack', ...args, '-f', 'json'], { env: clientEnv(), timeoutMs: 180_000 }),
      ) as T;
    },
    tryOpenstack: (...args) => tryRun(['openstack', ...args], { env: clientEnv(), timeoutMs: 180_000 }),
    async token() {
      if (cachedToken !== undefined) return cachedToken;
      const env = clientEnv();
      const domain = { name: 'Default' };
      const response = await fetch(url('cloud:/identity/v3/auth/tokens'), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          auth: {
            identity: {
              methods: ['password'],
              password: { user: { name: env['OS_USERNAME'], password: env['OS_PASSWORD'], domain } },
            },
            scope: { project: { name: env['OS_PROJECT_NAME'], domain } },
          },
        }),
      });
      if (response.status !== 201) throw new Error(`no token: ${response.status} ${await response.text()}`);
      cachedToken = response.headers.get('x-subject-token') ?? '';
      return cachedToken;
    },
    async request(method, path, body, token) {
      const response = await fetch(url(path), {
        method,
        headers: {
          'x-auth-token': token ?? (await service.token()),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
    },
    async call(method, path, body) {
      const answer = await service.request(method, path, body);
      if (answer.status >= 400)
        throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer.body;
    },
    active: (id) =>
      eventually(`load balancer ${id} ACTIVE`, async () => {
        const { loadbalancer } = await service.call('GET', `/v2/lbaas/loadbalancers/${id}`);
        if (loadbalancer.provisioning_status === 'ERROR') {
          const reasons = await service.request('GET', `/livia/v1/loadbalancers/${id}`);
          throw new Error(`ERROR: ${JSON.stringify(reasons.body)}`);
        }
        return loadbalancer.provisioning_status === 'ACTIVE' ? loadbalancer : undefined;
      }),
    livia: (...args) => tryRun(['node', setup, 'cli', ...args], { env: clientEnv(), cwd: project }),
  };
  return service;
}

/** Stops the service, shows its log when asked for, and removes its state. */
export async function discard(service: Service): Promise<void> {
  if (existsSync(join(service.stateDir, 'run'))) await service.stop();
  if (process.env['LIVIA_KEEP_STATE'] === undefined)
    rmSync(service.stateDir, { recursive: true, force: true });
}

/** PID 1 of a server's namespaces, in the numbering of this machine. */
export function instancePid(service: Service, serverId: string): number {
  const [pid] = readFileSync(join(service.stateDir, 'cloud/instances', serverId, 'pid'), 'utf8').split(' ');
  return Number(pid);
}

/** How often the kernel killed for lack of memory in the server's cgroup, and its limit in bytes (v1 or v2). */
export function memoryFacts(
  service: Service,
  serverId: string,
): { oomKills: number; limitBytes: number; peakBytes: number } {
  const lines = readFileSync(`/proc/${instancePid(service, serverId)}/cgroup`, 'utf8').split('\n');
  const v1 = lines.find((line) => line.split(':')[1] === 'memory');
  const read = (file: string): string => readFileSync(file, 'utf8');
  if (v1 !== undefined) {
    const group = join(mountOf('cgroup', 'memory'), v1.split(':')[2] ?? '');
    return {
      oomKills: Number(/^oom_kill (\d+)/m.exec(read(join(group, 'memory.oom_control')))?.[1]),
      limitBytes: Number(read(join(group, 'memory.limit_in_bytes'))),
      peakBytes: Number(read(join(group, 'memory.max_usage_in_bytes'))),
    };
  }
  const group = join(mountOf('cgroup2'), lines.find((line) => line.startsWith('0::'))?.slice(3) ?? '');
  return {
    oomKills: Number(/^oom_kill (\d+)/m.exec(read(join(group, 'memory.events')))?.[1]),
    limitBytes: Number(read(join(group, 'memory.max'))),
    peakBytes: Number(read(join(group, 'memory.peak'))),
  };
}

function mountOf(type: string, controller?: string): string {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [mount, filesystem] = line.split(' - ');
    const [kind, , options] = filesystem?.split(' ') ?? [];
    if (kind === type && (controller === undefined || options?.split(',').includes(controller))) {
      return mount?.split(' ')[4] ?? '';
    }
  }
  throw new Error(`no ${type} ${controller ?? ''} mount`);
}

/** Every process whose environment names the state folder: `pid command line`. */
export function processesOf(stateDir: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const ours = environment.includes(`LIVIA_STATE_DIR=${stateDir}\0`) || command.includes(stateDir);
        return ours && command !== '' ? [`${pid} ${command}`] : [];
      } catch {
        return []; // it ended while we looked
      }
    });
}

/** What a service could leave behind on this machine, apart from its state folder. */
export async function traces(): Promise<{ links: string[]; mounts: string[]; cgroups: string[] }> {
  const links = JSON.parse(await run(['ip', '-j', 'link'])) as { ifname: string }[];
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '');
  const cgroups = await tryRun([
    'find',
    '/sys/fs/cgroup',
    '-maxdepth',
    '6',
    '-type',
    'd',
    '-name',
    '*livia*',
  ]);
  return {
    links: links.map((link) => link.ifname).toSorted(),
    mounts: mounts.toSorted(),
    cgroups: cgroups.stdout.split('\n').filter(Boolean).toSorted(),
  };
}

/** One HTTPS (or HTTP) request by curl; the body, or what curl complains of. */
export async function curl(...args: string[]): Promise<string> {
  return (await run(['curl', '--silent', '--show-error', '--max-time', '10', ...args])).trim();
}

/** A process that lives as long as the test and ends with it. */
export function background(
  command: string[],
  env?: NodeJS.ProcessEnv,
): { pid: number; end(): Promise<void> } {
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: 'ignore', ...(env && { env }) });
  return {
    pid: child.pid ?? 0,
    end: () =>
      new Promise((done) => {
        if (child.exitCode !== null || child.signalCode !== null) return done();
        child.once('exit', () => done());
        child.kill('SIGKILL');
      }),
  };
}

export function scratch(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `livia-${name}-`));
  mkdirSync(folder, { recursive: true });
  return folder;
}
