import { poolSwitch } from '../haproxy/l7.ts';
import type { Abilities } from './abilities.ts';
import type { Steps } from './steps.ts';

type Lines = readonly string[];

/** Of the lines of a frontend, the one that a command can change. */
export const isLimit = (line: string): boolean => line.startsWith('maxconn ');

/** Where policies lead to no other pool any more, the rule that sends there chooses nothing and may stay. */
export function withPoolSwitchOf(loaded: Lines, after: Lines): Lines {
  const place = loaded.indexOf(poolSwitch);
  return place < 0 || after.includes(poolSwitch) ? after : after.toSpliced(place, 0, poolSwitch);
}

const numberAfter = (keyword: string, lines: Lines): number =>
  Number(lines.find((line) => line.startsWith(`${keyword} `))?.slice(keyword.length));

/**
 * Another limit of a frontend; one that stands closed (no lines `before`) is opened. `parts`: all that is to be.
 */
export function listenerChanges(
  frontend: string,
  {
    before,
    loaded,
    after,
  }: { readonly before: Lines | undefined; readonly loaded: Lines; readonly after: Lines },
  parts: ReadonlyMap<string, Lines>,
  { limitsWhenFull }: Abilities,
): Steps[] {
  const [from, to] = [numberAfter('maxconn', before ?? loaded), numberAfter('maxconn', after)];
  const plain = { text: `set maxconn frontend ${frontend} ${to}`, says: [] };
  const threads = numberAfter('nbthread', parts.get('global') ?? []);
  const steps = { coming: [], changing: [], leaving: [] };
  if (before === undefined) {
    // Nothing waits behind the limit of a frontend that is closed.
    const opening = [...(from === to ? [] : [plain]), { text: `enable frontend ${frontend}`, says: [] }];
    return [{ ...steps, opening, kinds: ['listener opened'] }];
  }
  if (from === to) return [];
  const changing = [limitsWhenFull ? plain : { limits: frontend, from, to, threads }];
  return [{ ...steps, changing, kinds: ['connection limit'] }];
}
