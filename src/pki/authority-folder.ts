import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { type Authority, authorityOfKey, issueController, loadAuthority, newKeyPem } from './ca.ts';
import { keptFile, readIfThere, replaceFile } from './kept-file.ts';
import { pemBlocks } from './pem.ts';

export interface OpenedAuthority extends Authority {
  /** How a controller shows itself to agents: one PEM text, key first. */
  readonly controller: { readonly certificatePem: string; readonly keyPem: string };
}

const controllerDays = 730;
const renewWithinMs = 365 * 86_400_000;

/**
 * The authority kept in a folder: `ca.key` and `ca.pem`, made when missing, and the controllers' client certificate
 * `controller.pem` (key and certificate), renewed when less than a year of its two is left. Processes that start
 * together agree; a process killed here leaves nothing half done.
 */
export async function openAuthority(folder: string): Promise<OpenedAuthority> {
  const keyPem = (await keptFile(join(folder, 'ca.key'), newKeyPem)).toString();
  const certificatePem = (
    await keptFile(join(folder, 'ca.pem'), async () => (await authorityOfKey(keyPem)).certificatePem)
  ).toString();
  const authority = await loadAuthority(certificatePem, keyPem);
  return { ...authority, controller: await openController(authority, join(folder, 'controller.pem')) };
}

async function openController(authority: Authority, path: string): Promise<OpenedAuthority['controller']> {
  const kept = (await readIfThere(path))?.toString() ?? '';
  const [keyPem] = pemBlocks(kept, 'PRIVATE KEY');
  const [certificatePem] = pemBlocks(kept, 'CERTIFICATE');
  if (keyPem !== undefined && certificatePem !== undefined) {
    const certificate = new X509Certificate(certificatePem);
    const ours = certificate.verify(new X509Certificate(authority.certificatePem).publicKey);
    if (ours && certificate.validToDate.getTime() - Date.now() > renewWithinMs) {
      return { certificatePem, keyPem };
    }
  }
  const issued = await issueController(authority, { days: controllerDays });
  await replaceFile(path, issued.keyPem + issued.certificatePem);
  return { certificatePem: issued.certificatePem, keyPem: issued.keyPem };
}
