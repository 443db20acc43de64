import Type from 'typebox';
import { type Caller, owns, projectFor, requireAdmin } from '../caller.ts';
import { read } from '../http.ts';
import { badRequest, conflict, notFound } from '../refusal.ts';
import { parseAddress } from './addresses.ts';
import { servicePort } from './ports.ts';
import {
  born,
  changed,
  type FixedIp,
  type FloatingIp,
  type Net,
  type Port,
  seesPort,
  subnetsOn,
} from './records.ts';
import { type Resource, tagFilters } from './resource.ts';
import { externalNetwork, interfacesOf } from './routers.ts';

const target = {
  description: Type.Optional(Type.String({ maxLength: 255 })),
  port_id: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  fixed_ip_address: Type.Optional(Type.Union([Type.String(), Type.Null()])),
};
const Create = Type.Object(
  {
    ...target,
    floating_network_id: Type.String(),
    floating_ip_address: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    subnet_id: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    project_id: Type.Optional(Type.String()),
    tenant_id: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);
const Update = Type.Object(target, { additionalProperties: false });

/** Addresses of an external network that a router forwards to a port behind it, both ways. */
export function floatingIpResource(net: Net, settle: () => Promise<void>): Resource<FloatingIp> {
  return {
    one: 'floatingip',
    many: 'floatingips',
    type: 'FloatingIP',
    collection: net.floatingIps,
    sees: (caller, floating) => owns(caller, floating.project_id),
    settled: settle,
    filters: [
      'id',
      'description',
      'project_id',
      'floating_network_id',
      'floating_ip_address',
      'fixed_ip_address',
      'port_id',
      'router_id',
      'status',
      'revision_number',
      'created_at',
      'updated_at',
    ],
    special: tagFilters<FloatingIp>(),
    view: (floating) => floatingIpView(net, floating),
    create(caller, body) {
      const wish = read(Create, body);
      const project_id = projectFor(caller, wish.project_id ?? wish.tenant_id);
      if (wish.floating_ip_address != null) requireAdmin(caller);
      const network = externalNetwork(net, caller, wish.floating_network_id);
      const blank = born(net, { ...wish, project_id });
      const v4 = subnetsOn(net, network.id).filter((subnet) => subnet.ip_version === 4);
      const home = wish.subnet_id == null ? v4[0] : net.subnets.get(wish.subnet_id);
      if (home === undefined) {
        throw badRequest(
          `Network ${network.id} does not contain any IPv4 subnet`,
          'ExternalNetworkHasNoIPv4Subnet',
        );
      }
      const holder = servicePort(net, network, {
        ...{ project_id: '', device_id: blank.id, device_owner: 'network:floatingip', status: 'ACTIVE' },
        fixed_ips: [
          {
            ...((wish.subnet_id != null || wish.floating_ip_address == null) && { subnet_id: home.id }),
            ...(wish.floating_ip_address != null && { ip_address: wish.floating_ip_address }),
          },
        ],
      });
      const floating: FloatingIp = {
        ...blank,
        floating_network_id: network.id,
        floating_ip_address: holder.fixed_ips[0]?.ip_address ?? '',
        holder_id: holder.id,
        ...nowhere,
      };
      return net.floatingIps.put({ ...floating, ...targetOf(net, caller, floating, wish) });
    },
    update(caller, floating, body) {
      const wish = read(Update, body);
      const description = wish.description ?? floating.description;
      return net.floatingIps.put(
        changed<FloatingIp>(net, floating, { description, ...targetOf(net, caller, floating, wish) }),
      );
    },
    remove(_caller, floating) {
      net.ports.remove(floating.holder_id);
    },
  };
}

const nowhere = { port_id: null, fixed_ip_address: null, router_id: null };

function floatingIpView(net: Net, { name: _, holder_id: __, ...floating }: FloatingIp): object {
  const port = floating.port_id === null ? undefined : net.ports.get(floating.port_id);
  return {
    ...floating,
    tenant_id: floating.project_id,
    status: floating.port_id === null ? 'DOWN' : 'ACTIVE',
    port_details: port
      ? {
          name: port.name,
          network_id: port.network_id,
          mac_address: port.mac_address,
          admin_state_up: port.admin_state_up,
          status: port.status,
          device_id: port.device_id,
          device_owner: port.device_owner,
        }
      : null,
  };
}

type Target = Pick<FloatingIp, 'port_id' | 'fixed_ip_address' | 'router_id'>;

/** Where it shall point. Throws when there is no way there. */
function targetOf(
  net: Net,
  caller: Caller,
  floating: FloatingIp,
  wish: { port_id?: string | null; fixed_ip_address?: string | null },
): Target {
  const { port_id = floating.port_id, fixed_ip_address } = wish;
  if (wish.port_id === undefined && fixed_ip_address === undefined) {
    const { fixed_ip_address: fixed, router_id } = floating;
    return { port_id, fixed_ip_address: fixed, router_id };
  }
  if (port_id === null) {
    if (fixed_ip_address != null)
      throw badRequest('Bad floatingip request: fixed_ip_address cannot be specified without a port_id.');
    return nowhere;
  }
  const port = net.ports.get(port_id);
  if (port === undefined || !seesPort(net, caller, port))
    throw notFound(`Port ${port_id} could not be found.`, 'PortNotFound');
  const fixed = fixedIpOf(port, fixed_ip_address ?? undefined);
  const router_id = routerTo(net, floating.floating_network_id, port, fixed);
  const rival = net.floatingIps
    .all()
    .find(
      (each) =>
        each.id !== floating.id && each.port_id === port.id && each.fixed_ip_address === fixed.ip_address,
    );
  if (rival !== undefined) {
    throw conflict(
      `Cannot associate floating IP ${floating.floating_ip_address} (${floating.id}) with port ${port.id} using fixed IP ${fixed.ip_address}, as that fixed IP already has a floating IP on external network ${floating.floating_network_id}.`,
      'FloatingIPPortAlreadyAssociated',
    );
  }
  return { port_id: port.id, fixed_ip_address: fixed.ip_address, router_id };
}

function fixedIpOf(port: Port, wished: string | undefined): FixedIp {
  const v4 = port.fixed_ips.filter((fixed) => parseAddress(fixed.ip_address)?.version === 4);
  const [first, second] = wished === undefined ? v4 : v4.filter((fixed) => fixed.ip_address === wished);
  if (first === undefined) {
    throw badRequest(
      wished === undefined
        ? `Bad floatingip request: Cannot add floating IP to port ${port.id} that has no fixed IPv4 addresses.`
        : `Bad floatingip request: Port ${port.id} does not have fixed ip ${wished}.`,
    );
  }
  if (second !== undefined) {
    throw badRequest(
      `Bad floatingip request: Port ${port.id} has multiple fixed IPv4 addresses. Must provide a specific IPv4 address when assigning a floating IP.`,
    );
  }
  return first;
}

/** The router that joins the address's subnet with the external network. */
function routerTo(net: Net, externalId: string, port: Port, fixed: FixedIp): string {
  const router = net.routers.all().find((each) => {
    const gateway = each.gateway && net.ports.get(each.gateway.port_id);
    return (
      gateway?.network_id === externalId &&
      interfacesOf(net, each).some((own) => own.fixed_ips.some((one) => one.subnet_id === fixed.subnet_id))
    );
  });
  if (router !== undefined) return router.id;
  throw notFound(
    `External network ${externalId} is not reachable from subnet ${fixed.subnet_id}. Therefore, cannot associate Port ${port.id} with a Floating IP.`,
    'ExternalGatewayForFloatingIPNotFound',
  );
}
