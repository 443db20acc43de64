import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { type Caller, isAdmin, isMember } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import type { Collection } from '../records.ts';
import { forbidden } from '../refusal.ts';

/** Who else may read, and whether the project at large may. */
interface Acl {
  readonly users: readonly string[];
  readonly project_access: boolean;
  readonly created: string;
  readonly updated: string;
}

/** What secrets and containers have in common. */
export interface Held {
  readonly id: string;
  readonly project_id: string;
  readonly creator_id: string;
  readonly acl?: Acl;
  readonly consumers: readonly Consumer[];
}

/** Who uses it: `name` and `URL` for containers, service and resource for secrets. */
type Consumer = Readonly<Record<string, string>>;

/** Admins, the creator, users of the access list, and members of the project unless the list shuts them out. */
export function mayRead(caller: Caller, held: Held): boolean {
  if (isAdmin(caller) || held.acl?.users.includes(caller.userId) === true) return true;
  if (caller.projectId !== held.project_id || !isMember(caller)) return false;
  return held.acl?.project_access !== false || held.creator_id === caller.userId;
}

function mayChange(caller: Caller, held: Held): boolean {
  if (isAdmin(caller)) return true;
  if (caller.projectId !== held.project_id || !isMember(caller)) return false;
  return held.acl?.project_access !== false || held.creator_id === caller.userId;
}

export function requireRead(caller: Caller, held: Held): void {
  if (!mayRead(caller, held))
    throw forbidden('Secret retrieval attempt not allowed - please review your privileges.');
}

export function requireChange(caller: Caller, held: Held): void {
  if (!mayChange(caller, held))
    throw forbidden('Change attempt not allowed - please review your privileges.');
}

const AclBody = Type.Object({
  read: Type.Optional(
    Type.Object({
      users: Type.Optional(Type.Array(Type.String())),
      'project-access': Type.Optional(Type.Boolean()),
    }),
  ),
});

export interface Shelf<T extends Held> {
  /** `secrets` or `containers`. */
  readonly path: string;
  readonly collection: Collection<T>;
  readonly find: (id: string) => T;
  readonly hrefOf: (id: string) => string;
  readonly time: () => string;
}

/** `/{secrets,containers}/{id}/acl` */
export function aclRoutes<T extends Held>(app: FastifyInstance, shelf: Shelf<T>): void {
  const path = `/${shelf.path}/:id/acl`;
  const owned = (request: FastifyRequest) => {
    const held = shelf.find(param(request, 'id'));
    requireChange(callerOf(request), held);
    return held;
  };

  app.get(path, async (request) => {
    const { acl } = owned(request);
    if (acl === undefined) return { read: { 'project-access': true } };
    const { project_access, ...rest } = acl;
    return { read: { ...rest, 'project-access': project_access } };
  });
  app.put(path, async (request) => write(request, false));
  app.patch(path, async (request) => write(request, true));
  app.delete(path, async (request, reply) => {
    const { acl: _, ...rest } = owned(request);
    shelf.collection.put(rest as unknown as T);
    return reply.code(200).send();
  });

  function write(request: FastifyRequest, keepRest: boolean): object {
    const held = owned(request);
    const wish = read(AclBody, request.body).read ?? {};
    const before = keepRest ? held.acl : undefined;
    const acl: Acl = {
      users: wish.users ?? before?.users ?? [],
      project_access: wish['project-access'] ?? before?.project_access ?? true,
      created: held.acl?.created ?? shelf.time(),
      updated: shelf.time(),
    };
    shelf.collection.put({ ...held, acl });
    return { acl_ref: `${shelf.hrefOf(held.id)}/acl` };
  }
}

/** `/{secrets,containers}/{id}/consumers`; `fields` say which consumer is which. */
export function consumerRoutes<T extends Held>(
  app: FastifyInstance,
  shelf: Shelf<T>,
  fields: readonly string[],
  view: (held: T, request: FastifyRequest) => object,
): void {
  const path = `/${shelf.path}/:id/consumers`;
  const Body = Type.Object(Object.fromEntries(fields.map((field) => [field, Type.String({ minLength: 1 })])));
  const same = (left: Consumer, right: Consumer) => fields.every((field) => left[field] === right[field]);

  app.get(path, async (request) => {
    const held = shelf.find(param(request, 'id'));
    requireRead(callerOf(request), held);
    return { consumers: held.consumers, total: held.consumers.length };
  });
  app.post(path, async (request) => {
    const held = shelf.find(param(request, 'id'));
    requireRead(callerOf(request), held);
    const wish = read(Body, request.body) as Consumer;
    const consumer = Object.fromEntries(fields.map((field) => [field, wish[field] ?? '']));
    const others = held.consumers.filter((each) => !same(each, consumer));
    const now = shelf.time();
    const changed = {
      ...held,
      consumers: [...others, { ...consumer, status: 'ACTIVE', created: now, updated: now }],
    };
    return view(shelf.collection.put(changed), request);
  });
  app.delete(path, async (request) => {
    const held = shelf.find(param(request, 'id'));
    requireRead(callerOf(request), held);
    const wish = read(Body, request.body) as Consumer;
    const consumers = held.consumers.filter((each) => !same(each, wish));
    return view(shelf.collection.put({ ...held, consumers }), request);
  });
}
