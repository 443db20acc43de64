import type { OperatingStatus, ProvisioningStatus } from './status.ts';

/** What every object of a load balancer's tree has. Ids are dashed lower-case UUIDs. */
export interface Resource {
  readonly id: string;
  /** Project of the load balancer; children always share it. */
  readonly projectId: string;
  readonly adminStateUp: boolean;
  readonly provisioningStatus: ProvisioningStatus;
  readonly operatingStatus: OperatingStatus;
  /** Why it is ERROR, or why it cannot be as wished, in a sentence for a person. Null when all is well. */
  readonly statusReason: string | null;
  readonly tags: readonly string[];
  readonly createdAt: Date;
  readonly updatedAt: Date | null;
}

/** A resource with a name (null is shown as ''). */
export interface NamedResource extends Resource {
  readonly name: string | null;
}
