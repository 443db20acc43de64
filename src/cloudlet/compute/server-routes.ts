import { randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import Type from 'typebox';
import { type Caller, isAdmin, owns, requireMember } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import {
  count,
  flag,
  many,
  matches,
  nextLink,
  one,
  page,
  type Query,
  sorted,
  type SortKey,
} from '../lists.ts';
import { badRequest, conflict, notFound } from '../refusal.ts';
import { portsOf } from './cards.ts';
import type { Instances } from './instances.ts';
import { minorOf } from './microversion.ts';
import { changeServer, type Server } from './records.ts';
import { accessIps, CreateServer, createServer, type CreateParts } from './server-create.ts';
import { addresses, changedView, serverLinks, serverView, statusOf } from './server-view.ts';

export interface ServerParts extends CreateParts {
  readonly instances: Instances;
  readonly base: string;
  /** Where an instance's console goes: `<folder>/<server id>/console.log`. */
  readonly instancesFolder: string;
}

const Rename = Type.Object({
  server: Type.Object({
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    description: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    accessIPv4: Type.Optional(Type.String()),
    accessIPv6: Type.Optional(Type.String()),
  }),
});

export function serverRoutes(app: FastifyInstance, parts: ServerParts): void {
  const { nova, net, instances, base } = parts;
  const view = (request: FastifyRequest, server: Server) =>
    serverView(parts, server, callerOf(request), minorOf(request));

  app.post('/servers', async (request, reply) => {
    const caller = callerOf(request);
    const wish = read(CreateServer, request.body);
    if (minorOf(request) >= 37 && wish.server.networks === undefined)
      throw badRequest("'networks' is a required property");
    const server = nova.records.transaction(() => createServer(parts, caller, wish));
    instances.build(server.id);
    return reply
      .code(202)
      .header('location', `${base}/servers/${server.id}`)
      .send({
        server: {
          id: server.id,
          links: serverLinks(server, base),
          'OS-DCF:diskConfig': 'MANUAL',
          security_groups: server.security_groups.map((name) => ({ name })),
          adminPass: wish.server.adminPass ?? randomBytes(9).toString('base64url'),
        },
      });
  });

  const list = (request: FastifyRequest, show: (server: Server) => object): object => {
    const query = request.query as Query;
    if (count(query, 'limit') === 0) return { servers: [] };
    const found = nova.servers.all().filter((server) => isAsked(parts, server, callerOf(request), query));
    // Same second, same time: the later record is the newer.
    const cut = page(sorted(found.toReversed(), sortKeys(query)), query);
    return {
      servers: cut.items.map(show),
      ...(cut.next !== undefined && {
        servers_links: [{ rel: 'next', href: nextLink(`${base}/servers`, query, cut.next) }],
      }),
    };
  };
  app.get('/servers', async (request) =>
    list(request, (server) => ({ id: server.id, name: server.name, links: serverLinks(server, base) })),
  );
  app.get('/servers/detail', async (request) => list(request, (server) => view(request, server)));
  app.get('/servers/:id', async (request) => ({ server: view(request, find(request)) }));
  app.get('/servers/:id/ips', async (request) => ({ addresses: addresses(net, find(request)) }));

  app.get('/servers/:id/ips/:network', async (request) => {
    const name = param(request, 'network');
    const found = addresses(net, find(request))[name];
    if (found === undefined) throw notFound(`Network label ${name} is not found`);
    return { [name]: found };
  });

  app.put('/servers/:id', async (request) => {
    const server = own(request);
    const wish = read(Rename, request.body).server;
    const after = changeServer(nova, server.id, {
      name: wish.name ?? server.name,
      description: wish.description === undefined ? server.description : wish.description,
      access_ips: accessIps(wish, server.access_ips),
    });
    return { server: changedView(parts, after ?? server, callerOf(request), minorOf(request)) };
  });

  app.delete('/servers/:id', async (request, reply) => {
    const server = own(request);
    changeServer(nova, server.id, { task_state: 'deleting' });
    instances.remove(server.id);
    return reply.code(204).send();
  });

  app.post('/servers/:id/action', async (request, reply) => {
    const server = own(request);
    const body = read(Type.Object({}), request.body) as Record<string, unknown>;
    const [action = '', ...more] = Object.keys(body);
    const act = actions[action];
    if (act === undefined || more.length > 0) throw badRequest(`There is no such action: ${action}`);
    return act(server, body[action], reply);
  });

  type Act = (server: Server, options: unknown, reply: FastifyReply) => Promise<object>;
  const busy = (server: Server, verb: string) => {
    if (server.task_state !== null) {
      throw conflict(`Cannot '${verb}' instance ${server.id} while it is in task_state ${server.task_state}`);
    }
  };
  const power =
    (
      verb: 'stop' | 'start' | 'reboot',
      from: readonly Server['vm_state'][],
      task: Server['task_state'],
    ): Act =>
    async (server, _options, reply) => {
      busy(server, verb);
      if (!from.includes(server.vm_state)) {
        throw conflict(`Cannot '${verb}' instance ${server.id} while it is in vm_state ${server.vm_state}`);
      }
      changeServer(nova, server.id, { task_state: task });
      instances[verb](server.id);
      return reply.code(202).send();
    };
  const actions: Readonly<Record<string, Act>> = {
    'os-stop': power('stop', ['active', 'error'], 'powering-off'),
    'os-start': power('start', ['stopped'], 'powering-on'),
    reboot: power('reboot', ['active', 'stopped', 'error'], 'rebooting_hard'),
    'os-getConsoleOutput': async (server, options) => {
      const length = Number((options as { length?: unknown } | null)?.length ?? -1);
      return { output: lastLines(await console(server.id), length) };
    },
  };

  async function console(id: string): Promise<string> {
    try {
      return await readFile(join(parts.instancesFolder, id, 'console.log'), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''; // it has not run yet
      throw error;
    }
  }

  function find(request: FastifyRequest): Server {
    return findServer(parts, request);
  }
  function own(request: FastifyRequest): Server {
    requireMember(callerOf(request));
    return find(request);
  }
}

export function findServer({ nova }: Pick<ServerParts, 'nova'>, request: FastifyRequest): Server {
  const id = param(request, 'id');
  const server = nova.servers.get(id);
  if (server === undefined || !owns(callerOf(request), server.project_id)) {
    throw notFound(`Instance ${id} could not be found.`);
  }
  return server;
}

function lastLines(text: string, count: number): string {
  return count < 0
    ? text
    : text
        .split('\n')
        .slice(-count - 1)
        .join('\n');
}

/** Project and filters. Nova ignores filters it does not know. */
function isAsked({ net }: ServerParts, server: Server, caller: Caller, query: Query): boolean {
  const everywhere = isAdmin(caller) && (flag(query, 'all_tenants') ?? false);
  if (!everywhere && server.project_id !== caller.projectId) return false;
  if (flag(query, 'deleted') === true) return false; // what is deleted is gone
  const project = one(query, 'project_id') ?? one(query, 'tenant_id');
  const name = one(query, 'name');
  const ip = one(query, 'ip') ?? one(query, 'ip6');
  const statuses = many(query, 'status').map((status) => status.toUpperCase());
  return (
    (project === undefined || project === server.project_id) &&
    (name === undefined || pattern(name).test(server.name)) &&
    (ip === undefined ||
      portsOf(net, server).some((port) =>
        port.fixed_ips.some((each) => pattern(ip).test(each.ip_address)),
      )) &&
    matches(statusOf(server), statuses) &&
    matches(server.image_id, many(query, 'image')) &&
    matches(server.flavor.id, many(query, 'flavor')) &&
    matches(server.vm_state, many(query, 'vm_state')) &&
    matches(server.key_name, many(query, 'key_name')) &&
    matches(server.user_id, isAdmin(caller) ? many(query, 'user_id') : []) &&
    matches(server.id, many(query, 'uuid'))
  );
}

/** Nova takes names for regular expressions, found anywhere in the name. */
function pattern(text: string): RegExp {
  try {
    return new RegExp(text, 'i');
  } catch {
    throw badRequest(`Invalid filter: '${text}' is no regular expression.`);
  }
}

const sortable: Readonly<Record<string, string>> = {
  created_at: 'created_at',
  updated_at: 'updated_at',
  display_name: 'name',
  name: 'name',
  uuid: 'id',
  vm_state: 'vm_state',
  project_id: 'project_id',
};

function sortKeys(query: Query): SortKey[] {
  const keys = many(query, 'sort_key');
  if (keys.length === 0) return [['created_at', 'desc']];
  return keys.map((key, index) => {
    const field = sortable[key];
    if (field === undefined) throw badRequest(`Invalid input for query parameters sort_key. Value: ${key}.`);
    return [field, many(query, 'sort_dir')[index] === 'asc' ? 'asc' : 'desc'];
  });
}
