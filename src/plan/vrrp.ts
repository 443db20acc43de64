import type { Amphora, AmphoraRole } from '../lb/amphora.ts';
import type { Tree } from '../lb/tree.ts';
import type { WantedVrrp } from '../wire/wanted.ts';

/** They speak to each other alone, so every load balancer may have the same. */
export const routerId = 1;

/** Octavia's. One that is alone has none. */
export const priorities: Readonly<Record<AmphoraRole, number | null>> = {
  STANDALONE: null,
  MASTER: 100,
  BACKUP: 90,
};

/** Addresses of the others of the load balancer, sorted: all that live or are made, for any may have the VIPs. */
export function peersOf(row: Amphora, rows: readonly Amphora[]): readonly string[] {
  return rows
    .filter(({ id, role, status }) => id !== row.id && role !== 'STANDALONE' && status !== 'PENDING_DELETE')
    .map(({ vrrpIp }) => vrrpIp)
    .filter((address) => address !== null)
    .toSorted();
}

/** Undefined: it is alone, or nothing is known of its card. `password`: the same on all amphorae of the load balancer. */
export function wantedVrrp(
  { loadBalancer }: Tree,
  row: Amphora,
  rows: readonly Amphora[],
  { password, advertSeconds }: Pick<WantedVrrp, 'password' | 'advertSeconds'>,
): WantedVrrp | undefined {
  const priority = priorities[row.role];
  if (priority === null || row.vrrpIp === null) return undefined;
  return {
    routerId,
    priority,
    address: row.vrrpIp,
    peers: [...peersOf(row, rows)],
    password,
    advertSeconds,
    first: row.role === 'MASTER' && loadBalancer.provisioningStatus === 'PENDING_CREATE',
  };
}
