import { createHash, generateKeyPair } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { promisify } from 'node:util';
import Type from 'typebox';
import { isAdmin, requireMember } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import { one, page, type Query } from '../lists.ts';
import type { Collection } from '../records.ts';
import { badRequest, conflict, forbidden, notFound } from '../refusal.ts';
import { minorOf } from './microversion.ts';

/** A user's public key; the id is `user id:name`. */
export interface Keypair {
  readonly id: string;
  readonly name: string;
  readonly user_id: string;
  readonly public_key: string;
  /** MD5 of the key, as ssh-keygen shows it with `-E md5`. */
  readonly fingerprint: string;
  readonly created_at: string;
}

const Create = Type.Object({
  keypair: Type.Object({
    name: Type.String({ minLength: 1, maxLength: 255 }),
    public_key: Type.Optional(Type.String({ minLength: 1 })),
    type: Type.Optional(Type.Literal('ssh')),
    user_id: Type.Optional(Type.String()),
  }),
});

export function keypairId(userId: string, name: string): string {
  return `${userId}:${name}`;
}

export function keypairRoutes(app: FastifyInstance, keypairs: Collection<Keypair>, now: () => Date): void {
  const view = (keypair: Keypair, minor: number) => ({
    name: keypair.name,
    public_key: keypair.public_key,
    fingerprint: keypair.fingerprint,
    ...(minor >= 2 && { type: 'ssh' }),
  });
  const userOf = (request: FastifyRequest, wished: string | undefined): string => {
    const caller = callerOf(request);
    if (wished !== undefined && wished !== caller.userId && !isAdmin(caller)) throw forbidden();
    return wished ?? caller.userId;
  };
  const find = (request: FastifyRequest): Keypair => {
    const name = param(request, 'name');
    const user = userOf(request, one(request.query as Query, 'user_id'));
    const keypair = keypairs.get(keypairId(user, name));
    if (keypair === undefined) throw notFound(`Keypair ${name} not found for user ${user}`);
    return keypair;
  };

  app.get<{ Querystring: Query }>('/os-keypairs', async (request) => {
    const user = userOf(request, one(request.query, 'user_id'));
    const own = keypairs.all().filter((each) => each.user_id === user);
    const marker = one(request.query, 'marker');
    const cut = page(own, { ...request.query, marker: marker && keypairId(user, marker) });
    return { keypairs: cut.items.map((each) => ({ keypair: view(each, minorOf(request)) })) };
  });

  app.get('/os-keypairs/:name', async (request) => {
    const keypair = find(request);
    return {
      keypair: {
        ...view(keypair, minorOf(request)),
        user_id: keypair.user_id,
        created_at: keypair.created_at,
        deleted: false,
        deleted_at: null,
        updated_at: null,
        id: 0,
      },
    };
  });

  app.post('/os-keypairs', async (request, reply) => {
    requireMember(callerOf(request));
    const wish = read(Create, request.body).keypair;
    const minor = minorOf(request);
    const user_id = userOf(request, wish.user_id);
    const id = keypairId(user_id, wish.name);
    if (!/^[\w .@()+-]+$/.test(wish.name)) throw badRequest('Keypair name contains unsafe characters');
    if (wish.public_key === undefined && minor >= 92) throw badRequest("'public_key' is a required property");
    const generated = wish.public_key === undefined ? await generate() : undefined;
    const public_key = wish.public_key ?? generated?.publicKey ?? '';
    const fingerprint = fingerprintOf(public_key);
    if (keypairs.get(id)) throw conflict(`Key pair '${wish.name}' already exists.`);
    const made = keypairs.put({
      id,
      name: wish.name,
      user_id,
      public_key,
      fingerprint,
      created_at: now().toISOString().slice(0, 23),
    });
    return reply.code(minor >= 2 ? 201 : 200).send({
      keypair: { ...view(made, minor), user_id, ...(generated && { private_key: generated.privateKey }) },
    });
  });

  app.delete('/os-keypairs/:name', async (request, reply) => {
    keypairs.remove(find(request).id);
    return reply.code(minorOf(request) >= 2 ? 204 : 202).send();
  });
}

function fingerprintOf(publicKey: string): string {
  const [type = '', body = ''] = publicKey.trim().split(/\s+/);
  const bytes = Buffer.from(body, 'base64');
  // The key names its own type, behind its length.
  if (type === '' || bytes.length < 16 || bytes.toString('latin1', 4, 4 + type.length) !== type) {
    throw badRequest('Keypair data is invalid: failed to generate fingerprint');
  }
  const md5 = createHash('md5').update(bytes).digest('hex');
  return md5.replaceAll(/..(?=.)/g, '$&:');
}

async function generate(): Promise<{ publicKey: string; privateKey: string }> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
  const body = Buffer.concat([
    field(Buffer.from('ssh-rsa')),
    field(positiveInteger(Buffer.from(e, 'base64url'))),
    field(positiveInteger(Buffer.from(n, 'base64url'))),
  ]);
  return {
    publicKey: `ssh-rsa ${body.toString('base64')} Generated-by-Nova`,
    privateKey: privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
  };
}

function field(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** A number whose first bit is set would be read as negative. */
function positiveInteger(bytes: Buffer): Buffer {
  return (bytes[0] ?? 0) >= 128 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes;
}
