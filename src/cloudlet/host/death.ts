import { constants } from 'node:os';
import type { Usage } from './cgroups.ts';

/**
 * How a first process went, as a shell tells it: its exit code, or 128 and the signal; undefined when nobody was its
 * parent to hear of it.
 */
export type Ending = number | undefined;

/** Why an instance died, a sentence for a person. */
export function reasonOfDeath(ending: Ending, usage: Usage | undefined): string {
  const kills = usage?.oomKills ?? 0;
  const mebibytes = Math.floor((usage?.limitBytes ?? 0) / 2 ** 20);
  const processes = kills === 1 ? '1 process' : `${kills} processes`;
  const killed = `the kernel killed ${processes} at its limit of ${mebibytes} MiB`;
  // Any other ending is the instance's own decision, whatever was killed before.
  const forced = ending === undefined || ending === 128 + constants.signals.SIGKILL;
  if (kills > 0 && forced) return `out of memory: ${killed}`;
  return `its first process ended (${wayOf(ending)})${kills > 0 ? `, after ${killed}` : ''}`;
}

function wayOf(ending: Ending): string {
  if (ending === undefined) return 'unseen';
  const signal = Object.entries(constants.signals).find(([, number]) => number === ending - 128);
  return signal?.[0] ?? `exit ${ending}`;
}
