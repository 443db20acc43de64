import type { FastifyInstance } from 'fastify';
import { isAdmin, owns, requireAdmin } from '../caller.ts';
import { callerOf, param } from '../http.ts';
import { many, matches, type Query } from '../lists.ts';
import { forbidden, notFound, Refusal } from '../refusal.ts';
import { type Net, type Network, portsOn, subnetsOn } from './records.ts';
import { poolsOf } from './subnets.ts';

/** What Neutron says of itself: zones, quotas, and how many addresses are in use. */
export function factRoutes(app: FastifyInstance, net: Net): void {
  app.get('/availability_zones', async () => ({
    availability_zones: ['network', 'router'].map((resource) => ({
      ...{ name: 'nova', resource, state: 'available' },
    })),
  }));

  quotaRoutes(app, net);

  app.get<{ Querystring: Query }>('/network-ip-availabilities', async (request) => {
    requireAdmin(callerOf(request));
    const { query } = request;
    const shown = net.networks
      .all()
      .filter(
        (network) =>
          matches(network.id, many(query, 'network_id')) &&
          matches(network.name, many(query, 'network_name')) &&
          matches(network.project_id, [...many(query, 'project_id'), ...many(query, 'tenant_id')]),
      );
    const version = Number(many(query, 'ip_version')[0] ?? 0);
    return { network_ip_availabilities: shown.map((network) => availability(net, network, version)) };
  });
  app.get('/network-ip-availabilities/:id', async (request) => {
    requireAdmin(callerOf(request));
    const network = net.networks.get(param(request, 'id'));
    if (network === undefined)
      throw notFound(`Network ${param(request, 'id')} could not be found.`, 'NetworkNotFound');
    return { network_ip_availability: availability(net, network, 0) };
  });
}

/** Without end: this cloud counts only the machine's memory. */
function quotaRoutes(app: FastifyInstance, net: Net): void {
  const counted = {
    network: net.networks,
    subnet: net.subnets,
    port: net.ports,
    security_group: net.groups,
    security_group_rule: net.rules,
    router: net.routers,
    floatingip: net.floatingIps,
  };
  const quota = Object.fromEntries(Object.keys(counted).map((name) => [name, -1]));
  for (const path of ['/quotas/:project', '/quotas/:project/default']) {
    app.get(path, async (request) => {
      if (!owns(callerOf(request), param(request, 'project'))) throw forbidden();
      return { quota };
    });
  }
  for (const path of ['/quotas/:project/details', '/quotas/:project/details.json']) {
    app.get(path, async (request) => {
      const project = param(request, 'project');
      if (!owns(callerOf(request), project)) throw forbidden();
      const details = Object.entries(counted).map(([name, collection]) => {
        const used = collection.all().filter((each) => each.project_id === project).length;
        return [name, { limit: -1, used, reserved: 0 }];
      });
      return { quota: Object.fromEntries(details) };
    });
  }
  app.get('/quotas', async (request) => {
    if (!isAdmin(callerOf(request))) throw forbidden();
    return { quotas: [] }; // projects whose quota was changed
  });
  for (const method of ['PUT', 'DELETE'] as const) {
    app.route({
      method,
      url: '/quotas/:project',
      handler: async () => {
        throw new Refusal(501, 'Quotas cannot be changed here: there is no limit.', 'HTTPNotImplemented');
      },
    });
  }
}

/** Counted as Neutron does: the addresses of the pools, and those that ports have. */
function availability(net: Net, network: Network, version: number): object {
  const subnets = subnetsOn(net, network.id).filter(
    (subnet) => version === 0 || subnet.ip_version === version,
  );
  const ports = portsOn(net, network.id);
  const each = subnets.map((subnet) => ({
    subnet_id: subnet.id,
    subnet_name: subnet.name,
    ip_version: subnet.ip_version,
    cidr: subnet.cidr,
    used_ips: ports.flatMap((port) => port.fixed_ips).filter((fixed) => fixed.subnet_id === subnet.id).length,
    total_ips: Number(poolsOf(subnet).reduce((sum, pool) => sum + (pool.last - pool.first + 1n), 0n)),
  }));
  return {
    network_id: network.id,
    network_name: network.name,
    tenant_id: network.project_id,
    project_id: network.project_id,
    subnet_ip_availability: each,
    used_ips: each.reduce((sum, one) => sum + one.used_ips, 0),
    total_ips: each.reduce((sum, one) => sum + one.total_ips, 0),
  };
}
