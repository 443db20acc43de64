import type { NamedResource } from './resource.ts';

export type ListenerProtocol = 'HTTP' | 'HTTPS' | 'TCP' | 'TERMINATED_HTTPS' | 'UDP' | 'SCTP' | 'PROMETHEUS';
export type TlsVersion = 'SSLv3' | 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
export type AlpnProtocol = 'h2' | 'http/1.1' | 'http/1.0';
export type ClientAuthentication = 'NONE' | 'OPTIONAL' | 'MANDATORY';

export interface Listener extends NamedResource {
  readonly loadBalancerId: string;
  readonly description: string | null;
  readonly protocol: ListenerProtocol;
  /** 1 to 65535. */
  readonly protocolPort: number;
  /** -1: the provider's default (50,000 for amphorae). */
  readonly connectionLimit: number | null;
  readonly defaultPoolId: string | null;
  readonly insertHeaders: Readonly<Record<string, string>>;
  /** Milliseconds, all four. */
  readonly timeoutClientData: number;
  readonly timeoutMemberConnect: number;
  readonly timeoutMemberData: number;
  readonly timeoutTcpInspect: number;
  readonly defaultTlsContainerRef: string | null;
  readonly sniContainerRefs: readonly string[];
  readonly clientAuthentication: ClientAuthentication;
  readonly clientCaTlsContainerRef: string | null;
  readonly clientCrlContainerRef: string | null;
  /** Normalised CIDRs; null (never empty) when everyone may connect. */
  readonly allowedCidrs: readonly string[] | null;
  readonly tlsCiphers: string | null;
  readonly tlsVersions: readonly TlsVersion[] | null;
  readonly alpnProtocols: readonly AlpnProtocol[] | null;
  /** Seconds. */
  readonly hstsMaxAge: number | null;
  readonly hstsIncludeSubdomains: boolean;
  readonly hstsPreload: boolean;
}
