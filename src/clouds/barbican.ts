import Type from 'typebox';
import { CertificateError } from '../pki/certificate-error.ts';
import { keyedCertificateOfPem } from '../pki/chain.ts';
import { readPkcs12 } from '../pki/pkcs12.ts';
import type { CertificateBundle, Secrets } from './clouds.ts';
import { DriverError } from './errors.ts';
import { at, isStatus, type Session } from './session.ts';

/** What a reference names in our key manager. */
interface Entity {
  readonly kind: 'secrets' | 'containers';
  readonly id: string;
}

const SecretBody = Type.Object({
  content_types: Type.Optional(
    Type.Union([Type.Object({ default: Type.Optional(Type.String()) }), Type.Null()]),
  ),
});
const ContainerBody = Type.Object({
  type: Type.String(),
  secret_refs: Type.Array(
    Type.Object({
      name: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      secret_ref: Type.String(),
    }),
  ),
});
const Acl = Type.Object({
  read: Type.Optional(
    Type.Object({
      users: Type.Optional(Type.Array(Type.String())),
      'project-access': Type.Optional(Type.Boolean()),
    }),
  ),
});

/**
 * A reference is opaque to users, and its host may be another name of our key manager: only its last two path segments
 * count, looked up at our own endpoint. So no token ever goes to a host that a user named.
 */
export function entityOf(ref: string): Entity | undefined {
  const uuid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
  const found = new RegExp(`(?:^|/)(secrets|containers)/(${uuid})/?$`, 'i').exec(ref);
  const [, kind, id] = found ?? [];
  if (id === undefined) return undefined;
  return { kind: kind?.toLowerCase() === 'secrets' ? 'secrets' : 'containers', id: id.toLowerCase() };
}

export function barbicanSecrets(session: Session): Secrets {
  async function payload(id: string, token: string | undefined): Promise<Buffer> {
    const path = at`/secrets/${id}`;
    const { content_types } = await session.read(SecretBody, 'key-manager', 'GET', path, { token });
    if (!content_types?.default) throw new CertificateError('holds nothing');
    const answer = await session.request('key-manager', 'GET', `${path}/payload`, {
      token,
      headers: { accept: content_types.default },
    });
    return answer.bytes;
  }

  /** Name → reference of the secrets of a certificate container. */
  async function membersOf(id: string, token: string | undefined): Promise<ReadonlyMap<string, Entity>> {
    const path = at`/containers/${id}`;
    const container = await session.read(ContainerBody, 'key-manager', 'GET', path, { token });
    if (container.type !== 'certificate') {
      throw new CertificateError(`is a container of type ${container.type}, not certificate`);
    }
    const members = container.secret_refs.map(({ name, secret_ref: ref }): [string, Entity] => {
      const entity = entityOf(ref);
      if (entity?.kind !== 'secrets') throw new CertificateError(`names ${ref}, which is no secret`);
      return [name ?? '', entity];
    });
    return new Map(members);
  }

  async function fromContainer(
    members: ReadonlyMap<string, Entity>,
    token: string | undefined,
  ): Promise<CertificateBundle> {
    const read = async (name: string): Promise<string | undefined> => {
      const member = members.get(name);
      return member && (await payload(member.id, token)).toString();
    };
    const [certificate, privateKey, intermediates, passphrase] = await Promise.all(
      ['certificate', 'private_key', 'intermediates', 'private_key_passphrase'].map(read),
    );
    if (certificate === undefined) throw new CertificateError('names no certificate');
    if (privateKey === undefined) throw new CertificateError('names no private key');
    return keyedCertificateOfPem({
      certificate,
      privateKey,
      ...(intermediates !== undefined && { intermediates }),
      ...(passphrase !== undefined && { passphrase }),
    });
  }

  /** With the caller's rights, lets Livia's own user read it from now on; who else may stays as it is. */
  async function share({ kind, id }: Entity, token: string): Promise<void> {
    const { userId } = await session.login();
    const entity = kind === 'secrets' ? at`/secrets/${id}` : at`/containers/${id}`;
    const path = `${entity}/acl`;
    try {
      const { read } = await session.read(Acl, 'key-manager', 'GET', path, { token });
      const users = read?.users ?? [];
      if (users.includes(userId)) return;
      const body = {
        read: { users: [...users, userId], 'project-access': read?.['project-access'] ?? true },
      };
      await session.request('key-manager', 'PUT', path, { token, body });
    } catch (error) {
      if (!isStatus(error, 403)) throw error;
      // Who may read it need not be who may share it. That is no matter when Livia may read it anyhow.
      if (!(await readableByLivia(entity))) {
        throw new CertificateError(
          'may be read by the caller but not by Livia, and not be shared by the caller',
        );
      }
    }
  }

  async function readableByLivia(entity: string): Promise<boolean> {
    try {
      return (await session.find(Type.Unknown(), 'key-manager', entity)) !== undefined;
    } catch (error) {
      if (isStatus(error, 403)) return false;
      throw error;
    }
  }

  return {
    certificate: (ref, token) =>
      sentenced(ref, async ({ kind, id }) => {
        if (kind === 'secrets') {
          const [bytes] = await Promise.all([payload(id, token), token && share({ kind, id }, token)]);
          return readPkcs12(bytes);
        }
        const members = await membersOf(id, token);
        const shared = token === undefined ? [] : [{ kind, id }, ...members.values()];
        const [bundle] = await Promise.all([
          fromContainer(members, token),
          ...shared.map((entity) => share(entity, token ?? '')),
        ]);
        return bundle;
      }),

    text: (ref, token) =>
      sentenced(ref, async ({ kind, id }) => {
        if (kind !== 'secrets') throw new CertificateError('is a container, not a secret');
        const [bytes] = await Promise.all([payload(id, token), token && share({ kind, id }, token)]);
        const text = bytes.toString();
        if (!text.includes('-----BEGIN ')) throw new CertificateError('holds no PEM text');
        return text;
      }),
  };
}

/** Runs `read` on what the reference names; what is wrong with it becomes a sentence that begins with the reference. */
async function sentenced<T>(ref: string, read: (entity: Entity) => Promise<T>): Promise<T> {
  const never = (words: string, cause?: unknown, status?: number): DriverError =>
    new DriverError(`${ref} ${words}`, { retry: 'never', cause, ...(status !== undefined && { status }) });
  const entity = entityOf(ref);
  if (entity === undefined) throw never('is no reference to a secret or container', undefined, 404);
  try {
    return await read(entity);
  } catch (error) {
    if (error instanceof CertificateError) throw never(error.message, error);
    if (isStatus(error, 404)) throw never('is not in the key manager, or no longer', error, 404);
    if (isStatus(error, 403)) throw never('may not be read', error, 403);
    throw error;
  }
}
