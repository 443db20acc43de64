import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** PostgreSQL refuses to run as user 0. How it is run as somebody else, and whose its folders are to be. */
export interface RunAs {
  /** Undefined: whoever makes the folders. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** The command that runs what `build` gives; `build` gets the folders as the program will see them. */
  command(folders: Folders, build: (seen: Folders) => readonly string[]): Promise<readonly string[]>;
}

export interface Folders {
  readonly dataDir: string;
  readonly socketDir: string;
}

export async function runAs(): Promise<RunAs> {
  if (process.geteuid?.() !== 0) return directly;
  const owner = await postgresUser();
  return owner && (await isMapped(owner.uid)) ? asPostgres(owner) : inUserNamespace;
}

const directly: RunAs = { command: (folders, build) => Promise.resolve(build(folders)) };

/** Where no other user exists (rootless: only user 0 is mapped), another number for the same one. */
const inUserNamespace: RunAs = {
  command: (folders, build) =>
    Promise.resolve(['unshare', '--user', '--map-user=65534', '--map-group=65534', ...build(folders)]),
};

/**
 * The folders may lie below one that the user may not enter, as /root. Then a mount namespace of the server's own
 * shows them below /mnt. In a plain chroot `/` is no mount, and its propagation cannot be set.
 */
const asPostgres = (owner: { uid: number; gid: number }): RunAs => {
  const drop = ['setpriv', `--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups', '--'];
  const showFolders = `mount --make-rprivate / 2>/dev/null || true
    mount -t tmpfs -o mode=0755 livia-postgres /mnt && mkdir /mnt/data /mnt/run &&
    mount --bind "$1" /mnt/data && mount --bind "$2" /mnt/run && shift 2 && exec "$@"`;
  return {
    owner,
    async command(folders, build) {
      const reachable =
        (await mayEnter(owner, dirname(folders.dataDir))) &&
        (await mayEnter(owner, dirname(folders.socketDir)));
      if (reachable) return [...drop, ...build(folders)];
      const { dataDir, socketDir } = folders;
      const namespace = ['unshare', '--mount', '--propagation', 'unchanged'];
      const seen = { dataDir: '/mnt/data', socketDir: '/mnt/run' };
      return [...namespace, 'sh', '-c', showFolders, 'sh', dataDir, socketDir, ...drop, ...build(seen)];
    },
  };
};

async function postgresUser(): Promise<{ uid: number; gid: number } | undefined> {
  const line = (await readFile('/etc/passwd', 'utf8'))
    .split('\n')
    .find((entry) => entry.startsWith('postgres:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : undefined;
}

/** Does the user exist in this user namespace? Each line: first inside, first outside, count. */
async function isMapped(uid: number): Promise<boolean> {
  const map = await readFile('/proc/self/uid_map', 'utf8');
  return map
    .trim()
    .split('\n')
    .some((line) => {
      const [first = 0, , count = 0] = line.trim().split(/\s+/).map(Number);
      return uid >= first && uid < first + count;
    });
}

async function mayEnter(user: { uid: number; gid: number }, folder: string): Promise<boolean> {
  const { uid, gid, mode } = await stat(folder);
  const execute = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
  if ((mode & execute) === 0) return false;
  return folder === '/' || mayEnter(user, dirname(folder));
}
