import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { CertificateError } from './certificate-error.ts';
import { pemBlocks } from './pem.ts';

/** A certificate with its key and what lies between it and its root. PEM; the key is PKCS#8. */
export interface KeyedCertificate {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** The issuer of the certificate first, then its issuer and so on; strangers last. */
  readonly intermediatesPem: readonly string[];
}

/** All certificates of a PEM text, in order. Throws `CertificateError` when there is none or one cannot be read. */
export function readCertificates(pem: string): X509Certificate[] {
  const blocks = pemBlocks(pem, 'CERTIFICATE');
  if (blocks.length === 0) throw new CertificateError('holds no PEM certificate');
  return blocks.map(readCertificate);
}

/** One certificate, PEM or DER. Throws `CertificateError`. */
export function readCertificate(certificate: string | Buffer): X509Certificate {
  try {
    return new X509Certificate(certificate);
  } catch (error) {
    throw new CertificateError('holds a certificate that cannot be read', { cause: error });
  }
}

/**
 * Puts key and certificates together: the leaf is the certificate the key belongs to. Nothing of the given text is
 * handed on, only what was understood of it. Throws `CertificateError`.
 */
export function keyedCertificate(key: KeyObject, certificates: readonly X509Certificate[]): KeyedCertificate {
  if (certificates.length === 0) throw new CertificateError('holds no certificate');
  const leaf = certificates.find((certificate) => certificate.checkPrivateKey(key));
  if (leaf === undefined) throw new CertificateError('the private key does not belong to the certificate');
  return {
    certificatePem: leaf.toString(),
    privateKeyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    intermediatesPem: orderChain(
      leaf,
      certificates.filter((certificate) => !certificate.raw.equals(leaf.raw)),
    ).map(String),
  };
}

/** Key and certificates given as separate PEM texts, the key perhaps under a passphrase. Throws `CertificateError`. */
export function keyedCertificateOfPem(given: {
  certificate: string;
  privateKey: string;
  intermediates?: string;
  passphrase?: string;
}): KeyedCertificate {
  const [leaf, ...others] = readCertificates(given.certificate);
  const key = readPrivateKey(given.privateKey, given.passphrase);
  if (leaf?.checkPrivateKey(key) !== true) {
    throw new CertificateError('the private key does not belong to the certificate');
  }
  const intermediates = given.intermediates === undefined ? [] : readCertificates(given.intermediates);
  return keyedCertificate(key, [leaf, ...others, ...intermediates]);
}

/** The certificates from the leaf's issuer upwards, each once; those that issued none of them follow as given. */
export function orderChain(
  leaf: X509Certificate,
  others: readonly X509Certificate[],
): readonly X509Certificate[] {
  let rest = others.filter((one, index) => others.findIndex((other) => other.raw.equals(one.raw)) === index);
  const chain: X509Certificate[] = [];
  for (let last: X509Certificate | undefined = leaf; last !== undefined; ) {
    const below: X509Certificate = last;
    last = rest.find((candidate) => below.checkIssued(candidate) && below.verify(candidate.publicKey));
    if (last === undefined) break;
    const found = last;
    chain.push(found);
    rest = rest.filter((one) => one !== found);
  }
  return [...chain, ...rest];
}

/**
 * The host names a certificate is for: common name and DNS SANs, lower case, each once. SNI chooses by them, so none
 * at all throws `CertificateError`.
 */
export function hostNames(certificatePem: string): readonly string[] {
  const certificate = readCertificate(certificatePem);
  const { subject } = certificate.toLegacyObject();
  const commonNames = [subject?.CN ?? []].flat();
  const names = [...commonNames, ...dnsNames(certificate.subjectAltName ?? '')].filter((name) => name !== '');
  if (names.length === 0) throw new CertificateError('has neither a common name nor a DNS name');
  return [...new Set(names.map((name) => name.toLowerCase()))];
}

/** The name of a certificate on the wire: SHA-256 of its DER, hex. */
export function certificateName(certificatePem: string): string {
  return createHash('sha256').update(readCertificate(certificatePem).raw).digest('hex');
}

/** As the wire carries it: one PEM text of key, leaf and intermediates, under the leaf's name. */
export function wireCertificate(keyed: KeyedCertificate): { name: string; pem: string } {
  return {
    name: certificateName(keyed.certificatePem),
    pem: [keyed.privateKeyPem, keyed.certificatePem, ...keyed.intermediatesPem].join(''),
  };
}

function readPrivateKey(pem: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: pem, ...(passphrase !== undefined && { passphrase }) });
  } catch (error) {
    const sealed = /-----BEGIN ENCRYPTED |^Proc-Type: 4,ENCRYPTED/m.test(pem);
    const reason = !sealed
      ? 'holds no private key'
      : passphrase === undefined
        ? 'the private key needs a passphrase'
        : 'the passphrase does not open the private key';
    throw new CertificateError(reason, { cause: error });
  }
}

/** Node writes `DNS:a, IP Address:1.2.3.4`, and a name with odd characters as a JSON string, so that none can fake another. */
function dnsNames(subjectAltName: string): string[] {
  return [...subjectAltName.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)]
    .filter(([, kind]) => kind === 'DNS')
    .map(([, , name = '']) => (name.startsWith('"') ? String(JSON.parse(name)) : name));
}
