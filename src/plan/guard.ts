import type { Listener } from '../lb/listener.ts';
import type { Tree } from '../lb/tree.ts';

/** Who may reach an amphora at what. Null: all. */
export interface Opening {
  readonly protocol: 'tcp' | 'udp' | 'sctp' | 'icmp' | null;
  readonly port: number | null;
  readonly ipVersion: 4 | 6;
  readonly remoteCidr: string | null;
}

/** Who guards the VIP: a group of Livia's own with these openings, or the groups the user brought. */
export type Guard = { readonly openings: readonly Opening[] } | { readonly groupIds: readonly string[] };

export function wantedGuard(tree: Tree): Guard {
  const { vipSgIds } = tree.loadBalancer;
  return vipSgIds.length > 0 ? { groupIds: vipSgIds } : { openings: clientOpenings(tree) };
}

/** What the clients of a load balancer need: its enabled listeners' ports, and ping. */
function clientOpenings(tree: Tree): readonly Opening[] {
  const { vipAddress, additionalVips } = tree.loadBalancer;
  const versions = [...new Set([vipAddress, ...additionalVips.map((vip) => vip.ipAddress)].map(ipVersion))];
  const openings = tree.listeners
    .filter((listener) => listener.adminStateUp && listener.provisioningStatus !== 'PENDING_DELETE')
    .flatMap((listener) => versions.flatMap((version) => listenerOpenings(listener, version)));
  const pings = versions.map((version) => ({
    protocol: 'icmp' as const,
    port: null,
    ipVersion: version,
    remoteCidr: null,
  }));
  // A TCP and an HTTP listener never share a port, but two CIDR lists may name the same network.
  return [...new Map([...pings, ...openings].map((opening) => [JSON.stringify(opening), opening])).values()];
}

function listenerOpenings(listener: Listener, version: 4 | 6): readonly Opening[] {
  const cidrs =
    listener.allowedCidrs === null
      ? [null]
      : listener.allowedCidrs.filter((cidr) => ipVersion(cidr) === version);
  const protocol =
    listener.protocol === 'UDP' ? 'udp' : listener.protocol === 'SCTP' ? 'sctp' : ('tcp' as const);
  return cidrs.map((remoteCidr) => ({
    protocol,
    port: listener.protocolPort,
    ipVersion: version,
    remoteCidr,
  }));
}

function ipVersion(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}
