import type { AmphoraStatus } from './status.ts';

/** It carries traffic, as far as we know: FAILOVER_STOPPED ones are silent, with too many others to believe it. */
export const serves = ({ status }: Amphora): boolean =>
  status === 'ALLOCATED' || status === 'FAILOVER_STOPPED';

export type AmphoraRole = 'STANDALONE' | 'MASTER' | 'BACKUP';

/** One amphora: a Nova instance that carries the traffic of one load balancer. Null until known. */
export interface Amphora {
  readonly id: string;
  readonly loadBalancerId: string;
  readonly status: AmphoraStatus;
  readonly role: AmphoraRole;
  readonly computeId: string | null;
  readonly lbNetworkIp: string | null;
  readonly vrrpIp: string | null;
  readonly haIp: string | null;
  readonly vrrpPortId: string | null;
  readonly haPortId: string | null;
  readonly certExpiration: Date | null;
  readonly certBusy: boolean;
  readonly vrrpInterface: string | null;
  readonly vrrpId: number | null;
  readonly vrrpPriority: number | null;
  readonly cachedZone: string | null;
  readonly imageId: string | null;
  readonly computeFlavor: string | null;
  /** Generation of the load balancer this amphora has confirmed; -1 before the first. */
  readonly appliedGeneration: number;
  /** Another is to take its place: somebody asked for a failover. Never taken back. */
  readonly outgoing: boolean;
  /** When its last signed heartbeat came. */
  readonly lastHeartbeatAt: Date | null;
  readonly createdAt: Date;
  readonly updatedAt: Date | null;
}
