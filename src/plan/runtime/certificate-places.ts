import { X509Certificate } from 'node:crypto';
import { NeedsReload } from './steps.ts';

/** The entries of a list of certificates, and the files they name. */
interface List {
  readonly list: readonly string[];
  readonly files: ReadonlyMap<string, string>;
}

/**
 * A client is shown the first certificate of a list that has its name. One that comes or is replaced at run time is the
 * last to HAProxy, which is another than the list says when two have one name. Throws `NeedsReload` then.
 */
export function refuseIfPlacesMatter(before: List, after: List): void {
  const old = new Set(before.list);
  const stays = (entry: string) => old.has(entry) && before.files.get(entry) === after.files.get(entry);
  const kept = new Set(after.list.filter(stays));
  const held = [
    ...before.list.filter((entry) => kept.has(entry)),
    ...after.list.filter((entry) => !stays(entry)),
  ];
  if (held.every((entry, place) => entry === after.list[place])) return;
  const wanted = byName(after);
  for (const [name, entries] of byName({ list: held, files: after.files })) {
    if (entries !== wanted.get(name)) throw new NeedsReload('the places of certificates of one name');
  }
}

/**
 * All certificates of a list are placed anew, in an order of HAProxy's, when clients get another authority. Throws
 * `NeedsReload` when their places matter.
 */
export function refuseIfNamesAreShared(all: List): void {
  if ([...byName(all).values()].some((entries) => entries.trim().includes(' '))) {
    throw new NeedsReload('the places of certificates of one name');
  }
}

/** Those of each name and kind of key, in order: of two kinds HAProxy shows what the client understands. */
function byName({ list, files }: List): Map<string, string> {
  const names = new Map<string, string>();
  for (const entry of list) {
    for (const name of namesOf(files.get(entry) ?? '')) names.set(name, `${names.get(name) ?? ''} ${entry}`);
  }
  return names;
}

function namesOf(pem: string): Set<string> {
  const certificate = read(pem);
  const kind = certificate.publicKey.asymmetricKeyType;
  const alternative = certificate.subjectAltName?.matchAll(/DNS:([^,]+)/g) ?? [];
  const common = certificate.subject?.matchAll(/^CN=(.*)$/gm) ?? [];
  return new Set([...alternative, ...common].map(([, name = '']) => `${kind} ${name.toLowerCase()}`));
}

function read(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem.slice(pem.indexOf('-----BEGIN CERTIFICATE')));
  } catch {
    throw new NeedsReload('a certificate that cannot be read');
  }
}
