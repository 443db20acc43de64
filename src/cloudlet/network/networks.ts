import Type from 'typebox';
import { projectFor, requireAdmin } from '../caller.ts';
import { read } from '../http.ts';
import { conflict } from '../refusal.ts';
import { born, changed, type Net, type Network, portsOn, seesNetwork, subnetsOn } from './records.ts';
import { checkPolicy, defaultPolicy } from './qos.ts';
import { type Resource, tagFilters } from './resource.ts';

const changeable = {
  name: Type.Optional(Type.String({ maxLength: 255 })),
  description: Type.Optional(Type.String({ maxLength: 255 })),
  admin_state_up: Type.Optional(Type.Boolean()),
  shared: Type.Optional(Type.Boolean()),
  'router:external': Type.Optional(Type.Boolean()),
  port_security_enabled: Type.Optional(Type.Boolean()),
  mtu: Type.Optional(Type.Integer({ minimum: 68, maximum: 65_535 })),
  qos_policy_id: Type.Optional(Type.Union([Type.String(), Type.Null()])),
};
const Create = Type.Object(
  {
    ...changeable,
    project_id: Type.Optional(Type.String()),
    tenant_id: Type.Optional(Type.String()),
    availability_zone_hints: Type.Optional(Type.Array(Type.Literal('nova'))),
  },
  { additionalProperties: false },
);
const Update = Type.Object(changeable, { additionalProperties: false });

export function networkResource(
  net: Net,
  settled: NonNullable<Resource<Network>['settled']>,
): Resource<Network> {
  return {
    one: 'network',
    many: 'networks',
    type: 'Network',
    collection: net.networks,
    sees: seesNetwork,
    settled,
    filters: [
      'id',
      'name',
      'description',
      'project_id',
      'admin_state_up',
      'shared',
      'router:external',
      'status',
      'mtu',
      'port_security_enabled',
      'revision_number',
      'created_at',
      'updated_at',
    ],
    special: tagFilters<Network>(),
    view: ({ host_leg: _, ...network }) => ({
      ...network,
      tenant_id: network.project_id,
      status: 'ACTIVE',
      subnets: subnetsOn(net, network.id).map((subnet) => subnet.id),
      qos_policy_id: network.qos_policy_id ?? null,
      availability_zone_hints: [],
      availability_zones: ['nova'],
      ipv4_address_scope: null,
      ipv6_address_scope: null,
      ...(network['router:external'] && { is_default: false }),
    }),
    create(caller, body) {
      const wish = read(Create, body);
      const { project_id, tenant_id, ...rest } = wish;
      const project = projectFor(caller, project_id ?? tenant_id);
      checkPolicy(net, caller, rest.qos_policy_id);
      if (rest.shared === true || rest['router:external'] === true) requireAdmin(caller);
      return net.networks.put({
        ...born(net, { ...rest, project_id: project }),
        admin_state_up: rest.admin_state_up ?? true,
        shared: rest.shared ?? false,
        'router:external': rest['router:external'] ?? false,
        port_security_enabled: rest.port_security_enabled ?? true,
        mtu: rest.mtu ?? 1500,
        qos_policy_id: rest.qos_policy_id === undefined ? defaultPolicy(net, project) : rest.qos_policy_id,
        host_leg: false,
      });
    },
    update(caller, network, body) {
      const wish = read(Update, body);
      if (wish.shared !== undefined || wish['router:external'] !== undefined) requireAdmin(caller);
      checkPolicy(net, caller, wish.qos_policy_id);
      return net.networks.put(changed<Network>(net, network, wish));
    },
    remove(_caller, network) {
      // Floating IPs that point nowhere keep no network.
      for (const floating of net.floatingIps.all()) {
        if (floating.floating_network_id !== network.id || floating.port_id !== null) continue;
        net.ports.remove(floating.holder_id);
        net.floatingIps.remove(floating.id);
      }
      if (portsOn(net, network.id).length > 0) {
        throw conflict(
          `Unable to complete operation on network ${network.id}. There are one or more ports still in use on the network.`,
          'NetworkInUse',
        );
      }
      for (const subnet of subnetsOn(net, network.id)) net.subnets.remove(subnet.id);
    },
  };
}
