import type { FastifyInstance } from 'fastify';
import { owns } from '../caller.ts';
import { callerOf, type Door, type ErrorBody, guard, param, speak } from '../http.ts';
import { forbidden, notFound } from '../refusal.ts';
import { extensions } from './extensions.ts';
import { networkResource } from './networks.ts';
import { portResource } from './ports.ts';
import type { Net, Network, Port } from './records.ts';
import { resourceRoutes, tagRoutes } from './resource.ts';
import { ruleResource } from './security-group-rules.ts';
import { securityGroupResource } from './security-groups.ts';
import { subnetResource } from './subnets.ts';

export interface NetworkParts {
  readonly net: Net;
  readonly door: Door;
  /** Where this is registered, as clients see it. */
  readonly publicUrl: string;
  /** Makes the machine's side of the network as the records are now, gone if they are. */
  readonly networkSettled: (network: Network) => Promise<void>;
  /** A port was removed; it may be a card of a running instance. */
  readonly portRemoved: (port: Port) => Promise<void>;
}

const errorBody: ErrorBody = ({ status, type, message }) =>
  status === 401
    ? { error: { code: 401, title: 'Unauthorized', message } }
    : { NeutronError: { type: type ?? 'HTTPBadRequest', message, detail: '' } };

/** Without end: this cloud counts only the machine's memory. */
const quota = Object.fromEntries(
  ['network', 'subnet', 'port', 'security_group', 'security_group_rule'].map((name) => [name, -1]),
);

/** Neutron v2.0, to be registered under its own prefix. */
export function network(
  app: FastifyInstance,
  { net, door, publicUrl, networkSettled, portRemoved }: NetworkParts,
): void {
  speak(app, errorBody, door.log);
  const base = `${publicUrl}/v2.0`;
  const version = { id: 'v2.0', status: 'CURRENT', links: [{ rel: 'self', href: `${base}/` }] };
  app.get('/', async () => ({ versions: [version] }));

  const networks = networkResource(net, networkSettled);
  const subnets = subnetResource(net, networkSettled);
  const ports = portResource(net, async (port, what) => {
    if (what === 'removed') await portRemoved(port);
  });
  const groups = securityGroupResource(net);
  const rules = ruleResource(net);

  app.get('/v2.0', async () => ({
    resources: [networks, subnets, ports, groups, rules].map(({ one, many }) => ({
      name: one,
      collection: many,
      links: [{ rel: 'self', href: `${base}/${many.replaceAll('_', '-')}` }],
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
      tagRoutes(v2, net, networks);
      tagRoutes(v2, net, subnets);
      tagRoutes(v2, net, ports);
      tagRoutes(v2, net, groups);

      v2.get('/extensions', async () => ({ extensions }));
      v2.get('/extensions/:alias', async (request) => {
        const alias = param(request, 'alias');
        const extension = extensions.find((each) => each.alias === alias);
        if (extension === undefined) throw notFound(`Extension with alias ${alias} does not exist`);
        return { extension };
      });

      for (const path of ['/quotas/:project', '/quotas/:project/default']) {
        v2.get(path, async (request) => {
          if (!owns(callerOf(request), param(request, 'project'))) throw forbidden();
          return { quota };
        });
      }

      // Clients of the load balancer may name a policy: there is none.
      v2.get('/qos/policies/:id', async (request) => {
        throw notFound(`QoS policy ${param(request, 'id')} could not be found.`, 'QosPolicyNotFound');
      });
    },
    { prefix: '/v2.0' },
  );
}
