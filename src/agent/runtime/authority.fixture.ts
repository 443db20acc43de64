import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Holder {
  readonly cert: string;
  readonly key: string;
}

/** An authority of clients and members, and what it has issued, by the openssl command. */
export interface AuthorityWithClients {
  readonly caPem: string;
  readonly client: Holder;
  readonly revoked: Holder;
  /** Of a member. */
  readonly server: Holder;
  /** Lists of nobody, and of the one who is revoked. */
  readonly crls: readonly [string, string];
}

export function anAuthority(name: string): AuthorityWithClients {
  const folder = mkdtempSync(join(tmpdir(), 'authority-'));
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  const read = (file: string) => readFileSync(join(folder, file), 'utf8');
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const issue = (holder: string, serial: number): Holder => {
    openssl('req', ...newKey, '-subj', `/CN=${holder}`, '-keyout', `${holder}.key`, '-out', 'request');
    const signed = ['-CA', 'ca', '-CAkey', 'ca.key', '-set_serial', String(serial), '-days', '2'];
    openssl('x509', '-req', '-in', 'request', ...signed, '-out', holder);
    return { cert: read(holder), key: read(`${holder}.key`) };
  };
  const list = (index: string): string => {
    writeFileSync(join(folder, 'index'), index);
    openssl('ca', '-gencrl', '-config', 'settings', '-cert', 'ca', '-keyfile', 'ca.key', '-out', 'crl');
    return read('crl');
  };
  try {
    const settings = 'database=index\ndefault_md=sha256\ndefault_crl_days=9\n';
    writeFileSync(join(folder, 'settings'), `[ca]\ndefault_ca=x\n[x]\n${settings}`);
    openssl(
      'req',
      '-x509',
      ...newKey,
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      'ca.key',
      '-out',
      'ca',
    );
    return {
      caPem: read('ca'),
      client: issue('client', 2),
      revoked: issue('revoked', 3),
      server: issue('server', 4),
      crls: [list(''), list('R\t350101000000Z\t250101000000Z\t03\tunknown\t/CN=revoked\n')],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
