import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../platform/run.ts';

export const demoHost = 'demo.livia.test';

/**
 * A private CA and a server certificate of it. Only the CA's certificate stays on disk, for clients; the server's key
 * goes to the key manager and the CA's is forgotten. Gives the PKCS#12 bundle, or undefined when the CA is there already.
 */
export async function makeDemoCertificates(caFile: string, folder: string): Promise<Buffer | undefined> {
  if (existsSync(caFile)) return undefined;
  const work = await mkdtemp(join(folder, '.pki-'));
  const openssl = (...args: string[]): Promise<string> => run(['openssl', ...args], { cwd: work });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
  try {
    await writeFile(join(work, 'openssl.cnf'), '[req]\ndistinguished_name = none\n[none]\n');
    const request = ['req', '-config', 'openssl.cnf', '-x509', ...newKey];
    await openssl(
      ...[...request, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '3650'],
      ...['-subj', '/CN=Livia demonstration CA', '-addext', 'basicConstraints=critical,CA:TRUE'],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    );
    await openssl(
      ...[
        ...request,
        '-keyout',
        'server.key',
        '-out',
        'server.pem',
        '-days',
        '825',
        '-CA',
        'ca.pem',
        '-CAkey',
        'ca.key',
      ],
      ...['-subj', `/CN=${demoHost}`, '-addext', `subjectAltName=DNS:${demoHost}`],
      ...['-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'extendedKeyUsage=serverAuth'],
    );
    await openssl(
      ...['pkcs12', '-export', '-inkey', 'server.key', '-in', 'server.pem', '-certfile', 'ca.pem'],
      ...['-passout', 'pass:', '-out', 'server.p12'],
    );
    const bundle = await readFile(join(work, 'server.p12'));
    await rename(join(work, 'ca.pem'), caFile);
    return bundle;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
