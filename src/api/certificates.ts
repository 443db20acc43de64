import type { Secrets } from '../clouds/clouds.ts';
import { DriverError } from '../clouds/errors.ts';
import { type Problem, problem, validationFailure } from '../lb/problems.ts';
import { CertificateError } from '../pki/certificate-error.ts';
import { hostNames, readCertificates } from '../pki/chain.ts';
import { checkCrl } from '../pki/crl.ts';

/** References into the key manager, read with the caller's rights before a wish is written down. */

/** Every reference holds a certificate that can be served and chosen by name; all that do not are named together. */
export async function certificatesProblem(
  secrets: Secrets,
  token: string | undefined,
  refs: readonly (string | null | undefined)[],
): Promise<Problem | undefined> {
  const wanted = [...new Set(refs)].filter((ref) => ref !== null && ref !== undefined);
  const failures = await Promise.all(wanted.map((ref) => reasonAgainst(secrets, token, ref)));
  const failed = wanted.flatMap((ref, n) =>
    failures[n] === undefined ? [] : [{ ref, reason: failures[n] }],
  );
  if (failed.length === 0) return undefined;
  const list = failed.map(({ ref }) => ref).join(', ');
  const reasons = failed.map(({ ref, reason }) => `${ref}: ${reason}`).join('; ');
  return problem(400, `Could not retrieve certificate: [${list}]. ${reasons}`);
}

async function reasonAgainst(
  secrets: Secrets,
  token: string | undefined,
  ref: string,
): Promise<string | undefined> {
  try {
    hostNames((await secrets.certificate(ref, token)).certificatePem);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

/** What the client can help; anything else is thrown on. */
function reasonOf(error: unknown): string {
  if (error instanceof CertificateError) return error.message;
  if (error instanceof DriverError && error.retry === 'never') return error.message;
  throw error;
}

/** The CA can be read and is one, and the revocation list, if any, is signed by it. */
export async function authorityProblem(
  secrets: Secrets,
  token: string | undefined,
  caRef: string | null,
  crlRef: string | null,
): Promise<Problem | undefined> {
  if (caRef === null) return undefined;
  let reading = caRef;
  try {
    const ca = await secrets.text(caRef, token);
    readCertificates(ca);
    if (crlRef === null) return undefined;
    reading = crlRef;
    await checkCrl(await secrets.text(crlRef, token), ca);
    return undefined;
  } catch (error) {
    const reason = reasonOf(error);
    return error instanceof DriverError
      ? problem(400, `Could not retrieve certificate: [${reading}]. ${reason}`)
      : validationFailure(`${reading}: ${reason}`);
  }
}
