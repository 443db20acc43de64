import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../../src/platform/run.ts';
import { makeTestAuthority } from '../certificates.ts';
import { storeSecret } from '../https-load-balancer.ts';
import type { Service } from '../service.ts';

const keyKinds = {
  EC: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  RSA: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  Ed25519: ['-algorithm', 'ED25519'],
  'short RSA': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
} as const;

/** Paths of PEM files. */
export interface KeyPair {
  readonly key: string;
  readonly certificate: string;
}

/** Certificates of all kinds by openssl, and their references in the key manager. */
export interface Pki {
  /** The root that clients trust; between it and the servers' certificates is an intermediate. */
  readonly root: string;
  readonly intermediate: string;
  /** A server's certificate for a host name. */
  server(name: string, kind?: keyof typeof keyKinds): Promise<KeyPair>;
  /** Reference of its PKCS#12 bundle with the chain, made with these options of `openssl pkcs12`. */
  bundle(pair: KeyPair, ...options: string[]): Promise<string>;
  /** Reference of a certificate container. */
  container(parts: Readonly<Record<string, string>>): Promise<string>;
  /** Reference of a PEM text. */
  text(file: string): Promise<string>;
  /** An authority of Ann and Bob; Bob's certificate is revoked in `crl`, in `emptyCrl` nobody's. */
  readonly clients: {
    readonly ca: string;
    readonly crl: string;
    readonly emptyCrl: string;
    readonly ann: KeyPair;
    readonly bob: KeyPair;
  };
  /** A client whom nobody knows. */
  readonly stranger: KeyPair;
}

export async function makePki(folder: string, service: Service): Promise<Pki> {
  const authority = await makeTestAuthority(folder);
  const path = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): Promise<string> => run(['openssl', ...args], { cwd: folder });

  async function selfSigned(name: string, subject: string, ca: boolean): Promise<KeyPair> {
    const pair = { key: path(`${name}.key.pem`), certificate: path(`${name}.cert.pem`) };
    await openssl('genpkey', ...keyKinds.EC, '-out', pair.key);
    const constraints = ca ? ['-addext', 'basicConstraints=critical,CA:TRUE'] : [];
    await openssl(
      ...['req', '-x509', '-new', '-key', pair.key, '-subj', subject, '-days', '30'],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature', ...constraints],
      ...['-out', pair.certificate],
    );
    return pair;
  }
  async function signed(
    name: string,
    subject: string,
    issuer: KeyPair,
    extensions: string,
    kind = keyKinds.EC as readonly string[],
  ) {
    const pair = { key: path(`${name}.key.pem`), certificate: path(`${name}.cert.pem`) };
    await openssl('genpkey', ...kind, '-out', pair.key);
    await openssl('req', '-new', '-key', pair.key, '-subj', subject, '-out', path(`${name}.csr`));
    writeFileSync(path(`${name}.ext`), extensions);
    await openssl(
      ...['x509', '-req', '-in', path(`${name}.csr`), '-days', '30', '-CA', issuer.certificate],
      ...['-CAkey', issuer.key, '-CAcreateserial', '-extfile', path(`${name}.ext`), '-out', pair.certificate],
    );
    return pair;
  }

  const clientCa = await selfSigned('clients', '/O=Guild of Clients/CN=Clients', true);
  const clientOf = (name: string) =>
    signed(name, `/O=Guild/CN=${name}`, clientCa, 'extendedKeyUsage=clientAuth,serverAuth\n');
  const [ann, bob] = [await clientOf('ann'), await clientOf('bob')];
  writeFileSync(path('index.txt'), '');
  writeFileSync(
    path('ca.cnf'),
    '[ca]\ndefault_ca=x\n[x]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=9\n',
  );
  const ca = ['ca', '-config', 'ca.cnf', '-cert', clientCa.certificate, '-keyfile', clientCa.key];
  await openssl(...ca, '-gencrl', '-out', 'nobody.crl');
  await openssl(...ca, '-revoke', bob.certificate);
  await openssl(...ca, '-gencrl', '-out', 'clients.crl');

  const intermediate = { key: path('intermediate.key.pem'), certificate: path('intermediate.cert.pem') };
  const store = async (file: string, type: string): Promise<string> =>
    (
      await service.call('POST', 'cloud:/key-manager/v1/secrets', {
        name: type,
        secret_type: type,
        payload: readFileSync(file, 'utf8'),
        payload_content_type: 'text/plain',
      })
    ).secret_ref;
  const secretTypes: Record<string, string> = {
    certificate: 'certificate',
    private_key: 'private',
    intermediates: 'certificate',
    private_key_passphrase: 'passphrase',
  };

  return {
    root: authority.rootPem,
    intermediate: intermediate.certificate,
    server: (name, kind = 'EC') =>
      signed(
        `${name}-${kind.replace(' ', '-')}`,
        `/CN=${name}`,
        intermediate,
        `subjectAltName=DNS:${name}\nextendedKeyUsage=serverAuth\n`,
        keyKinds[kind],
      ),
    async bundle({ key, certificate }, ...options) {
      const file = certificate.replace('.cert.pem', '.p12');
      const pair = ['-inkey', key, '-in', certificate, '-certfile', authority.chainPem];
      await openssl('pkcs12', '-export', ...pair, '-passout', 'pass:', ...options, '-out', file);
      return storeSecret(service, file);
    },
    async container(parts) {
      const refs = await Promise.all(
        Object.entries(parts).map(async ([name, file]) => ({
          name,
          secret_ref: await store(file, secretTypes[name] ?? 'opaque'),
        })),
      );
      const made = await service.call('POST', 'cloud:/key-manager/v1/containers', {
        type: 'certificate',
        name: 'certificate',
        secret_refs: refs,
      });
      return made.container_ref;
    },
    text: (file) => store(file, 'opaque'),
    clients: { ca: clientCa.certificate, crl: path('clients.crl'), emptyCrl: path('nobody.crl'), ann, bob },
    stranger: await selfSigned('stranger', '/CN=stranger', false),
  };
}
