import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InjectOptions } from 'fastify';
import { type Log, makeLog } from '../platform/log.ts';
import { type Cloudlet, openCloudlet } from './cloudlet.ts';
import type { Config } from './config.ts';
import { openRecords } from './records.ts';
import type { CardLimit, Host, HostNetwork, HostRouter, InstanceSpec, InstanceState } from './host/host.ts';

/** A machine in memory, which keeps its instances when the cloudlet in front of it is opened anew. */
class FakeHost implements Host {
  readonly limits = 'none';
  readonly networks = new Map<string, HostNetwork>();
  readonly instances = new Map<string, InstanceSpec>();
  readonly routersById = new Map<string, HostRouter>();
  cardLimits: readonly CardLimit[] = [];
  /** When set, the next boots fail with it. */
  broken: string | undefined;
  /** Boots wait for it. */
  gate: Promise<void> = Promise.resolve();
  #listeners: ((id: string, state: InstanceState) => void)[] = [];

  async ensureNetwork(network: HostNetwork): Promise<void> {
    this.networks.set(network.id, network);
  }
  async removeNetwork(id: string): Promise<void> {
    this.networks.delete(id);
  }
  routers(): readonly string[] {
    return [...this.routersById.keys()];
  }
  async ensureRouter(router: HostRouter): Promise<void> {
    this.routersById.set(router.id, router);
  }
  async removeRouter(id: string): Promise<void> {
    this.routersById.delete(id);
  }
  async limitCards(limits: readonly CardLimit[]): Promise<void> {
    this.cardLimits = limits;
  }
  async boot(spec: InstanceSpec): Promise<void> {
    await this.gate;
    if (this.broken !== undefined) throw new Error(this.broken);
    if (!this.instances.has(spec.id)) this.instances.set(spec.id, spec);
  }
  async kill(id: string): Promise<void> {
    this.instances.delete(id);
  }
  async observe(id: string): Promise<InstanceState> {
    const alive = this.instances.has(id);
    return { alive, pid: alive ? 1 : null, oomKills: 0, memoryBytes: null, reason: null };
  }
  async attach(instanceId: string, nic: InstanceSpec['nics'][number]): Promise<void> {
    const spec = this.instances.get(instanceId);
    if (spec === undefined) throw new Error(`instance ${instanceId} is not running`);
    this.instances.set(instanceId, { ...spec, nics: [...spec.nics, nic] });
  }
  async detach(instanceId: string, macAddress: string): Promise<void> {
    const spec = this.instances.get(instanceId);
    if (spec === undefined) return;
    this.instances.set(instanceId, {
      ...spec,
      nics: spec.nics.filter((nic) => nic.macAddress !== macAddress),
    });
  }
  onDeath(listener: (id: string, state: InstanceState) => void): void {
    this.#listeners = [listener];
  }
  async close(): Promise<void> {
    this.instances.clear();
  }

  die(id: string, reason: string): void {
    this.instances.delete(id);
    const state = { alive: false, pid: null, oomKills: 1, memoryBytes: null, reason };
    for (const listener of this.#listeners) listener(id, state);
  }
}

export const bootScript = '#!/bin/sh\nexec sleep infinity\n';

export interface TestCloud extends Cloudlet {
  readonly host: FakeHost;
  readonly config: Config;
  /** The body of the answer and its status; with the admin's token unless `as` says another. */
  ask(method: InjectOptions['method'], url: string, body?: unknown, options?: AskOptions): Promise<Answer>;
  /** A token for the user in the project. */
  token(user?: string, password?: string, project?: string): Promise<string>;
  /** A new project with a user in it, who has the role; the user's token. */
  someone(name: string, role?: string): Promise<{ token: string; userId: string; projectId: string }>;
  /** Closes it and opens another on the same state and the same machine. */
  again(change?: Partial<Config>): Promise<TestCloud>;
  /** Closes it and removes its state. */
  destroy(): Promise<void>;
}

interface AskOptions {
  readonly as?: string | null;
  readonly headers?: Record<string, string>;
}

// oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of every shape
export type Body = any;

interface Answer {
  readonly status: number;
  readonly body: Body;
  readonly text: string;
  readonly bytes: Buffer;
  readonly headers: Record<string, unknown>;
}

export interface CloudOptions {
  readonly host?: FakeHost;
  readonly stateDir?: string;
  readonly memoryBytes?: number;
  readonly now?: () => Date;
  readonly config?: Partial<Config>;
  readonly log?: Log;
}

export async function openTestCloud(options: CloudOptions = {}): Promise<TestCloud> {
  const stateDir = options.stateDir ?? (await mkdtemp(join(tmpdir(), 'cloudlet-')));
  const host = options.host ?? new FakeHost();
  const image = join(stateDir, 'boot.sh');
  await writeFile(image, bootScript);
  const config: Config = {
    listen_host: '127.0.0.1',
    listen_port: 0,
    public_url: 'http://cloud.test:9877',
    state_dir: stateDir,
    name: 'test',
    octavia_url: 'http://cloud.test:9876/load-balancer',
    region: 'RegionOne',
    admin_password: 'admin-secret',
    service_password: 'service-secret',
    token_seconds: 3600,
    management_cidr: '10.1.0.0/24',
    external_cidr: '10.2.0.0/24',
    ram_allocation_ratio: 1.5,
    boot_image: image,
    ...options.config,
  };
  const records = openRecords(join(stateDir, 'records.sqlite'));
  const opening = openCloudlet({
    ...{ config, records, host },
    log: options.log ?? makeLog('test', 'silent'),
    memoryBytes: options.memoryBytes ?? 24 * 2 ** 30,
    ...(options.now && { now: options.now }),
  });
  opening.catch(() => records.close());
  const cloudlet = await opening;
  async function close(): Promise<void> {
    await cloudlet.close();
    records.close();
  }
  let adminToken: string | undefined;

  const cloud: TestCloud = {
    ...{ app: cloudlet.app, close },
    host,
    config,
    async ask(method, url, body, { as, headers } = {}) {
      if (as === undefined) adminToken ??= await cloud.token();
      const token = as === undefined ? adminToken : as;
      const answer = await cloudlet.app.inject({
        method: method ?? 'GET',
        url,
        headers: { accept: 'application/json', ...(token != null && { 'x-auth-token': token }), ...headers },
        ...(body !== undefined && { payload: body as object }),
      });
      const json = (answer.headers['content-type']?.includes('json') ?? false) && answer.payload !== '';
      return {
        status: answer.statusCode,
        body: json ? answer.json() : undefined,
        text: answer.payload,
        bytes: answer.rawPayload,
        headers: answer.headers,
      };
    },
    async token(user = 'admin', password = 'admin-secret', project = 'admin') {
      const answer = await cloud.ask(
        'POST',
        '/identity/v3/auth/tokens',
        passwordLogin(user, password, project),
        {
          as: null,
        },
      );
      if (answer.status !== 201) throw new Error(`${user} cannot log in: ${answer.text}`);
      return String(answer.headers['x-subject-token']);
    },
    async someone(name, role = 'member') {
      const made = async (path: string, body: object) =>
        (await cloud.ask('POST', `/identity/v3${path}`, body)).body;
      const projectId = (await made('/projects', { project: { name } })).project.id;
      const userId = (await made('/users', { user: { name, password: name } })).user.id;
      const { body } = await cloud.ask('GET', `/identity/v3/roles?name=${role}`);
      await cloud.ask('PUT', `/identity/v3/projects/${projectId}/users/${userId}/roles/${body.roles[0].id}`);
      return { token: await cloud.token(name, name, name), userId, projectId };
    },
    async again(change = {}) {
      await close();
      return openTestCloud({ ...options, host, stateDir, config: { ...options.config, ...change } });
    },
    async destroy() {
      await close();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
  return cloud;
}

export function passwordLogin(user: string, password: string, project: string): object {
  return {
    auth: {
      identity: {
        methods: ['password'],
        password: { user: { name: user, domain: { id: 'default' }, password } },
      },
      scope: { project: { name: project, domain: { name: 'Default' } } },
    },
  };
}

/** The first value that is not undefined, false or null. */
export async function eventually<T>(look: () => Promise<T | undefined | false | null>): Promise<T> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== false && value !== null) return value;
    if (Date.now() > deadline) throw new Error('it has not come about');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
