import { randomUUID } from 'node:crypto';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { SessionOptions } from './session.ts';

/**
 * Just enough of five OpenStack services to talk to, with the real ones' forms and refusals. It keeps state; two users,
 * `livia` of project `service` who may all, and `alice` of project `demo`.
 */
export interface FakeCloud {
  readonly session: SessionOptions;
  readonly networkId: string;
  readonly subnetId: string;
  /** A token of Alice's. */
  token(): string;
  revoke(token: string): void;
  /** All tokens end at once, as after a restart of Keystone. */
  revokeAll(): void;
  /** The tokens issued so far end after this; default an hour. */
  tokenLifeMs: number;
  /** The next requests whose path contains `part` get this answer; a status of 0 cuts the connection. */
  fail(part: string, status: number, body?: unknown, times?: number): void;
  /** Every request since the last look: `METHOD path`. */
  seen(): string[];
  readonly state: State;
  close(): Promise<void>;
}

interface State {
  readonly secrets: Map<string, FakeSecret>;
  readonly containers: Map<string, { project: string; type: string; secret_refs: object[] }>;
  readonly acls: Map<string, { users: string[]; 'project-access': boolean }>;
  readonly ports: Map<string, Row>;
  readonly groups: Map<string, Row>;
  readonly rules: Map<string, Row>;
  readonly servers: Map<string, Row>;
  readonly images: Row[];
  readonly flavors: Set<string>;
  /** Alice may not change who reads secrets. */
  aliceMayShare: boolean;
}
type Row = Record<string, unknown> & { id: string };
interface FakeSecret {
  project: string;
  type: string;
  bytes: Buffer;
}
interface Token {
  user: string;
  project: string;
  roles: string[];
  expiresAtMs: number;
}

export async function startFakeCloud(): Promise<FakeCloud> {
  const app = Fastify({ forceCloseConnections: true });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, text, done) => {
    done(null, text === '' ? null : JSON.parse(String(text)));
  });
  const networkId = randomUUID();
  const subnetId = randomUUID();
  const tokens = new Map<string, Token>();
  const faults: { part: string; status: number; body: unknown; times: number }[] = [];
  let seen: string[] = [];
  let origin = '';
  const state: State = {
    secrets: new Map(),
    containers: new Map(),
    acls: new Map(),
    ports: new Map(),
    groups: new Map(),
    rules: new Map(),
    servers: new Map(),
    images: [],
    flavors: new Set(['10']),
    aliceMayShare: true,
  };

  const issue = (token: Omit<Token, 'expiresAtMs'>): string => {
    const id = `token-${randomUUID()}`;
    tokens.set(id, { ...token, expiresAtMs: Date.now() + cloud.tokenLifeMs });
    return id;
  };
  const live = (id: unknown): Token | undefined => {
    const token = tokens.get(String(id));
    return token !== undefined && token.expiresAtMs > Date.now() ? token : undefined;
  };
  const who = (request: FastifyRequest): Token => live(request.headers['x-auth-token']) as Token;

  app.addHook('onRequest', async (request, reply) => {
    seen.push(`${request.method} ${request.url}`);
    const fault = faults.find(({ part, times }) => times > 0 && request.url.includes(part));
    if (fault !== undefined) {
      fault.times -= 1;
      if (fault.status === 0) return request.raw.socket.destroy();
      return reply.code(fault.status).send(fault.body);
    }
    const isLogin = request.method === 'POST' && request.url.endsWith('/auth/tokens');
    if (!isLogin && live(request.headers['x-auth-token']) === undefined) {
      return reply.code(401).send({ error: { code: 401, title: 'Unauthorized', message: 'Not you.' } });
    }
    return undefined;
  });

  const cloud: FakeCloud = {
    session: {
      authUrl: '',
      username: 'livia',
      password: 'sesame',
      projectName: 'service',
      userDomainName: 'Default',
      projectDomainName: 'Default',
      region: 'RegionOne',
      interface: 'public',
      timeoutMs: 5000,
    },
    networkId,
    subnetId,
    token: () => issue({ user: 'alice', project: 'demo', roles: ['member'] }),
    revoke: (token) => void tokens.delete(token),
    revokeAll: () => tokens.clear(),
    tokenLifeMs: 3_600_000,
    fail: (part, status, body = {}, times = 1) => void faults.push({ part, status, body, times }),
    seen: () => {
      const all = seen;
      seen = [];
      return all;
    },
    state,
    close: () => app.close(),
  };
  keystone(app, () => origin, cloud, { issue, live, who });
  barbican(app, state, () => origin, who);
  neutron(app, state, cloud, who);
  nova(app, state);
  app.get('/image/v2/images', async (request) => {
    const { tag, status, limit } = request.query as Record<string, string>;
    const fitting = state.images.filter(
      (image) => (image['tags'] as string[]).includes(tag ?? '') && image['status'] === status,
    );
    fitting.sort((a, b) => String(b['created_at']).localeCompare(String(a['created_at'])));
    return { images: fitting.slice(0, Number(limit)) };
  });
  origin = await app.listen({ host: '127.0.0.1', port: 0 });
  return Object.assign(cloud, { session: { ...cloud.session, authUrl: `${origin}/identity/v3` } });
}

type Tokens = {
  issue(token: Omit<Token, 'expiresAtMs'>): string;
  live(id: unknown): Token | undefined;
  who(request: FastifyRequest): Token;
};

function keystone(app: FastifyInstance, origin: () => string, cloud: FakeCloud, tokens: Tokens): void {
  const paths = {
    identity: 'identity',
    network: 'network/',
    compute: 'compute/v2.1',
    image: 'image',
    'key-manager': 'key-manager/',
  };
  const body = (token: Token) => ({
    token: {
      user: { id: `${token.user}-id`, name: token.user },
      project: { id: token.project },
      roles: token.roles.map((name) => ({ name })),
      issued_at: new Date(token.expiresAtMs - cloud.tokenLifeMs).toISOString(),
      expires_at: new Date(token.expiresAtMs).toISOString(),
      catalog: Object.entries(paths).map(([type, path]) => ({
        type,
        endpoints: [
          { interface: 'admin', region: 'RegionOne', url: 'http://192.0.2.1/nowhere' },
          { interface: 'public', region: 'Elsewhere', url: 'http://192.0.2.1/nowhere' },
          { interface: 'public', region: 'RegionOne', url: `${origin()}/${path}` },
        ],
      })),
    },
  });
  app.post('/identity/v3/auth/tokens', async (request, reply) => {
    const { user } = (request.body as { auth: { identity: { password: { user: Record<string, string> } } } })
      .auth.identity.password;
    if (user['name'] !== 'livia' || user['password'] !== 'sesame') {
      return reply.code(401).send({ error: { code: 401, message: 'Invalid username or password.' } });
    }
    const id = tokens.issue({ user: 'livia', project: 'service', roles: ['admin'] });
    return reply
      .code(201)
      .header('x-subject-token', id)
      .send(body(tokens.live(id) as Token));
  });
  app.get('/identity/v3/auth/tokens', async (request, reply) => {
    const token = tokens.live(request.headers['x-subject-token']);
    if (token === undefined) return reply.code(404).send({ error: { code: 404, message: 'No such token.' } });
    return body(token);
  });
}

function barbican(
  app: FastifyInstance,
  state: State,
  origin: () => string,
  who: (request: FastifyRequest) => Token,
): void {
  const refuse = (reply: FastifyReply, code: number, description: string): FastifyReply =>
    reply.code(code).send({ code, title: 'Refused', description });
  const mayRead = (request: FastifyRequest, id: string, project: string): boolean => {
    const { user, project: own } = who(request);
    const acl = state.acls.get(id);
    return (
      (own === project && acl?.['project-access'] !== false) || acl?.users.includes(`${user}-id`) === true
    );
  };
  const base = '/key-manager/v1';
  app.get(`${base}/secrets/:id`, async (request, reply) => {
    const { id } = request.params as { id: string };
    const secret = state.secrets.get(id);
    if (secret === undefined) return refuse(reply, 404, 'Secret not found.');
    if (!mayRead(request, id, secret.project)) return refuse(reply, 403, 'Secret retrieval not allowed.');
    return {
      name: null,
      status: 'ACTIVE',
      content_types: { default: secret.type },
      secret_ref: `${origin()}${request.url}`,
    };
  });
  app.get(`${base}/secrets/:id/payload`, async (request, reply) => {
    const { id } = request.params as { id: string };
    const secret = state.secrets.get(id);
    if (secret === undefined) return refuse(reply, 404, 'Secret not found.');
    if (!mayRead(request, id, secret.project)) return refuse(reply, 403, 'Secret retrieval not allowed.');
    if (request.headers.accept !== secret.type) return refuse(reply, 406, 'Wrong payload content-type.');
    return reply.header('content-type', secret.type).send(secret.bytes);
  });
  app.get(`${base}/containers/:id`, async (request, reply) => {
    const { id } = request.params as { id: string };
    const container = state.containers.get(id);
    if (container === undefined) return refuse(reply, 404, 'Container not found.');
    if (!mayRead(request, id, container.project)) return refuse(reply, 403, 'Not allowed.');
    return { type: container.type, secret_refs: container.secret_refs };
  });
  const aclOf = (id: string) => state.acls.get(id) ?? { users: [], 'project-access': true };
  const owned = (request: FastifyRequest, id: string): boolean => {
    const project = (state.secrets.get(id) ?? state.containers.get(id))?.project;
    return who(request).project === project && state.aliceMayShare;
  };
  app.get(`${base}/:kind/:id/acl`, async (request, reply) => {
    const { id } = request.params as { id: string };
    if (!owned(request, id)) return refuse(reply, 403, 'ACL retrieval not allowed.');
    return { read: aclOf(id) };
  });
  app.put(`${base}/:kind/:id/acl`, async (request, reply) => {
    const { id } = request.params as { id: string };
    if (!owned(request, id)) return refuse(reply, 403, 'ACL update not allowed.');
    state.acls.set(id, (request.body as { read: { users: string[]; 'project-access': boolean } }).read);
    return { acl_ref: `${origin()}${request.url}` };
  });
}

function neutron(
  app: FastifyInstance,
  state: State,
  cloud: FakeCloud,
  who: (request: FastifyRequest) => Token,
): void {
  const base = '/network/v2.0';
  const refuse = (reply: FastifyReply, code: number, message: string): FastifyReply =>
    reply.code(code).send({ NeutronError: { type: 'Refused', message, detail: '' } });
  const network = { id: cloud.networkId, name: 'net', subnets: [cloud.subnetId] };
  const subnet = {
    id: cloud.subnetId,
    network_id: cloud.networkId,
    ip_version: 4,
    cidr: '10.0.0.0/24',
    gateway_ip: '10.0.0.1',
    name: 'sub',
  };
  const query = (request: FastifyRequest): [string, string][] =>
    Object.entries(request.query as Record<string, string>);
  const fitting = <R extends object>(request: FastifyRequest, rows: Iterable<R>): R[] =>
    [...rows].filter((row) =>
      query(request).every(([key, value]) => String((row as Record<string, unknown>)[key]) === value),
    );
  const one = (path: string, name: string, get: (id: string) => object | undefined): void => {
    app.get(`${base}/${path}/:id`, async (request, reply) => {
      const row = get((request.params as { id: string }).id);
      return row === undefined ? refuse(reply, 404, `${name} could not be found.`) : { [name]: row };
    });
  };
  one('networks', 'network', (id) => (id === network.id ? network : undefined));
  one('subnets', 'subnet', (id) => (id === subnet.id ? subnet : undefined));
  one('ports', 'port', (id) => state.ports.get(id));
  app.get(`${base}/networks`, async (request) => ({ networks: fitting(request, [network]) }));
  app.get(`${base}/subnets`, async (request) => ({ subnets: fitting(request, [subnet]) }));
  app.get(`${base}/ports`, async (request) => ({ ports: fitting(request, state.ports.values()) }));
  const withRules = (group: Row): object => ({
    ...group,
    security_group_rules: [...state.rules.values()].filter((rule) => rule['security_group_id'] === group.id),
  });
  one('security-groups', 'security_group', (id) => {
    const group = state.groups.get(id);
    return group && withRules(group);
  });
  app.get(`${base}/security-groups`, async (request) => ({
    security_groups: fitting(request, state.groups.values()).map(withRules),
  }));

  app.get(`${base}/security-group-rules`, async (request) => ({
    security_group_rules: fitting(request, state.rules.values()),
  }));

  app.post(`${base}/ports`, async (request, reply) => {
    const { port } = request.body as {
      port: Record<string, unknown> & { fixed_ips?: { subnet_id: string; ip_address?: string }[] };
    };
    const taken = [...state.ports.values()].flatMap((row) => row['fixed_ips'] as { ip_address: string }[]);
    const isTaken = (address: string): boolean => taken.some((fixed) => fixed.ip_address === address);
    const fixedIps = (port.fixed_ips ?? [{ subnet_id: subnet.id }]).map(({ subnet_id, ip_address }) => {
      let last = 2;
      while (isTaken(`10.0.0.${last}`)) last += 1;
      return { subnet_id, ip_address: ip_address ?? `10.0.0.${last}` };
    });
    const conflict = fixedIps.find((fixed) => isTaken(fixed.ip_address));
    if (conflict !== undefined) {
      return refuse(reply, 409, `IP address ${conflict.ip_address} already allocated in subnet ${subnet.id}`);
    }
    const row: Row = {
      security_groups: [],
      allowed_address_pairs: [],
      ...port,
      id: randomUUID(),
      fixed_ips: fixedIps,
      mac_address: 'fa:16:3e:00:00:01',
      status: 'DOWN',
      project_id: port['project_id'] ?? who(request).project,
    };
    state.ports.set(row.id, row);
    return reply.code(201).send({ port: row });
  });
  app.put(`${base}/ports/:id`, async (request, reply) => {
    const row = state.ports.get((request.params as { id: string }).id);
    if (row === undefined) return refuse(reply, 404, 'Port could not be found.');
    return { port: Object.assign(row, (request.body as { port: object }).port) };
  });
  app.post(`${base}/security-groups`, async (request, reply) => {
    const { security_group: asked } = request.body as { security_group: object };
    const row: Row = { ...asked, id: randomUUID() };
    state.groups.set(row.id, row);
    addRule(row.id, { direction: 'egress', ethertype: 'IPv4' });
    return reply.code(201).send({ security_group: withRules(row) });
  });
  const addRule = (groupId: string, rule: object): Row => {
    const row: Row = {
      protocol: null,
      port_range_min: null,
      port_range_max: null,
      remote_ip_prefix: null,
      remote_group_id: null,
      ...rule,
      security_group_id: groupId,
      id: randomUUID(),
    };
    state.rules.set(row.id, row);
    return row;
  };
  app.post(`${base}/security-group-rules`, async (request, reply) => {
    const { security_group_rule: rule } = request.body as { security_group_rule: Record<string, unknown> };
    // As Neutron, which knows protocol 112 by its name too.
    if (rule['protocol'] === '112') rule['protocol'] = 'vrrp';
    return reply.code(201).send({ security_group_rule: addRule(String(rule['security_group_id']), rule) });
  });
  for (const [path, rows] of [
    ['ports', state.ports],
    ['security-groups', state.groups],
    ['security-group-rules', state.rules],
  ] as const) {
    app.delete(`${base}/${path}/:id`, async (request, reply) => {
      const { id } = request.params as { id: string };
      const users = [...state.ports.values()].filter((port) =>
        (port['security_groups'] as string[]).includes(id),
      );
      if (users.length > 0) return refuse(reply, 409, `Security Group ${id} in use.`);
      return rows.delete(id) ? reply.code(204).send() : refuse(reply, 404, `${path} ${id} not found.`);
    });
  }
}

function nova(app: FastifyInstance, state: State): void {
  const base = '/compute/v2.1';
  const refuse = (reply: FastifyReply, code: number, kind: string, message: string): FastifyReply =>
    reply.code(code).send({ [kind]: { code, message } });
  app.get(`${base}/os-availability-zone`, async () => ({
    availabilityZoneInfo: [{ zoneName: 'nova', zoneState: { available: true }, hosts: null }],
  }));
  app.get(`${base}/flavors/:id`, async (request, reply) => {
    const { id } = request.params as { id: string };
    if (!state.flavors.has(id)) return refuse(reply, 404, 'itemNotFound', `Flavor ${id} could not be found.`);
    return { flavor: { id, name: id } };
  });
  app.get(`${base}/servers/detail`, async (request) => {
    const pattern = new RegExp((request.query as { name: string }).name);
    return { servers: [...state.servers.values()].filter((server) => pattern.test(String(server['name']))) };
  });
  app.post(`${base}/servers`, async (request, reply) => {
    const { server } = request.body as {
      server: Record<string, unknown> & { flavorRef: string; networks: { port: string }[] };
    };
    if (!state.flavors.has(server.flavorRef)) {
      return refuse(reply, 400, 'badRequest', `Flavor ${server.flavorRef} could not be found.`);
    }
    const id = randomUUID();
    for (const { port } of server.networks)
      Object.assign(state.ports.get(port) ?? {}, { device_id: id, status: 'ACTIVE' });
    const row: Row = { ...server, id, status: 'ACTIVE', 'OS-EXT-AZ:availability_zone': 'nova' };
    state.servers.set(id, row);
    return reply.code(202).send({ server: { id, links: [] } });
  });
  app.get(`${base}/servers/:id`, async (request, reply) => {
    const { id } = request.params as { id: string };
    const server = state.servers.get(id);
    return server === undefined
      ? refuse(reply, 404, 'itemNotFound', `Instance ${id} could not be found.`)
      : { server };
  });
  app.get(`${base}/servers/:id/os-interface`, async (request, reply) => {
    const { id } = request.params as { id: string };
    const server = state.servers.get(id) as (Row & { networks: { port: string }[] }) | undefined;
    if (server === undefined) return refuse(reply, 404, 'itemNotFound', 'Instance could not be found.');
    return {
      interfaceAttachments: server.networks.map(({ port: portId }) => {
        const port = state.ports.get(portId);
        return {
          port_id: portId,
          net_id: port?.['network_id'],
          mac_addr: port?.['mac_address'],
          fixed_ips: port?.['fixed_ips'],
          port_state: 'ACTIVE',
        };
      }),
    };
  });
  app.post(`${base}/servers/:id/os-interface`, async (request, reply) => {
    const { id } = request.params as { id: string };
    const { interfaceAttachment } = request.body as { interfaceAttachment: { port_id: string } };
    const server = state.servers.get(id) as (Row & { networks: { port: string }[] }) | undefined;
    const port = state.ports.get(interfaceAttachment.port_id);
    if (server === undefined) return refuse(reply, 404, 'itemNotFound', 'Instance could not be found.');
    if (port === undefined || port['device_id'] !== '') {
      return refuse(reply, 400, 'badRequest', `Port ${interfaceAttachment.port_id} is still in use.`);
    }
    port['device_id'] = id;
    server.networks.push({ port: port.id });
    return { interfaceAttachment: { port_id: port.id } };
  });
  app.delete(`${base}/servers/:id`, async (request, reply) => {
    const { id } = request.params as { id: string };
    if (!state.servers.delete(id)) return refuse(reply, 404, 'itemNotFound', 'Instance could not be found.');
    return reply.code(204).send();
  });
}
