import type { Replacement, Steps } from './steps.ts';

type Files = ReadonlyMap<string, string>;

/** L7 policies. That a file has come or gone shows in a line of the configuration. */
export function tableChanges(before: Files, after: Files): Steps {
  const changing: Replacement[] = [...after]
    .filter(([path, content]) => path.endsWith('.l7') && before.get(path) !== content)
    .map(([map, content]) => ({ map, entries: content.split('\n').filter(Boolean) }));
  return { coming: [], changing, leaving: [], kinds: changing.map(() => 'L7 policies') };
}
