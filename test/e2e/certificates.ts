import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../src/platform/run.ts';

/** An authority of one's own, as the report's author made one: root, intermediate, server certificates, by openssl. */
export interface TestAuthority {
  readonly folder: string;
  readonly rootPem: string;
  readonly chainPem: string;
  /** Key, certificate and PKCS#12 bundle (empty passphrase, chain included) for a host name; their paths. */
  issue(name: string, passphrase?: string): Promise<{ key: string; certificate: string; bundle: string }>;
}

export async function makeTestAuthority(folder: string): Promise<TestAuthority> {
  mkdirSync(folder, { recursive: true });
  const path = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): Promise<string> => run(['openssl', ...args]);
  const newKey = (file: string): Promise<string> =>
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file);
  const sign = async (name: string, subject: string, issuer: string, extensions: string): Promise<void> => {
    await newKey(path(`${name}.key.pem`));
    await openssl(
      'req',
      '-new',
      '-key',
      path(`${name}.key.pem`),
      '-subj',
      subject,
      '-out',
      path(`${name}.csr`),
    );
    writeFileSync(path(`${name}.ext`), extensions);
    await openssl(
      ...['x509', '-req', '-in', path(`${name}.csr`), '-days', '30', '-CA', path(`${issuer}.cert.pem`)],
      ...['-CAkey', path(`${issuer}.key.pem`), '-CAcreateserial', '-extfile', path(`${name}.ext`)],
      ...['-out', path(`${name}.cert.pem`)],
    );
  };

  await newKey(path('root.key.pem'));
  await openssl(
    ...['req', '-x509', '-new', '-key', path('root.key.pem'), '-subj', '/CN=Test Root', '-days', '30'],
    ...['-addext', 'basicConstraints=critical,CA:TRUE', '-out', path('root.cert.pem')],
  );
  await sign(
    'intermediate',
    '/CN=Test Intermediate',
    'root',
    'basicConstraints=critical,CA:TRUE,pathlen:0\n',
  );
  await run([
    'sh',
    '-c',
    `cat "$0" "$1" > "$2"`,
    path('intermediate.cert.pem'),
    path('root.cert.pem'),
    path('ca-chain.cert.pem'),
  ]);

  return {
    folder,
    rootPem: path('root.cert.pem'),
    chainPem: path('ca-chain.cert.pem'),
    async issue(name, passphrase = '') {
      await sign(
        name,
        `/CN=${name}`,
        'intermediate',
        `subjectAltName=DNS:${name}\nextendedKeyUsage=serverAuth\n`,
      );
      const files = {
        key: path(`${name}.key.pem`),
        certificate: path(`${name}.cert.pem`),
        bundle: path(`${name}.p12`),
      };
      await openssl(
        ...[
          'pkcs12',
          '-export',
          '-inkey',
          files.key,
          '-in',
          files.certificate,
          '-certfile',
          path('ca-chain.cert.pem'),
        ],
        ...['-passout', `pass:${passphrase}`, '-out', files.bundle],
      );
      return files;
    },
  };
}
