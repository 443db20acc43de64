import { resolve } from 'node:path';
import { tryRun } from '../src/platform/run.ts';

/** The user `nobody`, for what must work without root. Only root can become it. */
export const nobody = 65_534;

const project = resolve(import.meta.dirname, '..');
const setUser = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--'];
// In a chroot "/" is no mount of its own: there the change is made from the namespace's real root.
const alone =
  'mount --make-rprivate / 2>/dev/null || nsenter --mount=/proc/self/ns/mnt mount --make-rprivate / 2>/dev/null || true;';

const inMounts = (script: string, command: readonly string[]): string[] => [
  ...['unshare', '--mount', '--propagation', 'unchanged', 'sh', '-c', `${alone} ${script}`, project],
  ...setUser,
  // The project's own folder may be closed to others, so they see it at /mnt.
  ...command.map((word) => (word.startsWith(project) ? `/mnt${word.slice(project.length)}` : word)),
];

/** A command line that runs the command as `nobody`. Words that are paths in the project name the same files at /mnt. */
export const asNobody = (...command: string[]): string[] =>
  inMounts('mount --bind "$0" /mnt && exec "$@"', command);

/** The same in a chroot, where the kernel lets nobody make a user namespace. */
export const asNobodyInChroot = (...command: string[]): string[] =>
  inMounts('mount --rbind / /mnt && mount --bind "$0" /mnt/mnt && exec chroot /mnt "$@"', command);

/** Whether ordinary users may make user namespaces here: not in a chroot, nor where the administrator forbids it. */
export async function userNamespaces(): Promise<boolean> {
  return (await tryRun([...setUser, 'unshare', '--user', '--map-root-user', 'true'])).code === 0;
}
