import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { CertificateError } from './certificate-error.ts';
import { amphoraName, controllerName } from './names.ts';

/** Livia's own certificate authority: who may command amphorae, and which amphora is which. ECDSA P-256 throughout. */
export interface Authority {
  readonly certificatePem: string;
  /** PKCS#8. */
  readonly keyPem: string;
  readonly certificate: x509.X509Certificate;
  readonly signingKey: webcrypto.CryptoKey;
}

export interface Issued {
  readonly certificatePem: string;
  /** PKCS#8. */
  readonly keyPem: string;
  readonly notAfter: Date;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const dayMs = 86_400_000;
/** Clocks of controllers and amphorae may differ by this much. */
const clockSkewMs = 3_600_000;
const authorityDays = 20 * 365;

export async function createAuthority(): Promise<Authority> {
  return selfSign(await newKeyPair());
}

/** The authority of these two files' text. Throws `CertificateError` when they do not belong together. */
export async function loadAuthority(certificatePem: string, keyPem: string): Promise<Authority> {
  let matches: boolean;
  try {
    matches = new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem));
  } catch (error) {
    throw new CertificateError('the authority is not a PEM certificate and key', { cause: error });
  }
  if (!matches) throw new CertificateError("the authority's key does not belong to its certificate");
  return {
    certificatePem,
    keyPem,
    certificate: new x509.X509Certificate(certificatePem),
    signingKey: await importKey(keyPem),
  };
}

/** A certificate for a key that exists, so that a lost `ca.pem` can be made again from `ca.key`. */
export async function authorityOfKey(keyPem: string): Promise<Authority> {
  const publicJwk = { ...createPrivateKey(keyPem).export({ format: 'jwk' }) };
  delete publicJwk.d;
  const publicKey = await webcrypto.subtle.importKey('jwk', publicJwk, algorithm, true, ['verify']);
  return selfSign({ privateKey: await importKey(keyPem), publicKey });
}

/** A new key of the authority's kind, PKCS#8 PEM. */
export async function newKeyPem(): Promise<string> {
  return exportKey((await newKeyPair()).privateKey);
}

/** The server certificate of one amphora's agent, with its key. */
export function issueAmphora(
  authority: Authority,
  amphoraId: string,
  life: { days: number },
): Promise<Issued> {
  return issue(authority, amphoraName(amphoraId), x509.ExtendedKeyUsage.serverAuth, life.days);
}

/** The client certificate of the controllers, with its key. */
export function issueController(authority: Authority, life: { days: number }): Promise<Issued> {
  return issue(authority, controllerName, x509.ExtendedKeyUsage.clientAuth, life.days);
}

async function issue(
  authority: Authority,
  name: string,
  usage: x509.ExtendedKeyUsage,
  days: number,
): Promise<Issued> {
  const keys = await newKeyPair();
  const notAfter = new Date(Date.now() + days * dayMs);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: [{ CN: [name] }],
    issuer: authority.certificate.subjectName,
    notBefore: new Date(Date.now() - clockSkewMs),
    notAfter,
    publicKey: keys.publicKey,
    signingKey: authority.signingKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }]),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate),
    ],
  });
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    keyPem: await exportKey(keys.privateKey),
    notAfter,
  };
}

async function selfSign(keys: webcrypto.CryptoKeyPair): Promise<Authority> {
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ CN: ['Livia amphora authority'] }],
    notBefore: new Date(Date.now() - clockSkewMs),
    notAfter: new Date(Date.now() + authorityDays * dayMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    keyPem: await exportKey(keys.privateKey),
    certificate,
    signingKey: keys.privateKey,
  };
}

const newKeyPair = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);

const importKey = (keyPem: string): Promise<webcrypto.CryptoKey> =>
  webcrypto.subtle.importKey(
    'pkcs8',
    createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' }),
    algorithm,
    true,
    ['sign'],
  );

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ type: 'pkcs8', format: 'pem' })
    .toString();
}

/** 127 random bits: positive, as RFC 5280 asks. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes.writeUInt8(bytes.readUInt8(0) & 0x7f, 0);
  return bytes.toString('hex');
}
