/** Something a person gave us is no certificate, key or bundle we can use; the message ends a sentence about it. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
}
