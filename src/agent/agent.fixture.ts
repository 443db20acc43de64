import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { request } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAuthority, issueAmphora, issueController } from '../pki/ca.ts';
import { amphoraName } from '../pki/names.ts';
import type { Boot } from '../wire/boot.ts';
import { HeartbeatReader } from '../wire/heartbeat.ts';
import type { AgentStatus, Outcome, Report } from '../wire/report.ts';
import type { WantedAmphora } from '../wire/wanted.ts';

const bin = join(import.meta.dirname, '../../bin/livia-agent.ts');
export const authority = await createAuthority();
const controller = await issueController(authority, { days: 1 });

/** Outside the range of outgoing connections, of which one may have any port a moment later. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createTcpServer().listen(randomInt(23_000, 32_000), '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue; // somebody has it
    }
    const { port } = server.address() as AddressInfo;
    server.close();
    return port;
  }
}

/** Waits for something to become so; the test's own time limit ends it. */
export async function eventually<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(20);
  }
}

export interface Client {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** An agent as a process of its own, on loopback, with its files in a directory of its own. */
export class AgentUnderTest {
  readonly boot: Boot;
  readonly run: string;
  readonly heartbeats: Report[] = [];
  readonly #receiver = createSocket('udp4');
  #process: ChildProcess | undefined;
  #said = '';

  readonly #env: NodeJS.ProcessEnv;
  readonly #within: readonly string[];

  private constructor(boot: Boot, run: string, env: NodeJS.ProcessEnv, within: readonly string[]) {
    this.#env = env;
    this.#within = within;
    this.boot = boot;
    this.run = run;
  }

  /** `within`: a command that runs the command it is given, in other surroundings. `folder`: where it keeps its files. */
  static async start(
    env: NodeJS.ProcessEnv = {},
    within: readonly string[] = [],
    heartbeatMs = 200,
    folder = tmpdir(),
  ): Promise<AgentUnderTest> {
    const amphoraId = randomUUID();
    const own = await issueAmphora(authority, amphoraId, { days: 1 });
    const run = await mkdtemp(join(folder, 'agent-'));
    const boot: Boot = {
      wire: 1,
      amphoraId,
      port: await freePort(),
      certificatePem: own.certificatePem,
      keyPem: own.keyPem,
      caPem: authority.certificatePem,
      heartbeat: { receivers: [], intervalMs: heartbeatMs, key: randomBytes(32).toString('base64') },
    };
    const agent = new AgentUnderTest(boot, run, env, within);
    agent.#receiver.bind(0, '127.0.0.1');
    await once(agent.#receiver, 'listening');
    boot.heartbeat.receivers.push(`127.0.0.1:${agent.#receiver.address().port}`);
    const reader = new HeartbeatReader();
    agent.#receiver.on('message', (datagram) => {
      const decoded = reader.read(datagram, Buffer.from(boot.heartbeat.key, 'base64'));
      if (typeof decoded !== 'string') agent.heartbeats.push(decoded.report);
    });
    await writeFile(join(run, 'agent.json'), JSON.stringify(boot));
    await agent.spawn();
    return agent;
  }

  async spawn(): Promise<void> {
    const child = spawn('env', [...this.#within, process.execPath, bin], {
      env: { ...process.env, LIVIA_BOOT_FILE: join(this.run, 'agent.json'), NODE_OPTIONS: '', ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    }
    this.#process = child;
    await eventually(async () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the agent ended, ${child.signalCode ?? child.exitCode}: ${this.#said}`);
      return this.status().catch(() => undefined);
    });
  }

  /** All that the agent has logged. */
  get said(): string {
    return this.#said;
  }

  /** Keeps it from running, or lets it go on. */
  rest(yes: boolean): void {
    this.#process?.kill(yes ? 'SIGSTOP' : 'SIGCONT');
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Stops agent and HAProxy, and removes every trace, also after a test has failed half-way. */
  async remove(): Promise<void> {
    const haproxy = await this.haproxyPid();
    await this.#end('SIGTERM');
    this.#receiver.close();
    if (
      haproxy !== undefined &&
      (await readFile(`/proc/${haproxy}/comm`, 'utf8').catch(() => '')) === 'haproxy\n'
    ) {
      process.kill(haproxy, 'SIGKILL');
    }
    await rm(this.run, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  async haproxyPid(): Promise<number | undefined> {
    const text = await readFile(join(this.run, 'haproxy/pid'), 'utf8').catch(() => '');
    return text === '' ? undefined : Number(text);
  }

  async call(
    method: string,
    path: string,
    body?: unknown,
    client: Client | undefined = controller,
  ): Promise<{ status: number; body: unknown }> {
    const asked = request({
      host: '127.0.0.1',
      port: this.boot.port,
      method,
      path,
      agent: false,
      ca: authority.certificatePem,
      servername: amphoraName(this.boot.amphoraId),
      ...(client && { cert: client.certificatePem, key: client.keyPem }),
    });
    asked.end(body === undefined ? undefined : JSON.stringify(body));
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    const text = await textOf(answer);
    return { status: answer.statusCode ?? 0, body: JSON.parse(text) };
  }

  async put(wanted: WantedAmphora): Promise<Outcome> {
    const { status, body } = await this.call('PUT', '/v1/wanted', wanted);
    if (status !== 200) throw new Error(`${status}: ${JSON.stringify(body)}`);
    return body as Outcome;
  }

  async status(): Promise<AgentStatus> {
    const { status, body } = await this.call('GET', '/v1/status');
    if (status !== 200) throw new Error(`${status}: ${JSON.stringify(body)}`);
    return body as AgentStatus;
  }
}

export async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of answer.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
  return text;
}

export interface TestMember {
  readonly port: number;
  finish(): void;
  close(): void;
}

/** A web server that answers its name; `/slow` holds the rest of its answer until `finish`. */
export async function testMember(name: string): Promise<TestMember> {
  const held = new Set<ServerResponse>();
  const server = createServer((asked, answer) => {
    if (asked.url !== '/slow') return answer.end(name);
    answer.write('begun, ');
    return held.add(answer);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    finish: () => held.forEach((answer) => answer.end('ended')),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** What a client gets on a port: the body, `status` for an answer without success, `refused` for none. */
export async function get(port: number, path = '/', tls = false): Promise<string> {
  const options = { host: '127.0.0.1', port, path, agent: false, rejectUnauthorized: false };
  const asked = (tls ? request(options) : httpRequest(options)).end();
  try {
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    const text = await textOf(answer);
    return answer.statusCode === 200 ? text : String(answer.statusCode);
  } catch {
    return 'refused';
  }
}
