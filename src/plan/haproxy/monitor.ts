import type { WantedHealthMonitor, WantedPool } from '../../wire/wanted.ts';
import { format, Unwritable, word } from './quote.ts';

export interface Checks {
  /** Lines of the backend. */
  readonly lines: readonly string[];
  /** Options of `default-server`; empty when the members are not checked. */
  readonly serverOptions: readonly string[];
  readonly warning: string | null;
}

// HAProxy keeps times in milliseconds of 31 bits.
const longestSeconds = 2_147_483;
const seconds = (value: number): string => `${Math.min(Math.max(value, 1), longestSeconds)}s`;

function expectedStatus(codes: string | null): string {
  const compact = (codes ?? '200').replace(/\s/g, '');
  if (!/^\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*$/.test(compact))
    throw new Unwritable('the expected codes are no codes');
  return compact;
}

function httpLines(monitor: WantedHealthMonitor): string[] {
  const version = monitor.httpVersion === 1.1 ? 'HTTP/1.1' : 'HTTP/1.0';
  const host = monitor.domainName === null ? '' : ` hdr Host ${format(monitor.domainName)}`;
  return [
    'option httpchk',
    `http-check send meth ${word(monitor.httpMethod ?? 'GET')} uri ${word(monitor.urlPath ?? '/')} ver ${version}${host}`,
    `http-check expect status ${expectedStatus(monitor.expectedCodes)}`,
  ];
}

/**
 * The health checks of a pool's members. `pingCheck`: path of the program that pings a member; HAProxy runs it as the
 * user it has dropped to.
 */
export function checksOf(pool: WantedPool, pingCheck: string): Checks {
  const monitor = pool.healthMonitor;
  if (monitor === null) return { lines: [], serverOptions: [], warning: null };
  const serverOptions = [
    'check',
    'inter',
    seconds(monitor.delay),
    'fall',
    String(monitor.fall),
    'rise',
    String(monitor.rise),
  ];
  const lines = [`timeout check ${seconds(monitor.timeout)}`];
  if (pool.tls !== null && pool.tls.alpn.length > 0)
    serverOptions.push('check-alpn', pool.tls.alpn.join(','));
  switch (monitor.type) {
    case 'TCP':
      break;
    case 'HTTP':
      lines.push(...httpLines(monitor));
      break;
    case 'HTTPS':
      lines.push(...httpLines(monitor));
      serverOptions.push('check-ssl');
      if (monitor.domainName !== null) serverOptions.push('check-sni', word(monitor.domainName));
      break;
    case 'PING':
      lines.push(
        // Without the first of them HAProxy 3.4.0 ends by a signal; the second takes its place.
        'option tcp-check',
        'option external-check',
        'external-check path /usr/sbin:/usr/bin:/sbin:/bin',
        `external-check command ${word(pingCheck)}`,
      );
      break;
    case 'TLS-HELLO':
      serverOptions.push('check-ssl');
      break;
    default:
      return {
        lines: [],
        serverOptions: [],
        warning: `health monitors of type ${monitor.type} are not carried by HAProxy: its members are not checked`,
      };
  }
  // `verify` is one setting for traffic and checks: where the traffic is encrypted it has been decided already.
  if (serverOptions.includes('check-ssl') && pool.tls === null) serverOptions.push('verify', 'none');
  return { lines, serverOptions, warning: null };
}
