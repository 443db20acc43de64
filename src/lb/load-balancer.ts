import type { NamedResource } from './resource.ts';

export interface AdditionalVip {
  readonly subnetId: string;
  readonly ipAddress: string;
  readonly portId: string;
}

export interface LoadBalancer extends NamedResource {
  readonly description: string | null;
  readonly vipAddress: string;
  readonly vipSubnetId: string | null;
  readonly vipNetworkId: string;
  readonly vipPortId: string;
  /** True when Livia made the VIP port and so deletes it with the load balancer. */
  readonly vipPortOwned: boolean;
  readonly vipQosPolicyId: string | null;
  readonly vipVnicType: 'normal' | 'direct';
  readonly vipSgIds: readonly string[];
  readonly additionalVips: readonly AdditionalVip[];
  readonly provider: string;
  readonly flavorId: string | null;
  readonly availabilityZone: string | null;
  readonly topology: 'SINGLE' | 'ACTIVE_STANDBY';
  /**
   * Counts the wishes: the store raises it by one with every change to the tree. The amphorae report the
   * generation they run; equal means nothing is left to do.
   */
  readonly generation: number;
}
