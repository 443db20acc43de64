import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type {
  CertificatePem,
  WantedAmphora,
  WantedBackendTls,
  WantedHealthMonitor,
  WantedL7Policy,
  WantedL7Rule,
  WantedListener,
  WantedMember,
  WantedPool,
  WantedTls,
} from '../../wire/wanted.ts';
import { memoryBudget } from '../memory-budget.ts';
import { abilitiesOf } from '../runtime/abilities.ts';
import { demandOf } from './demand.ts';
import { type RenderedHaproxy, renderHaproxy } from './render.ts';

/** Ids that a reader can tell apart: `id('a', 1)` is the first of kind a. */
export const id = (kind: string, n: number): string =>
  `${kind.charCodeAt(0).toString(16).padStart(8, '0')}-0000-4000-8000-${String(n).padStart(12, '0')}`;

export const aMember = (n: number, changes: Partial<WantedMember> = {}): WantedMember => ({
  id: id('m', n),
  address: `10.0.0.${(n % 250) + 1}`,
  port: 80,
  weight: 1,
  backup: false,
  enabled: true,
  monitorAddress: null,
  monitorPort: null,
  ...changes,
});

export const aMonitor = (changes: Partial<WantedHealthMonitor> = {}): WantedHealthMonitor => ({
  id: id('h', 1),
  type: 'HTTP',
  delay: 5,
  timeout: 3,
  rise: 3,
  fall: 3,
  httpMethod: 'GET',
  urlPath: '/',
  expectedCodes: '200',
  httpVersion: null,
  domainName: null,
  ...changes,
});

export const aPool = (n: number, changes: Partial<WantedPool> = {}): WantedPool => ({
  id: id('p', n),
  protocol: 'HTTP',
  algorithm: 'ROUND_ROBIN',
  sessionPersistence: null,
  tls: null,
  members: [aMember(1), aMember(2)],
  healthMonitor: null,
  ...changes,
});

export const aListener = (n: number, changes: Partial<WantedListener> = {}): WantedListener => ({
  id: id('l', n),
  protocol: 'HTTP',
  port: 8000 + n,
  connectionLimit: -1,
  defaultPoolId: null,
  insertHeaders: {},
  timeoutClientData: 50_000,
  timeoutMemberConnect: 5000,
  timeoutMemberData: 50_000,
  timeoutTcpInspect: 0,
  allowedCidrs: null,
  tls: null,
  l7Policies: [],
  ...changes,
});

export const aTls = (
  certificates: readonly CertificatePem[],
  changes: Partial<WantedTls> = {},
): WantedTls => ({
  certificates: [...certificates],
  unavailable: null,
  clientAuthentication: 'NONE',
  clientCaPem: null,
  clientCrlPem: null,
  ciphers: null,
  versions: ['TLSv1.2', 'TLSv1.3'],
  alpn: ['h2', 'http/1.1'],
  hstsMaxAge: null,
  hstsIncludeSubdomains: false,
  hstsPreload: false,
  ...changes,
});

export const aBackendTls = (changes: Partial<WantedBackendTls> = {}): WantedBackendTls => ({
  certificate: null,
  caPem: null,
  crlPem: null,
  ciphers: null,
  versions: ['TLSv1.2', 'TLSv1.3'],
  alpn: [],
  ...changes,
});

export const aRule = (n: number, changes: Partial<WantedL7Rule> = {}): WantedL7Rule => ({
  id: id('r', n),
  type: 'PATH',
  compareType: 'STARTS_WITH',
  key: null,
  value: '/',
  invert: false,
  ...changes,
});

export const aPolicy = (n: number, changes: Partial<WantedL7Policy> = {}): WantedL7Policy => ({
  id: id('y', n),
  action: 'REJECT',
  redirectPoolId: null,
  redirectUrl: null,
  redirectPrefix: null,
  redirectHttpCode: null,
  rules: [aRule(n)],
  ...changes,
});

export const aWanted = (changes: Partial<WantedAmphora> = {}): WantedAmphora => ({
  wire: 1,
  generation: 1,
  loadBalancer: { id: id('b', 1), projectId: 'project', enabled: true, vipAddresses: ['127.0.0.1'] },
  interfaces: [],
  listeners: [],
  pools: [],
  ...changes,
});

/** A self-signed certificate with its key, by the openssl command. */
export function aCertificate(commonName: string): CertificatePem {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'));
  try {
    const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    const names = ['-subj', `/CN=${commonName}`, '-addext', `subjectAltName=DNS:${commonName}`];
    execFileSync('openssl', ['req', '-x509', ...kind, ...names, '-keyout', key, '-out', certificate], {
      stdio: 'ignore',
    });
    const pem = readFileSync(key, 'utf8') + readFileSync(certificate, 'utf8');
    return { name: createHash('sha256').update(pem).digest('hex'), pem };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A revocation list of nobody, by an authority of its own. */
export function aRevocationList(): string {
  const folder = mkdtempSync(join(tmpdir(), 'revocation-'));
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  try {
    const settings = 'database=index.txt\ndefault_md=sha256\ndefault_crl_days=9\n';
    writeFileSync(join(folder, 'ca.cnf'), `[ca]\ndefault_ca=x\n[x]\n${settings}`);
    writeFileSync(join(folder, 'index.txt'), '');
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    openssl('req', '-x509', ...kind, '-subj', '/CN=authority', '-keyout', 'key', '-out', 'certificate');
    openssl('ca', '-gencrl', '-config', 'ca.cnf', '-cert', 'certificate', '-keyfile', 'key', '-out', 'crl');
    return readFileSync(join(folder, 'crl'), 'utf8');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As the agent of an amphora with 1 GiB and one CPU renders it, for the oldest HAProxy unless another is named. */
export function render(
  wanted: WantedAmphora,
  run = '/run/livia/haproxy',
  version = '2.6.12',
): RenderedHaproxy {
  const budget = memoryBudget({
    limitBytes: 1024 ** 3,
    reservedBytes: 96 * 1024 ** 2,
    tcpInside: false,
    fileLimit: 1_048_576,
    threads: 1,
    version,
    ...demandOf(wanted),
  });
  const paths = {
    statsSocket: `${run}/stats.sock`,
    serverState: `${run}/server-state`,
    pingCheck: `${run}/ping`,
    exporterSocket: `${run}/exporter.sock`,
    metricsSocket: `${run}/metrics.sock`,
    user: null,
  };
  return renderHaproxy(wanted, budget, paths, abilitiesOf(version));
}

/** What `haproxy -c` says to a configuration: `''` when it is accepted without a word of warning. */
export function checkWithHaproxy(rendered: RenderedHaproxy, run = '/run/livia/haproxy'): string {
  const folder = mkdtempSync(join(tmpdir(), 'haproxy-check-'));
  try {
    for (const [path, content] of rendered.files) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content);
    }
    writeFileSync(join(folder, 'server-state'), '1\n');
    writeFileSync(join(folder, 'haproxy.cfg'), rendered.text.replaceAll(run, folder));
    const result = spawnSync('haproxy', ['-c', '-C', folder, '-f', 'haproxy.cfg'], { encoding: 'utf8' });
    const said = result.stderr.split('\n').filter((line) => /\[(WARNING|ALERT)\]/.test(line));
    return [...said, ...(result.status === 0 ? [] : [`exit ${result.status}`])].join('\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
