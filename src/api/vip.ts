import ipaddr from 'ipaddr.js';
import type { FixedIp, Networking, Port, Subnet } from '../clouds/clouds.ts';
import { DriverError } from '../clouds/errors.ts';
import type { AdditionalVip } from '../lb/load-balancer.ts';
import { cloudObjectNotFound, isProblem, type Problem, problem, validationFailure } from '../lb/problems.ts';

/** Where a load balancer is reached. First what the client named is looked at, then, if need be, a port is made. */

export interface VipWish {
  readonly vipSubnetId?: string | null;
  readonly vipNetworkId?: string | null;
  readonly vipPortId?: string | null;
  readonly vipAddress?: string | null;
  readonly additionalVips: readonly { readonly subnetId: string; readonly ipAddress?: string | null }[];
}

/** A port of the client's, or what is needed to make one. */
export type VipPlan =
  | { readonly port: Port; readonly subnetId: string; readonly address: string }
  | {
      readonly port: undefined;
      readonly networkId: string;
      /** Each is a way to do it; the first with a free address is taken. */
      readonly subnetIds: readonly string[];
      /** The client left it to us which. */
      readonly anySubnet: boolean;
      readonly address: string | undefined;
    };

export interface Vip {
  readonly vipPortId: string;
  readonly vipNetworkId: string;
  readonly vipSubnetId: string;
  readonly vipAddress: string;
  readonly vipPortOwned: boolean;
  readonly additionalVips: readonly AdditionalVip[];
}

/** Lookups have the rights of `token`. */
export async function planVip(
  networking: Networking,
  wish: VipWish,
  token: string | undefined,
): Promise<VipPlan | Problem> {
  const plan = await primaryVip(networking, wish, token);
  if (isProblem(plan)) return plan;
  const wrong = await additionalProblem(networking, wish, plan, token);
  return wrong ?? plan;
}

async function primaryVip(
  networking: Networking,
  wish: VipWish,
  token: string | undefined,
): Promise<VipPlan | Problem> {
  const { vipPortId, vipNetworkId, vipSubnetId } = wish;
  if (typeof vipPortId === 'string') return onPort(networking, wish, vipPortId, token);
  if (typeof vipNetworkId === 'string') return onNetwork(networking, wish, vipNetworkId, token);
  if (typeof vipSubnetId !== 'string') {
    return validationFailure('A VIP needs one of vip_port_id, vip_network_id, vip_subnet_id.');
  }
  const subnet = await networking.subnet(vipSubnetId, token);
  if (subnet === undefined) return cloudObjectNotFound('Subnet', vipSubnetId);
  return {
    port: undefined,
    networkId: subnet.networkId,
    subnetIds: [subnet.id],
    anySubnet: false,
    address: wish.vipAddress ?? undefined,
  };
}

async function onPort(
  networking: Networking,
  { vipSubnetId, vipAddress }: VipWish,
  portId: string,
  token: string | undefined,
): Promise<VipPlan | Problem> {
  const port = await networking.port(portId, token);
  if (port === undefined) return cloudObjectNotFound('Port', portId);
  if (port.deviceId !== '') return validationFailure(`Port ${portId} is already used by ${port.deviceId}.`);
  if (typeof vipSubnetId === 'string' && (await networking.subnet(vipSubnetId, token)) === undefined) {
    return cloudObjectNotFound('Subnet', vipSubnetId);
  }
  const [fixedIp, ...others] = port.fixedIps.filter(
    ({ subnetId, ipAddress }) =>
      (typeof vipSubnetId !== 'string' || subnetId === vipSubnetId) &&
      (typeof vipAddress !== 'string' || sameAddress(ipAddress, vipAddress)),
  );
  if (fixedIp === undefined) {
    return validationFailure(
      `Port ${portId} has no address ${vipAddress ?? ''}${typeof vipSubnetId === 'string' ? ` on subnet ${vipSubnetId}` : ''}.`,
    );
  }
  if (others.length > 0 && typeof vipSubnetId !== 'string' && typeof vipAddress !== 'string') {
    return validationFailure(`Port ${portId} has several addresses: choose by vip_subnet_id or vip_address.`);
  }
  return { port, subnetId: fixedIp.subnetId, address: fixedIp.ipAddress };
}

async function onNetwork(
  networking: Networking,
  { vipSubnetId, vipAddress }: VipWish,
  networkId: string,
  token: string | undefined,
): Promise<VipPlan | Problem> {
  const subnets = await networking.subnetsOf(networkId, token);
  if (subnets === undefined) return cloudObjectNotFound('Network', networkId);
  const address = vipAddress ?? undefined;
  if (typeof vipSubnetId === 'string') {
    const subnet = await networking.subnet(vipSubnetId, token);
    if (subnet === undefined) return cloudObjectNotFound('Subnet', vipSubnetId);
    if (subnet.networkId !== networkId) {
      return validationFailure(`Subnet ${vipSubnetId} is not part of network ${networkId}.`);
    }
    return { port: undefined, networkId, subnetIds: [vipSubnetId], anySubnet: false, address };
  }
  const fitting = subnets
    .filter((subnet) => address === undefined || contains(subnet, address))
    .toSorted((a, b) => a.ipVersion - b.ipVersion);
  if (fitting.length === 0) {
    return validationFailure(
      address === undefined
        ? `Network ${networkId} has no subnet.`
        : `Network ${networkId} has no subnet that holds the address ${address}.`,
    );
  }
  return {
    port: undefined,
    networkId,
    subnetIds: fitting.map(({ id }) => id),
    anySubnet: address === undefined,
    address,
  };
}

async function additionalProblem(
  networking: Networking,
  { additionalVips }: VipWish,
  plan: VipPlan,
  token: string | undefined,
): Promise<Problem | undefined> {
  if (additionalVips.length === 0) return undefined;
  const networkId = plan.port === undefined ? plan.networkId : plan.port.networkId;
  const primary = plan.port === undefined ? plan.subnetIds.slice(0, 1) : [plan.subnetId];
  const wanted = additionalVips.map(({ subnetId }) => subnetId);
  const all = [...primary, ...wanted];
  if (new Set(all).size < all.length) {
    return validationFailure('Every additional VIP needs a subnet of its own, other than that of the VIP.');
  }
  for (const { subnetId, ipAddress } of additionalVips) {
    const subnet = await networking.subnet(subnetId, token);
    if (subnet === undefined) return cloudObjectNotFound('Subnet', subnetId);
    if (subnet.networkId !== networkId) {
      return validationFailure(
        `Additional VIPs need subnets of one network; ${subnetId} is not on ${networkId}.`,
      );
    }
    if (plan.port !== undefined && !plan.port.fixedIps.some(isOn(subnetId, ipAddress))) {
      return validationFailure(
        `Port ${plan.port.id} has no address ${ipAddress ?? ''} on subnet ${subnetId}.`,
      );
    }
  }
  return undefined;
}

/** The VIP itself; makes the port unless the client brought one. A taken address is a 409. */
export async function takeVip(
  networking: Networking,
  plan: VipPlan,
  { additionalVips }: VipWish,
  owner: { readonly loadBalancerId: string; readonly projectId: string },
): Promise<Vip | Problem> {
  if (plan.port !== undefined) return vipOn(plan.port, plan, additionalVips, false);
  const { networkId, address, subnetIds } = plan;
  let full: DriverError | undefined;
  for (const subnetId of subnetIds) {
    try {
      const port = await networking.ensurePort({
        name: `octavia-lb-${owner.loadBalancerId}`,
        networkId,
        fixedIps: [
          { subnetId, ...(address !== undefined && { ipAddress: address }) },
          ...additionalVips.map((vip) => ({
            subnetId: vip.subnetId,
            ...(typeof vip.ipAddress === 'string' && { ipAddress: vip.ipAddress }),
          })),
        ],
        deviceId: `lb-${owner.loadBalancerId}`,
        deviceOwner: 'Octavia',
        projectId: owner.projectId,
        adminStateUp: false,
        unheardOf: true,
      });
      const made = port.fixedIps.find((fixedIp) => fixedIp.subnetId === subnetId);
      if (made === undefined) throw new Error(`port ${port.id} was made without an address on ${subnetId}`);
      return vipOn(port, { subnetId, address: made.ipAddress }, additionalVips, true);
    } catch (error) {
      if (!(error instanceof DriverError) || error.status !== 409) throw error;
      full = error;
    }
  }
  return plan.anySubnet
    ? validationFailure(`no subnet of network ${networkId} has enough free addresses.`)
    : problem(409, full?.message ?? 'No subnet has a free address.');
}

function vipOn(
  port: Port,
  { subnetId, address }: { readonly subnetId: string; readonly address: string },
  additionalVips: VipWish['additionalVips'],
  vipPortOwned: boolean,
): Vip {
  return {
    vipPortId: port.id,
    vipNetworkId: port.networkId,
    vipSubnetId: subnetId,
    vipAddress: address,
    vipPortOwned,
    additionalVips: additionalVips.flatMap((vip) => {
      const fixedIp = port.fixedIps.find(isOn(vip.subnetId, vip.ipAddress));
      return fixedIp === undefined ? [] : [{ ...fixedIp, portId: port.id }];
    }),
  };
}

const isOn =
  (subnetId: string, address: string | null | undefined) =>
  (fixedIp: FixedIp): boolean =>
    fixedIp.subnetId === subnetId && (typeof address !== 'string' || sameAddress(fixedIp.ipAddress, address));

function sameAddress(a: string, b: string): boolean {
  return ipaddr.parse(a).toNormalizedString() === ipaddr.parse(b).toNormalizedString();
}

function contains(subnet: Subnet, address: string): boolean {
  const parsed = ipaddr.parse(address);
  const network = ipaddr.parseCIDR(subnet.cidr);
  return parsed.kind() === network[0].kind() && parsed.match(network);
}
