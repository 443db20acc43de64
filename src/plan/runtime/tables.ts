import type { Replacement, Steps } from './steps.ts';

type Files = ReadonlyMap<string, string>;

const tables = [
  { ending: '.l7', replaces: 'map', kind: 'L7 policies' },
  { ending: '.allowed', replaces: 'acl', kind: 'allowed CIDRs' },
] as const;

/** L7 policies and allowed CIDRs. That a file has come or gone shows in a line of the configuration. */
export function tableChanges(before: Files, after: Files): Steps {
  const changing: Replacement[] = [];
  const kinds: string[] = [];
  for (const [path, content] of after) {
    const table = tables.find(({ ending }) => path.endsWith(ending));
    if (table === undefined || before.get(path) === content) continue;
    changing.push({ replaces: table.replaces, path, entries: content.split('\n').filter(Boolean) });
    kinds.push(table.kind);
  }
  return { coming: [], changing, leaving: [], kinds };
}
