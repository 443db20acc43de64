import type { HealthMonitor } from '../lb/health-monitor.ts';
import type { Listener } from '../lb/listener.ts';
import type { LoadBalancer } from '../lb/load-balancer.ts';
import type { Member } from '../lb/member.ts';
import type { Pool } from '../lb/pool.ts';
import type { Resource } from '../lb/resource.ts';
import type { Tree } from '../lb/tree.ts';
import type {
  WantedAmphora,
  WantedBackendTls,
  WantedFlowLog,
  WantedHeartbeat,
  WantedHealthMonitor,
  WantedInterface,
  WantedL7Policy,
  WantedListener,
  WantedMember,
  WantedPool,
  WantedTicketKeys,
  WantedVrrp,
} from '../wire/wanted.ts';
import { entriesOf, standardStickEntries } from './haproxy/stick-table.ts';
import { defaultConnectionLimit } from './memory-budget.ts';
import {
  listenerTls,
  poolTls,
  type SecretFacts,
  secretRefs,
  type SecretRefs,
  terminatesTls,
} from './wanted-tls.ts';

/** A card of an amphora, as Neutron shows it. */
export interface Card {
  readonly macAddress: string;
  readonly fixedIps: readonly Address[];
}

export interface Address {
  readonly subnetId: string;
  readonly ipAddress: string;
}

export interface SubnetFacts {
  readonly cidr: string;
  readonly gatewayIp: string | null;
}

/** What the tree does not say itself. */
export interface AmphoraFacts extends SecretFacts {
  /** On the VIP network. */
  readonly card: Card;
  /** On the subnets of members that are not the VIP's. */
  readonly memberCards: readonly Card[];
  readonly vips: readonly Address[];
  /** By id: those of the cards and of the VIPs. */
  readonly subnets: ReadonlyMap<string, SubnetFacts>;
  /** Sent only where TLS is terminated. */
  readonly ticketKeys: WantedTicketKeys;
  /** Undefined: nothing is logged. */
  readonly flowLog?: WantedFlowLog | undefined;
  readonly heartbeat?: WantedHeartbeat;
  readonly vrrp?: WantedVrrp | undefined;
  /** Of listeners that name none; undefined: as agents take it. */
  readonly defaultConnectionLimit?: number | undefined;
  /** Entries of a stick table as HAProxy writes them, such as `10k`; undefined: as agents take it. */
  readonly stickSize?: string | undefined;
}

/** The references whose secrets `wantedAmphora` needs for this tree. */
export function neededSecrets(tree: Tree): SecretRefs {
  return secretRefs(tree.listeners.filter(served), tree.pools.filter(served));
}

/**
 * What one amphora is to do for a tree, and the objects that cannot be as wished with the reason, by id. A listener
 * whose certificates are gone stays in the wish with that reason; a pool is left out, for traffic must not reach
 * members unproven.
 */
export function wantedAmphora(
  tree: Tree,
  facts: AmphoraFacts,
): { readonly wanted: WantedAmphora; readonly failed: ReadonlyMap<string, string> } {
  const failed = new Map<string, string>();
  const pools: WantedPool[] = [];
  const membersOf = Map.groupBy(tree.members, (member) => member.poolId);
  const monitors = new Map(tree.healthMonitors.filter(served).map((monitor) => [monitor.poolId, monitor]));
  for (const pool of tree.pools.filter(served)) {
    const tls = pool.tlsEnabled ? poolTls(pool, facts) : { value: null };
    if ('unavailable' in tls) failed.set(pool.id, tls.unavailable);
    else pools.push(wantedPool(pool, membersOf.get(pool.id) ?? [], monitors.get(pool.id), tls.value));
  }
  const poolIds = new Set(pools.map((pool) => pool.id));
  const listeners = tree.listeners
    .filter(served)
    .map((listener) => wantedListener(tree, listener, poolIds, facts));
  for (const listener of listeners) {
    const reason = listener.tls?.unavailable ?? null;
    if (reason !== null) failed.set(listener.id, reason);
  }
  const { loadBalancer } = tree;
  const wanted: WantedAmphora = {
    wire: 1,
    generation: loadBalancer.generation,
    loadBalancer: {
      id: loadBalancer.id,
      projectId: loadBalancer.projectId,
      enabled: loadBalancer.adminStateUp,
      vipAddresses: facts.vips.map((vip) => vip.ipAddress),
    },
    interfaces: [vipInterface(facts), ...memberInterfaces(facts)],
    listeners,
    pools,
    ...(hasTls(tree) && { ticketKeys: facts.ticketKeys }),
    ...(facts.flowLog && { flowLog: facts.flowLog }),
    ...(facts.heartbeat && { heartbeat: facts.heartbeat }),
    ...(facts.vrrp && { vrrp: facts.vrrp }),
    ...stickTables(tree, facts),
  };
  return { wanted, failed };
}

/** It ends TLS of clients somewhere, and so has ticket keys. */
export const hasTls = (tree: Tree): boolean => tree.listeners.filter(served).some(terminatesTls);

/** The VIPs, primary first; the subnet of a VIP chosen by port alone is the one its port has it in. */
export function vipsOf(loadBalancer: LoadBalancer, vipPortIps: readonly Address[]): readonly Address[] {
  const subnetId =
    loadBalancer.vipSubnetId ?? vipPortIps.find((ip) => ip.ipAddress === loadBalancer.vipAddress)?.subnetId;
  const primary = subnetId === undefined ? [] : [{ subnetId, ipAddress: loadBalancer.vipAddress }];
  return [...primary, ...loadBalancer.additionalVips];
}

/** Enabled and not on its way out. */
function served(object: Resource): boolean {
  return object.adminStateUp && object.provisioningStatus !== 'PENDING_DELETE';
}

function subnetOf({ subnets }: AmphoraFacts, { subnetId }: Address): SubnetFacts {
  const subnet = subnets.get(subnetId);
  if (subnet === undefined) throw new Error(`the subnet ${subnetId} was not read`);
  return subnet;
}

const withPrefix =
  (facts: AmphoraFacts) =>
  (address: Address): string =>
    `${address.ipAddress}/${subnetOf(facts, address).cidr.split('/')[1] ?? ''}`;

/** Members are their neighbours there; the way to all else is the VIP's. */
function memberInterfaces(facts: AmphoraFacts): WantedInterface[] {
  return facts.memberCards.map(({ macAddress, fixedIps }) => ({
    mac: macAddress.toLowerCase(),
    addresses: fixedIps.map(withPrefix(facts)),
    vips: [],
    gateways: [],
  }));
}

function vipInterface(facts: AmphoraFacts): WantedInterface {
  const { card, vips } = facts;
  const gateways = [...card.fixedIps, ...vips].map((ip) => subnetOf(facts, ip).gatewayIp);
  return {
    mac: card.macAddress.toLowerCase(),
    addresses: card.fixedIps.map(withPrefix(facts)),
    vips: vips.map(withPrefix(facts)),
    gateways: [...new Set(gateways.filter((gateway) => gateway !== null))],
  };
}

/** -1: as many as agents take for that. UDP and SCTP know no default. */
function connectionLimitOf({ connectionLimit, protocol }: Listener, facts: AmphoraFacts): number {
  if (connectionLimit !== null && connectionLimit > 0) return connectionLimit;
  const ofDeployment = facts.defaultConnectionLimit ?? defaultConnectionLimit;
  const datagrams = protocol === 'UDP' || protocol === 'SCTP';
  return datagrams || ofDeployment === defaultConnectionLimit ? -1 : ofDeployment;
}

/** Only of who has such tables, and only where it is not what agents take anyway. */
function stickTables(tree: Tree, { stickSize }: AmphoraFacts): Pick<WantedAmphora, 'stickTableEntries'> {
  const entries = stickSize === undefined ? standardStickEntries : entriesOf(stickSize);
  const some = tree.pools.filter(served).some((pool) => pool.sessionPersistence !== null);
  return some && entries !== standardStickEntries ? { stickTableEntries: entries } : {};
}

function wantedListener(
  tree: Tree,
  listener: Listener,
  poolIds: ReadonlySet<string>,
  facts: AmphoraFacts,
): WantedListener {
  const { defaultPoolId } = listener;
  return {
    id: listener.id,
    protocol: listener.protocol,
    port: listener.protocolPort,
    connectionLimit: connectionLimitOf(listener, facts),
    defaultPoolId: defaultPoolId !== null && poolIds.has(defaultPoolId) ? defaultPoolId : null,
    insertHeaders: { ...listener.insertHeaders },
    timeoutClientData: listener.timeoutClientData,
    timeoutMemberConnect: listener.timeoutMemberConnect,
    timeoutMemberData: listener.timeoutMemberData,
    timeoutTcpInspect: listener.timeoutTcpInspect,
    allowedCidrs: listener.allowedCidrs === null ? null : [...listener.allowedCidrs],
    tls: terminatesTls(listener) ? listenerTls(listener, facts) : null,
    l7Policies: wantedPolicies(tree, listener.id, poolIds),
  };
}

function wantedPolicies(tree: Tree, listenerId: string, poolIds: ReadonlySet<string>): WantedL7Policy[] {
  return tree.l7Policies
    .filter((policy) => policy.listenerId === listenerId && served(policy))
    .filter((policy) => policy.redirectPoolId === null || poolIds.has(policy.redirectPoolId))
    .toSorted((a, b) => a.position - b.position)
    .map((policy) => ({
      id: policy.id,
      action: policy.action,
      redirectPoolId: policy.redirectPoolId,
      redirectUrl: policy.redirectUrl,
      redirectPrefix: policy.redirectPrefix,
      redirectHttpCode: policy.redirectHttpCode,
      rules: tree.l7Rules
        .filter((rule) => rule.l7PolicyId === policy.id && served(rule))
        .map(({ id, type, compareType, key, value, invert }) => ({
          id,
          type,
          compareType,
          key,
          value,
          invert,
        })),
    }))
    .filter((policy) => policy.rules.length > 0);
}

function wantedPool(
  pool: Pool,
  members: readonly Member[],
  monitor: HealthMonitor | undefined,
  tls: WantedBackendTls | null,
): WantedPool {
  return {
    id: pool.id,
    protocol: pool.protocol,
    algorithm: pool.lbAlgorithm,
    sessionPersistence: pool.sessionPersistence,
    tls,
    members: wantedMembers(members),
    healthMonitor: monitor === undefined ? null : wantedMonitor(monitor),
  };
}

function wantedMembers(members: readonly Member[]): WantedMember[] {
  return members
    .filter((member) => member.provisioningStatus !== 'PENDING_DELETE')
    .map((member) => ({
      id: member.id,
      address: member.address,
      port: member.protocolPort,
      weight: member.weight,
      backup: member.backup,
      enabled: member.adminStateUp,
      monitorAddress: member.monitorAddress,
      monitorPort: member.monitorPort,
    }));
}

function wantedMonitor(monitor: HealthMonitor): WantedHealthMonitor {
  return {
    id: monitor.id,
    type: monitor.type,
    delay: monitor.delay,
    timeout: monitor.timeout,
    rise: monitor.maxRetries,
    fall: monitor.maxRetriesDown,
    httpMethod: monitor.httpMethod,
    urlPath: monitor.urlPath,
    expectedCodes: monitor.expectedCodes,
    httpVersion: monitor.httpVersion,
    domainName: monitor.domainName,
  };
}
