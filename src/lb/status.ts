import type { Resource } from './resource.ts';
import type { Tree } from './tree.ts';

/** Statuses of the Octavia v2 API and their legal meaning. */

/** Is the wish carried out? Shown as `provisioning_status`. DELETED is never visible through the API. */
export type ProvisioningStatus =
  | 'PENDING_CREATE'
  | 'ACTIVE'
  | 'PENDING_UPDATE'
  | 'PENDING_DELETE'
  | 'ERROR'
  | 'DELETED';

/** Does it carry traffic? Shown as `operating_status`. */
export type OperatingStatus = 'ONLINE' | 'OFFLINE' | 'DEGRADED' | 'ERROR' | 'DRAINING' | 'NO_MONITOR';

/** Status of one amphora as `GET /v2/octavia/amphorae` shows it. */
export type AmphoraStatus =
  | 'PENDING_CREATE'
  | 'BOOTING'
  | 'ALLOCATED'
  | 'PENDING_DELETE'
  | 'DELETED'
  | 'ERROR'
  | 'FAILOVER_STOPPED';

/** A wish that is not carried out yet. */
export function isPending(status: ProvisioningStatus): boolean {
  return status === 'PENDING_CREATE' || status === 'PENDING_UPDATE' || status === 'PENDING_DELETE';
}

/** Who is affected by a change, beside the load balancer itself. */
export interface Touched {
  readonly listeners?: readonly string[];
  readonly pools?: readonly string[];
  readonly l7Policies?: readonly string[];
}

/** The tree with the load balancer and those around a change PENDING_UPDATE. Who is in ERROR stays so. */
export function pendingUpdate(tree: Tree, touched: Touched = {}): Tree {
  return {
    ...tree,
    loadBalancer: pending(tree.loadBalancer),
    listeners: touch(tree.listeners, touched.listeners),
    pools: touch(tree.pools, touched.pools),
    l7Policies: touch(tree.l7Policies, touched.l7Policies),
  };
}

function touch<T extends Resource>(objects: readonly T[], ids: readonly string[] = []): readonly T[] {
  return ids.length === 0
    ? objects
    : objects.map((object) => (ids.includes(object.id) ? pending(object) : object));
}

function pending<T extends Resource>(object: T): T {
  return object.provisioningStatus === 'ACTIVE'
    ? { ...object, provisioningStatus: 'PENDING_UPDATE' }
    : object;
}
