import { randomBytes } from 'node:crypto';
import Type, { type Static } from 'typebox';
import { type Caller, owns, projectFor } from '../caller.ts';
import { read } from '../http.ts';
import { badRequest, conflict, forbidden, notFound } from '../refusal.ts';
import { formatAddress, parseAddress, parseCidr } from './addresses.ts';
import { assign, type FixedIpWish, hasAddress } from './allocation.ts';
import { checkPolicy } from './qos.ts';
import {
  type AddressPair,
  born,
  changed,
  dropPort,
  type Net,
  type Network,
  type Port,
  seesNetwork,
  seesPort,
} from './records.ts';
import { type Resource, tagFilters } from './resource.ts';
import { defaultGroup } from './security-groups.ts';

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
  'binding:vnic_type': Type.Optional(Type.Union([Type.Literal('normal'), Type.Literal('direct')])),
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
    update(caller, port, body) {
      const { security_groups, ...wish } = read(Update, body);
      checkPolicy(net, caller, wish.qos_policy_id);
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
            security_groups === undefined
              ? port.security_groups
              : usableGroups(net, caller, security_groups ?? []),
        }),
      );
    },
    remove(_caller, port) {
      if (port.device_owner.startsWith('network:')) {
        throw conflict(
          `Port ${port.id} cannot be deleted directly via the port API: has device owner ${port.device_owner}.`,
          'ServicePortInUse',
        );
      }
      dropPort(net, port.id);
    },
  };
}

function portView(port: Port): object {
  const bound = port.status === 'ACTIVE';
  return {
    ...port,
    tenant_id: port.project_id,
    qos_policy_id: port.qos_policy_id ?? null,
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
  checkPolicy(net, caller, wish.qos_policy_id);
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
    security_groups: usableGroups(net, caller, groups),
    port_security_enabled,
    qos_policy_id: wish.qos_policy_id ?? null,
    'binding:vnic_type': wish['binding:vnic_type'] ?? 'normal',
    'binding:host_id': wish['binding:host_id'] ?? '',
    'binding:profile': wish['binding:profile'] ?? {},
  });
}

/** A port of the network's own making, without a firewall; in a transaction. An address not wished is a free one. */
export function servicePort(
  net: Net,
  network: Network,
  wish: Pick<Port, 'project_id' | 'device_id' | 'device_owner' | 'status'> & {
    readonly fixed_ips?: readonly FixedIpWish[];
  },
): Port {
  return net.ports.put({
    ...born(net, { project_id: wish.project_id }),
    network_id: network.id,
    mac_address: freshMac(net),
    admin_state_up: true,
    status: wish.status,
    device_id: wish.device_id,
    device_owner: wish.device_owner,
    fixed_ips: assign(net, network, wish.fixed_ips, undefined),
    allowed_address_pairs: [],
    security_groups: [],
    port_security_enabled: false,
    'binding:vnic_type': 'normal',
    'binding:host_id': '',
    'binding:profile': {},
  });
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

function usableGroups(net: Net, caller: Caller, ids: readonly string[]): string[] {
  for (const id of ids) {
    const group = net.groups.get(id);
    if (group === undefined || !owns(caller, group.project_id)) {
      throw notFound(`Security group ${id} does not exist`, 'SecurityGroupNotFound');
    }
  }
  return [...new Set(ids)];
}

export function networkOf(net: Net, port: Port): Network {
  const network = net.networks.get(port.network_id);
  if (network === undefined)
    throw new Error(`port ${port.id} is on network ${port.network_id}, which is gone`);
  return network;
}

/** Cards are told apart by MAC all over this machine, whatever their network. */
function freshMac(net: Net): string {
  const ports = net.ports.all();
  for (;;) {
    const mac = `fa:16:3e:${[...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
    if (!ports.some((port) => port.mac_address === mac)) return mac;
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
