import { randomUUID } from 'node:crypto';
import Type, { type Static, type TSchema } from 'typebox';
import { cloudsContract } from '../../src/clouds/contract.fixture.ts';
import { openSession, type Session, type SessionOptions } from '../../src/clouds/session.ts';

/**
 * The clients against the OpenStack services whose administrator's credentials the environment names, as `openrc` files do.
 * Barbican's own policy asks for a role `creator`. What is made here is removed again.
 */
cloudsContract('OpenStack', async () => {
  const tag = `livia-${randomUUID().slice(0, 8)}`;
  const administrator: SessionOptions = {
    authUrl: given('OS_AUTH_URL'),
    username: given('OS_USERNAME'),
    password: given('OS_PASSWORD'),
    projectName: given('OS_PROJECT_NAME'),
    userDomainName: given('OS_USER_DOMAIN_NAME'),
    projectDomainName: given('OS_PROJECT_DOMAIN_NAME'),
    region: given('OS_REGION_NAME'),
    interface: 'public',
  };
  const admin = openSession(administrator);
  const undo: (() => Promise<unknown>)[] = [];

  /** Makes something that is removed at the end. */
  async function make<S extends TSchema>(
    schema: S,
    service: Parameters<Session['request']>[0],
    path: string,
    body: object,
    idOf: (made: Static<S>) => string,
  ): Promise<Static<S>> {
    const made = await admin.read(schema, service, 'POST', path, { body });
    undo.unshift(() => admin.request(service, 'DELETE', `${path}/${idOf(made)}`));
    return made;
  }

  async function user(name: string, roles: readonly string[]) {
    const [project, password] = [`${tag}-${name}`, randomUUID()];
    const { project: home } = await make(
      Type.Object({ project: Named }),
      'identity',
      '/projects',
      { project: { name: project, domain_id: 'default' } },
      (made) => made.project.id,
    );
    const { user: person } = await make(
      Type.Object({ user: Named }),
      'identity',
      '/users',
      { user: { name: project, domain_id: 'default', password } },
      (made) => made.user.id,
    );
    const known = await admin.read(Type.Object({ roles: Type.Array(Named) }), 'identity', 'GET', '/roles');
    for (const role of roles) {
      const id = known.roles.find((one) => one.name === role)?.id;
      if (id === undefined) throw new Error(`this cloud has no role ${role}`);
      await admin.request('identity', 'PUT', `/projects/${home.id}/users/${person.id}/roles/${id}`);
    }
    return {
      session: {
        ...administrator,
        ...{ username: person.name, password, projectName: home.name },
        ...{ userDomainName: 'Default', projectDomainName: 'Default' },
      },
      userId: person.id,
      projectId: home.id,
    };
  }

  async function image(): Promise<string> {
    const { id } = await make(
      Named,
      'image',
      '/images',
      { name: tag, tags: [tag], disk_format: 'raw', container_format: 'bare' },
      (made) => made.id,
    );
    // Bytes, which a session does not send.
    const { token, catalog } = await admin.login();
    const glance = catalog
      .find(({ type }) => type === 'image')
      ?.endpoints.find((one) => one.interface === 'public');
    const answer = await fetch(`${glance?.url.replace(/\/v2\/?$/, '')}/v2/images/${id}/file`, {
      method: 'PUT',
      headers: { 'x-auth-token': token, 'content-type': 'application/octet-stream' },
      body: Buffer.alloc(4096),
    });
    if (!answer.ok) throw new Error(`Glance took no image: ${answer.status} ${await answer.text()}`);
    return id;
  }

  const livia = await user('livia', ['admin']);
  const alice = await user('alice', ['member', 'creator']);
  const caller = openSession(alice.session);
  const { token } = await caller.login();

  await image();
  // Glance tells them apart by seconds.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const newestImageId = await image();
  const { flavor } = await make(
    Type.Object({ flavor: Named }),
    'compute',
    '/flavors',
    { flavor: { name: tag, ram: 512, vcpus: 1, disk: 1 } },
    (made) => made.flavor.id,
  );
  const { network } = await make(
    Type.Object({ network: Named }),
    'network',
    '/networks',
    { network: { name: tag, shared: true } },
    (made) => made.network.id,
  );
  const { subnet } = await make(
    Type.Object({ subnet: Named }),
    'network',
    '/subnets',
    { subnet: { network_id: network.id, ip_version: 4, cidr: '10.77.0.0/24' } },
    (made) => made.subnet.id,
  );
  const Ref = Type.Object({
    secret_ref: Type.Optional(Type.String()),
    container_ref: Type.Optional(Type.String()),
  });

  return {
    session: livia.session,
    caller: { token, userId: alice.userId, projectId: alice.projectId },
    network: { id: network.id, name: tag, subnetId: subnet.id },
    flavorId: flavor.id,
    imageTag: tag,
    newestImageId,
    async storeSecret(bytes, type) {
      const payload =
        type === 'text/plain'
          ? { payload: bytes.toString() }
          : { payload: bytes.toString('base64'), payload_content_encoding: 'base64' };
      const body = { payload_content_type: type, ...payload };
      const made = await caller.read(Ref, 'key-manager', 'POST', '/secrets', { body });
      return made.secret_ref ?? '';
    },
    async storeContainer(secrets) {
      const secret_refs = Object.entries(secrets).map(([name, secret_ref]) => ({ name, secret_ref }));
      const body = { type: 'certificate', secret_refs };
      const made = await caller.read(Ref, 'key-manager', 'POST', '/containers', { body });
      return made.container_ref ?? '';
    },
    async deleteSecret(ref) {
      await caller.request('key-manager', 'DELETE', `/secrets/${ref.split('/').at(-1)}`);
    },
    boots: true,
    async close() {
      for (const step of undo) await step();
      await Promise.all([caller.close(), admin.close()]);
    },
  };
});

const Named = Type.Object({ id: Type.String(), name: Type.String() });

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set; source an openrc file first`);
  return value;
}
