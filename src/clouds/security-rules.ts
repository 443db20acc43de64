import ipaddr from 'ipaddr.js';
import type { SecurityRule } from './clouds.ts';

/** An ingress rule as Neutron shows it. */
export interface ShownRule {
  readonly id: string;
  readonly direction: string;
  readonly ethertype: string | null;
  readonly protocol: string | null;
  readonly port_range_min: number | null;
  readonly port_range_max: number | null;
  readonly remote_ip_prefix: string | null;
  readonly remote_group_id: string | null;
}

/** Pure: which ingress rules are to be added to a group, and which of its rules removed, to have exactly the wanted. */
export function ruleDifference(
  wanted: readonly SecurityRule[],
  shown: readonly ShownRule[],
): { add: readonly SecurityRule[]; removeIds: readonly string[] } {
  const missing = new Map(wanted.map((rule) => [meaningOfWanted(rule), rule]));
  const removeIds: string[] = [];
  for (const rule of shown) {
    if (rule.direction !== 'ingress') continue;
    if (!missing.delete(meaningOfShown(rule))) removeIds.push(rule.id);
  }
  return { add: [...missing.values()], removeIds };
}

/** The body of a rule to be made, its CIDR as network address. */
export function toRuleRequest(rule: SecurityRule, groupId: string): object {
  const icmpOfV6 = rule.protocol === 'icmp' && rule.ipVersion === 6;
  return {
    security_group_rule: {
      security_group_id: groupId,
      direction: 'ingress',
      ethertype: `IPv${rule.ipVersion}`,
      protocol: icmpOfV6 ? 'ipv6-icmp' : rule.protocol,
      port_range_min: rule.port,
      port_range_max: rule.port,
      remote_ip_prefix: rule.remoteCidr === null ? null : networkOf(rule.remoteCidr),
    },
  };
}

/** Neutron may show a protocol by another of its names than the one it was given. */
const protocolNumbers: Readonly<Record<string, string>> = {
  icmp: '1',
  tcp: '6',
  udp: '17',
  'ipv6-icmp': '58',
  icmpv6: '58',
  vrrp: '112',
  sctp: '132',
};

function meaningOfWanted(rule: SecurityRule): string {
  const { port } = rule;
  const protocol = rule.protocol === 'icmp' && rule.ipVersion === 6 ? 'ipv6-icmp' : rule.protocol;
  return meaning(`IPv${rule.ipVersion}`, protocol, port, port, rule.remoteCidr);
}

function meaningOfShown(rule: ShownRule): string {
  const { ethertype, protocol, port_range_min: from, port_range_max: to } = rule;
  // Rules for members of a group are none of ours.
  if (rule.remote_group_id) return `group ${rule.id}`;
  return meaning(ethertype ?? 'IPv4', protocol, from, to, rule.remote_ip_prefix);
}

function meaning(
  ethertype: string,
  protocol: string | null,
  from: number | null,
  to: number | null,
  cidr: string | null,
): string {
  const number = protocol === null ? 'any' : (protocolNumbers[protocol.toLowerCase()] ?? protocol);
  const network = cidr === null ? 'all' : networkOf(cidr);
  return [ethertype, number, from, to, /^(0\.0\.0\.0|::)\/0$/.test(network) ? 'all' : network].join(' ');
}

function networkOf(cidr: string): string {
  const [, length] = ipaddr.parseCIDR(cidr);
  return ipaddr.parse(cidr.slice(0, cidr.indexOf('/'))).kind() === 'ipv4'
    ? `${ipaddr.IPv4.networkAddressFromCIDR(cidr).toString()}/${length}`
    : `${ipaddr.IPv6.networkAddressFromCIDR(cidr).toString()}/${length}`;
}
