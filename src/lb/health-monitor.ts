import type { NamedResource } from './resource.ts';

export type HealthMonitorType = 'HTTP' | 'HTTPS' | 'PING' | 'TCP' | 'TLS-HELLO' | 'UDP-CONNECT' | 'SCTP';

export interface HealthMonitor extends NamedResource {
  readonly poolId: string;
  readonly type: HealthMonitorType;
  /** Seconds between two checks. */
  readonly delay: number;
  /** Seconds one check may take. */
  readonly timeout: number;
  /** Successes to go ONLINE (HAProxy `rise`). */
  readonly maxRetries: number;
  /** Failures to go ERROR (HAProxy `fall`). */
  readonly maxRetriesDown: number;
  readonly httpMethod: string | null;
  readonly urlPath: string | null;
  /** `200`, `200,202` or `200-204`. */
  readonly expectedCodes: string | null;
  readonly httpVersion: number | null;
  readonly domainName: string | null;
}
