import { randomUUID } from 'node:crypto';
import type { Tree } from '../../src/lb/tree.ts';
import type { AmphoraFacts } from '../../src/plan/wanted.ts';
import { aHealthMonitor, aListener, aLoadBalancer, aMember, anL7Policy, anL7Rule, aPool } from '../trees.ts';

export interface Size {
  readonly listeners: number;
  readonly pools: number;
  readonly members: number;
}

/**
 * A load balancer at rest of that size. Members are spread over the pools; each pool is watched and is the default of
 * a listener or, when there are more pools than listeners, the goal of one of its policies.
 */
export function bigTree(size: Size, ids: () => string = randomUUID): Tree {
  const loadBalancer = aLoadBalancer({ id: ids() });
  const count = <T>(n: number, make: (n: number) => T): readonly T[] =>
    Array.from({ length: n }, (_, k) => make(k));
  const pools = count(size.pools, (n) =>
    aPool({ id: ids(), loadBalancerId: loadBalancer.id, name: `pool-${n}` }),
  );
  const listeners = count(size.listeners, (n) =>
    aListener({
      id: ids(),
      loadBalancerId: loadBalancer.id,
      name: `listener-${n}`,
      protocolPort: 1000 + n,
      defaultPoolId: pools[n]?.id ?? null,
    }),
  );
  const inListener = new Map<string, number>();
  const l7Policies = pools.slice(listeners.length).flatMap((pool, n) => {
    const listener = listeners[n % listeners.length];
    if (listener === undefined) return [];
    const position = (inListener.get(listener.id) ?? 0) + 1;
    inListener.set(listener.id, position);
    return [
      anL7Policy({
        id: ids(),
        listenerId: listener.id,
        action: 'REDIRECT_TO_POOL',
        redirectPoolId: pool.id,
        position,
      }),
    ];
  });
  return {
    loadBalancer,
    listeners,
    pools,
    members: count(size.members, (n) =>
      aMember({
        id: ids(),
        poolId: pools[n % pools.length]?.id ?? '',
        name: `member-${n}`,
        address: `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`,
      }),
    ),
    healthMonitors: pools.map((pool) => aHealthMonitor({ id: ids(), poolId: pool.id })),
    l7Policies,
    l7Rules: l7Policies.map((policy, n) =>
      anL7Rule({ id: ids(), l7PolicyId: policy.id, value: `/part-${n}` }),
    ),
  };
}

/** What the controller knows beside the tree. */
export function cardFacts({ loadBalancer }: Tree): AmphoraFacts {
  const subnetId = loadBalancer.vipSubnetId ?? '';
  return {
    card: { macAddress: 'fa:16:3e:00:00:01', fixedIps: [{ subnetId, ipAddress: '192.0.2.5' }] },
    memberCards: [],
    vips: [{ subnetId, ipAddress: loadBalancer.vipAddress }],
    subnets: new Map([[subnetId, { cidr: '192.0.2.0/24', gatewayIp: '192.0.2.1' }]]),
    ticketKeys: { period: 0, keys: [] },
    certificates: new Map(),
    texts: new Map(),
  };
}
