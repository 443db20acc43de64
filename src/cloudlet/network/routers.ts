import Type, { type Static } from 'typebox';
import { type Caller, owns, projectFor, requireAdmin } from '../caller.ts';
import { read } from '../http.ts';
import { badRequest, conflict, notFound } from '../refusal.ts';
import { parseAddress, parseCidr } from './addresses.ts';
import { assign } from './allocation.ts';
import { servicePort } from './ports.ts';
import { born, changed, type Net, type Network, type Port, type Router, seesNetwork } from './records.ts';
import { type Resource, tagFilters } from './resource.ts';

const Nullable = <T extends Type.TSchema>(type: T) => Type.Optional(Type.Union([type, Type.Null()]));
const Gateway = Type.Object(
  {
    network_id: Type.String(),
    enable_snat: Type.Optional(Type.Boolean()),
    external_fixed_ips: Type.Optional(
      Type.Array(
        Type.Object(
          { subnet_id: Type.Optional(Type.String()), ip_address: Type.Optional(Type.String()) },
          { additionalProperties: false },
        ),
      ),
    ),
  },
  { additionalProperties: false },
);
const changeable = {
  name: Type.Optional(Type.String({ maxLength: 255 })),
  description: Type.Optional(Type.String({ maxLength: 255 })),
  admin_state_up: Type.Optional(Type.Boolean()),
  // An empty object takes the gateway away, as null does.
  external_gateway_info: Nullable(
    Type.Union([Gateway, Type.Object({}, { additionalProperties: false, maxProperties: 0 })]),
  ),
  routes: Nullable(Type.Array(Type.Object({ destination: Type.String(), nexthop: Type.String() }))),
  // There is one kind of router here.
  distributed: Nullable(Type.Literal(false)),
  ha: Nullable(Type.Literal(false)),
};
const Create = Type.Object(
  {
    ...changeable,
    project_id: Type.Optional(Type.String()),
    tenant_id: Type.Optional(Type.String()),
    availability_zone_hints: Type.Optional(Type.Array(Type.Literal('nova'))),
    flavor_id: Nullable(Type.Null()),
  },
  { additionalProperties: false },
);
const Update = Type.Object(changeable, { additionalProperties: false });
type GatewayWish = Static<typeof Gateway>;

export function routerResource(net: Net, settle: () => Promise<void>): Resource<Router> {
  return {
    one: 'router',
    many: 'routers',
    type: 'Router',
    collection: net.routers,
    sees: (caller, router) => owns(caller, router.project_id),
    settled: settle,
    filters: ['id', 'name', 'description', 'project_id', 'admin_state_up', 'status', 'revision_number'],
    special: tagFilters<Router>(),
    view: (router) => routerView(net, router),
    create(caller, body) {
      const wish = read(Create, body);
      const project_id = projectFor(caller, wish.project_id ?? wish.tenant_id);
      const router: Router = {
        ...born(net, { ...wish, project_id }),
        admin_state_up: wish.admin_state_up ?? true,
        gateway: null,
        routes: [],
      };
      const gateway = gatewayFor(net, caller, router, gatewayWish(wish.external_gateway_info));
      if ((wish.routes ?? []).length > 0)
        throw badRequest('Invalid input for routes: a router without interfaces has no next hops.');
      return net.routers.put({ ...router, gateway });
    },
    update(caller, router, body) {
      const wish = read(Update, body);
      const gateway =
        wish.external_gateway_info === undefined
          ? router.gateway
          : gatewayFor(net, caller, router, gatewayWish(wish.external_gateway_info));
      const routes = wish.routes === undefined ? router.routes : (wish.routes ?? []);
      checkRoutes(net, router, routes);
      return net.routers.put(
        changed<Router>(net, router, {
          ...(wish.name !== undefined && { name: wish.name }),
          ...(wish.description !== undefined && { description: wish.description }),
          ...(wish.admin_state_up !== undefined && { admin_state_up: wish.admin_state_up }),
          ...{ gateway, routes },
        }),
      );
    },
    remove(_caller, router) {
      if (interfacesOf(net, router).length > 0)
        throw conflict(`Router ${router.id} still has ports`, 'RouterInUse');
      removeGateway(net, router);
    },
  };
}

function routerView(net: Net, { gateway, ...router }: Router): object {
  const port = gateway && net.ports.get(gateway.port_id);
  return {
    ...router,
    tenant_id: router.project_id,
    status: 'ACTIVE',
    external_gateway_info: port && {
      network_id: port.network_id,
      enable_snat: gateway?.enable_snat,
      external_fixed_ips: port.fixed_ips,
    },
    distributed: false,
    ha: false,
    flavor_id: null,
    availability_zone_hints: [],
    availability_zones: ['nova'],
  };
}

/** The router's ports on the networks it joins; not the one on an external network. */
export function interfacesOf(net: Net, router: Router): Port[] {
  return net.ports
    .all()
    .filter((port) => port.device_id === router.id && port.device_owner === interfaceOwner);
}

export const interfaceOwner = 'network:router_interface';

function gatewayWish(wish: Static<typeof Update>['external_gateway_info']): GatewayWish | null {
  return wish != null && 'network_id' in wish ? wish : null;
}

function gatewayFor(net: Net, caller: Caller, router: Router, wish: GatewayWish | null): Router['gateway'] {
  if (wish === null) {
    removeGateway(net, router);
    return null;
  }
  if (wish.enable_snat !== undefined || wish.external_fixed_ips !== undefined) requireAdmin(caller);
  const network = externalNetwork(net, caller, wish.network_id);
  const enable_snat = wish.enable_snat ?? router.gateway?.enable_snat ?? true;
  const before = router.gateway && net.ports.get(router.gateway.port_id);
  if (before?.network_id === network.id) {
    if (wish.external_fixed_ips !== undefined) {
      const fixed_ips = assign(net, network, wish.external_fixed_ips, before);
      net.ports.put(changed<Port>(net, before, { fixed_ips }));
    }
    return { port_id: before.id, enable_snat };
  }
  removeGateway(net, router);
  const port = servicePort(net, network, {
    ...{ project_id: '', device_id: router.id, device_owner: 'network:router_gateway', status: 'ACTIVE' },
    ...(wish.external_fixed_ips && { fixed_ips: wish.external_fixed_ips }),
  });
  return { port_id: port.id, enable_snat };
}

/** Throws when it is not there, or not external. */
export function externalNetwork(net: Net, caller: Caller, id: string): Network {
  const network = net.networks.get(id);
  if (network === undefined || !seesNetwork(caller, network))
    throw notFound(`Network ${id} could not be found.`, 'NetworkNotFound');
  if (!network['router:external'])
    throw badRequest(`Bad router request: Network ${id} is not an external network.`);
  return network;
}

function removeGateway(net: Net, router: Router): void {
  if (router.gateway === null) return;
  if (net.floatingIps.all().some((floating) => floating.router_id === router.id)) {
    throw conflict(
      `Gateway cannot be updated for router ${router.id}, since a gateway to external network is required by one or more floating IPs.`,
      'RouterExternalGatewayInUseByFloatingIp',
    );
  }
  net.ports.remove(router.gateway.port_id);
}

/** A next hop is a neighbour, and not the router itself. */
function checkRoutes(net: Net, router: Router, routes: Router['routes']): void {
  const ports = net.ports.all().filter((port) => port.device_id === router.id);
  const subnets = ports.flatMap((port) => port.fixed_ips.map((fixed) => net.subnets.get(fixed.subnet_id)));
  for (const { destination, nexthop } of routes) {
    const [to, hop] = [parseCidr(destination), parseAddress(nexthop)];
    const near = subnets.some((subnet) => {
      const cidr = subnet && parseCidr(subnet.cidr);
      return cidr?.version === hop?.version && hop !== undefined && cidr !== undefined
        ? cidr.first <= hop.value && hop.value <= cidr.last
        : false;
    });
    const own = ports.some((port) => port.fixed_ips.some((fixed) => fixed.ip_address === nexthop));
    if (to === undefined || hop === undefined || to.version !== hop.version || !near || own) {
      throw badRequest(
        `Invalid format for routes: ${destination} via ${nexthop}, the nexthop is not connected with router`,
        'InvalidRoutes',
      );
    }
  }
}

/** Not while an interface is the way to a next hop. */
export function usesInterface(net: Net, router: Router, port: Port): boolean {
  const cidrs = port.fixed_ips.flatMap(
    (fixed) => parseCidr(net.subnets.get(fixed.subnet_id)?.cidr ?? '') ?? [],
  );
  return router.routes.some(({ nexthop }) => {
    const hop = parseAddress(nexthop);
    return (
      hop !== undefined &&
      cidrs.some((cidr) => cidr.version === hop.version && cidr.first <= hop.value && hop.value <= cidr.last)
    );
  });
}
