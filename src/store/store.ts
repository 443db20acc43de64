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
import type { Problem } from '../lb/problems.ts';
import type { OperatingStatus } from '../lb/status.ts';
import type { Outgoing, Tree } from '../lb/tree.ts';

/** What the store offers. Implemented in this folder on PostgreSQL; the only place with SQL. */
export interface Store {
  readonly trees: Trees;
  readonly lists: Lists;
  readonly amphorae: Amphorae;
  readonly flavors: Offers<FlavorProfile, Flavor>;
  readonly availabilityZones: Offers<AvailabilityZoneProfile, AvailabilityZone>;
  readonly quotas: Quotas;
  readonly statistics: Statistics;
  readonly work: WorkQueue;
  /** Every load balancer there is, in the little that metrics tell of it. One statement for each of its parts. */
  fleet(): Promise<Fleet>;
  /** Of this process. `open` counts the idle ones too; `waiting`: statements that wait for one. */
  connections(): Readonly<Record<'open' | 'idle' | 'waiting' | 'limit', number>>;
  /** Forgets what is DELETED since before these moments: how many rows. */
  purge(olderThan: { readonly loadBalancersBefore: Date; readonly amphoraeBefore: Date }): Promise<number>;
  /** Throws when the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** What a pure change gives: the tree as wished from now on, and an answer for the caller. */
export interface Change<T> {
  readonly tree: Tree;
  readonly answer: T;
  /** Marked in the same transaction, so that the wish for a failover outlives everybody. */
  readonly outgoing?: Outgoing;
}

export interface Trees {
  /** Undefined: unknown or DELETED. Includes objects in PENDING_DELETE. */
  read(loadBalancerId: string): Promise<Tree | undefined>;
  /** The load balancer an object belongs to; undefined when there is no such object. */
  loadBalancerOf(kind: ResourceKind, id: string): Promise<string | undefined>;
  /** A new load balancer with everything below it, in one transaction, marked for work. Checks quotas. */
  create(tree: Tree): Promise<Problem | undefined>;
  /**
   * The one way a user's wish is written: opens a transaction, locks the load balancer, reads its tree, runs the
   * pure `decide`, checks quotas, writes the difference (by object identity), raises the generation by one, marks the
   * load balancer for work, commits. A `Problem` rolls everything back. `decide` gets undefined when the load
   * balancer is gone, and returns the given tree itself to change nothing (then no generation and no mark either).
   * `asked`: what the wish adds; a quota that has no room for it is told before anything that may pass by itself (a
   * problem of 409 or above).
   */
  change<T>(
    loadBalancerId: string,
    decide: (tree: Tree | undefined) => Change<T> | Problem,
    asked?: Growth,
  ): Promise<T | Problem>;
  /**
   * The loop's way to write what has come true: as `change`, but raises no generation and marks nothing, and objects
   * missing from the returned tree are deleted. `settle` gets the tree as it is now, perhaps newer than the one
   * worked on. A load balancer returned as DELETED is kept, hidden, without children.
   */
  settle(loadBalancerId: string, settle: (tree: Tree) => Tree): Promise<void>;
  /** Operating statuses from health reports, by object id; writes only what differs. No generation, no mark. */
  setOperatingStatuses(loadBalancerId: string, statuses: ReadonlyMap<string, OperatingStatus>): Promise<void>;
}

export type ResourceKind =
  | 'loadBalancer'
  | 'listener'
  | 'pool'
  | 'member'
  | 'healthMonitor'
  | 'l7Policy'
  | 'l7Rule';

/** Rows as the API shows them: the object and the ids around it. */
export interface Views {
  loadBalancer: LoadBalancer & {
    readonly listenerIds: readonly string[];
    readonly poolIds: readonly string[];
  };
  listener: Listener & { readonly l7PolicyIds: readonly string[] };
  pool: Pool & {
    readonly listenerIds: readonly string[];
    readonly memberIds: readonly string[];
    readonly healthMonitorId: string | null;
  };
  member: Member;
  healthMonitor: HealthMonitor;
  l7Policy: L7Policy & { readonly l7RuleIds: readonly string[] };
  l7Rule: L7Rule;
  flavor: Flavor;
  flavorProfile: FlavorProfile;
  availabilityZone: AvailabilityZone;
  availabilityZoneProfile: AvailabilityZoneProfile;
  amphora: Amphora;
  quota: QuotaLimits & { readonly projectId: string };
}
export type ViewKind = keyof Views;

/** A list request, already checked against the resource's table of fields. Names are the domain's (camelCase). */
export interface ListQuery {
  /** Exact match, ANDed. `loadBalancerId` works wherever the view belongs to one load balancer. */
  readonly filters: Readonly<Record<string, string | number | boolean | null>>;
  readonly tags?: {
    readonly all?: readonly string[];
    readonly any?: readonly string[];
    readonly notAll?: readonly string[];
    readonly notAny?: readonly string[];
  };
  /** Ends in tie-breakers already. */
  readonly sort: readonly { readonly key: string; readonly descending: boolean }[];
  /** Id of the last seen row. */
  readonly marker?: string;
  /** Rows before the marker instead of after. */
  readonly reverse?: boolean;
  /** Rows at most; undefined: no limit. */
  readonly limit?: number;
}

export interface Lists {
  /** One SQL statement. Undefined when the marker is unknown, as any is to rows without an id. DELETED rows are never listed. */
  list<K extends ViewKind>(kind: K, query: ListQuery): Promise<readonly Views[K][] | undefined>;
  /** By the key of the row: its id, or what it has instead. */
  show<K extends ViewKind>(kind: K, id: string): Promise<Views[K] | undefined>;
}

export interface Amphorae {
  of(loadBalancerId: string): Promise<readonly Amphora[]>;
  get(id: string): Promise<Amphora | undefined>;
  /** Gives one in ERROR up: it goes PENDING_DELETE, and its load balancer is marked. False: it is not in ERROR (any more). */
  discard(id: string, at: Date): Promise<boolean>;
  /** Written by the loop alone. */
  save(amphora: Amphora): Promise<void>;
  /** Marks a heartbeat; false when the amphora is unknown. */
  heard(id: string, at: Date): Promise<boolean>;
  /** Those are FAILOVER_STOPPED from now on, all others that serve ALLOCATED. */
  setBrake(ids: readonly string[]): Promise<void>;
  /** Amphorae that serve and were not heard of since. */
  silentSince(since: Date): Promise<readonly Amphora[]>;
  countAllocated(): Promise<number>;
  /** Of those that serve: how many, how many of them were not heard of since, and when the longest silent was heard. */
  pulse(since: Date): Promise<Pulse>;
}

export interface Pulse {
  readonly serving: number;
  readonly silent: number;
  /** Null: none serves. */
  readonly oldest: Date | null;
}

/** What the operator offers, each by a profile. Flavors are named by id, availability zones by name. */
export interface Offers<Profile, Offer> {
  createProfile(profile: Profile): Promise<Problem | undefined>;
  /** Problem: in use while data or provider change (409), or unknown (404). */
  updateProfile(id: string, changes: Partial<Profile>): Promise<Profile | Problem>;
  deleteProfile(id: string): Promise<Problem | undefined>;
  /** Problem: name taken (409), unknown profile (400). */
  create(offer: Offer): Promise<Problem | undefined>;
  update(key: string, changes: Partial<Offer>): Promise<Offer | Problem>;
  /** Problem: in use by a load balancer that is not DELETED (409), unknown (404). */
  delete(key: string): Promise<Problem | undefined>;
}

/** How many of a kind a project may have: -1 unlimited, 0 none, null the deployment's default. */
export type QuotaLimits = Readonly<Record<ResourceKind, number | null>>;

/** So many more of each. */
export type Growth = Readonly<Partial<Record<ResourceKind, number>>>;

export interface Quotas {
  /** What null means. */
  readonly defaults: Readonly<Record<ResourceKind, number>>;
  of(projectId: string): Promise<QuotaLimits>;
  /** Makes the record of the project if it has none, as the first load balancer does. Gives all its limits. */
  set(projectId: string, changes: Partial<QuotaLimits>): Promise<QuotaLimits | Problem>;
  /** The quota that has no room for so many more. */
  problem(projectId: string, growth: Growth): Promise<Problem | undefined>;
  /** Back to the defaults. Problem: the project has no record (404). */
  reset(projectId: string): Promise<Problem | undefined>;
}

export interface TrafficSample {
  readonly listenerId: string;
  readonly activeConnections: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly totalConnections: number;
  readonly requestErrors: number;
}

export interface Statistics {
  /** Replaces what the amphora said before; older samples of a listener never lower a counter. */
  record(amphoraId: string, loadBalancerId: string, samples: readonly TrafficSample[]): Promise<void>;
  ofListener(listenerId: string): Promise<Omit<TrafficSample, 'listenerId'>>;
  ofLoadBalancer(loadBalancerId: string): Promise<Omit<TrafficSample, 'listenerId'>>;
  /** One entry per listener the amphora ever reported; empty when it reported nothing. */
  ofAmphora(amphoraId: string): Promise<readonly (TrafficSample & { readonly loadBalancerId: string })[]>;
}

/** "Look at this load balancer again." A key has no payload; marking twice is harmless; a mark during work is kept. */
export interface WorkQueue {
  mark(key: string, notBefore?: Date): Promise<void>;
  /** Marks every load balancer that is not at rest or has an amphora behind its generation. */
  markUnfinished(): Promise<number>;
  /** Up to `limit` due keys, leased to `owner` for `leaseMs`. */
  claim(owner: string, limit: number, leaseMs: number): Promise<readonly Claim[]>;
  /** False: the lease was lost to somebody else. */
  renew(claim: Claim, leaseMs: number): Promise<boolean>;
  /** Done, unless it was marked again meanwhile (then it is due at once). */
  release(claim: Claim): Promise<void>;
  /** Not done: due again after `delayMs`, with one attempt more (a mark meanwhile makes it due at once). */
  retry(claim: Claim, delayMs: number): Promise<void>;
  /** How much is on it. */
  depth(): Promise<QueueDepth>;
  /** Calls back when something was marked; only a hint. Returns a function that ends it. */
  listen(onMark: () => void): Promise<() => Promise<void>>;
}

export interface QueueDepth {
  /** Keys that nobody works on though it is time. */
  readonly due: number;
  /** Keys that are to be looked at later. */
  readonly waiting: number;
  /** Keys that somebody works on. */
  readonly leased: number;
  /** For how long the first of the due ones has been. */
  readonly oldestDueSeconds: number;
}

export interface Claim {
  readonly key: string;
  readonly owner: string;
  /** How often it was tried since it last came to rest. */
  readonly attempt: number;
}

/** What is shown of each part of the fleet; nothing that is DELETED. */
export interface Fleet {
  readonly loadBalancers: readonly (Identity &
    Pick<LoadBalancer, 'name' | 'operatingStatus' | 'provisioningStatus' | 'provider' | 'vipAddress'>)[];
  readonly pools: readonly (Identity &
    Pick<
      Pool,
      'loadBalancerId' | 'name' | 'operatingStatus' | 'provisioningStatus' | 'protocol' | 'lbAlgorithm'
    >)[];
  readonly amphorae: readonly Pick<
    Amphora,
    'id' | 'loadBalancerId' | 'status' | 'role' | 'computeId' | 'lbNetworkIp' | 'haIp' | 'certExpiration'
  >[];
  /** With their traffic, as `Statistics` counts it. */
  readonly listeners: readonly (Identity & { readonly loadBalancerId: string } & Omit<
      TrafficSample,
      'listenerId'
    >)[];
}
type Identity = { readonly id: string; readonly projectId: string };
