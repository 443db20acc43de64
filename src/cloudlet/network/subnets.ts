import Type, { type Static } from 'typebox';
import { type Caller, owns, projectFor } from '../caller.ts';
import { read } from '../http.ts';
import { badRequest, conflict, forbidden, notFound } from '../refusal.ts';
import {
  type Cidr,
  contains,
  defaultPools,
  formatAddress,
  overlap,
  parseAddress,
  parseCidr,
  type Range,
  usable,
} from './addresses.ts';
import {
  born,
  changed,
  type Net,
  type Network,
  portsOn,
  seesNetwork,
  seesSubnet,
  type Subnet,
  subnetsOn,
} from './records.ts';
import { type Resource, tagFilters } from './resource.ts';

const Nullable = <T extends Type.TSchema>(type: T) => Type.Union([type, Type.Null()]);
const Pools = Type.Array(Type.Object({ start: Type.String(), end: Type.String() }));
const changeable = {
  name: Type.Optional(Type.String({ maxLength: 255 })),
  description: Type.Optional(Type.String({ maxLength: 255 })),
  gateway_ip: Type.Optional(Nullable(Type.String())),
  allocation_pools: Type.Optional(Pools),
  enable_dhcp: Type.Optional(Type.Boolean()),
  dns_nameservers: Type.Optional(Type.Array(Type.String())),
  host_routes: Type.Optional(Type.Array(Type.Object({ destination: Type.String(), nexthop: Type.String() }))),
};
const Create = Type.Object(
  {
    ...changeable,
    network_id: Type.String(),
    ip_version: Type.Optional(Type.Union([Type.Literal(4), Type.Literal(6)])),
    cidr: Type.String(),
    project_id: Type.Optional(Type.String()),
    tenant_id: Type.Optional(Type.String()),
    /** There is nothing here that would announce prefixes, so addresses are always Neutron's. */
    ipv6_address_mode: Type.Optional(Nullable(Type.Literal('dhcpv6-stateful'))),
    ipv6_ra_mode: Type.Optional(Type.Null()),
  },
  { additionalProperties: false },
);
const Update = Type.Object(changeable, { additionalProperties: false });

export function subnetResource(net: Net, settled: (network: Network) => Promise<void>): Resource<Subnet> {
  return {
    one: 'subnet',
    many: 'subnets',
    type: 'Subnet',
    collection: net.subnets,
    sees: (caller, subnet) => seesSubnet(net, caller, subnet),
    settled: async (subnet) => {
      const network = net.networks.get(subnet.network_id);
      if (network !== undefined) await settled(network);
    },
    filters: [
      'id',
      'name',
      'description',
      'project_id',
      'network_id',
      'ip_version',
      'cidr',
      'gateway_ip',
      'enable_dhcp',
      'ipv6_address_mode',
      'ipv6_ra_mode',
      'subnetpool_id',
      'revision_number',
      'created_at',
      'updated_at',
    ],
    special: {
      ...tagFilters<Subnet>(),
      shared: (subnet, values) => values.includes(String(net.networks.get(subnet.network_id)?.shared)),
      'router:external': (subnet, values) =>
        values.some(
          (value) => value.toLowerCase() === String(net.networks.get(subnet.network_id)?.['router:external']),
        ),
    },
    view: (subnet) => ({
      ...subnet,
      tenant_id: subnet.project_id,
      subnetpool_id: null,
      ipv6_address_mode: null,
      ipv6_ra_mode: null,
      service_types: [],
    }),
    create: (caller, body) => createSubnet(net, caller, read(Create, body)),
    update(_caller, subnet, body) {
      const wish = read(Update, body);
      const cidr = cidrOf(subnet);
      const gateway_ip = wish.gateway_ip === undefined ? subnet.gateway_ip : gatewayOf(cidr, wish.gateway_ip);
      const allocation_pools = wish.allocation_pools ?? subnet.allocation_pools;
      checkPools(cidr, allocation_pools, gateway_ip);
      return net.subnets.put(changed<Subnet>(net, subnet, { ...wish, gateway_ip, allocation_pools }));
    },
    remove(_caller, subnet) {
      const used = portsOn(net, subnet.network_id).find((port) =>
        port.fixed_ips.some((fixed) => fixed.subnet_id === subnet.id),
      );
      if (used !== undefined) {
        throw conflict(
          `Unable to complete operation on subnet ${subnet.id}: One or more ports have an IP allocation from this subnet.`,
          'SubnetInUse',
        );
      }
    },
  };
}

export function createSubnet(net: Net, caller: Caller, wish: Static<typeof Create>): Subnet {
  const network = net.networks.get(wish.network_id);
  if (network === undefined || !seesNetwork(caller, network)) {
    throw notFound(`Network ${wish.network_id} could not be found.`, 'NetworkNotFound');
  }
  if (!owns(caller, network.project_id)) throw forbidden();
  const cidr = parseCidr(wish.cidr);
  if (cidr === undefined)
    throw badRequest(`Invalid input for cidr. Reason: '${wish.cidr}' is not a valid IP subnet.`);
  if (wish.ip_version !== undefined && wish.ip_version !== cidr.version) {
    throw badRequest(
      `Invalid input for operation: cidr '${wish.cidr}' does not match the ip_version '${wish.ip_version}'.`,
      'InvalidInput',
    );
  }
  const rival = subnetsOn(net, network.id).find((other) => overlap(cidrOf(other), cidr));
  if (rival !== undefined) {
    throw badRequest(
      `Invalid input for operation: Requested subnet with cidr: ${cidr.text} for network: ${network.id} overlaps with another subnet.`,
      'InvalidInput',
    );
  }
  const gateway_ip = gatewayOf(cidr, wish.gateway_ip);
  const gateway = gateway_ip === null ? undefined : parseAddress(gateway_ip)?.value;
  const allocation_pools =
    wish.allocation_pools ?? defaultPools(cidr, gateway).map((range) => poolOf(cidr, range));
  checkPools(cidr, allocation_pools, gateway_ip);
  return net.subnets.put({
    ...born(net, {
      ...wish,
      project_id: projectFor(caller, wish.project_id ?? wish.tenant_id ?? network.project_id),
    }),
    network_id: network.id,
    ip_version: cidr.version,
    cidr: cidr.text,
    gateway_ip,
    allocation_pools,
    enable_dhcp: wish.enable_dhcp ?? true,
    dns_nameservers: wish.dns_nameservers ?? [],
    host_routes: wish.host_routes ?? [],
  });
}

export function cidrOf(subnet: Subnet): Cidr {
  const cidr = parseCidr(subnet.cidr);
  if (cidr === undefined) throw new Error(`subnet ${subnet.id} has cidr ${subnet.cidr}`);
  return cidr;
}

export function poolsOf(subnet: Subnet): Range[] {
  return subnet.allocation_pools.map((pool) => rangeOf(pool));
}

function rangeOf(pool: { readonly start: string; readonly end: string }): Range {
  const [start, end] = [parseAddress(pool.start), parseAddress(pool.end)];
  if (start === undefined || end === undefined || start.version !== end.version || start.value > end.value) {
    throw badRequest(
      `Invalid format for allocation pools: ${pool.start}-${pool.end}.`,
      'InvalidAllocationPool',
    );
  }
  return { first: start.value, last: end.value };
}

function poolOf({ version }: Cidr, { first, last }: Range) {
  return { start: formatAddress({ version, value: first }), end: formatAddress({ version, value: last }) };
}

/** Not said: the first address; null: none. */
function gatewayOf(cidr: Cidr, wish: string | null | undefined): string | null {
  if (wish === null) return null;
  if (wish === undefined) return formatAddress({ version: cidr.version, value: usable(cidr).first });
  const address = parseAddress(wish);
  if (address === undefined || address.version !== cidr.version || !contains(usable(cidr), address.value)) {
    throw badRequest(`Invalid input for operation: Gateway is not valid on subnet.`, 'InvalidInput');
  }
  return formatAddress(address);
}

function checkPools(cidr: Cidr, pools: Subnet['allocation_pools'], gateway: string | null): void {
  const ranges = pools.map(rangeOf);
  const version = pools.every((pool) => parseAddress(pool.start)?.version === cidr.version);
  const outside = ranges.some((range) => !contains(cidr, range.first) || !contains(cidr, range.last));
  if (!version || outside) {
    throw badRequest(
      `The allocation pool spans beyond the subnet cidr ${cidr.text}.`,
      'OutOfBoundsAllocationPool',
    );
  }
  const touching = ranges.some((range, index) =>
    ranges.slice(index + 1).some((other) => overlap(range, other)),
  );
  if (touching) throw conflict('Found overlapping allocation pools.', 'OverlappingAllocationPools');
  const address = gateway === null ? undefined : parseAddress(gateway);
  if (address !== undefined && ranges.some((range) => contains(range, address.value))) {
    throw conflict(
      `Gateway ip ${gateway} conflicts with allocation pool.`,
      'GatewayConflictWithAllocationPools',
    );
  }
}
