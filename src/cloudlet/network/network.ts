import type { FastifyInstance } from 'fastify';
import { type Door, type ErrorBody, guard, param, speak } from '../http.ts';
import { notFound } from '../refusal.ts';
import { extensions } from './extensions.ts';
import { factRoutes } from './facts.ts';
import { floatingIpResource } from './floating-ips.ts';
import { networkResource } from './networks.ts';
import { portResource } from './ports.ts';
import { policyResource, qosRuleRoutes } from './qos.ts';
import type { Net, Port } from './records.ts';
import { pathOf, resourceRoutes, tagRoutes } from './resource.ts';
import { routerInterfaceRoutes } from './router-interfaces.ts';
import { routerResource } from './routers.ts';
import { ruleResource } from './security-group-rules.ts';
import { securityGroupResource } from './security-groups.ts';
import { subnetResource } from './subnets.ts';
import type { Wiring } from './wiring.ts';

export interface NetworkParts {
  readonly net: Net;
  readonly door: Door;
  /** Where this is registered, as clients see it. */
  readonly publicUrl: string;
  readonly wiring: Wiring;
  /** A port was removed; it may be a card of a running instance. */
  readonly portRemoved: (port: Port) => Promise<void>;
}

const errorBody: ErrorBody = ({ status, type, message }) =>
  status === 401
    ? { error: { code: 401, title: 'Unauthorized', message } }
    : { NeutronError: { type: type ?? 'HTTPBadRequest', message, detail: '' } };

/** Neutron v2.0, to be registered under its own prefix. */
export function network(
  app: FastifyInstance,
  { net, door, publicUrl, wiring, portRemoved }: NetworkParts,
): void {
  speak(app, errorBody, door.log);
  const base = `${publicUrl}/v2.0`;
  const version = { id: 'v2.0', status: 'CURRENT', links: [{ rel: 'self', href: `${base}/` }] };
  app.get('/', async () => ({ versions: [version] }));

  const { settle } = wiring;
  const networks = networkResource(net, async (network) => {
    await wiring.network(network);
    await settle();
  });
  const subnets = subnetResource(net, (network) => wiring.network(network));
  const ports = portResource(net, async (port, what) => {
    if (what === 'removed') await portRemoved(port);
    await settle();
  });
  const groups = securityGroupResource(net);
  const rules = ruleResource(net);
  const routers = routerResource(net, settle);
  const floatingIps = floatingIpResource(net, settle);
  const policies = policyResource(net);
  const kinds = [networks, subnets, ports, groups, rules, routers, floatingIps, policies] as const;

  app.get('/v2.0', async () => ({
    resources: kinds.map((kind) => ({
      name: kind.one,
      collection: kind.many,
      links: [{ rel: 'self', href: `${base}${pathOf(kind)}` }],
    })),
  }));

  app.register(
    async (v2) => {
      guard(v2, door);
      resourceRoutes(v2, net, base, networks);
      resourceRoutes(v2, net, base, subnets);
      resourceRoutes(v2, net, base, ports);
      resourceRoutes(v2, net, base, groups);
      resourceRoutes(v2, net, base, rules);
      resourceRoutes(v2, net, base, routers);
      resourceRoutes(v2, net, base, floatingIps);
      resourceRoutes(v2, net, base, policies);
      tagRoutes(v2, net, networks);
      tagRoutes(v2, net, subnets);
      tagRoutes(v2, net, ports);
      tagRoutes(v2, net, groups);
      tagRoutes(v2, net, routers);
      tagRoutes(v2, net, floatingIps);
      tagRoutes(v2, net, policies);
      routerInterfaceRoutes(v2, net, routers, settle);
      qosRuleRoutes(v2, net, policies, settle);
      factRoutes(v2, net);

      v2.get('/extensions', async () => ({ extensions }));
      v2.get('/extensions/:alias', async (request) => {
        const alias = param(request, 'alias');
        const extension = extensions.find((each) => each.alias === alias);
        if (extension === undefined) throw notFound(`Extension with alias ${alias} does not exist`);
        return { extension };
      });
    },
    { prefix: '/v2.0' },
  );
}
