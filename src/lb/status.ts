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
