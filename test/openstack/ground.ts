import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import Type, { type Static, type TSchema } from 'typebox';
import { openSession, type Session, type SessionOptions } from '../../src/clouds/session.ts';

/**
 * The OpenStack services whose administrator's credentials the environment names, as `openrc` files do. Barbican's own policy
 * asks for a role `creator`. What is made here is removed again by `clear`.
 */
export interface OpenStack {
  readonly admin: Session;
  readonly authUrl: string;
  readonly region: string;
  /** In the names of all that is made. */
  readonly tag: string;
  /** A user with a project of the same name, and these roles there. */
  user(name: string, roles: readonly string[]): Promise<SomeUser>;
  /** An image with our tag; gives its id. */
  image(content: Buffer): Promise<string>;
  flavor(ramMegabytes: number): Promise<string>;
  /** A network for all with one subnet, whose gateway is its first address. */
  network(name: string, cidr: string): Promise<SomeNetwork>;
  /** POST; the answer is removed at the end. */
  make<S extends TSchema>(
    schema: S,
    service: Parameters<Session['request']>[0],
    path: string,
    body: object,
    idOf: (made: Static<S>) => string,
  ): Promise<Static<S>>;
  /** The latest first. */
  clear(): Promise<void>;
}

export interface SomeUser {
  readonly session: SessionOptions;
  readonly userId: string;
  readonly projectId: string;
}

export interface SomeNetwork {
  readonly id: string;
  readonly name: string;
  readonly subnetId: string;
  readonly gateway: string;
  readonly prefix: number;
}

const Named = Type.Object({ id: Type.String(), name: Type.String() });
const Id = Type.Object({ id: Type.String() });

export function openStack(): OpenStack {
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
  const projects = new Set<string>();
  const Many = (kind: string) => Type.Object({ [kind]: Type.Array(Id) });

  /** What a test that failed has left in the user's projects. */
  async function removeServers(projectId: string): Promise<void> {
    const query = { all_tenants: '1', project_id: projectId };
    for (;;) {
      const { servers = [] } = await admin.read(Many('servers'), 'compute', 'GET', '/servers', { query });
      if (servers.length === 0) return;
      for (const { id } of servers) await admin.request('compute', 'DELETE', `/servers/${id}`);
      await pause(1000);
    }
  }

  async function removePorts(networkId: string): Promise<void> {
    const query = { network_id: networkId };
    const { ports = [] } = await admin.read(Many('ports'), 'network', 'GET', '/ports', { query });
    for (const { id } of ports) await admin.request('network', 'DELETE', `/ports/${id}`);
  }

  const make: OpenStack['make'] = async (schema, service, path, body, idOf) => {
    const made = await admin.read(schema, service, 'POST', path, { body });
    undo.unshift(() => admin.request(service, 'DELETE', `${path}/${idOf(made)}`));
    return made;
  };

  return {
    admin,
    authUrl: administrator.authUrl,
    region: given('OS_REGION_NAME'),
    tag,
    make,
    async user(suffix, roles) {
      const [name, password] = [`${tag}-${suffix}`, randomUUID()];
      const { project } = await make(
        Type.Object({ project: Id }),
        'identity',
        '/projects',
        { project: { name, domain_id: 'default' } },
        (made) => made.project.id,
      );
      const { user } = await make(
        Type.Object({ user: Id }),
        'identity',
        '/users',
        { user: { name, domain_id: 'default', password } },
        (made) => made.user.id,
      );
      projects.add(project.id);
      const known = await admin.read(Type.Object({ roles: Type.Array(Named) }), 'identity', 'GET', '/roles');
      for (const role of roles) {
        const id = known.roles.find((one) => one.name === role)?.id;
        if (id === undefined) throw new Error(`this cloud has no role ${role}`);
        await admin.request('identity', 'PUT', `/projects/${project.id}/users/${user.id}/roles/${id}`);
      }
      return {
        session: {
          ...{ ...administrator, username: name, password, projectName: name },
          ...{ userDomainName: 'Default', projectDomainName: 'Default' },
        },
        userId: user.id,
        projectId: project.id,
      };
    },
    async image(content) {
      const body = {
        ...{ name: tag, tags: [tag], disk_format: 'raw', container_format: 'bare' },
        visibility: 'public',
      };
      const { id } = await make(Id, 'image', '/images', body, (made) => made.id);
      // Bytes, which a session does not send.
      const { token, catalog } = await admin.login();
      const glance = catalog
        .find(({ type }) => type === 'image')
        ?.endpoints.find((one) => one.interface === 'public');
      const answer = await fetch(`${glance?.url.replace(/\/v2\/?$/, '')}/v2/images/${id}/file`, {
        method: 'PUT',
        headers: { 'x-auth-token': token, 'content-type': 'application/octet-stream' },
        body: new Uint8Array(content),
      });
      if (!answer.ok) throw new Error(`Glance took no image: ${answer.status} ${await answer.text()}`);
      return id;
    },
    async flavor(ram) {
      const { flavor } = await make(
        Type.Object({ flavor: Id }),
        'compute',
        '/flavors',
        { flavor: { name: tag, ram, vcpus: 1, disk: 1 } },
        (made) => made.flavor.id,
      );
      return flavor.id;
    },
    async network(suffix, cidr) {
      const name = `${tag}-${suffix}`;
      const { network } = await make(
        Type.Object({ network: Id }),
        'network',
        '/networks',
        { network: { name, shared: true } },
        (made) => made.network.id,
      );
      const { subnet } = await make(
        Type.Object({ subnet: Type.Object({ id: Type.String(), gateway_ip: Type.String() }) }),
        'network',
        '/subnets',
        { subnet: { name, network_id: network.id, ip_version: 4, cidr } },
        (made) => made.subnet.id,
      );
      undo.unshift(() => removePorts(network.id));
      const prefix = Number(cidr.split('/')[1]);
      return { id: network.id, name, subnetId: subnet.id, gateway: subnet.gateway_ip, prefix };
    },
    async clear() {
      for (const project of projects) await removeServers(project);
      for (const step of undo.splice(0)) await step();
      await admin.close();
    },
  };
}

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set; source an openrc file first`);
  return value;
}
