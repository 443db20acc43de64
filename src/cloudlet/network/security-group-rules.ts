import Type, { type Static } from 'typebox';
import { owns } from '../caller.ts';
import { read } from '../http.ts';
import { badRequest, conflict, notFound } from '../refusal.ts';
import { parseCidr } from './addresses.ts';
import { born, type Net, type SecurityGroup, type SecurityGroupRule } from './records.ts';
import type { Resource } from './resource.ts';

const Nullable = <T extends Type.TSchema>(type: T) => Type.Optional(Type.Union([type, Type.Null()]));
const Create = Type.Object(
  {
    security_group_id: Type.String(),
    direction: Type.Union([Type.Literal('ingress'), Type.Literal('egress')]),
    ethertype: Nullable(Type.String({ pattern: '^[iI][pP][vV][46]$' })),
    protocol: Nullable(Type.Union([Type.String(), Type.Integer()])),
    port_range_min: Nullable(Type.Integer()),
    port_range_max: Nullable(Type.Integer()),
    remote_ip_prefix: Nullable(Type.String()),
    remote_group_id: Nullable(Type.String()),
    description: Type.Optional(Type.String({ maxLength: 255 })),
    project_id: Type.Optional(Type.String()),
    tenant_id: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);
type RuleWish = Omit<Static<typeof Create>, 'security_group_id'>;

const protocols = [
  'ah',
  'dccp',
  'egp',
  'esp',
  'gre',
  'icmp',
  'icmpv6',
  'igmp',
  'ipip',
  'ipv6-encap',
  'ipv6-frag',
  'ipv6-icmp',
  'ipv6-nonxt',
  'ipv6-opts',
  'ipv6-route',
  'ospf',
  'pgm',
  'rsvp',
  'sctp',
  'tcp',
  'udp',
  'udplite',
  'vrrp',
];
const withPorts = ['tcp', '6', 'udp', '17', 'sctp', '132', 'dccp', '33', 'udplite', '136'];
const icmp = ['icmp', '1', 'icmpv6', 'ipv6-icmp', '58'];

export function ruleResource(net: Net): Resource<SecurityGroupRule> {
  return {
    one: 'security_group_rule',
    many: 'security_group_rules',
    type: 'SecurityGroupRule',
    collection: net.rules,
    sees: (caller, rule) => owns(caller, rule.project_id),
    filters: [
      'id',
      'description',
      'project_id',
      'security_group_id',
      'direction',
      'ethertype',
      'protocol',
      'port_range_min',
      'port_range_max',
      'remote_ip_prefix',
      'remote_group_id',
      'revision_number',
    ],
    view: ruleView,
    create(caller, body) {
      const { security_group_id, ...wish } = read(Create, body);
      const group = net.groups.get(security_group_id);
      if (group === undefined || !owns(caller, group.project_id)) {
        throw notFound(`Security group ${security_group_id} does not exist`, 'SecurityGroupNotFound');
      }
      return putRule(net, group, wish);
    },
    remove() {},
  };
}

export function ruleView(rule: SecurityGroupRule): object {
  return {
    ...rule,
    tenant_id: rule.project_id,
    normalized_cidr: rule.remote_ip_prefix === null ? null : (parseCidr(rule.remote_ip_prefix)?.text ?? null),
    remote_address_group_id: null,
    tags: [],
  };
}

export function putRule(net: Net, group: SecurityGroup, wish: RuleWish): SecurityGroupRule {
  const {
    name: _,
    tags: __,
    ...common
  } = born(net, {
    project_id: group.project_id,
    ...(wish.description !== undefined && { description: wish.description }),
  });
  const rule: SecurityGroupRule = {
    ...common,
    security_group_id: group.id,
    direction: wish.direction,
    ethertype: wish.ethertype?.toLowerCase() === 'ipv6' ? 'IPv6' : 'IPv4',
    protocol: protocolOf(wish.protocol),
    port_range_min: wish.port_range_min ?? null,
    port_range_max: wish.port_range_max ?? null,
    remote_ip_prefix: prefixOf(wish.remote_ip_prefix),
    remote_group_id: wish.remote_group_id ?? null,
  };
  check(net, rule);
  const twin = net.rules.all().find((other) => identity(other) === identity(rule));
  if (twin !== undefined) {
    throw conflict(`Security group rule already exists. Rule id is ${twin.id}.`, 'SecurityGroupRuleExists');
  }
  return net.rules.put(rule);
}

function identity(rule: SecurityGroupRule): string {
  return JSON.stringify([
    rule.security_group_id,
    rule.direction,
    rule.ethertype,
    rule.protocol,
    rule.port_range_min,
    rule.port_range_max,
    rule.remote_ip_prefix,
    rule.remote_group_id,
  ]);
}

function protocolOf(wish: string | number | null | undefined): string | null {
  if (wish == null || wish === 'any' || wish === '') return null;
  const text = String(wish).toLowerCase();
  if (protocols.includes(text) || (/^[0-9]{1,3}$/.test(text) && Number(text) <= 255)) return text;
  throw badRequest(
    `Security group rule protocol ${text} not supported. Only protocol values [${protocols.join(', ')}] and integer representations [0 to 255] are supported.`,
    'SecurityGroupRuleInvalidProtocol',
  );
}

function prefixOf(wish: string | null | undefined): string | null {
  if (wish == null || wish === '') return null;
  const cidr = parseCidr(wish) ?? parseCidr(`${wish}/${wish.includes(':') ? 128 : 32}`);
  if (cidr === undefined)
    throw badRequest(`Invalid input for remote_ip_prefix. Reason: '${wish}' is not a valid IP subnet.`);
  return cidr.text;
}

function check(net: Net, rule: SecurityGroupRule): void {
  const { port_range_min: min, port_range_max: max, protocol } = rule;
  if (rule.remote_group_id !== null && rule.remote_ip_prefix !== null) {
    throw badRequest(
      'Only remote_ip_prefix or remote_group_id may be provided.',
      'SecurityGroupRemoteGroupAndRemoteIpPrefix',
    );
  }
  if (rule.remote_group_id !== null && net.groups.get(rule.remote_group_id) === undefined) {
    throw notFound(`Security group ${rule.remote_group_id} does not exist`, 'SecurityGroupNotFound');
  }
  if (
    rule.remote_ip_prefix !== null &&
    `IPv${parseCidr(rule.remote_ip_prefix)?.version}` !== rule.ethertype
  ) {
    throw badRequest(
      `Conflicting value ethertype ${rule.ethertype} for CIDR ${rule.remote_ip_prefix}`,
      'SecurityGroupRuleParameterConflict',
    );
  }
  if (min === null && max === null) return;
  const wrong = [min, max].find((port) => port !== null && (port < 0 || port > 65_535));
  if (wrong !== undefined)
    throw badRequest(`Invalid value for port ${wrong}`, 'SecurityGroupInvalidPortValue');
  if (protocol === null) {
    throw badRequest(
      'Must also specify protocol if port range is given.',
      'SecurityGroupProtocolRequiredWithPorts',
    );
  }
  if (icmp.includes(protocol)) {
    if (min === null) {
      throw badRequest(
        `ICMP code (port-range-max) ${max} is provided but ICMP type (port-range-min) is missing.`,
        'SecurityGroupMissingIcmpType',
      );
    }
    for (const [what, value] of [
      ['type (port-range-min)', min],
      ['code (port-range-max)', max ?? 0],
    ] as const) {
      if (value > 255) {
        throw badRequest(
          `Invalid value for ICMP ${what} ${value}. It must be 0 to 255.`,
          'SecurityGroupInvalidIcmpValue',
        );
      }
    }
    return;
  }
  if (!withPorts.includes(protocol)) {
    throw badRequest(
      `Invalid port range specified for protocol ${protocol}.`,
      'SecurityGroupInvalidProtocolForPort',
    );
  }
  if (min === null || max === null || min > max) {
    throw badRequest(
      'For TCP/UDP protocols, port_range_min must be <= port_range_max',
      'SecurityGroupInvalidPortRange',
    );
  }
}
