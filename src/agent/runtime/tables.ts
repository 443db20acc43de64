import type { Replacement } from '../../plan/runtime/steps.ts';
import { ask } from '../haproxy/socket.ts';
import { RuntimeRefusal } from './refusal.ts';

/** What goes to the socket at once, below HAProxy's buffer of 16 KiB. */
const longestInput = 12_000;

/**
 * A new version of a map or an ACL beside the one in use, which takes its place once it is whole: no request ever
 * sees a part of it. Then it is read back. Throws `RuntimeRefusal`; what is in use then stays in use.
 */
export async function replaceTable(socket: string, { replaces, path, entries }: Replacement): Promise<void> {
  const prepared = await ask(socket, `prepare ${replaces} ${path}`);
  const version = /New version created: (\d+)/.exec(prepared)?.[1];
  if (version === undefined) throw new RuntimeRefusal(`prepare ${replaces}: ${prepared.trim()}`);
  try {
    for (const line of replaces === 'map' ? mapLines(entries) : aclLines(entries)) {
      const said = await ask(socket, line(`@${version} ${path}`));
      if (said.trim() !== '') throw new RuntimeRefusal(`add ${replaces}: ${said.trim()}`);
    }
    const held = await tableEntries(socket, replaces, path, version);
    if (held.join('\n') !== entries.join('\n')) throw new RuntimeRefusal(`${replaces} is not as told`);
  } catch (error) {
    await ask(socket, `clear ${replaces} @${version} ${path}`).catch(() => {}); // it is not in use
    throw error;
  }
  const said = await ask(socket, `commit ${replaces} @${version} ${path}`);
  if (said.trim() !== '') throw new RuntimeRefusal(`commit ${replaces}: ${said.trim()}`);
}

/** What HAProxy holds, in its order; without a version, what is in use. */
export async function tableEntries(
  socket: string,
  kind: Replacement['replaces'],
  path: string,
  version?: string,
): Promise<string[]> {
  const shown = await ask(socket, `show ${kind} ${version === undefined ? '' : `@${version} `}${path}`);
  return [...shown.matchAll(/^0x[0-9a-f]+ (.*)$/gm)].map(([, entry = '']) => entry);
}

type Line = (table: string) => string;

/** Patterns and values of a map may hold anything but a line break: they go as a payload. */
const mapLines = (entries: readonly string[]): Line[] =>
  pieces(entries).map((piece) => (table) => `add map ${table} <<\n${piece.join('\n')}\n`);

/** An ACL takes no payload; CIDRs have nothing in them to be quoted. */
const aclLines = (entries: readonly string[]): Line[] =>
  pieces(entries, 100).map((piece) => (table) => piece.map((entry) => `add acl ${table} ${entry}`).join(';'));

/** In order, each piece as long as the socket takes it; `more` bytes are sent with each entry. */
function pieces(entries: readonly string[], more = 1): string[][] {
  const made: string[][] = [];
  let bytes = Infinity;
  for (const entry of entries) {
    const own = Buffer.byteLength(entry) + more;
    if (bytes + own > longestInput) {
      made.push([]);
      bytes = 0;
    }
    made.at(-1)?.push(entry);
    bytes += own;
  }
  return made;
}
