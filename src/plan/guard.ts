import type { Listener } from '../lb/listener.ts';
import type { Tree } from '../lb/tree.ts';

/** Who may reach an amphora at what. Null: all. */
export interface Opening {
  /** 112: VRRP. */
  readonly protocol: 'tcp' | 'udp' | 'sctp' | 'icmp' | '112' | null;
  readonly port: number | null;
  readonly ipVersion: 4 | 6;
  readonly remoteCidr: string | null;
}

/** Who guards the VIP: the groups the user brought, and a group of Livia's own with these openings if there are any. */
export interface Guard {
  readonly openings: readonly Opening[];
  readonly groupIds: readonly string[];
}

export function wantedGuard(tree: Tree): Guard {
  const { vipSgIds, topology } = tree.loadBalancer;
  const clients = vipSgIds.length > 0 ? [] : clientOpenings(tree);
  // A pair talks to itself; who is not of it is turned away by keepalived.
  const pair = topology === 'SINGLE' ? [] : opened('112', versionsOf(tree));
  return { openings: [...clients, ...pair], groupIds: vipSgIds };
}

function versionsOf({ loadBalancer: { vipAddress, additionalVips } }: Tree): readonly (4 | 6)[] {
  return [...new Set([vipAddress, ...additionalVips.map((vip) => vip.ipAddress)].map(ipVersion))];
}

const opened = (protocol: '112' | 'icmp', versions: readonly (4 | 6)[]): readonly Opening[] =>
  versions.map((version) => ({ protocol, port: null, ipVersion: version, remoteCidr: null }));

/** What the clients of a load balancer need: its enabled listeners' ports, and ping. */
function clientOpenings(tree: Tree): readonly Opening[] {
  const versions = versionsOf(tree);
  const openings = tree.listeners
    .filter((listener) => listener.adminStateUp && listener.provisioningStatus !== 'PENDING_DELETE')
    .flatMap((listener) => versions.flatMap((version) => listenerOpenings(listener, version)));
  const pings = opened('icmp', versions);
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
