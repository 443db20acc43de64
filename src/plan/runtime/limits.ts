import type { Abilities } from './abilities.ts';
import type { Steps } from './steps.ts';

/** Of the lines of a frontend, the one that a command can change. */
export const isLimit = (line: string): boolean => line.startsWith('maxconn ');

const numberAfter = (keyword: string, lines: readonly string[]): number =>
  Number(lines.find((line) => line.startsWith(`${keyword} `))?.slice(keyword.length));

/** Of a frontend's lines; undefined when its limit stays. `global`: the lines of before all sections. */
export function limitChange(
  frontend: string,
  before: readonly string[],
  after: readonly string[],
  global: readonly string[],
  { limitsWhenFull }: Abilities,
): Steps | undefined {
  const [from, to] = [numberAfter('maxconn', before), numberAfter('maxconn', after)];
  if (from === to) return undefined;
  const change = limitsWhenFull
    ? { text: `set maxconn frontend ${frontend} ${to}`, says: [] }
    : { limits: frontend, from, to, threads: numberAfter('nbthread', global) };
  return { coming: [], changing: [change], leaving: [], kinds: ['connection limit'] };
}
