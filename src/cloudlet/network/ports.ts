import { randomBytes } from 'node:crypto';
import Type, { type Static } from 'typebox';
import { type Caller, owns, projectFor } from '../caller.ts';
import { read } from '../http.ts';
import { badRequest, conflict, forbidden, notFound } from '../refusal.ts';
import { contains, formatAddress, lowestFree, parseAddress, parseCidr } from './addresses.ts';
import {
  type AddressPair,
  born,
  changed,
  type FixedIp,
  type Net,
  type Network,
  type Port,
  portsOn,
  seesNetwork,
  seesPort,
  subnetsOn,
} from './records.ts';
import { type Resource, tagFilters } from './resource.ts';
import { defaultGroup } from './security-groups.ts';
import { cidrOf, poolsOf } from './subnets.ts';

const Nullable = <T extends Type.TSchema>(type: T) => Type.Union([type, Type.Null()]);
const changeable = {
  name: Type.Optional(Type.String({ maxLength: 255 })),
  description: Type.Optional(Type.String({ maxLength: 255 })),
  admin_state_up: Type.Optional(Type.Boolean()),
  device_id: Type.Optional(Type.String({ maxLength: 255 })),
  device_owner: Type.Optional(Type.String({ maxLength: 255 })),
  fixed_ips: Type.Optional(
    Type.Array(
      Type.Object(
        { subnet_id: Type.Optional(Type.String()), ip_address: Type.Optional(Type.String()) },
        { additionalProperties: false },
      ),
    ),
  ),
  allowed_address_pairs: Type.Optional(
    Type.Array(
      Type.Object(
        { ip_address: Type.String(), mac_address: Type.Optional(Nullable(Type.String())) },
        { additionalProperties: false },
      ),
    ),
  ),
  security_groups: Type.Optional(Nullable(Type.Array(Type.String()))),
  port_security_enabled: Type.Optional(Type.Boolean()),
  qos_policy_id: Type.Optional(Nullable(Type.String())),
  'binding:vnic_type': Type.Optional(Type.Literal('normal')),
  'binding:host_id': Type.Optional(Type.String()),
  'binding:profile': Type.Optional(Nullable(Type.Object({}))),
};
const Create = Type.Object(
  {
    ...changeable,
    network_id: Type.String(),
    mac_address: Type.Optional(Type.String()),
    project_id: Type.Optional(Type.String()),
    tenant_id: Type.Optional(Type.String()),
    tags: Type.Optional(Type.Array(Type.String())),
  },
  { additionalProperties: false },
);
const Update = Type.Object(changeable, { additionalProperties: false });
export type NewPort = Static<typeof Create>;
type FixedIpWish = NonNullable<NewPort['fixed_ips']>[number];

export function portResource(net: Net, settled: NonNullable<Resource<Port>['settled']>): Resource<Port> {
  return {
    one: 'port',
    many: 'ports',
    type: 'Port',
    collection: net.ports,
    sees: (caller, port) => seesPort(net, caller, port),
    settled,
    filters: [
      'id',
      'name',
      'description',
      'project_id',
      'network_id',
      'mac_address',
      'admin_state_up',
      'status',
      'device_id',
      'device_owner',
      'binding:host_id',
      'port_security_enabled',
      'security_groups',
      'revision_number',
      'created_at',
      'updated_at',
    ],
    special: {
      ...tagFilters<Port>(),
      fixed_ips: (port, values) =>
        port.fixed_ips.some((fixed) => values.every((value) => hasAddress(fixed, value))),
    },
    view: portView,
    create: (caller, body) => createPort(net, caller, read(Create, body)),
    update(_caller, port, body) {
      const { security_groups, qos_policy_id, ...wish } = read(Update, body);
      checkQos(qos_policy_id);
      const network = networkOf(net, port);
      const fixed_ips = wish.fixed_ips && assign(net, network, wish.fixed_ips, port);
      const secured = wish.port_security_enabled ?? port.port_security_enabled;
      const pairs =
        wish.allowed_address_pairs && addressPairs(wish.allowed_address_pairs, port.mac_address, secured);
      return net.ports.put(
        changed<Port>(net, port, {
          ...(wish as Partial<Port>),
          'binding:profile': wish['binding:profile'] ?? port['binding:profile'],
          fixed_ips: fixed_ips ?? port.fixed_ips,
          allowed_address_pairs: pairs ?? port.allowed_address_pairs,
          security_groups:
            security_groups === undefined ? port.security_groups : knownGroups(net, security_groups ?? []),
        }),
      );
    },
    remove() {},
  };
}

function portView(port: Port): object {
  const bound = port.status === 'ACTIVE';
  return {
    ...port,
    tenant_id: port.project_id,
    qos_policy_id: null,
    extra_dhcp_opts: [],
    'binding:vif_type': bound ? 'bridge' : 'unbound',
    'binding:vif_details': bound ? { port_filter: false } : {},
  };
}

/** Call it in a transaction. */
export function createPort(net: Net, caller: Caller, wish: NewPort): Port {
  const network = net.networks.get(wish.network_id);
  if (network === undefined || !seesNetwork(caller, network)) {
    throw notFound(`Network ${wish.network_id} could not be found.`, 'NetworkNotFound');
  }
  const chooses = wish.fixed_ips?.some((fixed) => fixed.ip_address !== undefined) === true;
  if (!owns(caller, network.project_id)) {
    if (!network.shared || chooses || wish.mac_address !== undefined) throw forbidden();
  }
  checkQos(wish.qos_policy_id);
  const project_id = projectFor(caller, wish.project_id ?? wish.tenant_id);
  const mac_address =
    wish.mac_address === undefined ? freshMac(net) : givenMac(net, network, wish.mac_address);
  const port_security_enabled = wish.port_security_enabled ?? network.port_security_enabled;
  const groups = wish.security_groups ?? (port_security_enabled ? [defaultGroup(net, project_id).id] : []);
  return net.ports.put({
    ...born(net, { ...wish, project_id }),
    tags: [...new Set(wish.tags)].toSorted(),
    network_id: network.id,
    mac_address,
    admin_state_up: wish.admin_state_up ?? true,
    status: 'DOWN',
    device_id: wish.device_id ?? '',
    device_owner: wish.device_owner ?? '',
    fixed_ips: assign(net, network, wish.fixed_ips, undefined),
    allowed_address_pairs: addressPairs(wish.allowed_address_pairs ?? [], mac_address, port_security_enabled),
    security_groups: knownGroups(net, groups),
    port_security_enabled,
    'binding:vnic_type': 'normal',
    'binding:host_id': wish['binding:host_id'] ?? '',
    'binding:profile': wish['binding:profile'] ?? {},
  });
}

/** Addresses for the wishes; none said: one of every family the network has. `port` keeps what it has already. */
function assign(
  net: Net,
  network: Network,
  wishes: readonly FixedIpWish[] | undefined,
  port: Port | undefined,
): FixedIp[] {
  const subnets = subnetsOn(net, network.id);
  const taken = takenAddresses(net, network, port);
  const given: FixedIp[] = [];

  const take = (subnetId: string, value: bigint, version: 4 | 6): void => {
    taken.get(version)?.add(value);
    given.push({ subnet_id: subnetId, ip_address: formatAddress({ version, value }) });
  };
  const takeFree = (candidates: typeof subnets): void => {
    for (const subnet of candidates) {
      const value = lowestFree(poolsOf(subnet), taken.get(subnet.ip_version) ?? new Set());
      if (value !== undefined) return take(subnet.id, value, subnet.ip_version);
    }
    const where =
      candidates.length === 1 && wishes !== undefined
        ? `subnet ${candidates[0]?.id}`
        : `network ${network.id}`;
    throw conflict(`No more IP addresses available on ${where}.`, 'IpAddressGenerationFailure');
  };

  if (wishes === undefined) {
    for (const version of [4, 6] as const) {
      const family = subnets.filter((subnet) => subnet.ip_version === version);
      if (family.length > 0) takeFree(family);
    }
    return given;
  }
  for (const wish of wishes) {
    const named =
      wish.subnet_id === undefined ? subnets : subnets.filter((subnet) => subnet.id === wish.subnet_id);
    if (wish.subnet_id !== undefined && named.length === 0) {
      if (net.subnets.get(wish.subnet_id) === undefined) {
        throw notFound(`Subnet ${wish.subnet_id} could not be found.`, 'SubnetNotFound');
      }
      throw badRequest(
        `Invalid input for operation: Failed to create port on network ${network.id}, because fixed_ips included invalid subnet ${wish.subnet_id}.`,
        'InvalidInput',
      );
    }
    if (wish.ip_address === undefined) {
      const kept = port?.fixed_ips.find(
        (fixed) =>
          fixed.subnet_id === wish.subnet_id && !given.some((each) => each.ip_address === fixed.ip_address),
      );
      const address = kept && parseAddress(kept.ip_address);
      if (kept === undefined || address === undefined) takeFree(named);
      else take(kept.subnet_id, address.value, address.version);
      continue;
    }
    const address = parseAddress(wish.ip_address);
    if (address === undefined)
      throw badRequest(
        `Invalid input for fixed_ips. Reason: '${wish.ip_address}' is not a valid IP address.`,
      );
    const home = named.find(
      (subnet) => subnet.ip_version === address.version && contains(cidrOf(subnet), address.value),
    );
    if (home === undefined) {
      throw badRequest(
        `IP address ${wish.ip_address} is not a valid IP for ${wish.subnet_id === undefined ? 'any of the subnets on the specified network' : 'the specified subnet'}.`,
        wish.subnet_id === undefined ? 'InvalidIpForNetwork' : 'InvalidIpForSubnet',
      );
    }
    if (taken.get(address.version)?.has(address.value) === true) {
      throw conflict(
        `Unable to complete operation for network ${network.id}. The IP address ${wish.ip_address} is in use.`,
        'IpAddressInUse',
      );
    }
    take(home.id, address.value, address.version);
  }
  return given;
}

function takenAddresses(net: Net, network: Network, except: Port | undefined): Map<4 | 6, Set<bigint>> {
  const taken = new Map([
    [4 as const, new Set<bigint>()],
    [6 as const, new Set<bigint>()],
  ]);
  const add = (text: string): void => {
    const address = parseAddress(text);
    if (address !== undefined) taken.get(address.version)?.add(address.value);
  };
  for (const port of portsOn(net, network.id)) {
    if (port.id !== except?.id) for (const fixed of port.fixed_ips) add(fixed.ip_address);
  }
  for (const subnet of subnetsOn(net, network.id)) {
    // Where this machine is the gateway the address is truly in use.
    if (network.host_leg && subnet.gateway_ip !== null) add(subnet.gateway_ip);
  }
  return taken;
}

function hasAddress(fixed: FixedIp, filter: string): boolean {
  const [key, value = ''] = filter.split('=', 2);
  if (key === 'ip_address') return fixed.ip_address === value;
  if (key === 'subnet_id' || key === 'subnet') return fixed.subnet_id === value;
  if (key === 'ip_address_substr') return fixed.ip_address.includes(value);
  throw badRequest(`Invalid input for fixed_ips: '${filter}'.`, 'HTTPBadRequest');
}

function addressPairs(
  wishes: NonNullable<NewPort['allowed_address_pairs']>,
  ownMac: string,
  secured: boolean,
): AddressPair[] {
  if (wishes.length > 0 && !secured) {
    throw conflict(
      'Port Security must be enabled in order to have allowed address pairs on a port.',
      'AddressPairAndPortSecurityRequired',
    );
  }
  const pairs = wishes.map((wish) => {
    const address = parseAddress(wish.ip_address);
    const range = parseCidr(wish.ip_address);
    if (address === undefined && range === undefined) {
      throw badRequest(
        `Invalid input for allowed_address_pairs. Reason: '${wish.ip_address}' is not a valid IP address.`,
      );
    }
    return {
      ip_address: address ? formatAddress(address) : (range?.text ?? ''),
      mac_address: wish.mac_address == null ? ownMac : normalMac(wish.mac_address),
    };
  });
  if (new Set(pairs.map((pair) => `${pair.mac_address} ${pair.ip_address}`)).size < pairs.length) {
    throw badRequest('Request contains duplicate address pair.', 'DuplicateAddressPairInRequest');
  }
  return pairs;
}

function knownGroups(net: Net, ids: readonly string[]): string[] {
  const unknown = ids.find((id) => net.groups.get(id) === undefined);
  if (unknown !== undefined)
    throw notFound(`Security group ${unknown} does not exist`, 'SecurityGroupNotFound');
  return [...new Set(ids)];
}

function checkQos(policy: string | null | undefined): void {
  if (policy != null) throw notFound(`QoS policy ${policy} could not be found.`, 'QosPolicyNotFound');
}

function networkOf(net: Net, port: Port): Network {
  const network = net.networks.get(port.network_id);
  if (network === undefined)
    throw new Error(`port ${port.id} is on network ${port.network_id}, which is gone`);
  return network;
}

/** Cards are told apart by MAC all over this machine, whatever their network. */
function freshMac(net: Net): string {
  const taken = new Set(net.ports.all().map((port) => port.mac_address));
  for (;;) {
    const mac = `fa:16:3e:${[...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
    if (!taken.has(mac)) return mac;
  }
}

function givenMac(net: Net, network: Network, text: string): string {
  const mac = normalMac(text);
  if (net.ports.all().some((port) => port.mac_address === mac)) {
    throw conflict(
      `Unable to complete operation for network ${network.id}. The mac address ${mac} is in use.`,
      'MacAddressInUse',
    );
  }
  return mac;
}

function normalMac(text: string): string {
  const mac = text.toLowerCase().replaceAll('-', ':');
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac)) {
    throw badRequest(`Invalid input for mac_address. Reason: '${text}' is not a valid MAC address.`);
  }
  return mac;
}
