import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { type Caller, owns } from '../caller.ts';
import { callerOf, read } from '../http.ts';
import { badRequest, conflict, notFound } from '../refusal.ts';
import { overlap } from './addresses.ts';
import { servicePort } from './ports.ts';
import { changed, type Net, type Port, type Router, seesPort, seesSubnet } from './records.ts';
import { findOwned, type Resource } from './resource.ts';
import { interfaceOwner, interfacesOf, usesInterface } from './routers.ts';
import { cidrOf } from './subnets.ts';

const Interface = Type.Object({
  subnet_id: Type.Optional(Type.String()),
  port_id: Type.Optional(Type.String()),
});

/** `/routers/{id}/add_router_interface` and its opposite: which networks a router joins. */
export function routerInterfaceRoutes(
  app: FastifyInstance,
  net: Net,
  routers: Resource<Router>,
  settle: () => Promise<void>,
): void {
  const answer = (router: Router, port: Port) => ({
    id: router.id,
    tenant_id: router.project_id,
    project_id: router.project_id,
    port_id: port.id,
    network_id: port.network_id,
    subnet_id: port.fixed_ips[0]?.subnet_id,
    subnet_ids: port.fixed_ips.map((fixed) => fixed.subnet_id),
    tags: port.tags,
  });
  const routes = { add_router_interface: add, remove_router_interface: remove };
  for (const [verb, act] of Object.entries(routes)) {
    app.put(`/routers/:id/${verb}`, async (request: FastifyRequest) => {
      const router = findOwned(routers, request);
      const wish = read(Interface, request.body ?? {});
      if (wish.subnet_id === undefined && wish.port_id === undefined)
        throw badRequest('Either subnet_id or port_id must be specified');
      const port = net.records.transaction(() => act(net, callerOf(request), router, wish));
      await settle();
      return answer(router, port);
    });
  }
}

type Wish = Type.Static<typeof Interface>;

function add(net: Net, caller: Caller, router: Router, wish: Wish): Port {
  if (wish.subnet_id !== undefined && wish.port_id !== undefined)
    throw badRequest('Cannot specify both subnet-id and port-id');
  if (wish.port_id !== undefined) return takePort(net, caller, router, wish.port_id);
  const subnet = net.subnets.get(wish.subnet_id ?? '');
  if (subnet === undefined || !seesSubnet(net, caller, subnet))
    throw notFound(`Subnet ${wish.subnet_id} could not be found.`, 'SubnetNotFound');
  if (subnet.gateway_ip === null) throw badRequest('Subnet for router interface must have a gateway IP');
  checkOverlap(net, router, [subnet.id]);
  const network = net.networks.get(subnet.network_id);
  if (network === undefined) throw new Error(`subnet ${subnet.id} has lost its network`);
  return servicePort(net, network, {
    ...{
      project_id: router.project_id,
      device_id: router.id,
      device_owner: interfaceOwner,
      status: 'ACTIVE',
    },
    fixed_ips: [{ subnet_id: subnet.id, ip_address: subnet.gateway_ip }],
  });
}

function takePort(net: Net, caller: Caller, router: Router, id: string): Port {
  const port = net.ports.get(id);
  if (port === undefined || !seesPort(net, caller, port))
    throw notFound(`Port ${id} could not be found.`, 'PortNotFound');
  if (!owns(caller, port.project_id) || port.device_id !== '') {
    throw conflict(
      `Unable to complete operation on port ${id} for network ${port.network_id}. Port already has an attached device ${port.device_id}.`,
      'PortInUse',
    );
  }
  if (port.fixed_ips.length === 0) throw badRequest('Router port must have at least one fixed IP');
  checkOverlap(
    net,
    router,
    port.fixed_ips.map((fixed) => fixed.subnet_id),
  );
  const taken = { device_id: router.id, device_owner: interfaceOwner, status: 'ACTIVE' } as const;
  return net.ports.put(changed<Port>(net, port, taken));
}

/** A router cannot tell apart two networks with the same addresses, an outer one included. */
function checkOverlap(net: Net, router: Router, subnetIds: readonly string[]): void {
  const joined = net.ports
    .all()
    .filter((port) => port.device_id === router.id)
    .flatMap((port) => port.fixed_ips.map((fixed) => fixed.subnet_id));
  for (const id of subnetIds) {
    const subnet = net.subnets.get(id);
    if (subnet === undefined) continue;
    if (joined.includes(id))
      throw badRequest(`Bad router request: Router already has a port on subnet ${id}.`);
    const rival = joined
      .map((each) => net.subnets.get(each))
      .find((each) => each !== undefined && overlap(cidrOf(each), cidrOf(subnet)));
    if (rival !== undefined) {
      throw badRequest(
        `Bad router request: Cidr ${subnet.cidr} of subnet ${id} overlaps with cidr ${rival.cidr} of subnet ${rival.id}.`,
      );
    }
  }
}

function remove(net: Net, _caller: Caller, router: Router, wish: Wish): Port {
  const on = (port: Port) =>
    wish.subnet_id === undefined || port.fixed_ips.some((fixed) => fixed.subnet_id === wish.subnet_id);
  const port = interfacesOf(net, router).find(
    (each) => (wish.port_id === undefined || each.id === wish.port_id) && on(each),
  );
  if (port === undefined) {
    throw wish.port_id === undefined
      ? notFound(
          `Router ${router.id} has no interface on subnet ${wish.subnet_id}.`,
          'RouterInterfaceNotFoundForSubnet',
        )
      : notFound(
          `Router ${router.id} does not have an interface with id ${wish.port_id}`,
          'RouterInterfaceNotFound',
        );
  }
  const subnets = port.fixed_ips.map((fixed) => fixed.subnet_id);
  const reached = net.floatingIps.all().some((floating) => {
    if (floating.router_id !== router.id || floating.port_id === null) return false;
    const target = net.ports.get(floating.port_id);
    const fixed = target?.fixed_ips.find((each) => each.ip_address === floating.fixed_ip_address);
    return fixed !== undefined && subnets.includes(fixed.subnet_id);
  });
  if (reached) {
    throw conflict(
      `Router interface for subnet ${subnets[0]} on router ${router.id} cannot be deleted, as it is required by one or more floating IPs.`,
      'RouterInterfaceInUseByFloatingIP',
    );
  }
  if (usesInterface(net, router, port)) {
    throw conflict(
      `Router interface for subnet ${subnets[0]} on router ${router.id} cannot be deleted, as it is required by one or more routes.`,
      'RouterInterfaceInUseByRoute',
    );
  }
  net.ports.remove(port.id);
  return port;
}
