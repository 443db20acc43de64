import type { AlpnProtocol, TlsVersion } from './listener.ts';
import type { NamedResource } from './resource.ts';

export type PoolProtocol = 'HTTP' | 'HTTPS' | 'PROXY' | 'PROXYV2' | 'TCP' | 'UDP' | 'SCTP';
export type LbAlgorithm = 'ROUND_ROBIN' | 'LEAST_CONNECTIONS' | 'SOURCE_IP' | 'SOURCE_IP_PORT';

export interface SessionPersistence {
  readonly type: 'SOURCE_IP' | 'HTTP_COOKIE' | 'APP_COOKIE';
  readonly cookieName: string | null;
  /** Seconds; UDP and SCTP pools only. */
  readonly persistenceTimeout: number | null;
  readonly persistenceGranularity: string | null;
}

export interface Pool extends NamedResource {
  readonly loadBalancerId: string;
  readonly description: string | null;
  readonly protocol: PoolProtocol;
  readonly lbAlgorithm: LbAlgorithm;
  readonly sessionPersistence: SessionPersistence | null;
  readonly tlsEnabled: boolean;
  readonly tlsContainerRef: string | null;
  readonly caTlsContainerRef: string | null;
  readonly crlContainerRef: string | null;
  readonly tlsCiphers: string | null;
  readonly tlsVersions: readonly TlsVersion[] | null;
  readonly alpnProtocols: readonly AlpnProtocol[] | null;
}
