import type { WantedAmphora, WantedHealthMonitor, WantedListener, WantedPool } from '../../wire/wanted.ts';

function isDatagram({ protocol }: WantedListener | WantedPool): boolean {
  return protocol === 'UDP' || protocol === 'SCTP';
}

/** What HAProxy is to carry of a tree. */
export function streamPart(wanted: WantedAmphora): WantedAmphora {
  return {
    ...wanted,
    listeners: wanted.listeners.filter((listener) => !isDatagram(listener)),
    pools: wanted.pools.filter((pool) => !isDatagram(pool)),
  };
}

/** What the kernel is to carry of it; no listener of a disabled load balancer. */
export function datagramPart(wanted: WantedAmphora): WantedAmphora {
  const listeners = wanted.loadBalancer.enabled ? wanted.listeners.filter(isDatagram) : [];
  const used = new Set(listeners.map((listener) => listener.defaultPoolId));
  return {
    ...wanted,
    listeners,
    pools: wanted.pools.filter((pool) => isDatagram(pool) && used.has(pool.id)),
  };
}

/** What a member of a datagram pool can be asked; the API takes no other monitors for one. */
export function canWatch({ type }: WantedHealthMonitor): boolean {
  return type === 'UDP-CONNECT' || type === 'SCTP' || type === 'TCP' || type === 'HTTP';
}

/** Done otherwise than wished. */
export function datagramWarnings(wanted: WantedAmphora): { id: string; text: string }[] {
  return wanted.pools.flatMap((pool) => {
    const texts: string[] = [];
    if (pool.members.some((member) => member.backup)) {
      texts.push(`backup members of a ${pool.protocol} pool serve like the others`);
    }
    if (pool.healthMonitor !== null && !canWatch(pool.healthMonitor)) {
      const { type } = pool.healthMonitor;
      texts.push(`health monitors of type ${type} are not carried: its members are not checked`);
    }
    return texts.map((text) => ({ id: pool.id, text }));
  });
}
