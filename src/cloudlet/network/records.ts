import { randomUUID } from 'node:crypto';
import { type Caller, isAdmin, owns } from '../caller.ts';
import type { Collection, Records } from '../records.ts';

/** What all of Neutron's things have. */
export interface Common {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly project_id: string;
  readonly tags: readonly string[];
  /** ISO 8601 without fractions, UTC. */
  readonly created_at: string;
  readonly updated_at: string;
  readonly revision_number: number;
}

export interface Network extends Common {
  readonly admin_state_up: boolean;
  readonly shared: boolean;
  readonly 'router:external': boolean;
  readonly mtu: number;
  readonly port_security_enabled: boolean;
  /** The gateways of its subnets are this machine. */
  readonly host_leg: boolean;
  /** Of ports without a policy of their own. */
  readonly qos_policy_id?: string | null;
}

export interface Subnet extends Common {
  readonly network_id: string;
  readonly ip_version: 4 | 6;
  readonly cidr: string;
  readonly gateway_ip: string | null;
  readonly allocation_pools: readonly { readonly start: string; readonly end: string }[];
  readonly enable_dhcp: boolean;
  readonly dns_nameservers: readonly string[];
  readonly host_routes: readonly { readonly destination: string; readonly nexthop: string }[];
}

export interface FixedIp {
  readonly subnet_id: string;
  readonly ip_address: string;
}

export interface AddressPair {
  readonly ip_address: string;
  readonly mac_address: string;
}

export interface Port extends Common {
  readonly network_id: string;
  readonly mac_address: string;
  readonly admin_state_up: boolean;
  readonly status: 'ACTIVE' | 'DOWN';
  readonly device_id: string;
  readonly device_owner: string;
  readonly fixed_ips: readonly FixedIp[];
  readonly allowed_address_pairs: readonly AddressPair[];
  readonly security_groups: readonly string[];
  readonly port_security_enabled: boolean;
  readonly 'binding:vnic_type': string;
  readonly 'binding:host_id': string;
  readonly 'binding:profile': object;
  readonly qos_policy_id?: string | null;
}

export interface Router extends Common {
  readonly admin_state_up: boolean;
  /** Its port on an external network. */
  readonly gateway: { readonly port_id: string; readonly enable_snat: boolean } | null;
  readonly routes: readonly { readonly destination: string; readonly nexthop: string }[];
}

export interface FloatingIp extends Common {
  readonly floating_network_id: string;
  readonly floating_ip_address: string;
  /** The port that keeps the address on the external network. */
  readonly holder_id: string;
  /** All three, or none. */
  readonly port_id: string | null;
  readonly fixed_ip_address: string | null;
  readonly router_id: string | null;
}

export interface BandwidthLimit {
  readonly id: string;
  readonly max_kbps: number;
  /** kbit; 0: four fifths of a second's worth. */
  readonly max_burst_kbps: number;
  /** As the instance sees it. */
  readonly direction: 'egress' | 'ingress';
}

export interface QosPolicy extends Common {
  readonly shared: boolean;
  readonly is_default: boolean;
  readonly limits: readonly BandwidthLimit[];
}

export interface SecurityGroup extends Common {
  readonly stateful: boolean;
}

export interface SecurityGroupRule extends Omit<Common, 'name' | 'tags'> {
  readonly security_group_id: string;
  readonly direction: 'ingress' | 'egress';
  readonly ethertype: 'IPv4' | 'IPv6';
  readonly protocol: string | null;
  readonly port_range_min: number | null;
  readonly port_range_max: number | null;
  readonly remote_ip_prefix: string | null;
  readonly remote_group_id: string | null;
}

/** Neutron's memory. */
export interface Net {
  readonly records: Records;
  readonly networks: Collection<Network>;
  readonly subnets: Collection<Subnet>;
  readonly ports: Collection<Port>;
  readonly groups: Collection<SecurityGroup>;
  readonly rules: Collection<SecurityGroupRule>;
  readonly routers: Collection<Router>;
  readonly floatingIps: Collection<FloatingIp>;
  readonly policies: Collection<QosPolicy>;
  readonly now: () => Date;
}

export function openNet(records: Records, now: () => Date): Net {
  return {
    records,
    networks: records.collection('network'),
    subnets: records.collection('subnet'),
    ports: records.collection('port'),
    groups: records.collection('security-group'),
    rules: records.collection('security-group-rule'),
    routers: records.collection('router'),
    floatingIps: records.collection('floating-ip'),
    policies: records.collection('qos-policy'),
    now,
  };
}

export function born(net: Net, of: { name?: string; description?: string; project_id: string }): Common {
  const time = timestamp(net);
  return {
    id: randomUUID(),
    name: of.name ?? '',
    description: of.description ?? '',
    project_id: of.project_id,
    tags: [],
    created_at: time,
    updated_at: time,
    revision_number: 0,
  };
}

/** The record with the change in it, and the marks of having been changed. */
export function changed<T extends Omit<Common, 'name' | 'tags'>>(net: Net, record: T, change: Partial<T>): T {
  return { ...record, ...change, updated_at: timestamp(net), revision_number: record.revision_number + 1 };
}

function timestamp(net: Net): string {
  return `${net.now().toISOString().slice(0, 19)}Z`;
}

export function seesNetwork(caller: Caller, network: Network): boolean {
  return network.shared || network['router:external'] || owns(caller, network.project_id);
}

export function seesSubnet(net: Net, caller: Caller, subnet: Subnet): boolean {
  return owns(caller, subnet.project_id) || net.networks.get(subnet.network_id)?.shared === true;
}

export function seesPort(net: Net, caller: Caller, port: Port): boolean {
  if (isAdmin(caller) || owns(caller, port.project_id)) return true;
  return owns(caller, net.networks.get(port.network_id)?.project_id ?? null);
}

export function portsOn(net: Net, networkId: string): Port[] {
  return net.ports.all().filter((port) => port.network_id === networkId);
}

/** A floating IP whose port goes stays, and points nowhere. Call it in a transaction. */
export function dropPort(net: Net, portId: string): void {
  net.ports.remove(portId);
  for (const floating of net.floatingIps.all()) {
    if (floating.port_id !== portId) continue;
    const nowhere = { port_id: null, fixed_ip_address: null, router_id: null };
    net.floatingIps.put(changed<FloatingIp>(net, floating, nowhere));
  }
}

export function subnetsOn(net: Net, networkId: string): Subnet[] {
  return net.subnets.all().filter((subnet) => subnet.network_id === networkId);
}
