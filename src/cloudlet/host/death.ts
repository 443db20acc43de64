import type { Usage } from './cgroups.ts';

/** How a first process went; undefined when nobody was its parent to hear of it. */
export type Ending = { readonly code: number; readonly signal: string | null } | undefined;

/** Why an instance died, a sentence for a person. */
export function reasonOfDeath(ending: Ending, usage: Usage | undefined): string {
  const kills = usage?.oomKills ?? 0;
  const killed = `the kernel killed ${kills} ${kills === 1 ? 'process' : 'processes'} at its limit of ${
    (usage?.limitBytes ?? 0) / 2 ** 20
  } MiB`;
  // 137: a shell whose child was killed. Any other ending is the instance's own decision, whatever was killed before.
  const forced = ending === undefined || ending.signal === 'SIGKILL' || ending.code === 137;
  if (kills > 0 && forced) return `out of memory: ${killed}`;
  const how = ending === undefined ? 'unseen' : (ending.signal ?? `exit ${ending.code}`);
  return `its first process ended (${how})${kills > 0 ? `, after ${killed}` : ''}`;
}
