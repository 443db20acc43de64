import type { NamedResource, Resource } from '../lb/resource.ts';
import { listenersUsing, type Tree } from '../lb/tree.ts';

type Json = Readonly<Record<string, unknown>>;

/** The tree as `GET …/status` shows it: the pools under each listener that uses them. */
export function statusTree(tree: Tree): Json {
  return {
    statuses: {
      loadbalancer: {
        ...named(tree.loadBalancer),
        listeners: tree.listeners.map((listener) => ({
          ...named(listener),
          pools: tree.pools
            .filter((pool) => listenersUsing(tree, pool.id).includes(listener.id))
            .toSorted((a, b) => rank(a.id, listener.defaultPoolId) - rank(b.id, listener.defaultPoolId))
            .map((pool) => poolStatus(tree, pool)),
        })),
      },
    },
  };
}

/** The default pool comes first. */
const rank = (id: string, defaultPoolId: string | null): number => (id === defaultPoolId ? 0 : 1);

function poolStatus(tree: Tree, pool: Tree['pools'][number]): Json {
  const monitor = tree.healthMonitors.find(({ poolId }) => poolId === pool.id);
  return {
    ...named(pool),
    health_monitor: monitor === undefined ? null : { ...named(monitor), type: monitor.type },
    members: tree.members
      .filter(({ poolId }) => poolId === pool.id)
      .map((member) => ({ ...named(member), address: member.address, protocol_port: member.protocolPort })),
  };
}

function named(object: NamedResource): Json {
  return {
    id: object.id,
    name: object.name ?? '',
    operating_status: object.operatingStatus,
    provisioning_status: object.provisioningStatus,
  };
}

/** Livia's own: every object of the tree with the reason for its status, flat. */
export function statusReasons(tree: Tree): readonly Json[] {
  const entry = (kind: string, object: Resource & { readonly name?: string | null }): Json => ({
    id: object.id,
    kind,
    name: object.name ?? '',
    provisioning_status: object.provisioningStatus,
    operating_status: object.operatingStatus,
    reason: object.statusReason,
  });
  return [
    entry('loadbalancer', tree.loadBalancer),
    ...tree.listeners.map((object) => entry('listener', object)),
    ...tree.pools.map((object) => entry('pool', object)),
    ...tree.members.map((object) => entry('member', object)),
    ...tree.healthMonitors.map((object) => entry('healthmonitor', object)),
    ...tree.l7Policies.map((object) => entry('l7policy', object)),
    ...tree.l7Rules.map((object) => entry('rule', object)),
  ];
}
