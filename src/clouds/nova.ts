import Type, { type Static } from 'typebox';
import type { Compute, NewServer, Server } from './clouds.ts';
import { DriverError } from './errors.ts';
import { at, isStatus, postponed, type Session, unlessGone } from './session.ts';

const ServerBody = Type.Object({
  id: Type.String(),
  name: Type.String(),
  status: Type.String(),
  fault: Type.Optional(Type.Object({ message: Type.String() })),
  'OS-EXT-AZ:availability_zone': Type.Optional(Type.Union([Type.String(), Type.Null()])),
});
const One = Type.Object({ server: ServerBody });
const Many = Type.Object({ servers: Type.Array(ServerBody) });
const Made = Type.Object({ server: Type.Object({ id: Type.String() }) });
const Attached = Type.Object({
  interfaceAttachments: Type.Array(
    Type.Object({
      port_id: Type.String(),
      net_id: Type.String(),
      mac_addr: Type.String(),
      fixed_ips: Type.Optional(
        Type.Union([Type.Array(Type.Object({ ip_address: Type.String() })), Type.Null()]),
      ),
    }),
  ),
});
const Flavor = Type.Object({ flavor: Type.Object({ id: Type.String() }) });

const Zones = Type.Object({
  availabilityZoneInfo: Type.Array(Type.Object({ zoneName: Type.String() })),
});

export function novaCompute(session: Session): Compute {
  async function observeServer(id: string): Promise<Server | undefined> {
    const [found, cards] = await Promise.all([
      session.find(One, 'compute', at`/servers/${id}`),
      interfacesOf(id),
    ]);
    return found && toServer(found.server, cards);
  }

  async function interfacesOf(id: string): Promise<Server['interfaces']> {
    const found = await session.find(Attached, 'compute', at`/servers/${id}/os-interface`);
    return (found?.interfaceAttachments ?? []).map((card) => ({
      portId: card.port_id,
      networkId: card.net_id,
      macAddress: card.mac_addr,
      addresses: (card.fixed_ips ?? []).map((fixed) => fixed.ip_address),
    }));
  }

  async function findServer(name: string): Promise<Server | undefined> {
    // Nova takes the name for a regular expression.
    const pattern = `^${name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`;
    const { servers } = await session.read(Many, 'compute', 'GET', '/servers/detail', {
      query: { name: pattern },
    });
    const found = servers.find((server) => server.name === name && server.status !== 'DELETED');
    return found && toServer(found, await interfacesOf(found.id));
  }

  return {
    async projectId() {
      return (await session.login()).projectId;
    },
    async flavorExists(id) {
      return (await session.find(Flavor, 'compute', at`/flavors/${id}`)) !== undefined;
    },
    async availabilityZoneExists(name) {
      const { availabilityZoneInfo } = await session.read(Zones, 'compute', 'GET', '/os-availability-zone');
      return availabilityZoneInfo.some(({ zoneName }) => zoneName === name);
    },
    async ensureServer(server) {
      const there = await findServer(server.name);
      if (there !== undefined) return there;
      const made = await session.read(Made, 'compute', 'POST', '/servers', { body: toRequest(server) });
      const seen = await observeServer(made.server.id);
      if (seen !== undefined) return seen;
      throw new DriverError(`Nova took server ${server.name} and does not show it yet`, { retry: 'later' });
    },
    observeServer,
    findServer,
    async attachPort(serverId, portId) {
      const body = { interfaceAttachment: { port_id: portId } };
      await session
        .request('compute', 'POST', at`/servers/${serverId}/os-interface`, { body })
        .catch((error: unknown) => {
          throw isStatus(error, 409) ? postponed(error) : error;
        });
    },
    async removeServer(id) {
      await session.request('compute', 'DELETE', at`/servers/${id}`).catch((error: unknown) => {
        // Busy with something else that was asked of it, which ends.
        if (isStatus(error, 409)) throw postponed(error);
        unlessGone(error);
      });
    },
  };
}

function toRequest(server: NewServer): object {
  return {
    server: {
      name: server.name,
      imageRef: server.imageId,
      flavorRef: server.flavorId,
      ...(server.keyName !== null && { key_name: server.keyName }),
      ...(server.availabilityZone !== null && { availability_zone: server.availabilityZone }),
      networks: server.portIds.map((port) => ({ port })),
      user_data: Buffer.from(server.userData).toString('base64'),
      config_drive: true,
    },
  };
}

function toServer(body: Static<typeof ServerBody>, interfaces: Server['interfaces']): Server {
  return {
    id: body.id,
    name: body.name,
    status: body.status,
    fault: body.fault?.message ?? null,
    availabilityZone: body['OS-EXT-AZ:availability_zone'] || null,
    interfaces,
  };
}
