import type { Member } from './member.ts';
import type { Resource } from './resource.ts';
import type { OperatingStatus } from './status.ts';
import type { Tree } from './tree.ts';

/** What an amphora says it serves; the part of its report that statuses come from. */
export interface Sighting {
  readonly generation: number;
  readonly listeners: Readonly<Record<string, { readonly state: 'OPEN' | 'FULL' | 'CLOSED' }>>;
  readonly pools: Readonly<Record<string, PoolSighting>>;
}

interface PoolSighting {
  readonly up: boolean;
  readonly members: Readonly<Record<string, 'UP' | 'DOWN' | 'DRAIN' | 'MAINT' | 'NO_CHECK'>>;
}

/**
 * Operating statuses of a load balancer, its listeners, pools and members, by id, from what its amphora reports. Of a
 * sighting of another generation only what was seen counts: what is missing may be too new, or already gone.
 */
export function operatingStatuses(tree: Tree, sighting: Sighting): ReadonlyMap<string, OperatingStatus> {
  const statuses = new Map<string, OperatingStatus>();
  const current = sighting.generation === tree.loadBalancer.generation;
  const serves = tree.loadBalancer.adminStateUp;
  for (const listener of tree.listeners) {
    const state = sighting.listeners[listener.id]?.state;
    if (state === undefined && !current) continue;
    const expected =
      serves && listener.adminStateUp && tree.loadBalancer.provisioningStatus === 'ACTIVE' && current;
    statuses.set(listener.id, serves && listener.adminStateUp ? listenerStatus(state, expected) : 'OFFLINE');
  }
  const membersOf = Map.groupBy(tree.members, (member) => member.poolId);
  const watchedPools = new Set(
    tree.healthMonitors.filter((monitor) => monitor.adminStateUp).map((monitor) => monitor.poolId),
  );
  for (const pool of tree.pools) {
    const seen = sighting.pools[pool.id];
    if (seen === undefined && !current) continue;
    const members = membersOf.get(pool.id) ?? [];
    const watched = watchedPools.has(pool.id);
    for (const member of members) {
      const state = seen?.members[member.id];
      if (state !== undefined || current) statuses.set(member.id, memberStatus(member, state, watched));
    }
    const up = serves && pool.adminStateUp ? seen : undefined;
    statuses.set(pool.id, up === undefined ? 'OFFLINE' : poolStatus(up, members, statuses));
  }
  statuses.set(tree.loadBalancer.id, serves ? worst(tree, statuses) : 'OFFLINE');
  return statuses;
}

/** The tree with these statuses; objects whose status is the same stay the same objects, and so does the tree. */
export function withOperatingStatuses(tree: Tree, statuses: ReadonlyMap<string, OperatingStatus>): Tree {
  const statusOf = (object: Resource): OperatingStatus => statuses.get(object.id) ?? object.operatingStatus;
  const differs = (object: Resource): boolean => statusOf(object) !== object.operatingStatus;
  const said = <T extends Resource>(object: T): T =>
    differs(object) ? { ...object, operatingStatus: statusOf(object) } : object;
  const { loadBalancer, listeners, pools, members } = tree;
  if (![loadBalancer, ...listeners, ...pools, ...members].some(differs)) return tree;
  return {
    ...tree,
    loadBalancer: said(tree.loadBalancer),
    listeners: tree.listeners.map((listener) => said(listener)),
    pools: tree.pools.map((pool) => said(pool)),
    members: tree.members.map((member) => said(member)),
  };
}

function listenerStatus(state: 'OPEN' | 'FULL' | 'CLOSED' | undefined, expected: boolean): OperatingStatus {
  if (state === 'OPEN') return 'ONLINE';
  if (state === 'FULL') return 'DEGRADED';
  return expected ? 'ERROR' : 'OFFLINE';
}

function memberStatus(
  member: Member,
  state: PoolSighting['members'][string] | undefined,
  watched: boolean,
): OperatingStatus {
  if (!member.adminStateUp) return 'OFFLINE';
  if (!watched) return 'NO_MONITOR';
  if (state === undefined || state === 'MAINT') return 'OFFLINE';
  if (state === 'DOWN') return 'ERROR';
  if (state === 'NO_CHECK') return 'NO_MONITOR';
  return state === 'DRAIN' || member.weight === 0 ? 'DRAINING' : 'ONLINE';
}

function poolStatus(
  seen: PoolSighting,
  members: readonly Member[],
  statuses: ReadonlyMap<string, OperatingStatus>,
): OperatingStatus {
  if (!seen.up && members.length > 0) return 'ERROR';
  return members.some((member) => statuses.get(member.id) === 'ERROR') ? 'DEGRADED' : 'ONLINE';
}

/** A load balancer that reports is ONLINE, unless a pool is down, or a listener is full or a member down. */
function worst(tree: Tree, statuses: ReadonlyMap<string, OperatingStatus>): OperatingStatus {
  const isOf = (objects: readonly Resource[], status: OperatingStatus): boolean =>
    objects.some(({ id }) => statuses.get(id) === status);
  if (isOf(tree.pools, 'ERROR')) return 'ERROR';
  const degraded =
    isOf(tree.pools, 'DEGRADED') || isOf(tree.listeners, 'DEGRADED') || isOf(tree.members, 'ERROR');
  return degraded ? 'DEGRADED' : 'ONLINE';
}
