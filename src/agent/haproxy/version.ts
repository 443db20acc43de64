import { tryRun } from '../../platform/run.ts';

/** `2.6.12-1+deb12u4`, or `unknown`. Throws when the program cannot be started. */
export async function haproxyVersion(haproxy: string): Promise<string> {
  const { stdout } = await tryRun([haproxy, '-v']);
  return /version (\S+)/.exec(stdout)?.[1] ?? 'unknown';
}
