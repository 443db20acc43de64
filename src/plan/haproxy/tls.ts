import type { CertificatePem, WantedBackendTls, WantedTicketKeys, WantedTls } from '../../wire/wanted.ts';
import { Unwritable, word } from './quote.ts';

/** Files that belong to a configuration, by their path relative to it. */
export type Files = Map<string, string>;

function certificateFile(files: Files, certificate: CertificatePem): string {
  const path = `certificates/${certificate.name}.pem`;
  files.set(path, certificate.pem);
  return path;
}

const negations = {
  SSLv3: 'no-sslv3',
  TLSv1: 'no-tlsv10',
  'TLSv1.1': 'no-tlsv11',
  'TLSv1.2': 'no-tlsv12',
  'TLSv1.3': 'no-tlsv13',
} as const;

/** Versions by exclusion, which allows gaps; none excluded when none is wanted. */
export function excludedVersions(versions: readonly WantedTls['versions'][number][]): string[] {
  if (versions.length === 0) return [];
  return Object.entries(negations)
    .filter(([version]) => !versions.some((wanted) => wanted === version))
    .map(([, negation]) => negation);
}

function ciphersAndAlpn(tls: Pick<WantedTls, 'ciphers' | 'alpn'>): string[] {
  const options: string[] = [];
  const names = (tls.ciphers ?? '').split(':').filter((name) => name !== '');
  // OpenSSL keeps the suites of TLS 1.3 in a list of their own and refuses them in the other.
  const suites = names.filter((name) => name.startsWith('TLS_'));
  const ciphers = names.filter((name) => !name.startsWith('TLS_'));
  if (ciphers.length > 0) options.push('ciphers', word(ciphers.join(':')));
  if (suites.length > 0) options.push('ciphersuites', word(suites.join(':')));
  if (tls.alpn.length > 0) options.push('alpn', tls.alpn.join(','));
  return options;
}

/** One key a line, oldest first, shared by all binds; the last but one encrypts. */
export const ticketKeysFile = 'ticket-keys';

/** The options of a `bind` line that terminates TLS. */
export function bindTls(
  files: Files,
  listenerId: string,
  tls: WantedTls,
  ticketKeys: WantedTicketKeys | undefined,
): string[] {
  if (tls.certificates.length === 0) {
    throw new Unwritable(tls.unavailable ?? 'there is no certificate for it');
  }
  const list = `listeners/${listenerId}.crt-list`;
  // HAProxy never lets go of the name of the default: a new one comes under the same.
  const [first, ...others] = tls.certificates as [CertificatePem, ...CertificatePem[]];
  const byDefault = `listeners/${listenerId}.default.pem`;
  files.set(byDefault, first.pem);
  const named = others.filter(({ name }) => name !== first.name);
  const paths = new Set([byDefault, ...named.map((certificate) => certificateFile(files, certificate))]);
  files.set(list, [...paths].map((path) => `${path}\n`).join(''));
  const options = ['ssl', 'crt-list', list];
  if (tls.clientCaPem !== null && tls.clientAuthentication !== 'NONE') {
    files.set(`listeners/${listenerId}.ca.pem`, tls.clientCaPem);
    options.push('ca-file', `listeners/${listenerId}.ca.pem`);
    options.push('verify', tls.clientAuthentication === 'MANDATORY' ? 'required' : 'optional');
    if (tls.clientCrlPem !== null) {
      files.set(`listeners/${listenerId}.crl.pem`, tls.clientCrlPem);
      options.push('crl-file', `listeners/${listenerId}.crl.pem`);
    }
  } else if (tls.clientAuthentication !== 'NONE') {
    throw new Unwritable('client authentication is wanted but there is no client CA');
  }
  if (ticketKeys !== undefined) {
    files.set(ticketKeysFile, `${ticketKeys.keys.join('\n')}\n`);
    options.push('tls-ticket-keys', ticketKeysFile);
  }
  return [...options, ...ciphersAndAlpn(tls), ...excludedVersions(tls.versions)];
}

/** The options of `default-server` that encrypt towards the members; versions go on each `server`. */
export function serverTls(files: Files, poolId: string, tls: WantedBackendTls): string[] {
  const options = ['ssl', 'sni', 'ssl_fc_sni'];
  if (tls.certificate !== null) options.push('crt', certificateFile(files, tls.certificate));
  if (tls.caPem === null) {
    options.push('verify', 'none');
  } else {
    files.set(`pools/${poolId}.ca.pem`, tls.caPem);
    options.push('verify', 'required', 'ca-file', `pools/${poolId}.ca.pem`);
    if (tls.crlPem !== null) {
      files.set(`pools/${poolId}.crl.pem`, tls.crlPem);
      options.push('crl-file', `pools/${poolId}.crl.pem`);
    }
  }
  return [...options, ...ciphersAndAlpn(tls)];
}

/** Response header of HSTS; an age of 0 is sent too, it makes clients forget. */
export function strictTransportSecurity(tls: WantedTls): string[] {
  if (tls.hstsMaxAge === null) return [];
  const value = [
    `max-age=${tls.hstsMaxAge}`,
    ...(tls.hstsIncludeSubdomains ? ['includeSubDomains'] : []),
    ...(tls.hstsPreload ? ['preload'] : []),
  ]
    .map((directive) => `${directive};`)
    .join(' ');
  // after-response: also on what HAProxy answers by itself.
  return [`http-after-response set-header Strict-Transport-Security ${word(value)}`];
}
