import type { Amphora } from '../lb/amphora.ts';
import type { Guard } from './guard.ts';

/** What is. */
export interface Seen {
  readonly now: Date;
  /** The guard as last ensured in this run; undefined: not yet. */
  readonly guard: Guard | undefined;
  readonly vipPort: 'there' | 'missing';
  /** Rows that are not DELETED. */
  readonly amphorae: readonly SeenAmphora[];
  /** So many amphorae are silent at once that we should rather doubt ourselves. */
  readonly massSilence: boolean;
  /** The load balancer's own security group was removed in this run. */
  readonly groupRemoved: boolean;
  /** An amphora could not take all of what it was given in this run. */
  readonly failures: boolean;
  /** The generation written back as come true in this run. */
  readonly settled: number | undefined;
}

export interface SeenAmphora {
  readonly row: Amphora;
  /** `unwatched`: there was no reason to look. */
  readonly server: SeenServer | 'gone' | 'unwatched';
  readonly managementPortId: string | undefined;
  readonly vrrpPortId: string | undefined;
  /** Every port made for it, those that nobody knows of any more too. */
  readonly portIds: readonly string[];
  /** A number: the agent answered, and runs this generation (-1: none yet). `unasked`: there was no reason to ask. */
  readonly agent: number | 'unreachable' | 'unasked';
  /** Its agent answered, and its ticket keys are of a period that is over, or its settings of another day. */
  readonly outdated: boolean;
  /** No heartbeat for longer than the limit. */
  readonly silent: boolean;
  /** Why the last push of this run did not go through. */
  readonly trouble: string | undefined;
  /** The last generation it confirmed in this run. */
  readonly confirmed: number | undefined;
}

export interface SeenServer {
  readonly id: string;
  /** Nova's. */
  readonly status: string;
  readonly fault: string | null;
  /** Its removal was asked for in this run. */
  readonly leaving: boolean;
}
