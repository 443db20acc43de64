import ipaddr from 'ipaddr.js';
import { run } from '../platform/run.ts';
import { Refusal } from './refusal.ts';

/** Two neighbouring networks of the cloud that nothing else on this machine knows. */
export interface Subnets {
  /** lb-mgmt-subnet, such as 10.143.20.0/24. */
  readonly management: string;
  /** ext_net_subnet. */
  readonly external: string;
}

/** What of `ip -j addr` and `ip -j route show table all` matters here. */
interface Address {
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number }[];
}
interface Route {
  readonly dst?: string;
}

/** The IPv4 ranges the machine has addresses in or routes to, as `address/prefix`. */
export async function rangesInUse(): Promise<readonly string[]> {
  const addresses = JSON.parse(await run(['ip', '-4', '-j', 'addr'])) as readonly Address[];
  const routes = JSON.parse(
    await run(['ip', '-4', '-j', 'route', 'show', 'table', 'all']),
  ) as readonly Route[];
  return [
    ...addresses.flatMap((link) => link.addr_info ?? []).map((info) => `${info.local}/${info.prefixlen}`),
    ...routes.map((route) => route.dst ?? 'default'),
  ].flatMap((range) => (/^[\d.]+(\/\d+)?$/.test(range) ? [range.includes('/') ? range : `${range}/32`] : []));
}

/**
 * A free pair below 10.100.0.0 to 10.249.0.0, away from where container engines and virtual machines begin. Chosen by
 * chance out of 19,200, so that two Livias that start in the same moment do not meet. `random` gives 0 ≤ n < 1.
 */
export function chooseSubnets(inUse: readonly string[], random: () => number): Subnets {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const n = 100 + Math.floor(random() * 150);
    const m = 2 * Math.floor(random() * 128);
    const pair = { management: `10.${n}.${m}.0/24`, external: `10.${n}.${m + 1}.0/24` };
    if (!inUse.some((range) => overlap(range, pair.management) || overlap(range, pair.external))) return pair;
  }
  throw new Refusal(
    'this machine has routes to all of 10.100.0.0 to 10.249.255.255: no network is left for Livia',
  );
}

/** 0.0.0.0/0 overlaps with nothing: a default route leads to where nobody else does. */
function overlap(one: string, other: string): boolean {
  const [a, aLength] = ipaddr.IPv4.parseCIDR(one);
  const [b, bLength] = ipaddr.IPv4.parseCIDR(other);
  const shorter = Math.min(aLength, bLength);
  return shorter > 0 && a.match(b, shorter);
}
