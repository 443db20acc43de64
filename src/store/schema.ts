import type { Generated } from 'kysely';
import type { Amphora } from '../lb/amphora.ts';
import type { AvailabilityZone, AvailabilityZoneProfile } from '../lb/availability-zone.ts';
import type { Flavor, FlavorProfile } from '../lb/flavor.ts';
import type { HealthMonitor } from '../lb/health-monitor.ts';
import type { L7Policy } from '../lb/l7-policy.ts';
import type { L7Rule } from '../lb/l7-rule.ts';
import type { Listener } from '../lb/listener.ts';
import type { LoadBalancer } from '../lb/load-balancer.ts';
import type { Member } from '../lb/member.ts';
import type { Pool } from '../lb/pool.ts';
import type { QuotaLimits } from './store.ts';

/** Rows as the query builder sees them; its plugin spells the names in snake_case. */
export interface Database {
  loadBalancers: LoadBalancer;
  listeners: Listener;
  pools: Pool;
  members: Member & { readonly loadBalancerId: string };
  healthMonitors: HealthMonitor & { readonly loadBalancerId: string };
  l7Policies: L7Policy & { readonly loadBalancerId: string };
  l7Rules: L7Rule & { readonly loadBalancerId: string };
  amphorae: Amphora;
  quotas: QuotaLimits & { readonly projectId: string };
  traffic: {
    readonly amphoraId: string;
    readonly listenerId: string;
    readonly loadBalancerId: string;
    readonly activeConnections: number;
    readonly bytesIn: number;
    readonly bytesOut: number;
    readonly totalConnections: number;
    readonly requestErrors: number;
  };
  work: {
    readonly key: string;
    readonly dueAt: Generated<Date>;
    readonly attempt: Generated<number>;
    readonly owner: string | null;
    readonly leaseUntil: Date | null;
  };
}

/** A column's kind: how it is compared and what an empty value is. `?` may be null. */
type Kind = 'uuid' | 'text' | 'number' | 'boolean' | 'time' | 'texts' | 'json';
export type ColumnKind = Kind | `${Kind}?`;

/** One kind of object and where it is kept. */
export interface Table<T> {
  readonly name: string;
  /** The field that names a row where it has no id. */
  readonly key?: string;
  /** Every field of the domain object has a column of the same name. */
  readonly fields: Readonly<Record<keyof T & string, ColumnKind>>;
  /** Columns the object does not show, beside its fields. */
  readonly hiddenColumns: Readonly<Record<string, ColumnKind>>;
}

/** A table of whatever kind. */
export type AnyTable = Table<never>;

const resource = {
  id: 'uuid',
  projectId: 'text',
  adminStateUp: 'boolean',
  provisioningStatus: 'text',
  operatingStatus: 'text',
  statusReason: 'text?',
  tags: 'texts',
  createdAt: 'time',
  updatedAt: 'time?',
} as const;

const insideLoadBalancer = { loadBalancerId: 'uuid' } as const;

const loadBalancer: Table<LoadBalancer> = {
  name: 'load_balancers',
  fields: {
    ...resource,
    name: 'text?',
    description: 'text?',
    vipAddress: 'text',
    vipSubnetId: 'text?',
    vipNetworkId: 'text',
    vipPortId: 'text',
    vipPortOwned: 'boolean',
    vipQosPolicyId: 'text?',
    vipVnicType: 'text',
    vipSgIds: 'texts',
    additionalVips: 'json',
    provider: 'text',
    flavorId: 'uuid?',
    availabilityZone: 'text?',
    topology: 'text',
    generation: 'number',
  },
  hiddenColumns: {},
};

const listener: Table<Listener> = {
  name: 'listeners',
  fields: {
    ...resource,
    loadBalancerId: 'uuid',
    name: 'text?',
    description: 'text?',
    protocol: 'text',
    protocolPort: 'number',
    connectionLimit: 'number?',
    defaultPoolId: 'uuid?',
    insertHeaders: 'json',
    timeoutClientData: 'number',
    timeoutMemberConnect: 'number',
    timeoutMemberData: 'number',
    timeoutTcpInspect: 'number',
    defaultTlsContainerRef: 'text?',
    sniContainerRefs: 'texts',
    clientAuthentication: 'text',
    clientCaTlsContainerRef: 'text?',
    clientCrlContainerRef: 'text?',
    allowedCidrs: 'texts?',
    tlsCiphers: 'text?',
    tlsVersions: 'texts?',
    alpnProtocols: 'texts?',
    hstsMaxAge: 'number?',
    hstsIncludeSubdomains: 'boolean',
    hstsPreload: 'boolean',
  },
  hiddenColumns: {},
};

const pool: Table<Pool> = {
  name: 'pools',
  fields: {
    ...resource,
    loadBalancerId: 'uuid',
    name: 'text?',
    description: 'text?',
    protocol: 'text',
    lbAlgorithm: 'text',
    sessionPersistence: 'json?',
    tlsEnabled: 'boolean',
    tlsContainerRef: 'text?',
    caTlsContainerRef: 'text?',
    crlContainerRef: 'text?',
    tlsCiphers: 'text?',
    tlsVersions: 'texts?',
    alpnProtocols: 'texts?',
  },
  hiddenColumns: {},
};

const member: Table<Member> = {
  name: 'members',
  fields: {
    ...resource,
    poolId: 'uuid',
    name: 'text?',
    address: 'text',
    protocolPort: 'number',
    weight: 'number',
    backup: 'boolean',
    subnetId: 'text?',
    monitorAddress: 'text?',
    monitorPort: 'number?',
    vnicType: 'text',
  },
  hiddenColumns: insideLoadBalancer,
};

const healthMonitor: Table<HealthMonitor> = {
  name: 'health_monitors',
  fields: {
    ...resource,
    poolId: 'uuid',
    name: 'text?',
    type: 'text',
    delay: 'number',
    timeout: 'number',
    maxRetries: 'number',
    maxRetriesDown: 'number',
    httpMethod: 'text?',
    urlPath: 'text?',
    expectedCodes: 'text?',
    httpVersion: 'number?',
    domainName: 'text?',
  },
  hiddenColumns: insideLoadBalancer,
};

const l7Policy: Table<L7Policy> = {
  name: 'l7_policies',
  fields: {
    ...resource,
    listenerId: 'uuid',
    name: 'text?',
    description: 'text?',
    action: 'text',
    redirectPoolId: 'uuid?',
    redirectUrl: 'text?',
    redirectPrefix: 'text?',
    redirectHttpCode: 'number?',
    position: 'number',
  },
  hiddenColumns: insideLoadBalancer,
};

const l7Rule: Table<L7Rule> = {
  name: 'l7_rules',
  fields: {
    ...resource,
    l7PolicyId: 'uuid',
    type: 'text',
    compareType: 'text',
    key: 'text?',
    value: 'text',
    invert: 'boolean',
  },
  hiddenColumns: insideLoadBalancer,
};

const amphora: Table<Amphora> = {
  name: 'amphorae',
  fields: {
    id: 'uuid',
    loadBalancerId: 'uuid',
    status: 'text',
    role: 'text',
    computeId: 'text?',
    lbNetworkIp: 'text?',
    vrrpIp: 'text?',
    haIp: 'text?',
    vrrpPortId: 'text?',
    haPortId: 'text?',
    certExpiration: 'time?',
    certBusy: 'boolean',
    vrrpInterface: 'text?',
    vrrpId: 'number?',
    vrrpPriority: 'number?',
    cachedZone: 'text?',
    imageId: 'text?',
    computeFlavor: 'text?',
    appliedGeneration: 'number',
    outgoing: 'boolean',
    lastHeartbeatAt: 'time?',
    createdAt: 'time',
    updatedAt: 'time?',
  },
  hiddenColumns: {},
};

const flavor: Table<Flavor> = {
  name: 'flavors',
  fields: { id: 'uuid', name: 'text', description: 'text?', enabled: 'boolean', flavorProfileId: 'uuid' },
  hiddenColumns: {},
};

const flavorProfile: Table<FlavorProfile> = {
  name: 'flavor_profiles',
  fields: { id: 'uuid', name: 'text', providerName: 'text', flavorData: 'text' },
  hiddenColumns: {},
};

const availabilityZone: Table<AvailabilityZone> = {
  name: 'availability_zones',
  key: 'name',
  fields: {
    name: 'text',
    description: 'text?',
    enabled: 'boolean',
    availabilityZoneProfileId: 'uuid',
  },
  hiddenColumns: {},
};

const availabilityZoneProfile: Table<AvailabilityZoneProfile> = {
  name: 'availability_zone_profiles',
  fields: { id: 'uuid', name: 'text', providerName: 'text', availabilityZoneData: 'text' },
  hiddenColumns: {},
};

const quota: Table<QuotaLimits & { readonly projectId: string }> = {
  name: 'quotas',
  key: 'projectId',
  fields: {
    projectId: 'text',
    loadBalancer: 'number?',
    listener: 'number?',
    pool: 'number?',
    member: 'number?',
    healthMonitor: 'number?',
    l7Policy: 'number?',
    l7Rule: 'number?',
  },
  hiddenColumns: {},
};

export const tables = {
  loadBalancer,
  listener,
  pool,
  member,
  healthMonitor,
  l7Policy,
  l7Rule,
  amphora,
  flavor,
  flavorProfile,
  availabilityZone,
  availabilityZoneProfile,
  quota,
};
