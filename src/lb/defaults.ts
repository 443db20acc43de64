import type { AlpnProtocol, TlsVersion } from './listener.ts';

/** The settings of a deployment that fill what a client leaves open, or narrow what is legal. */
export interface Deployment {
  readonly listenerCiphers: string;
  readonly poolCiphers: string;
  readonly listenerTlsVersions: readonly TlsVersion[];
  readonly poolTlsVersions: readonly TlsVersion[];
  readonly listenerAlpnProtocols: readonly AlpnProtocol[];
  readonly poolAlpnProtocols: readonly AlpnProtocol[];
  /** Milliseconds, all four. */
  readonly timeoutClientData: number;
  readonly timeoutMemberConnect: number;
  readonly timeoutMemberData: number;
  readonly timeoutTcpInspect: number;
  /** OpenSSL names nobody may ask for. */
  readonly cipherProhibitList: readonly string[];
  readonly minimumTlsVersion: TlsVersion | null;
  readonly allowTlsTerminatedListeners: boolean;
  readonly allowPingHealthMonitors: boolean;
  readonly allowPrometheusListeners: boolean;
  /** Seconds; negative: no minimum. */
  readonly udpConnectMinInterval: number;
  /** Addresses no member may have. */
  readonly reservedIps: readonly string[];
  /** Of load balancers whose flavor does not say it. */
  readonly topology: 'SINGLE' | 'ACTIVE_STANDBY';
}

const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'DHE-RSA-AES128-GCM-SHA256',
  'DHE-RSA-AES256-GCM-SHA384',
  'DHE-RSA-CHACHA20-POLY1305',
].join(':');

export const standardDeployment: Deployment = {
  listenerCiphers: ciphers,
  poolCiphers: ciphers,
  listenerTlsVersions: ['TLSv1.2', 'TLSv1.3'],
  poolTlsVersions: ['TLSv1.2', 'TLSv1.3'],
  listenerAlpnProtocols: ['h2', 'http/1.1', 'http/1.0'],
  poolAlpnProtocols: ['h2', 'http/1.1', 'http/1.0'],
  timeoutClientData: 50_000,
  timeoutMemberConnect: 5_000,
  timeoutMemberData: 50_000,
  timeoutTcpInspect: 0,
  cipherProhibitList: [],
  minimumTlsVersion: null,
  allowTlsTerminatedListeners: true,
  allowPingHealthMonitors: true,
  allowPrometheusListeners: true,
  udpConnectMinInterval: 3,
  reservedIps: ['169.254.169.254'],
  topology: 'SINGLE',
};
