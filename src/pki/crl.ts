import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { CertificateError } from './certificate-error.ts';
import { readCertificates } from './chain.ts';
import { pemBlocks } from './pem.ts';

/** Every revocation list in the text is signed by a certificate of the CA text, or this throws `CertificateError`. */
export async function checkCrl(crlPem: string, caPem: string): Promise<void> {
  const authorities = readCertificates(caPem).map((certificate) => new x509.X509Certificate(certificate.raw));
  const blocks = pemBlocks(crlPem, 'X509 CRL');
  if (blocks.length === 0) throw new CertificateError('holds no PEM revocation list');
  for (const block of blocks) {
    const crl = readCrl(block);
    const verdicts = await Promise.all(authorities.map((authority) => signed(crl, authority)));
    if (!verdicts.includes(true)) throw new CertificateError('the revocation list is not signed by the CA');
  }
}

function readCrl(pem: string): x509.X509Crl {
  try {
    return new x509.X509Crl(pem);
  } catch (error) {
    throw new CertificateError('holds a revocation list that cannot be read', { cause: error });
  }
}

async function signed(crl: x509.X509Crl, authority: x509.X509Certificate): Promise<boolean> {
  if (crl.issuer !== authority.subject) return false;
  try {
    return await crl.verify({ publicKey: authority.publicKey });
  } catch {
    return false; // a key of another kind than the signature's
  }
}
