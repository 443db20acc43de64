import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../../src/platform/run.ts';
import { makeTestAuthority } from '../certificates.ts';
import { storeSecret } from '../https-load-balancer.ts';
import type { Service } from '../service.ts';

/** References of secrets in the service's Barbican, for every field that takes one. */
export interface Secrets {
  /** PKCS#12 bundles of two hosts. */
  readonly bundle: string;
  readonly otherBundle: string;
  /** The certificate of the authority that issued them, and its list of revoked ones. */
  readonly authority: string;
  readonly revocations: string;
}

export async function storeSecrets(service: Service, folder: string): Promise<Secrets> {
  const authority = await makeTestAuthority(folder);
  const [one, two] = [await authority.issue('one.example'), await authority.issue('two.example')];
  const path = (name: string): string => join(folder, name);
  writeFileSync(path('index.txt'), '');
  writeFileSync(
    path('ca.conf'),
    `[ca]\ndefault_ca=own\n[own]\ndatabase=${path('index.txt')}\ndefault_md=sha256\n`,
  );
  await run([
    ...['openssl', 'ca', '-gencrl', '-config', path('ca.conf'), '-crldays', '30', '-out', path('crl.pem')],
    ...['-keyfile', path('root.key.pem'), '-cert', authority.rootPem],
  ]);
  const store = (file: string): Promise<string> => storeSecret(service, readFileSync(file));
  return {
    bundle: await store(one.bundle),
    otherBundle: await store(two.bundle),
    authority: await store(authority.rootPem),
    revocations: await store(path('crl.pem')),
  };
}
