import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { type Caller, isAdmin, requireAdmin } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import { count, flag, nextLink, one, page, type Query, sorted } from '../lists.ts';
import type { Collection } from '../records.ts';
import { badRequest, conflict, notFound } from '../refusal.ts';
import { minorOf } from './microversion.ts';

export interface Flavor {
  readonly id: string;
  readonly name: string;
  /** MiB. */
  readonly ram: number;
  readonly vcpus: number;
  /** GiB, for show: instances write to memory alone. */
  readonly disk: number;
  readonly ephemeral: number;
  /** MiB. */
  readonly swap: number;
  readonly rxtx_factor: number;
  readonly is_public: boolean;
  readonly description: string | null;
  readonly extra_specs: Readonly<Record<string, string>>;
  /** Projects that may use it when it is not public. */
  readonly access: readonly string[];
}

const size = (minimum: number) =>
  Type.Union([Type.Integer({ minimum }), Type.String({ pattern: '^[0-9]+$' })]);
const Create = Type.Object({
  flavor: Type.Object({
    name: Type.String({ minLength: 1, maxLength: 255 }),
    id: Type.Optional(Type.Union([Type.String({ maxLength: 255 }), Type.Integer(), Type.Null()])),
    ram: size(1),
    vcpus: size(1),
    disk: size(0),
    'OS-FLV-EXT-DATA:ephemeral': Type.Optional(size(0)),
    swap: Type.Optional(size(0)),
    rxtx_factor: Type.Optional(Type.Union([Type.Number({ exclusiveMinimum: 0 }), Type.String()])),
    'os-flavor-access:is_public': Type.Optional(
      Type.Union([
        Type.Boolean(),
        Type.String({
          pattern:
            '^([tT]|[tT]rue|TRUE|[yY]|[yY]es|YES|[oO]n|ON|1|[fF]|[fF]alse|FALSE|[nN]|[nN]o|NO|[oO]ff|OFF|0)$',
        }),
      ]),
    ),
    description: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  }),
});
const Describe = Type.Object({
  flavor: Type.Object({ description: Type.Union([Type.String(), Type.Null()]) }),
});
const Spec = Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()]));
const Specs = Type.Object({ extra_specs: Spec });
const Access = Type.Object({ tenant: Type.String() });
const Action = Type.Object({
  addTenantAccess: Type.Optional(Access),
  removeTenantAccess: Type.Optional(Access),
});

export function flavorRoutes(app: FastifyInstance, flavors: Collection<Flavor>, base: string): void {
  const find = (request: FastifyRequest): Flavor => {
    const id = param(request, 'id');
    const flavor = flavors.get(id);
    if (flavor === undefined || !mayUse(callerOf(request), flavor))
      throw notFound(`Flavor ${id} could not be found.`);
    return flavor;
  };

  const list = (request: FastifyRequest, view: (flavor: Flavor) => object): object => {
    const query = request.query as Query;
    const caller = callerOf(request);
    const all = one(query, 'is_public')?.toLowerCase() === 'none';
    const wanted = all ? undefined : (flag(query, 'is_public') ?? true);
    const shown = flavors
      .all()
      .filter((flavor) => mayUse(caller, flavor))
      .filter((flavor) => wanted === undefined || !isAdmin(caller) || flavor.is_public === wanted)
      .filter(
        (flavor) =>
          flavor.ram >= (count(query, 'minRam') ?? 0) && flavor.disk >= (count(query, 'minDisk') ?? 0),
      );
    const key = one(query, 'sort_key') ?? 'flavorid';
    const direction = one(query, 'sort_dir') === 'desc' ? 'desc' : 'asc';
    const cut = page(sorted(shown, [[key === 'flavorid' ? 'id' : key, direction]]), query);
    return {
      flavors: cut.items.map(view),
      ...(cut.next !== undefined && {
        flavors_links: [{ rel: 'next', href: nextLink(`${base}/flavors`, query, cut.next) }],
      }),
    };
  };
  app.get('/flavors', async (request) =>
    list(request, (flavor) => ({
      id: flavor.id,
      name: flavor.name,
      ...(minorOf(request) >= 55 && { description: flavor.description }),
      links: linksOf(flavor, base),
    })),
  );
  app.get('/flavors/detail', async (request) =>
    list(request, (flavor) => flavorView(flavor, minorOf(request), base)),
  );
  app.get('/flavors/:id', async (request) => ({ flavor: flavorView(find(request), minorOf(request), base) }));

  app.post('/flavors', async (request) => {
    requireAdmin(callerOf(request));
    const wish = read(Create, request.body).flavor;
    const id = wish.id == null || wish.id === 'auto' ? randomUUID() : String(wish.id);
    if (!/^[A-Za-z0-9_.-][A-Za-z0-9_. -]*$/.test(id)) throw badRequest(`Invalid flavor id '${id}'.`);
    if (flavors.get(id)) throw conflict(`Flavor with ID ${id} already exists.`);
    if (flavors.all().some((each) => each.name === wish.name)) {
      throw conflict(`Flavor with name ${wish.name} already exists.`);
    }
    const rxtx_factor = Number(wish.rxtx_factor ?? 1);
    if (!(rxtx_factor > 0)) throw badRequest(`Invalid input for rxtx_factor: '${wish.rxtx_factor}'.`);
    const flavor = flavors.put({
      id,
      name: wish.name,
      ram: positive('ram', wish.ram),
      vcpus: positive('vcpus', wish.vcpus),
      disk: Number(wish.disk),
      ephemeral: Number(wish['OS-FLV-EXT-DATA:ephemeral'] ?? 0),
      swap: Number(wish.swap ?? 0),
      rxtx_factor,
      is_public: /^(t|y|on|1)/i.test(String(wish['os-flavor-access:is_public'] ?? true)),
      description: wish.description ?? null,
      extra_specs: {},
      access: [],
    });
    return { flavor: flavorView(flavor, minorOf(request), base) };
  });

  app.put('/flavors/:id', async (request) => {
    requireAdmin(callerOf(request));
    const { description } = read(Describe, request.body).flavor;
    return { flavor: flavorView(flavors.put({ ...find(request), description }), minorOf(request), base) };
  });

  app.delete('/flavors/:id', async (request, reply) => {
    requireAdmin(callerOf(request));
    flavors.remove(find(request).id);
    return reply.code(202).send();
  });

  app.get('/flavors/:id/os-extra_specs', async (request) => ({ extra_specs: find(request).extra_specs }));
  app.post('/flavors/:id/os-extra_specs', async (request) => {
    requireAdmin(callerOf(request));
    const flavor = find(request);
    const added = Object.entries(read(Specs, request.body).extra_specs).map(([key, value]) => [
      key,
      String(value),
    ]);
    const extra_specs = Object.fromEntries(added) as Record<string, string>;
    flavors.put({ ...flavor, extra_specs: { ...flavor.extra_specs, ...extra_specs } });
    return { extra_specs };
  });
  const spec = (flavor: Flavor, key: string): Record<string, string> => {
    const value = flavor.extra_specs[key];
    if (value === undefined) throw notFound(`Flavor ${flavor.id} has no extra specs with key ${key}.`);
    return { [key]: value };
  };
  app.get('/flavors/:id/os-extra_specs/:key', async (request) => spec(find(request), param(request, 'key')));
  app.put('/flavors/:id/os-extra_specs/:key', async (request) => {
    requireAdmin(callerOf(request));
    const flavor = find(request);
    const key = param(request, 'key');
    const wish = read(Spec, request.body);
    if (Object.keys(wish).length !== 1 || wish[key] === undefined)
      throw badRequest('Request body and URI mismatch');
    return spec(
      flavors.put({ ...flavor, extra_specs: { ...flavor.extra_specs, [key]: String(wish[key]) } }),
      key,
    );
  });
  app.delete('/flavors/:id/os-extra_specs/:key', async (request, reply) => {
    requireAdmin(callerOf(request));
    const flavor = find(request);
    const key = param(request, 'key');
    spec(flavor, key);
    const { [key]: _, ...extra_specs } = flavor.extra_specs;
    flavors.put({ ...flavor, extra_specs });
    return reply.code(200).send();
  });

  const accessOf = (flavor: Flavor) => ({
    flavor_access: flavor.access.map((tenant_id) => ({ flavor_id: flavor.id, tenant_id })),
  });
  app.get('/flavors/:id/os-flavor-access', async (request) => {
    requireAdmin(callerOf(request));
    const flavor = find(request);
    if (flavor.is_public) throw notFound('Access list not available for public flavors.');
    return accessOf(flavor);
  });
  app.post('/flavors/:id/action', async (request) => {
    requireAdmin(callerOf(request));
    const flavor = find(request);
    const { addTenantAccess: add, removeTenantAccess: remove } = read(Action, request.body);
    const rest = flavor.access.filter((each) => each !== remove?.tenant && each !== add?.tenant);
    if (add === undefined && remove === undefined) throw badRequest('There is no such resource action.');
    return accessOf(flavors.put({ ...flavor, access: add === undefined ? rest : [...rest, add.tenant] }));
  });
}

export function mayUse(caller: Caller, flavor: Flavor): boolean {
  return isAdmin(caller) || flavor.is_public || flavor.access.includes(caller.projectId ?? '');
}

function positive(name: string, value: number | string): number {
  const number = Number(value);
  if (number < 1)
    throw badRequest(
      `Invalid input for field/attribute ${name}. Value: ${value}. ${value} is less than the minimum of 1`,
    );
  return number;
}

function linksOf(flavor: Flavor, base: string): object[] {
  return [{ rel: 'self', href: `${base}/flavors/${flavor.id}` }];
}

function flavorView(flavor: Flavor, minor: number, base: string): object {
  return {
    id: flavor.id,
    name: flavor.name,
    ram: flavor.ram,
    vcpus: flavor.vcpus,
    disk: flavor.disk,
    swap: flavor.swap, // before 2.75 Nova says "" for 0, which clients have to make a 0 of
    'OS-FLV-EXT-DATA:ephemeral': flavor.ephemeral,
    'OS-FLV-DISABLED:disabled': false,
    'os-flavor-access:is_public': flavor.is_public,
    rxtx_factor: flavor.rxtx_factor,
    links: linksOf(flavor, base),
    ...(minor >= 55 && { description: flavor.description }),
    ...(minor >= 61 && { extra_specs: flavor.extra_specs }),
  };
}
