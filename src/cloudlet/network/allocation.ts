import { badRequest, conflict, notFound } from '../refusal.ts';
import { type Address, contains, formatAddress, lowestFree, parseAddress } from './addresses.ts';
import { type FixedIp, type Net, type Network, type Port, portsOn, subnetsOn } from './records.ts';
import { cidrOf, poolsOf } from './subnets.ts';

/** An address of that subnet, that address, or both. */
export interface FixedIpWish {
  readonly subnet_id?: string;
  readonly ip_address?: string;
}

/** Addresses for the wishes; none said: one of every family the network has. `port` keeps what it has already. */
export function assign(
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
  const add = (address: Address | undefined): void => {
    if (address !== undefined) taken.get(address.version)?.add(address.value);
  };
  for (const port of portsOn(net, network.id)) {
    if (port.id !== except?.id) for (const fixed of port.fixed_ips) add(addressOf(fixed));
  }
  for (const subnet of subnetsOn(net, network.id)) {
    // Where this machine is the gateway the address is truly in use.
    if (network.host_leg && subnet.gateway_ip !== null) add(parseAddress(subnet.gateway_ip));
  }
  return taken;
}

const read = new WeakMap<FixedIp, Address | undefined>();

/** Records are values, so an address that was read once stays what it is; reading is most of the work of a new port. */
function addressOf(fixed: FixedIp): Address | undefined {
  if (!read.has(fixed)) read.set(fixed, parseAddress(fixed.ip_address));
  return read.get(fixed);
}

/** Neutron's filter `fixed_ips=key=value`. */
export function hasAddress(fixed: FixedIp, filter: string): boolean {
  const [key, value = ''] = filter.split('=', 2);
  if (key === 'ip_address') return fixed.ip_address === value;
  if (key === 'subnet_id' || key === 'subnet') return fixed.subnet_id === value;
  if (key === 'ip_address_substr') return fixed.ip_address.includes(value);
  throw badRequest(`Invalid input for fixed_ips: '${filter}'.`, 'HTTPBadRequest');
}
