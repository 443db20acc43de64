import { readFile } from 'node:fs/promises';
import { run } from '../../platform/run.ts';

/** Names of the network links in the network namespace of the process. */
export async function linksOf(pid: number | 'self'): Promise<ReadonlySet<string>> {
  const table = await readFile(`/proc/${pid}/net/dev`, 'utf8');
  return new Set(Array.from(table.matchAll(/^ *([^\s:|]+):/gm), ([, name]) => name ?? ''));
}

/**
 * Runs lines of `ip` in one go, in our own network namespace or in that of the path. Throws ip's own words at the first
 * line that fails.
 */
export async function ip(lines: readonly string[], namespace?: string): Promise<void> {
  if (lines.length === 0) return;
  const enter = namespace === undefined ? [] : ['nsenter', `--net=${namespace}`];
  await run([...enter, 'ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

/** A value that comes from outside, fit for a line of `ip`: one word that is no option. Throws otherwise. */
export function word(value: string): string {
  if (!/^[\w.:][\w.:/-]*$/.test(value)) throw new Error(`not an address or a name: ${JSON.stringify(value)}`);
  return value;
}

/**
 * The lines that give a link its addresses. `nodad`: the cloud hands out each address once, and an IPv6 address that is
 * still being checked cannot be listened on.
 */
export function addressLines(verb: 'add' | 'replace', link: string, addresses: readonly string[]): string[] {
  return addresses.map((address) => {
    const checked = word(address);
    return `addr ${verb} ${checked} dev ${link}${checked.includes(':') ? ' nodad' : ''}`;
  });
}
