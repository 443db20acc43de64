import Type, { type Static, type TSchema } from 'typebox';
import type { NewPort, Networking, Port, Subnet } from './clouds.ts';
import { ruleDifference, toRuleRequest } from './security-rules.ts';
import { at, isStatus, postponed, type Session, unlessGone } from './session.ts';

const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const Identified = Type.Object({ id: Type.String() });

const SubnetBody = Type.Object({
  id: Type.String(),
  network_id: Type.String(),
  ip_version: Type.Union([Type.Literal(4), Type.Literal(6)]),
  cidr: Type.String(),
  gateway_ip: Nullable(Type.String()),
});
const PortBody = Type.Object({
  id: Type.String(),
  name: Type.String(),
  network_id: Type.String(),
  mac_address: Type.String(),
  fixed_ips: Type.Array(Type.Object({ subnet_id: Type.String(), ip_address: Type.String() })),
  device_id: Type.String(),
  qos_policy_id: Type.Optional(Nullable(Type.String())),
  status: Type.String(),
  'binding:vnic_type': Type.Optional(Type.String()),
  security_groups: Type.Optional(Type.Array(Type.String())),
  allowed_address_pairs: Type.Optional(Type.Array(Type.Object({ ip_address: Type.String() }))),
});
const RuleBody = Type.Object({
  id: Type.String(),
  direction: Type.String(),
  ethertype: Nullable(Type.String()),
  protocol: Nullable(Type.String()),
  port_range_min: Nullable(Type.Integer()),
  port_range_max: Nullable(Type.Integer()),
  remote_ip_prefix: Nullable(Type.String()),
  remote_group_id: Nullable(Type.String()),
});
const GroupBody = Type.Object({
  id: Type.String(),
  name: Type.String(),
  security_group_rules: Type.Array(RuleBody),
});

const OneSubnet = Type.Object({ subnet: SubnetBody });
const Subnets = Type.Object({ subnets: Type.Array(SubnetBody) });
const OneNetwork = Type.Object({
  network: Type.Object({ id: Type.String(), subnets: Type.Array(Type.String()) }),
});
const Networks = Type.Object({
  networks: Type.Array(Type.Object({ id: Type.String(), name: Type.String() })),
});
const OnePort = Type.Object({ port: PortBody });
const Ports = Type.Object({ ports: Type.Array(PortBody) });
const OneGroup = Type.Object({ security_group: GroupBody });
const Groups = Type.Object({ security_groups: Type.Array(GroupBody) });
const OnePolicy = Type.Object({ policy: Identified });

export function neutronNetworking(session: Session): Networking {
  const portBodies = async (query: Record<string, string>): Promise<Static<typeof PortBody>[]> =>
    (await session.read(Ports, 'network', 'GET', '/ports', { query })).ports;

  const groupsNamed = async (query: { name: string; project_id?: string }) =>
    (await session.read(Groups, 'network', 'GET', '/security-groups', { query })).security_groups.filter(
      (group) => group.name === query.name,
    );

  return {
    async networkId(idOrName) {
      const byId = await session.find(OneNetwork, 'network', at`/networks/${idOrName}`);
      if (byId !== undefined) return byId.network.id;
      const { networks } = await session.read(Networks, 'network', 'GET', '/networks', {
        query: { name: idOrName },
      });
      const named = networks.filter((network) => network.name === idOrName);
      return named.length === 1 ? named[0]?.id : undefined;
    },

    async subnet(id, token) {
      const found = await session.find(OneSubnet, 'network', at`/subnets/${id}`, { token });
      return found && toSubnet(found.subnet);
    },

    async subnetsOf(networkId, token) {
      const [found, { subnets }] = await Promise.all([
        session.find(OneNetwork, 'network', at`/networks/${networkId}`, { token }),
        session.read(Subnets, 'network', 'GET', '/subnets', { query: { network_id: networkId }, token }),
      ]);
      return found?.network.subnets
        .map((id) => subnets.find((subnet) => subnet.id === id))
        .filter((subnet) => subnet !== undefined)
        .map(toSubnet);
    },

    async port(id, token) {
      const found = await session.find(OnePort, 'network', at`/ports/${id}`, { token });
      return found && toPort(found.port);
    },

    async ensurePort(port) {
      const namesakes = port.unheardOf ? [] : await portBodies({ name: port.name });
      const there = namesakes.find(
        (candidate) => candidate.name === port.name && candidate.device_id === port.deviceId,
      );
      if (there !== undefined) return toPort(there);
      const made = await session.read(OnePort, 'network', 'POST', '/ports', { body: toRequest(port) });
      return toPort(made.port);
    },

    async ensurePortOpenings(portId, wanted) {
      const path = at`/ports/${portId}`;
      const { port } = await session.read(OnePort, 'network', 'GET', path);
      const { allowedAddresses, securityGroupIds } = wanted;
      const addressesNow = (port.allowed_address_pairs ?? []).map((pair) => pair.ip_address);
      const change = {
        ...(allowedAddresses !== undefined &&
          !sameSet(allowedAddresses, addressesNow) && {
            allowed_address_pairs: toPairs(allowedAddresses),
          }),
        ...(securityGroupIds !== undefined &&
          !sameSet(securityGroupIds, port.security_groups ?? []) && { security_groups: securityGroupIds }),
      };
      if (Object.keys(change).length === 0) return;
      await session.request('network', 'PUT', path, { body: { port: change } });
    },

    async removePort(id) {
      await session.request('network', 'DELETE', at`/ports/${id}`).catch(unlessGone);
    },

    async portsNamed(name) {
      return (await portBodies({ name })).filter((port) => port.name === name).map(toPort);
    },

    async portsOwnedBy(deviceOwner) {
      return (await portBodies({ device_owner: deviceOwner })).map(toPort);
    },

    async portsOf(deviceId) {
      const found = await portBodies({ device_id: deviceId });
      return found.filter((port) => port.device_id === deviceId).map(toPort);
    },

    async ensureSecurityGroup(name, projectId, rules) {
      const [there] = await groupsNamed({ name, project_id: projectId });
      const group =
        there ??
        (
          await session.read(OneGroup, 'network', 'POST', '/security-groups', {
            body: { security_group: { name, project_id: projectId } },
          })
        ).security_group;
      const { add, removeIds } = ruleDifference(rules, group.security_group_rules);
      // Openings first, so that traffic allowed before and after is allowed throughout.
      await Promise.all(
        add.map((rule) =>
          session
            .request('network', 'POST', '/security-group-rules', { body: toRuleRequest(rule, group.id) })
            .catch(unlessThere),
        ),
      );
      await Promise.all(
        removeIds.map((id) =>
          session.request('network', 'DELETE', at`/security-group-rules/${id}`).catch(unlessGone),
        ),
      );
      return group.id;
    },

    async removeSecurityGroup(name) {
      for (const { id } of await groupsNamed({ name })) {
        await session.request('network', 'DELETE', at`/security-groups/${id}`).catch((error: unknown) => {
          // A port that is going still has it.
          if (isStatus(error, 409)) throw postponed(error);
          unlessGone(error);
        });
      }
    },

    async securityGroupExists(id, token) {
      const found = await session.find(OneGroup, 'network', at`/security-groups/${id}`, { token });
      return found !== undefined;
    },

    async qosPolicyExists(id, token) {
      return (await session.find(OnePolicy, 'network', at`/qos/policies/${id}`, { token })) !== undefined;
    },
  };
}

function toRequest(port: NewPort): object {
  return {
    port: {
      name: port.name,
      network_id: port.networkId,
      ...(port.fixedIps.length > 0 && {
        fixed_ips: port.fixedIps.map(({ subnetId, ipAddress }) => ({
          subnet_id: subnetId,
          ...(ipAddress !== undefined && { ip_address: ipAddress }),
        })),
      }),
      device_id: port.deviceId,
      device_owner: port.deviceOwner,
      project_id: port.projectId,
      admin_state_up: port.adminStateUp,
      ...(port.vnicType === 'direct' && { 'binding:vnic_type': port.vnicType }),
      ...(port.securityGroupIds && { security_groups: port.securityGroupIds }),
      ...(port.allowedAddresses && { allowed_address_pairs: toPairs(port.allowedAddresses) }),
    },
  };
}

const toPairs = (addresses: readonly string[]): object[] =>
  addresses.map((address) => ({ ip_address: address }));

const toSubnet = (body: Static<typeof SubnetBody>): Subnet => ({
  id: body.id,
  networkId: body.network_id,
  ipVersion: body.ip_version,
  cidr: body.cidr,
  gatewayIp: body.gateway_ip,
});

const toPort = (body: Static<typeof PortBody>): Port => ({
  id: body.id,
  networkId: body.network_id,
  macAddress: body.mac_address,
  fixedIps: body.fixed_ips.map((fixed) => ({ subnetId: fixed.subnet_id, ipAddress: fixed.ip_address })),
  deviceId: body.device_id,
  qosPolicyId: body.qos_policy_id ?? null,
  status: body.status,
  vnicType: body['binding:vnic_type'] === 'direct' ? 'direct' : 'normal',
});

const sameSet = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((item) => other.includes(item));

/** Another controller may have made the same rule between our look and our wish. */
function unlessThere(error: unknown): undefined {
  if (isStatus(error, 409) && error instanceof Error && /exists/i.test(error.message)) return undefined;
  throw error;
}
