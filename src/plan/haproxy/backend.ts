import type { WantedListener, WantedMember, WantedPool } from '../../wire/wanted.ts';
import { checksOf } from './monitor.ts';
import { address, call, Unwritable, word } from './quote.ts';
import { serverIds } from './server-ids.ts';
import { serverName } from './server-names.ts';
import { excludedVersions, type Files, serverTls } from './tls.ts';
import { milliseconds, modeOf } from './frontend.ts';
import { sizeOf } from './stick-table.ts';

const algorithms = {
  ROUND_ROBIN: 'roundrobin',
  LEAST_CONNECTIONS: 'leastconn',
  SOURCE_IP: 'source',
} as const;

export const backendName = (pool: WantedPool, listener: WantedListener): string =>
  `${pool.id}:${listener.id}`;

const backendMode = (pool: WantedPool, listener: WantedListener): 'http' | 'tcp' => {
  if (pool.protocol === 'PROXY' || pool.protocol === 'PROXYV2') return modeOf(listener);
  return pool.protocol === 'HTTP' ? 'http' : 'tcp';
};

export interface BackendSurroundings {
  /** Takes the files that the lines name. */
  readonly files: Files;
  /** A path: what asks members of PING monitors. */
  readonly pingCheck: string;
  /** Of each stick table. */
  readonly tableEntries: number;
  /** Without it nobody guesses a member's address from its cookie; on all amphorae of a load balancer the same. */
  readonly cookieKey: string;
}

function persistence(
  pool: WantedPool,
  mode: 'http' | 'tcp',
  { tableEntries, cookieKey }: BackendSurroundings,
): string[] {
  const wanted = pool.sessionPersistence;
  if (wanted === null) return [];
  if (wanted.type === 'SOURCE_IP')
    return [`stick-table type ipv6 size ${sizeOf(tableEntries)}`, 'stick on src'];
  if (mode !== 'http') throw new Unwritable('cookies need a pool of HTTP');
  // Made of the member's address and port: HAProxy 2.6 takes no other for a server that is added at run time.
  if (wanted.type === 'HTTP_COOKIE')
    return [`dynamic-cookie-key ${word(cookieKey)}`, 'cookie SRV insert indirect nocache dynamic'];
  const name = wanted.cookieName ?? '';
  return [
    `stick-table type string len 64 size ${sizeOf(tableEntries)}`,
    `stick store-response ${call('res.cook', name)}`,
    `stick match ${call('req.cook', name)}`,
  ];
}

const sslHeaders: Readonly<Record<string, string>> = {
  'X-SSL-Client-Verify': '%[ssl_c_verify]',
  'X-SSL-Client-Has-Cert': '%[ssl_c_used]',
  'X-SSL-Client-DN': '%{+Q}[ssl_c_s_dn]',
  'X-SSL-Client-CN': '%{+Q}[ssl_c_s_dn(cn)]',
  'X-SSL-Issuer': '%{+Q}[ssl_c_i_dn]',
  'X-SSL-Client-SHA1': '%{+Q}[ssl_c_sha1,hex]',
  'X-SSL-Client-Not-Before': '%{+Q}[ssl_c_notbefore]',
  'X-SSL-Client-Not-After': '%{+Q}[ssl_c_notafter]',
};

function insertedHeaders(pool: WantedPool, listener: WantedListener): string[] {
  const asked = (name: string) => listener.insertHeaders[name]?.toLowerCase() === 'true';
  const lines: string[] = [];
  if (pool.protocol === 'HTTP') {
    if (asked('X-Forwarded-For')) lines.push('option forwardfor');
    if (asked('X-Forwarded-Port')) lines.push('http-request set-header X-Forwarded-Port %[dst_port]');
  }
  if (asked('X-Forwarded-Proto')) {
    lines.push(
      `http-request set-header X-Forwarded-Proto ${listener.protocol === 'HTTP' ? 'http' : 'https'}`,
    );
  }
  if (listener.protocol === 'TERMINATED_HTTPS') {
    for (const [name, value] of Object.entries(sslHeaders)) {
      if (asked(name)) lines.push(`http-request set-header ${name} ${value}`);
    }
  }
  return lines;
}

function serverLine(
  member: WantedMember,
  checked: boolean,
  id: number | undefined,
  versions: string,
): string {
  // What is not said follows the member.
  const { monitorAddress, monitorPort } = member;
  // What is not said follows the member.
  const monitor = [
    ...(monitorAddress === null ? [] : [` addr ${address(monitorAddress)}`]),
    ...(monitorPort === null ? [] : [` port ${monitorPort}`]),
  ].join('');
  return (
    `server ${word(serverName(member))} ${address(member.address)}:${member.port} weight ${member.weight}` +
    `${id === undefined ? '' : ` id ${id}`}${checked ? monitor : ''}` +
    `${member.backup ? ' backup' : ''}${versions}${member.enabled ? '' : ' disabled'}`
  );
}

/** The lines of one backend: a pool as one listener uses it. Throws `Unwritable`. */
export function backendLines(
  pool: WantedPool,
  listener: WantedListener,
  surroundings: BackendSurroundings,
): { lines: string[]; warning: string | null } {
  if (pool.protocol === 'UDP' || pool.protocol === 'SCTP') {
    throw new Unwritable(`${pool.protocol} is not carried yet`);
  }
  if (pool.algorithm === 'SOURCE_IP_PORT') throw new Unwritable('SOURCE_IP_PORT is not carried by HAProxy');
  const { files } = surroundings;
  const mode = backendMode(pool, listener);
  const checks = checksOf(pool, surroundings.pingCheck);
  const proxy =
    pool.protocol === 'PROXY'
      ? ['send-proxy']
      : pool.protocol === 'PROXYV2'
        ? [listener.protocol === 'TERMINATED_HTTPS' ? 'send-proxy-v2-ssl-cn' : 'send-proxy-v2']
        : [];
  const shared = [
    ...(pool.tls === null ? [] : serverTls(files, pool.id, pool.tls)),
    ...proxy,
    ...checks.serverOptions,
  ];
  // The only options of a server that `default-server` does not take.
  const versions =
    pool.tls === null
      ? ''
      : excludedVersions(pool.tls.versions)
          .map((option) => ` ${option}`)
          .join('');
  const ids = pool.algorithm === 'SOURCE_IP' ? serverIds(pool.members.map(serverName)) : undefined;
  const lines = [
    `backend ${backendName(pool, listener)}`,
    `mode ${mode}`,
    `balance ${algorithms[pool.algorithm]}`,
    ...(pool.algorithm === 'SOURCE_IP' ? ['hash-type consistent'] : []),
    ...(mode === 'http' ? ['http-reuse safe'] : []),
    `timeout connect ${milliseconds(listener.timeoutMemberConnect, 5000)}`,
    `timeout server ${milliseconds(listener.timeoutMemberData, 50_000)}`,
    'option allbackups',
    ...persistence(pool, mode, surroundings),
    ...(mode === 'http' ? insertedHeaders(pool, listener) : []),
    ...checks.lines,
    ...(checks.serverOptions.length > 0 ? ['load-server-state-from-file global'] : []),
    ...(shared.length > 0 ? [`default-server ${shared.join(' ')}`] : []),
    ...pool.members.map((member) =>
      serverLine(member, checks.serverOptions.length > 0, ids?.get(serverName(member)), versions),
    ),
  ];
  return { lines, warning: checks.warning };
}
