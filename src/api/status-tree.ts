import type { NamedResource, Resource } from '../lb/resource.ts';
import { poolUsers, type Tree } from '../lb/tree.ts';

type Json = Readonly<Record<string, unknown>>;

/** The tree as `GET …/status` shows it: the pools under each listener that uses them. */
export function statusTree(tree: Tree): Json {
  const users = poolUsers(tree);
  const shown = shownPools(tree);
  return {
    statuses: {
      loadbalancer: {
        ...named(tree.loadBalancer),
        listeners: tree.listeners.map((listener) => ({
          ...named(listener),
          pools: tree.pools
            .filter((pool) => users.get(pool.id)?.includes(listener.id))
            .toSorted((a, b) => rank(a.id, listener.defaultPoolId) - rank(b.id, listener.defaultPoolId))
            .map((pool) => shown.get(pool.id)),
        })),
      },
    },
  };
}

/** The default pool comes first. */
const rank = (id: string, defaultPoolId: string | null): number => (id === defaultPoolId ? 0 : 1);

/** By id; a pool that several listeners use is shown below each. */
function shownPools(tree: Tree): ReadonlyMap<string, Json> {
  const monitors = new Map(tree.healthMonitors.map((monitor) => [monitor.poolId, monitor]));
  const members = Map.groupBy(tree.members, (member) => member.poolId);
  return new Map(
    tree.pools.map((pool) => {
      const monitor = monitors.get(pool.id);
      const shown = {
        ...named(pool),
        health_monitor: monitor === undefined ? null : { ...named(monitor), type: monitor.type },
        members: (members.get(pool.id) ?? []).map((member) => ({
          ...named(member),
          address: member.address,
          protocol_port: member.protocolPort,
        })),
      };
      return [pool.id, shown];
    }),
  );
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
