import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { owns, projectFor, requireAdmin, requireMember } from '../caller.ts';
import { callerOf, type Door, type ErrorBody, guard, param, read, speak, titles } from '../http.ts';
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
import { badRequest, conflict, forbidden, notFound } from '../refusal.ts';
import type { Image, Images } from './images.ts';
import { containerFormats, diskFormats, schemaRoutes } from './schemas.ts';

const errorBody: ErrorBody = ({ status, message }) => ({
  message,
  code: `${status} ${titles[status] ?? 'Error'}`,
  title: titles[status] ?? 'Error',
});

/** Boot scripts are small; whoever sends a disk learns here that it could not be booted. */
const maxBytes = 64 * 1024 * 1024;

const words = (all: readonly string[]) => Type.Union(all.map((word) => Type.Literal(word)));
const Visibility = words(['public', 'private', 'shared', 'community']);
const Nullable = <T extends Type.TSchema>(type: T) => Type.Union([type, Type.Null()]);
const Base = Type.Object({
  name: Type.Optional(Nullable(Type.String({ maxLength: 255 }))),
  visibility: Type.Optional(Visibility),
  protected: Type.Optional(Type.Boolean()),
  os_hidden: Type.Optional(Type.Boolean()),
  container_format: Type.Optional(Nullable(words(containerFormats))),
  disk_format: Type.Optional(Nullable(words(diskFormats))),
  min_ram: Type.Optional(Type.Integer({ minimum: 0 })),
  min_disk: Type.Optional(Type.Integer({ minimum: 0 })),
  tags: Type.Optional(Type.Array(Type.String({ maxLength: 255 }))),
  owner: Type.Optional(Nullable(Type.String())),
});
const Create = Type.Object({
  ...Base.properties,
  id: Type.Optional(Type.String({ pattern: '^[0-9a-f-]{36}$' })),
});
const Patch = Type.Array(
  Type.Object({
    op: Type.Union([Type.Literal('add'), Type.Literal('replace'), Type.Literal('remove')]),
    path: Type.String({ pattern: '^/[^/]+$' }),
    value: Type.Optional(Type.Unknown()),
  }),
);
/** As media type `…-v2.0-json-patch` has it: the operation is the key of the path. */
const OldPatch = Type.Array(Type.Record(Type.String(), Type.Unknown()));
const known = new Set(Object.keys(Base.properties));
const fixed = new Set([
  'id',
  'status',
  'size',
  'checksum',
  'created_at',
  'updated_at',
  'os_hash_value',
  'file',
  'self',
]);

/** Glance v2, to be registered under its own prefix. */
export function image(app: FastifyInstance, images: Images, door: Door, publicUrl: string): void {
  speak(app, errorBody, door.log);
  const versions = {
    versions: [
      { id: 'v2.15', status: 'CURRENT', links: [{ rel: 'self', href: `${publicUrl}/v2/` }] },
      { id: 'v2.0', status: 'SUPPORTED', links: [{ rel: 'self', href: `${publicUrl}/v2/` }] },
    ],
  };
  app.get('/', async (_request, reply) => reply.code(300).send(versions));
  app.get('/versions', async () => versions);

  app.register(
    async (v2) => {
      guard(v2, door);
      imageRoutes(v2, images);
      schemaRoutes(v2);
    },
    { prefix: '/v2' },
  );
}

function imageRoutes(app: FastifyInstance, images: Images): void {
  app.removeContentTypeParser('*');
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: maxBytes }, (request, body, done) => {
    const type = request.headers['content-type'] ?? '';
    if (!/^application\/openstack-images-v2\.[01]-json-patch/.test(type)) return done(null, body);
    try {
      done(null, JSON.parse(String(body)));
    } catch {
      done(badRequest('The request body is not valid JSON.'));
    }
  });

  app.get<{ Querystring: Query }>('/images', async (request) => {
    const { query } = request;
    const caller = callerOf(request);
    const hidden = flag(query, 'os_hidden') ?? false;
    const found = images.collection
      .all()
      .filter((each) => images.sees(caller, each) && each.os_hidden === hidden)
      .filter((each) => visible(each, one(query, 'visibility'), caller.projectId))
      .filter((each) => many(query, 'tag').every((tag) => each.tags.includes(tag)))
      .filter(
        ({ size }) =>
          (size ?? 0) >= (count(query, 'size_min') ?? 0) &&
          (size ?? 0) <= (count(query, 'size_max') ?? Infinity),
      )
      .filter((each) =>
        [
          'id',
          'name',
          'status',
          'owner',
          'container_format',
          'disk_format',
          'checksum',
          'protected',
          'size',
        ].every((key) => matches(Reflect.get(each, key), anyOf(many(query, key)))),
      );
    // Same second, same time: the later record is the newer.
    const cut = page(sorted(found.toReversed(), sortKeys(query)), {
      ...query,
      limit: String(Math.min(count(query, 'limit') ?? 25, 1000)),
    });
    return {
      images: cut.items.map(imageView),
      first: '/v2/images',
      schema: '/v2/schemas/images',
      ...(cut.next !== undefined && { next: nextLink('/v2/images', query, cut.next) }),
    };
  });

  app.get('/images/:id', async (request) => imageView(find(request)));

  app.post('/images', async (request, reply) => {
    const caller = callerOf(request);
    requireMember(caller);
    const body = read(Type.Object({}), request.body) as Record<string, unknown>;
    const { owner, id, ...wish } = read(
      Create,
      pick(body, (key) => known.has(key) || key === 'id'),
    );
    if (wish.visibility === 'public') requireAdmin(caller);
    if (id !== undefined && images.collection.get(id)) throw conflict(`Image ID ${id} already exists!`);
    const strange = pick(body, (key) => !known.has(key) && !fixed.has(key));
    const properties = Object.fromEntries(
      Object.entries(strange).map(([key, value]) => [key, String(value)]),
    );
    const made = images.create({
      ...(wish as Partial<Image>),
      ...(id !== undefined && { id }),
      tags: [...new Set(wish.tags)],
      owner: projectFor(caller, owner ?? undefined),
      properties,
    });
    return reply.code(201).header('location', imageView(made).self).send(imageView(made));
  });

  app.patch('/images/:id', async (request) => {
    const before = own(request);
    const old = request.headers['content-type']?.includes('v2.0') === true;
    const patch = read(Patch, old ? modern(read(OldPatch, request.body)) : request.body);
    const { properties, ...base } = before;
    const next: Record<string, unknown> = { ...base };
    const extra: Record<string, string> = { ...properties };
    for (const { op, path, value } of patch) {
      const key = path.slice(1).replaceAll('~1', '/').replaceAll('~0', '~');
      if (fixed.has(key)) throw forbidden(`Attribute '${key}' is read-only.`);
      if (known.has(key)) {
        if (op === 'remove') throw forbidden(`Property ${key} may not be removed.`);
        next[key] = value;
      } else if (op === 'remove') delete extra[key];
      else extra[key] = String(value);
    }
    const checked = read(
      Base,
      pick(next, (key) => known.has(key)),
    );
    if (checked.visibility === 'public' && before.visibility !== 'public') requireAdmin(callerOf(request));
    if (checked.owner !== before.owner) requireAdmin(callerOf(request));
    return imageView(images.change(before, { ...(checked as Partial<Image>), properties: extra }));
  });

  app.delete('/images/:id', async (request, reply) => {
    const image = own(request);
    if (image.protected) throw forbidden(`Image ${image.id} is protected and cannot be deleted.`);
    await images.remove(image.id);
    return reply.code(204).send();
  });

  app.put('/images/:id/file', { bodyLimit: maxBytes }, async (request, reply) => {
    const image = own(request);
    if (image.status !== 'queued')
      throw conflict(`Image status transition from ${image.status} to saving is not allowed`);
    if (image.container_format === null || image.disk_format === null) {
      throw badRequest('Properties disk_format, container_format must be set prior to saving data.');
    }
    await images.store(image, Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0));
    return reply.code(204).send();
  });

  app.get('/images/:id/file', async (request, reply) => {
    const image = find(request);
    if (image.status !== 'active') return reply.code(204).send();
    if (image.checksum !== null) reply.header('content-md5', image.checksum);
    return reply.type('application/octet-stream').send(await images.data(image.id));
  });

  app.put('/images/:id/tags/:tag', async (request, reply) => {
    const image = own(request);
    images.change(image, { tags: [...new Set([...image.tags, param(request, 'tag')])] });
    return reply.code(204).send();
  });
  app.delete('/images/:id/tags/:tag', async (request, reply) => {
    const image = own(request);
    const tag = param(request, 'tag');
    if (!image.tags.includes(tag)) throw notFound(`Could not find tag ${tag}.`);
    images.change(image, { tags: image.tags.filter((each) => each !== tag) });
    return reply.code(204).send();
  });

  function find(request: FastifyRequest): Image {
    const id = param(request, 'id');
    const image = images.collection.get(id);
    if (image === undefined || !images.sees(callerOf(request), image)) {
      throw notFound(`No image found with ID ${id}`);
    }
    return image;
  }

  function own(request: FastifyRequest): Image {
    const image = find(request);
    requireMember(callerOf(request));
    if (!owns(callerOf(request), image.owner))
      throw forbidden('You are not authorized to change this image.');
    return image;
  }
}

function modern(patch: readonly Record<string, unknown>[]): object[] {
  return patch.map(({ value, ...rest }) => {
    const [[op, path] = []] = Object.entries(rest);
    return { op, path, ...(value !== undefined && { value }) };
  });
}

function visible(image: Image, wanted: string | undefined, projectId: string | null): boolean {
  if (wanted === 'all') return true;
  if (wanted !== undefined) return image.visibility === wanted;
  return image.visibility !== 'community' || image.owner === projectId;
}

/** `in:a,b` is any of them. */
function anyOf(values: readonly string[]): string[] {
  return values.flatMap((value) => (value.startsWith('in:') ? value.slice(3).split(',') : [value]));
}

function sortKeys(query: Query): SortKey[] {
  const direction = (word: string | undefined) => (word === 'asc' ? 'asc' : 'desc');
  const together = one(query, 'sort');
  if (together !== undefined) {
    return together.split(',').map((each) => [each.split(':')[0] ?? '', direction(each.split(':')[1])]);
  }
  const keys = many(query, 'sort_key');
  if (keys.length === 0) return [['created_at', direction(one(query, 'sort_dir'))]];
  return keys.map((key, index) => [key, direction(many(query, 'sort_dir')[index] ?? one(query, 'sort_dir'))]);
}

function imageView({ properties, ...image }: Image) {
  return {
    ...properties,
    ...image,
    virtual_size: null,
    os_hash_algo: image.os_hash_value === null ? null : 'sha512',
    self: `/v2/images/${image.id}`,
    file: `/v2/images/${image.id}/file`,
    schema: '/v2/schemas/image',
  };
}

function pick(
  body: Readonly<Record<string, unknown>>,
  wanted: (key: string) => boolean,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(body).filter(([key]) => wanted(key)));
}
