import type { RenderedHaproxy, Section } from './haproxy/render.ts';
import { ticketKeysFile } from './haproxy/tls.ts';
import { certificateChanges } from './runtime/files.ts';
import { removal, type Server, serversOf, serverChanges } from './runtime/servers.ts';
import type { Abilities } from './runtime/abilities.ts';
import { isLimit, limitChange } from './runtime/limits.ts';
import {
  type Command,
  type LimitChange,
  NeedsReload,
  type Replacement,
  type Steps,
} from './runtime/steps.ts';
import { tableChanges } from './runtime/tables.ts';

/** What the servers of a backend are to be once the commands were taken. */
export interface WantedBackend {
  readonly name: string;
  readonly servers: readonly Server[];
}

export type RuntimeChange =
  | {
      readonly kind: 'runtime';
      /** Empty when only the files differ, such as in the order of servers. */
      readonly commands: readonly (Command | Replacement | LimitChange)[];
      /** To be read back: those of which a server was changed. */
      readonly backends: readonly WantedBackend[];
      /** A few words for the log. */
      readonly why: string;
    }
  | { readonly kind: 'reload'; readonly why: string };

/** A reload is cheaper than more. */
const mostCommands = 4000;

/**
 * From one configuration of HAProxy to another without a reload, if there is a way. It compares what was rendered,
 * not what was wanted: a line that nobody here knows makes a reload, so nothing can be forgotten.
 */
export function runtimeChange(
  before: RenderedHaproxy,
  after: RenderedHaproxy,
  abilities: Abilities,
): RuntimeChange {
  try {
    const parts: Steps[] = [];
    const backends: WantedBackend[] = [];
    const [old, now] = [partsOf(before), partsOf(after)];
    const names = new Set(now.map(({ name }) => name));
    const staying = old.filter(({ name }) => names.has(name));
    if (staying.map(({ name }) => name).join() !== now.map(({ name }) => name).join()) {
      throw new NeedsReload('a listener came, or a pool behind one');
    }
    for (const part of old.filter(({ name }) => !names.has(name))) {
      parts.push(departure(part));
      if (part.name.startsWith('backend '))
        backends.push({ name: part.name.slice('backend '.length), servers: [] });
    }
    for (const [n, part] of now.entries()) {
      const oldLines = staying[n]?.lines ?? [];
      refuseOtherLines(part.name, oldLines, part.lines);
      if (part.name.startsWith('frontend ')) {
        const frontend = part.name.slice('frontend '.length);
        const limit = limitChange(frontend, oldLines, part.lines, now[0]?.lines ?? [], abilities);
        if (limit !== undefined) parts.push(limit);
      }
      if (!part.name.startsWith('backend ')) continue;
      const name = part.name.slice('backend '.length);
      const changes = serverChanges(name, oldLines, part.lines, abilities);
      if (changes === undefined) continue;
      parts.push(changes);
      backends.push({ name, servers: serversOf(part.lines) });
    }
    parts.push(certificateChanges(before.files, after.files));
    parts.push(tableChanges(before.files, after.files));
    parts.push(ticketKeyChanges(before.files.get(ticketKeysFile), after.files.get(ticketKeysFile)));
    const commands = [
      ...parts.flatMap(({ coming }) => coming),
      ...parts.flatMap(({ changing }) => changing),
      ...parts.flatMap(({ leaving }) => leaving),
    ];
    if (commands.length > mostCommands) throw new NeedsReload('it is too much at once');
    return { kind: 'runtime', commands, backends, why: summary(parts.flatMap(({ kinds }) => kinds)) };
  } catch (error) {
    if (!(error instanceof NeedsReload)) throw error;
    return { kind: 'reload', why: error.message };
  }
}

/**
 * A listener is closed, and a pool behind one loses its members. What is left of them, names without work, goes with
 * the next reload; until then whoever asks HAProxy has to pass them over.
 */
function departure({ name, lines }: Part): Steps {
  const [kind, own = ''] = name.split(' ');
  if (kind === 'backend') {
    const leaving = serversOf(lines).flatMap((server) => removal(own, server.name));
    return { coming: [], changing: [], leaving, kinds: ['pool of a listener removed'] };
  }
  const leaving = [{ text: `disable frontend ${own}`, says: [] }];
  return { coming: [], changing: [], leaving, kinds: ['listener closed'] };
}

interface Part {
  /** The head of the section; of what stands before all sections, `global`. */
  readonly name: string;
  readonly lines: readonly string[];
}

function partsOf({ text, sections }: RenderedHaproxy): Part[] {
  const lines = text.split('\n');
  const body = ({ from, to }: Pick<Section, 'from' | 'to'>) =>
    lines.slice(from, to).map((line) => line.trim());
  const first = sections[0]?.from ?? lines.length;
  return [
    { name: 'global', lines: body({ from: 0, to: first - 1 }).filter((line) => line !== '') },
    ...sections.map((section) => ({ name: lines[section.from - 1] ?? '', lines: body(section) })),
  ];
}

/** All lines but those of servers and the limit of a listener stay. */
function refuseOtherLines(name: string, before: readonly string[], after: readonly string[]): void {
  const changes = (line: string) =>
    line.startsWith('server ') || (name.startsWith('frontend ') && isLimit(line));
  const [old, now] = [before, after].map((lines) => lines.filter((line) => !changes(line)));
  const longer = Math.max(old?.length ?? 0, now?.length ?? 0);
  for (let n = 0; n < longer; n += 1) {
    const line = now?.[n] ?? old?.[n] ?? '';
    if (now?.[n] !== old?.[n]) throw new NeedsReload(`${keyword(line)} of ${name}`);
  }
}

/** The name of a line, without what a user may have written into it. */
const keyword = (line: string): string => /^[a-z0-9-]+( [a-z][a-z0-9-]*)?/.exec(line)?.[0] ?? 'a line';

/**
 * Each new key drives out the oldest, and the one before it begins to encrypt: the same as the file in its new order.
 */
function ticketKeyChanges(before: string | undefined, after: string | undefined): Steps {
  const [old, now] = [before, after].map((text) => text?.trim().split('\n') ?? []) as [string[], string[]];
  const kept = [3, 2, 1, 0].find((count) => old.slice(3 - count).join() === now.slice(0, count).join()) ?? 0;
  const changing = now.slice(kept).map((key) => ({
    text: `set ssl tls-key ${ticketKeysFile} ${key}`,
    says: ['TLS ticket key updated!'],
  }));
  return { coming: [], changing, leaving: [], kinds: changing.length > 0 ? ['ticket keys'] : [] };
}

function summary(kinds: readonly string[]): string {
  if (kinds.length === 0) return 'files only';
  const counts = new Map<string, number>();
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => (count === 1 ? kind : `${count} × ${kind}`)).join(', ');
}
