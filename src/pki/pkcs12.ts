import { createPrivateKey, type KeyObject, pbkdf2Sync } from 'node:crypto';
import forge from 'node-forge';
import { CertificateError } from './certificate-error.ts';
import { type KeyedCertificate, keyedCertificate, readCertificate } from './chain.ts';

/** Bytes. A bundle with a long chain has some ten thousand. */
const largestBundle = 131_072;
/** Rounds of key derivation one bundle may cost us; OpenSSL's default bundle takes 6,144. */
const mostRounds = 300_000;

/**
 * Reads a PKCS#12 bundle that has no passphrase: PBES2, 3DES, RC2 or no encryption, with a MAC or without. Throws
 * `CertificateError` with the end of a sentence about the bundle, and nothing else, whatever the bytes.
 */
export function readPkcs12(bundle: Buffer): KeyedCertificate {
  const bags = openBags(bundle);
  const key = keyOf(bags);
  return keyedCertificate(key, certificatesOf(bags).map(readCertificate));
}

function openBags(bundle: Buffer): forge.pkcs12.Pkcs12Pfx {
  if (bundle.length > largestBundle) throw new CertificateError('is not a PKCS#12 bundle');
  // "No passphrase" is an empty string to OpenSSL, and no string at all to others.
  try {
    return decode(bundle, '');
  } catch (error) {
    if (!needsPassphrase(error)) throw error;
    return decode(bundle, undefined);
  }
}

const needsPassphrase = (error: unknown): boolean =>
  error instanceof CertificateError && error.message === 'needs a passphrase';

function decode(bundle: Buffer, passphrase: string | undefined): forge.pkcs12.Pkcs12Pfx {
  rounds = 0;
  try {
    const asn1 = forge.asn1.fromDer(bundle.toString('binary'));
    // The types do not say that no passphrase may be given.
    return forge.pkcs12.pkcs12FromAsn1(asn1, true, passphrase as string);
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    if (cause instanceof CertificateError) throw cause;
    if (/unsupported/i.test(said)) throw new CertificateError(`cannot be read: ${said}`, { cause });
    // What fails after a key was derived, fails because the key is wrong.
    throw new CertificateError(rounds > 0 ? 'needs a passphrase' : 'is not a PKCS#12 bundle', { cause });
  }
}

function keyOf(bags: forge.pkcs12.Pkcs12Pfx): KeyObject {
  const { pkcs8ShroudedKeyBag, keyBag } = forge.pki.oids;
  const found = [pkcs8ShroudedKeyBag, keyBag].flatMap(
    (type = '') => bags.getBags({ bagType: type })[type] ?? [],
  );
  const [bag] = found;
  if (bag === undefined) throw new CertificateError('holds no private key');
  // Forge knows RSA keys; those of other kinds it hands over as they stand.
  const rsa = bag.key && forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(bag.key));
  try {
    return createPrivateKey({ key: der(rsa ?? bag.asn1), format: 'der', type: 'pkcs8' });
  } catch (error) {
    throw new CertificateError('holds a private key that cannot be read', { cause: error });
  }
}

function certificatesOf(bags: forge.pkcs12.Pkcs12Pfx): Buffer[] {
  const { certBag = '' } = forge.pki.oids;
  const found = bags.getBags({ bagType: certBag })[certBag] ?? [];
  return found.map((bag) => der(bag.cert ? forge.pki.certificateToAsn1(bag.cert) : bag.asn1));
}

const der = (asn1: forge.asn1.Asn1): Buffer => Buffer.from(forge.asn1.toDer(asn1).getBytes(), 'binary');

/*
 * Forge derives keys in JavaScript, for as many rounds as the bundle asks: a bundle asking for billions would stop the
 * whole process. So its two derivations are given a limit here, and the modern one is left to Node.
 */
let rounds = 0;

function spend(asked: number): void {
  rounds += asked;
  if (!(rounds <= mostRounds)) {
    throw new CertificateError(`asks for more than ${mostRounds} rounds of key derivation`);
  }
}

type Derivation = (
  passphrase: string | undefined,
  salt: forge.util.ByteStringBuffer,
  id: number,
  rounds: number,
  bytes: number,
  digest?: forge.md.MessageDigest,
) => forge.util.ByteStringBuffer;

const derivations = forge as unknown as {
  pki: { pbe: { generatePkcs12Key: Derivation } };
  pkcs12: { generateKey: Derivation };
  pkcs5: {
    pbkdf2(
      passphrase: string | undefined,
      salt: string,
      rounds: number,
      bytes: number,
      digest: { algorithm: string },
    ): string;
  };
};
const unlimited = derivations.pki.pbe.generatePkcs12Key;
const limited: Derivation = (passphrase, salt, id, asked, bytes, digest) => {
  spend(asked);
  return unlimited(passphrase, salt, id, asked, bytes, digest);
};
derivations.pki.pbe.generatePkcs12Key = limited;
derivations.pkcs12.generateKey = limited;
derivations.pkcs5.pbkdf2 = (passphrase, salt, asked, bytes, digest) => {
  spend(asked);
  const saltBytes = Buffer.from(salt, 'latin1');
  return pbkdf2Sync(passphrase ?? '', saltBytes, asked, bytes, digest.algorithm).toString('latin1');
};
