import type { Amphora } from '../src/lb/amphora.ts';
import type { HealthMonitor } from '../src/lb/health-monitor.ts';
import type { L7Policy } from '../src/lb/l7-policy.ts';
import type { L7Rule } from '../src/lb/l7-rule.ts';
import type { Listener } from '../src/lb/listener.ts';
import type { LoadBalancer } from '../src/lb/load-balancer.ts';
import type { Member } from '../src/lb/member.ts';
import type { Pool } from '../src/lb/pool.ts';
import type { Resource } from '../src/lb/resource.ts';
import type { Tree } from '../src/lb/tree.ts';

/** Objects at rest for tests; say only what matters. */

export const born = new Date('2026-02-02T22:16:05Z');
export const projectId = '3ac0c8861bee423b9983a57f73bed0da';

/** The n-th id, the same in every run. */
export const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

const atRest = {
  projectId,
  adminStateUp: true,
  provisioningStatus: 'ACTIVE',
  operatingStatus: 'ONLINE',
  statusReason: null,
  tags: [],
  createdAt: born,
  updatedAt: null,
} satisfies Omit<Resource, 'id'>;

export const aLoadBalancer = (changes: Partial<LoadBalancer> = {}): LoadBalancer => ({
  ...atRest,
  id: uuid(1),
  name: 'lb1',
  description: '',
  vipAddress: '192.0.2.90',
  vipSubnetId: uuid(1001),
  vipNetworkId: uuid(1002),
  vipPortId: uuid(1003),
  vipPortOwned: true,
  vipQosPolicyId: null,
  vipVnicType: 'normal',
  vipSgIds: [],
  additionalVips: [],
  provider: 'amphora',
  flavorId: null,
  availabilityZone: null,
  topology: 'SINGLE',
  generation: 1,
  ...changes,
});

export const aListener = (changes: Partial<Listener> = {}): Listener => ({
  ...atRest,
  id: uuid(2),
  loadBalancerId: uuid(1),
  name: 'listener1',
  description: '',
  protocol: 'HTTP',
  protocolPort: 80,
  connectionLimit: -1,
  defaultPoolId: null,
  insertHeaders: {},
  timeoutClientData: 50_000,
  timeoutMemberConnect: 5_000,
  timeoutMemberData: 50_000,
  timeoutTcpInspect: 0,
  defaultTlsContainerRef: null,
  sniContainerRefs: [],
  clientAuthentication: 'NONE',
  clientCaTlsContainerRef: null,
  clientCrlContainerRef: null,
  allowedCidrs: null,
  tlsCiphers: null,
  tlsVersions: null,
  alpnProtocols: null,
  hstsMaxAge: null,
  hstsIncludeSubdomains: false,
  hstsPreload: false,
  ...changes,
});

export const aPool = (changes: Partial<Pool> = {}): Pool => ({
  ...atRest,
  id: uuid(3),
  loadBalancerId: uuid(1),
  name: 'pool1',
  description: '',
  protocol: 'HTTP',
  lbAlgorithm: 'ROUND_ROBIN',
  sessionPersistence: null,
  tlsEnabled: false,
  tlsContainerRef: null,
  caTlsContainerRef: null,
  crlContainerRef: null,
  tlsCiphers: null,
  tlsVersions: null,
  alpnProtocols: null,
  ...changes,
});

export const aMember = (changes: Partial<Member> = {}): Member => ({
  ...atRest,
  id: uuid(4),
  poolId: uuid(3),
  name: 'member1',
  address: '192.0.2.16',
  protocolPort: 80,
  weight: 1,
  backup: false,
  subnetId: null,
  monitorAddress: null,
  monitorPort: null,
  vnicType: 'normal',
  ...changes,
});

export const aHealthMonitor = (changes: Partial<HealthMonitor> = {}): HealthMonitor => ({
  ...atRest,
  id: uuid(5),
  poolId: uuid(3),
  name: 'monitor1',
  type: 'HTTP',
  delay: 5,
  timeout: 3,
  maxRetries: 2,
  maxRetriesDown: 3,
  httpMethod: 'GET',
  urlPath: '/',
  expectedCodes: '200',
  httpVersion: null,
  domainName: null,
  ...changes,
});

export const anL7Policy = (changes: Partial<L7Policy> = {}): L7Policy => ({
  ...atRest,
  id: uuid(6),
  listenerId: uuid(2),
  name: 'policy1',
  description: '',
  action: 'REJECT',
  redirectPoolId: null,
  redirectUrl: null,
  redirectPrefix: null,
  redirectHttpCode: null,
  position: 1,
  ...changes,
});

export const anL7Rule = (changes: Partial<L7Rule> = {}): L7Rule => ({
  ...atRest,
  id: uuid(7),
  l7PolicyId: uuid(6),
  type: 'PATH',
  compareType: 'STARTS_WITH',
  key: null,
  value: '/images',
  invert: false,
  ...changes,
});

/** A load balancer with what is given below it, and nothing else. */
export const aTree = (parts: Partial<Tree> = {}): Tree => ({
  loadBalancer: aLoadBalancer(),
  listeners: [],
  pools: [],
  members: [],
  healthMonitors: [],
  l7Policies: [],
  l7Rules: [],
  ...parts,
});

/** One of everything, joined. */
export const aFullTree = (): Tree =>
  aTree({
    listeners: [aListener({ defaultPoolId: uuid(3) })],
    pools: [aPool()],
    members: [aMember()],
    healthMonitors: [aHealthMonitor()],
    l7Policies: [anL7Policy()],
    l7Rules: [anL7Rule()],
  });

/** One that serves. */
export const anAmphora = (changes: Partial<Amphora> = {}): Amphora => ({
  id: uuid(8),
  loadBalancerId: uuid(1),
  status: 'ALLOCATED',
  role: 'STANDALONE',
  computeId: uuid(1011),
  lbNetworkIp: '10.0.0.5',
  vrrpIp: '192.0.2.5',
  haIp: '192.0.2.90',
  vrrpPortId: uuid(1012),
  haPortId: uuid(1003),
  certExpiration: null,
  certBusy: false,
  vrrpInterface: null,
  vrrpId: null,
  vrrpPriority: null,
  cachedZone: null,
  imageId: null,
  computeFlavor: null,
  appliedGeneration: 1,
  outgoing: false,
  lastHeartbeatAt: null,
  createdAt: born,
  updatedAt: null,
  ...changes,
});
