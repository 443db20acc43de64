import type { NamedResource } from './resource.ts';

export interface Member extends NamedResource {
  readonly poolId: string;
  /** As the user wrote it; with the port it is the identity of a member within its pool. */
  readonly address: string;
  readonly protocolPort: number;
  /** 0 to 256; 0 drains. */
  readonly weight: number;
  readonly backup: boolean;
  readonly subnetId: string | null;
  readonly monitorAddress: string | null;
  readonly monitorPort: number | null;
  readonly vnicType: 'normal' | 'direct';
}
