import type { Replacement } from '../../plan/runtime/steps.ts';
import { ask } from '../haproxy/socket.ts';
import { RuntimeRefusal } from './refusal.ts';

/** What goes to the socket at once, below HAProxy's buffer of 16 KiB. */
const longestInput = 12_000;

/**
 * A new version of a map beside the one in use, which takes its place once it is whole: no request ever sees a part
 * of it. Then it is read back. Throws `RuntimeRefusal`; what is in use then stays in use.
 */
export async function replaceTable(socket: string, { map, entries }: Replacement): Promise<void> {
  const prepared = await ask(socket, `prepare map ${map}`);
  const version = /New version created: (\d+)/.exec(prepared)?.[1];
  if (version === undefined) throw new RuntimeRefusal(`prepare map: ${prepared.trim()}`);
  try {
    // Patterns and values may hold anything but a line break: they go as a payload.
    for (const piece of pieces(entries)) {
      const said = await ask(socket, `add map @${version} ${map} <<\n${piece.join('\n')}\n`);
      if (said.trim() !== '') throw new RuntimeRefusal(`add map: ${said.trim()}`);
    }
    const held = await tableEntries(socket, map, version);
    if (held.join('\n') !== entries.join('\n')) throw new RuntimeRefusal('map is not as told');
  } catch (error) {
    await ask(socket, `clear map @${version} ${map}`).catch(() => {}); // it is not in use
    throw error;
  }
  const said = await ask(socket, `commit map @${version} ${map}`);
  if (said.trim() !== '') throw new RuntimeRefusal(`commit map: ${said.trim()}`);
}

/** What HAProxy holds, in its order; without a version, what is in use. */
export async function tableEntries(socket: string, map: string, version?: string): Promise<string[]> {
  const shown = await ask(socket, `show map ${version === undefined ? '' : `@${version} `}${map}`);
  return [...shown.matchAll(/^0x[0-9a-f]+ (.*)$/gm)].map(([, entry = '']) => entry);
}

/** In order, each piece as long as the socket takes it. */
function pieces(entries: readonly string[]): string[][] {
  const made: string[][] = [];
  let bytes = Infinity;
  for (const entry of entries) {
    const own = Buffer.byteLength(entry) + 1;
    if (bytes + own > longestInput) {
      made.push([]);
      bytes = 0;
    }
    made.at(-1)?.push(entry);
    bytes += own;
  }
  return made;
}
