import type { RenderedHaproxy } from './render.ts';

type Written = Pick<RenderedHaproxy, 'text' | 'files'>;

/** The lines of frontends and backends, by their first. */
function proxiesOf({ text, sections }: RenderedHaproxy): ReadonlyMap<string, readonly string[]> {
  const lines = text.split('\n');
  const proxies = sections.map(({ from, to }) => lines.slice(from - 1, to));
  return new Map(proxies.map((own) => [own[0] ?? '', own]));
}

const bindsOf = (lines: readonly string[]): string =>
  lines.filter((line) => line.startsWith('    bind ')).join('\n');

/**
 * What of a configuration has to be checked while HAProxy serves another. It has taken the rest already, to the letter:
 * certificates that stay on bind lines that stay, and the servers of backends that stay. Reading those again is most
 * of the time of a check, and as much memory as a worker's. Lines keep their numbers.
 *
 * Should HAProxy refuse the whole nevertheless, the workers of before go on; but each refusal ages them for
 * `mworker-max-reloads`, which is why what is new is checked.
 */
export function toCheck(next: RenderedHaproxy, serving: RenderedHaproxy): Written {
  const served = proxiesOf(serving);
  const lines = next.text.split('\n');
  const files = new Map(next.files);
  const changed = [...next.files].filter(([path, content]) => serving.files.get(path) !== content);
  const names = (line: string) => changed.some(([path]) => line.includes(path));

  for (const { from, to } of next.sections) {
    const own = lines.slice(from - 1, to);
    const [head = ''] = own;
    const before = served.get(head);
    if (before === undefined) continue;
    if (head.startsWith('backend ') && own.join('\n') === before.join('\n')) {
      // Of its files those that servers share are named in `default-server`.
      if (own.some((line) => line.startsWith('    default-server ') && names(line))) continue;
      for (const [n, line] of own.entries()) if (line.startsWith('    server ')) lines[from - 1 + n] = '';
    }
    const binds = bindsOf(own);
    const list = / crt-list (\S+)/.exec(binds)?.[1];
    if (list !== undefined && binds === bindsOf(before)) {
      const known = new Set(serving.files.get(list)?.split('\n'));
      const [byDefault = '', ...others] = next.files.get(list)?.trimEnd().split('\n') ?? [];
      const fresh = others.filter(
        (path) => !known.has(path) || next.files.get(path) !== serving.files.get(path),
      );
      files.set(list, [byDefault, ...fresh].map((path) => `${path}\n`).join(''));
    }
  }
  return { text: lines.join('\n'), files };
}
