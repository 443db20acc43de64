import type { AmphoraRole } from '../lb/amphora.ts';
import type { Guard } from './guard.ts';

/**
 * The next things to do for one load balancer. Every step can be repeated, and be cut off at any point: what it left
 * behind is seen the next time and taken up or taken away.
 */
export type Step =
  /** Keeps who may come in as wished, on these VRRP ports too. */
  | { readonly kind: 'ensure-guard'; readonly guard: Guard; readonly portIds: readonly string[] }
  /** The VIP's port is gone: a new one with the same addresses. */
  | { readonly kind: 'repair-vip-port' }
  /** A row, so that all that follows has a name that outlives us. */
  | { readonly kind: 'open-amphora'; readonly role: AmphoraRole }
  /** Its card on the management network and its card on the VIP network. */
  | { readonly kind: 'ensure-ports'; readonly amphoraId: string }
  | { readonly kind: 'boot-server'; readonly amphoraId: string }
  /** The server was asked for, but not yet written down. */
  | { readonly kind: 'adopt-server'; readonly amphoraId: string; readonly serverId: string }
  /** Gives the amphora the tree of that generation. */
  | { readonly kind: 'push'; readonly amphoraId: string; readonly generation: number }
  /** The amphorae confirmed that generation, or nothing is left of the load balancer. */
  | { readonly kind: 'settle'; readonly generation: number }
  /** This amphora is lost; the next plans take it away and make another. */
  | { readonly kind: 'condemn'; readonly amphoraId: string; readonly reason: string }
  | { readonly kind: 'remove-server'; readonly serverId: string }
  | { readonly kind: 'remove-port'; readonly portId: string }
  /** Nothing is left of the amphora. */
  | { readonly kind: 'close-amphora'; readonly amphoraId: string }
  | { readonly kind: 'remove-security-group' }
  /** Something is under way elsewhere: look again soon. */
  | { readonly kind: 'wait'; readonly reason: string }
  /** Nothing can be done now: look again later, each time a little later. */
  | { readonly kind: 'back-off'; readonly reason: string };

/** Names of what belongs to a load balancer in the cloud. They are how a step finds what it once made. */
export const names = {
  server: (amphoraId: string): string => `amphora-${amphoraId}`,
  managementPort: (amphoraId: string): string => `livia-mgmt-${amphoraId}`,
  vrrpPort: (amphoraId: string): string => `octavia-lb-vrrp-${amphoraId}`,
  /** Of all its cards on members' subnets: names of ports need not differ. */
  memberPort: (amphoraId: string): string => `livia-member-${amphoraId}`,
  vipPort: (loadBalancerId: string): string => `octavia-lb-${loadBalancerId}`,
  vipDevice: (loadBalancerId: string): string => `lb-${loadBalancerId}`,
  securityGroup: (loadBalancerId: string): string => `lb-${loadBalancerId}`,
  managementGroup: 'livia-mgmt',
} as const;
