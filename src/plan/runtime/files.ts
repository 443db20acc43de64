import { refuseIfNamesAreShared, refuseIfPlacesMatter } from './certificate-places.ts';
import { type Command, NeedsReload, type Steps } from './steps.ts';

type Files = ReadonlyMap<string, string>;

/** HAProxy takes a payload that fits its buffer of 16 KiB. */
const longestPayload = 15_000;

const byDefault = '.default.pem';

const kindOf = (path: string): 'cert' | 'ca-file' | 'crl-file' | undefined => {
  if (path.endsWith('.ca.pem')) return 'ca-file';
  if (path.endsWith('.crl.pem')) return 'crl-file';
  return path.endsWith('.pem') ? 'cert' : undefined;
};

/**
 * Certificates, CAs and CRLs in place, and the lists of certificates entry by entry. That a file has come or gone
 * shows in a list, or else in a line of the configuration. Throws `NeedsReload`.
 */
export function certificateChanges(before: Files, after: Files, closed: readonly string[]): Steps {
  const coming: Command[] = [];
  const changing: Command[] = [];
  // After the certificates, and who is revoked before who is trusted: nobody comes in who is never to.
  const lists: Command[] = [];
  const authorities: Command[] = [];
  const leaving: Command[] = [];
  const kinds: string[] = [];
  for (const [path, content] of after) {
    const was = before.get(path);
    const kind = kindOf(path);
    if (path.endsWith('.crt-list') && was !== undefined) {
      refuseIfPlacesMatter({ list: entries(was), files: before }, { list: entries(content), files: after });
    }
    if (was === content) continue;
    if (kind !== undefined) {
      if (was === undefined && kind === 'cert') {
        coming.push({ text: `new ssl cert ${path}`, says: ['New empty certificate store'] });
      }
      // HAProxy says Success, but servers without a certificate of their own go on with the old one.
      if (was !== undefined && kind !== 'cert') {
        if (path.startsWith('pools/')) throw new NeedsReload('the authority of members');
        const list = entries(after.get(path.replace(/\.(ca|crl)\.pem$/, '.crt-list')) ?? '');
        refuseIfNamesAreShared({ list, files: after });
      }
      if (was !== undefined && path.endsWith(byDefault) && before.has(path.replace(byDefault, '.ca.pem'))) {
        changing.push(inUse(path));
      }
      // A certificate that comes must be whole before a list can name it.
      const steps =
        was === undefined ? coming : { cert: changing, 'crl-file': lists, 'ca-file': authorities }[kind];
      steps.push(...replacement(kind, path, content));
      kinds.push(was === undefined ? 'certificate added' : `${names[kind]} replaced`);
    } else if (path.endsWith('.crt-list') && was !== undefined) {
      const [old, now] = [entries(was), entries(content)];
      // Only its first entry, the default, has a place; it keeps its name.
      if (old[0] !== now[0]) throw new NeedsReload('the default of a list of certificates');
      for (const entry of now.filter((name) => !old.includes(name))) {
        changing.push({
          text: `add ssl crt-list ${path} ${entry}`,
          says: ['Inserting certificate', 'Success!'],
        });
        kinds.push('SNI added');
      }
      for (const entry of old.filter((name) => !now.includes(name))) {
        leaving.push({ text: `del ssl crt-list ${path} ${entry}`, says: ['deleted in crtlist'] });
        kinds.push('SNI removed');
      }
    }
  }
  const held = heldByClosed(before, after, closed);
  for (const path of before.keys()) {
    if (after.has(path) || kindOf(path) !== 'cert') continue;
    if (held.has(path)) continue;
    leaving.push({ text: `del ssl cert ${path}`, says: ['deleted!'] });
  }
  return { coming, changing: [...changing, ...lists, ...authorities], leaving, kinds };
}

const names = { cert: 'cert', 'ca-file': 'client CA', 'crl-file': 'client CRL' } as const;

/**
 * Until 3.3 (repaired in 3.3-dev11, 7482b6ebf), HAProxy loses track of who uses the certificates of a listener when the
 * authority or the list of its clients is replaced. To replace such a certificate says Success, but the old one is
 * shown on, and the authority that is replaced next crashes it. Then HAProxy calls the certificate unused.
 */
const inUse = (path: string): Command => ({
  text: `show ssl cert ${path}`,
  says: [''],
  unless: {
    said: 'Status: Unused',
    why: 'a certificate that HAProxy has lost, for its clients got another CA or CRL',
  },
});

/**
 * Certificates that HAProxy does not let go of, though nothing needs them: in the list of a listener that it has closed,
 * or of a pool behind one. `closed`: lines of such listeners and pools.
 */
function heldByClosed(before: Files, after: Files, closed: readonly string[]): ReadonlySet<string> {
  const lists = [...before].filter(([path]) => path.endsWith('.crt-list') && !after.has(path));
  const ofServers = closed.flatMap((line) => /^default-server .*\bcrt (\S+)/.exec(line)?.[1] ?? []);
  return new Set([...lists.flatMap(([, content]) => entries(content)), ...ofServers]);
}

/** What HAProxy still has of the files that are no longer there. */
export function heldFiles(before: Files, after: Files, closed: readonly string[]): Files {
  const held = heldByClosed(before, after, closed);
  return new Map(
    [...before].filter(([path]) => !after.has(path) && (kindOf(path) !== 'cert' || held.has(path))),
  );
}

const entries = (list: string): string[] => list.split('\n').filter((line) => line !== '');

function replacement(kind: string, path: string, content: string): Command[] {
  // An empty line ends a payload.
  const payload = content.replace(/\n\s*\n/g, '\n').trim();
  if (payload.length > longestPayload) throw new NeedsReload('a certificate too long for the socket');
  return [
    {
      text: `set ssl ${kind} ${path} <<\n${payload}\n`,
      says: ['Transaction created', 'transaction created'],
    },
    { text: `commit ssl ${kind} ${path}`, says: ['Committing', 'Success!'] },
  ];
}
