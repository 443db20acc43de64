import type { Amphora } from '../lb/amphora.ts';
import type { Clouds, Port, Server } from '../clouds/clouds.ts';
import type { Sighting } from '../lb/rollup.ts';
import type { Authority } from '../pki/ca.ts';
import type { Guard } from '../plan/guard.ts';
import type { Log } from '../platform/log.ts';
import type { LoadBalancingSettings } from '../platform/api-settings.ts';
import type {
  AmphoraSettings,
  FlowLogSettings,
  HealthSettings,
  WorkerSettings,
} from '../platform/settings.ts';
import type { Store } from '../store/store.ts';
import type { LoopMetrics } from './metrics.ts';

/** What the loop works with. */
export interface Context {
  readonly store: Store;
  readonly clouds: Clouds;
  readonly authority: Authority;
  /** From it every amphora's heartbeat key is derived. */
  readonly secretKey: Buffer;
  readonly settings: {
    readonly amphora: AmphoraSettings;
    readonly worker: WorkerSettings;
    readonly health: HealthSettings;
    readonly flow_logs: FlowLogSettings;
    readonly load_balancing: Pick<LoadBalancingSettings, 'default_connection_limit' | 'haproxy_stick_size'>;
  };
  readonly log: Log;
  readonly metrics: LoopMetrics;
  /** Since when heartbeats have been listened to without a gap: silence before that says nothing. */
  readonly listeningSince: () => Date;
}

/**
 * What one run on a load balancer has learned and done so far. It dies with the run; the next one looks anew, so
 * nothing here is ever needed to go on after a crash.
 */
export class Run {
  guard: Guard | undefined;
  /** Ids of the groups that guard the VIP, once `guard` is set. */
  groupIds: readonly string[] = [];
  groupRemoved = false;
  vipPort: Port | undefined;
  /** Cards on the VIP network, by amphora id. */
  readonly vrrpPorts = new Map<string, Port>();
  readonly managementPorts = new Map<string, Port>();
  /** Servers that boot, as last looked at, by amphora id. */
  readonly booting = new Map<string, { readonly server: Server; readonly lookedAt: number }>();
  /** What amphorae confirmed, by id. */
  readonly confirmed = new Map<string, Confirmation>();
  /** Whose agents were asked and had all they should, with the peers they had then. */
  readonly content = new Map<string, readonly string[]>();
  /** Why the last push to an amphora did not go through, by id. */
  readonly troubles = new Map<string, string>();
  /** Servers whose removal was asked for. */
  readonly leaving = new Set<string>();
  settled: number | undefined;
  /** Objects that could not be as wished when it was settled. */
  failed: ReadonlyMap<string, string> = new Map();
}

export interface Confirmation {
  readonly generation: number;
  /** The others it was told of. */
  readonly peers: readonly string[];
  readonly report: Sighting;
  readonly failed: ReadonlyMap<string, string>;
}

/** The amphora with changes, as it is saved. */
export function changed(row: Amphora, changes: Partial<Amphora>): Amphora {
  return { ...row, ...changes, updatedAt: new Date() };
}
