import { createHmac } from 'node:crypto';

/**
 * The word by which the amphorae of one load balancer know each other; eight characters are what VRRP has room for,
 * and it goes over their network in clear: it keeps out mistakes, not attackers.
 */
export function vrrpPassword(secretKey: Buffer, loadBalancerId: string): string {
  return createHmac('sha256', secretKey).update(`vrrp ${loadBalancerId}`).digest('hex').slice(0, 8);
}
