import { readFile } from 'node:fs/promises';
import { tryRun } from '../platform/run.ts';
import { Refusal } from './refusal.ts';

/** As root the machine's own namespaces serve; everybody else needs a user namespace around it all. */
export type Way = 'root' | 'rootless';

/** New namespaces of every kind the cloud needs, and none of the machine's. Dies with whoever started it. */
const enter = [
  ...['setpriv', '--pdeathsig', 'KILL', '--'],
  ...['unshare', '--user', '--map-root-user', '--net', '--mount', '--pid', '--fork', '--mount-proc'],
  '--kill-child',
];

/** The word by which the namespaces' first processes are found again. */
export function labelOf(stateRoot: string): string {
  return `livia:${stateRoot}`;
}

/** The command as PID 1's child in namespaces of its own, with a network and a /run. */
export function insideNewNamespaces(label: string, command: readonly string[]): readonly string[] {
  // The shell stays, as the PID 1 that buries orphans.
  const script = 'ip link set lo up && mount -t tmpfs -o mode=755 tmpfs /run && "$@"; exit $?';
  return [...enter, 'sh', '-c', script, label, ...command];
}

/** Probes what this machine allows. Throws a Refusal that says what is missing and the ways out. */
export async function chooseWay(): Promise<Way> {
  if (process.getuid?.() === 0) {
    const direct = await tryRun(['unshare', '--net', '--mount', '--pid', '--fork', '--mount-proc', 'true']);
    if (direct.code === 0) return 'root';
  }
  const probe = await tryRun([...insideNewNamespaces('livia', ['true'])]);
  if (probe.code === 0) return 'rootless';
  const reason = (probe.stderr || `exit ${probe.code}`).trim().split('\n')[0] ?? '';
  const hint = await settingInTheWay();
  throw new Refusal(
    `without root Livia needs user namespaces, and this machine gives none (${reason}): ` +
      `run it as root, or have root ${hint ?? 'allow user namespaces for this user or container'}`,
  );
}

/** The kernel settings that are known to forbid it. */
async function settingInTheWay(): Promise<string | undefined> {
  const settings = [
    ['kernel/unprivileged_userns_clone', (value: string) => value === '0', '1'],
    ['user/max_user_namespaces', (value: string) => value === '0', '10000'],
    ['kernel/apparmor_restrict_unprivileged_userns', (value: string) => value === '1', '0'],
  ] as const;
  for (const [path, forbids, better] of settings) {
    const value = await readFile(`/proc/sys/${path}`, 'utf8').catch(() => ''); // not every kernel has it
    if (forbids(value.trim())) return `do: sysctl -w ${path.replaceAll('/', '.')}=${better}`;
  }
  return undefined;
}

/** The process that `unshare` forked: PID 1 inside, in the numbering outside. */
export async function firstProcessOf(unsharePid: number): Promise<number | undefined> {
  const children = await readFile(`/proc/${unsharePid}/task/${unsharePid}/children`, 'utf8').catch(() => '');
  const [first] = children.trim().split(' ');
  return first ? Number(first) : undefined;
}

/** What a command must begin with, to run in the namespaces of that process as the same user from outside. */
export function insideNamespacesOf(pid: number): readonly string[] {
  const which = ['--user', '--preserve-credentials', '--mount', '--net', '--pid'];
  return ['nsenter', '--target', String(pid), ...which, '--'];
}
