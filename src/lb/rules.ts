import { ipVersion } from './addresses.ts';
import type { HealthMonitorType } from './health-monitor.ts';
import type { Deployment } from './defaults.ts';
import type { AlpnProtocol, ListenerProtocol, TlsVersion } from './listener.ts';
import { immutable, notFound, type Problem, switchedOff, validationFailure } from './problems.ts';
import type { Pool, PoolProtocol } from './pool.ts';
import type { Resource } from './resource.ts';
import { listenersUsing, pendingUpdate, type Tree } from './tree.ts';

/** What may stand beside what. */
export const listenerPoolProtocols: Readonly<Record<ListenerProtocol, readonly PoolProtocol[]>> = {
  HTTP: ['HTTP', 'PROXY', 'PROXYV2'],
  HTTPS: ['HTTPS', 'PROXY', 'PROXYV2', 'TCP'],
  TERMINATED_HTTPS: ['HTTP', 'PROXY', 'PROXYV2'],
  TCP: ['HTTP', 'HTTPS', 'PROXY', 'PROXYV2', 'TCP'],
  UDP: ['UDP'],
  SCTP: ['SCTP'],
  PROMETHEUS: [],
};

const streamMonitors: readonly HealthMonitorType[] = ['HTTP', 'HTTPS', 'PING', 'TCP', 'TLS-HELLO'];
const datagramMonitors: readonly HealthMonitorType[] = ['HTTP', 'TCP', 'UDP-CONNECT', 'SCTP'];

export const poolMonitorTypes: Readonly<Record<PoolProtocol, readonly HealthMonitorType[]>> = {
  HTTP: streamMonitors,
  HTTPS: streamMonitors,
  PROXY: streamMonitors,
  PROXYV2: streamMonitors,
  TCP: streamMonitors,
  UDP: datagramMonitors,
  SCTP: datagramMonitors,
};

/** Listeners of different families may share a port. */
export function portFamily(protocol: ListenerProtocol): 'TCP' | 'UDP' | 'SCTP' {
  return protocol === 'UDP' || protocol === 'SCTP' ? protocol : 'TCP';
}

/** Not carried by HAProxy: no TLS, no headers, no cookies. */
export function isDatagram(protocol: ListenerProtocol | PoolProtocol): boolean {
  return protocol === 'UDP' || protocol === 'SCTP';
}

/** IP versions on which the load balancer has an address. */
export function vipVersions(tree: Tree): ReadonlySet<4 | 6> {
  const { vipAddress, additionalVips } = tree.loadBalancer;
  return new Set([vipAddress, ...additionalVips.map((vip) => vip.ipAddress)].map(ipVersion));
}

/** Children change only while the load balancer is ACTIVE. */
export function blockedTree(tree: Tree): Problem | undefined {
  return tree.loadBalancer.provisioningStatus === 'ACTIVE'
    ? undefined
    : immutable('Load Balancer', tree.loadBalancer.id);
}

/** Members and monitors change only while their pool and load balancer are ACTIVE. */
export function blockedPool(tree: Tree, pool: Pool): Problem | undefined {
  return pool.provisioningStatus === 'ACTIVE' ? blockedTree(tree) : immutable('Pool', pool.id);
}

/** A change below a pool makes the pool and the listeners that use it wait too. */
export function pendingPool(tree: Tree, poolId: string): Tree {
  return pendingUpdate(tree, { pools: [poolId], listeners: listenersUsing(tree, poolId) });
}

export function protocolPairProblem(listener: ListenerProtocol, pool: PoolProtocol): Problem | undefined {
  return listenerPoolProtocols[listener].includes(pool)
    ? undefined
    : validationFailure(
        `The pool protocol '${pool}' is invalid while the listener protocol is '${listener}'.`,
      );
}

/** The pool on this load balancer, by id. */
export function poolOf(tree: Tree, id: string): Pool | Problem {
  return find(tree.pools, id) ?? notFound('Pool', id);
}

export function firstProblem<T>(
  items: readonly T[],
  judge: (item: T) => Problem | undefined,
): Problem | undefined {
  for (const item of items) {
    const wrong = judge(item);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

export function find<T extends Resource>(objects: readonly T[], id: string): T | undefined {
  return objects.find((object) => object.id === id);
}

export const tlsVersionsAscending: readonly TlsVersion[] = [
  'SSLv3',
  'TLSv1',
  'TLSv1.1',
  'TLSv1.2',
  'TLSv1.3',
];

/** What a listener and a pool have in common when they speak TLS. */
export interface TlsValues {
  readonly tlsCiphers: string | null;
  readonly tlsVersions: readonly TlsVersion[] | null;
  readonly alpnProtocols: readonly AlpnProtocol[] | null;
}

/** The first thing wrong with the ciphers; an empty list is not looked at. */
export function ciphersProblem({ tlsCiphers }: TlsValues, deployment: Deployment): Problem | undefined {
  if (tlsCiphers === null || tlsCiphers === '') return undefined;
  if (!/^[A-Za-z0-9\-+!:@=_.]+$/.test(tlsCiphers)) {
    return validationFailure('The tls_ciphers contain characters that no OpenSSL cipher string has.');
  }
  const prohibited = tlsCiphers.split(':').filter((cipher) => deployment.cipherProhibitList.includes(cipher));
  return prohibited.length === 0
    ? undefined
    : validationFailure(`The tls_ciphers include what this deployment prohibits: ${prohibited.join(', ')}`);
}

export function tlsVersionsProblem({ tlsVersions }: TlsValues, deployment: Deployment): Problem | undefined {
  if (tlsVersions === null) return undefined;
  if (tlsVersions.length === 0) return validationFailure('Empty TLS version list.');
  const { minimumTlsVersion } = deployment;
  if (minimumTlsVersion === null) return undefined;
  const floor = tlsVersionsAscending.indexOf(minimumTlsVersion);
  const low = tlsVersions.filter((version) => tlsVersionsAscending.indexOf(version) < floor);
  return low.length === 0
    ? undefined
    : switchedOff('tls_versions', `${low.join(', ')} (the minimum is ${minimumTlsVersion})`);
}

export function alpnProblem({ alpnProtocols }: TlsValues): Problem | undefined {
  return alpnProtocols?.length === 0 ? validationFailure('Empty ALPN protocol list.') : undefined;
}
