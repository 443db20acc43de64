import { readFile } from 'node:fs/promises';

/** The first of these that the machine knows is whom HAProxy becomes once it has its sockets. */
const candidates = ['haproxy', 'nobody'] as const;

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

async function account(name: string): Promise<Account | undefined> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const [, uid, gid] = new RegExp(`^${name}:[^:]*:(\\d+):(\\d+):`, 'm').exec(text) ?? [];
  return uid === undefined ? undefined : { name, uid: Number(uid), gid: Number(gid) };
}

/** `inside outside count` per line: in a rootless user namespace usually only uid 0 is there. */
async function isMapped(file: 'uid_map' | 'gid_map', id: number): Promise<boolean> {
  const text = await readFile(`/proc/self/${file}`, 'utf8').catch(() => '');
  return text.split('\n').some((line) => {
    const [from = NaN, , count = NaN] = line.trim().split(/\s+/).map(Number);
    return from <= id && id < from + count;
  });
}

/** To whom HAProxy drops its privileges; null where it cannot. */
export async function unprivileged(): Promise<{ name: string; group: string } | null> {
  if (process.getuid?.() !== 0) return null;
  const groups = await readFile('/etc/group', 'utf8').catch(() => '');
  for (const name of candidates) {
    const found = await account(name);
    if (found === undefined) continue;
    const group = new RegExp(`^([^:\\n]+):[^:]*:${found.gid}:`, 'm').exec(groups)?.[1];
    if (group === undefined) continue;
    if ((await isMapped('uid_map', found.uid)) && (await isMapped('gid_map', found.gid)))
      return { name, group };
  }
  return null;
}
