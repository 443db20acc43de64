import type { RenderedHaproxy } from './haproxy/render.ts';
import { ticketKeysFile } from './haproxy/tls.ts';
import type { Abilities } from './runtime/abilities.ts';
import { hasChecks, withoutChecks } from './runtime/checks.ts';
import { certificateChanges, heldFiles } from './runtime/files.ts';
import { isLimit, listenerChanges, withPoolSwitchOf } from './runtime/listeners.ts';
import { backendAddition, backendRemoval } from './runtime/backends.ts';
import {
  atRest,
  removalOfAll,
  rest,
  type Server,
  serversOf,
  serverChanges,
  withoutServers,
  withServersOf,
} from './runtime/servers.ts';
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
      /** What HAProxy then has otherwise than its files say. */
      readonly loaded: Loaded;
    }
  | { readonly kind: 'reload'; readonly why: string };

/** What HAProxy has otherwise than its files say, until it reloads. */
export interface Loaded {
  /**
   * By the head of its section, the lines as HAProxy has loaded them: of a listener that is closed and of the pools
   * behind it, of a pool that its listener no longer uses, of such a listener, and of a pool whose checks are switched off.
   */
  readonly sections: ReadonlyMap<string, readonly string[]>;
  /** Those that a closed listener needs. */
  readonly files: ReadonlyMap<string, string>;
}

export const asWritten: Loaded = { sections: new Map(), files: new Map() };

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
  loaded: Loaded = asWritten,
): RuntimeChange {
  try {
    const parts: Steps[] = [];
    const backends: WantedBackend[] = [];
    const sections = new Map<string, readonly string[]>();
    const [{ parts: old, kindOf: was, known }, { parts: now, kindOf }] = [partsOf(before), partsOf(after)];
    const coming = new Map<string, string>();
    for (const name of now.keys()) {
      if (old.has(name) || loaded.sections.has(name)) continue;
      const kind = kindOf.get(name);
      if (kind === undefined) throw new NeedsReload('a listener came, or a pool behind one');
      if (!known.has(kind)) throw new NeedsReload('a pool came of a kind that no other has');
      coming.set(name, kind);
    }
    for (const [name, lines] of old) {
      if (now.has(name)) continue;
      const held = loaded.sections.get(name) ?? lines;
      // Behind a listener that is closed, servers rest until it is opened again.
      const rests = isBackend(name) && !now.has(`frontend ${name.split(':')[1]}`);
      const left = rests ? atRest(held, lines) : withoutServers(held);
      const goes = !rests && was.has(name);
      if (!goes) sections.set(name, left);
      if (!isBackend(name)) parts.push(closing(ownName(name)));
      else {
        parts.push(rests ? rest(ownName(name), held, lines) : removalOfAll(ownName(name), lines));
        if (goes) parts.push(backendRemoval(ownName(name)));
        backends.push({ name: ownName(name), servers: serversOf(left) });
      }
    }
    for (const [name, lines] of loaded.sections) {
      if (!old.has(name) && !now.has(name)) sections.set(name, lines);
    }
    for (const [name, lines] of now) {
      const kind = coming.get(name);
      const lived = kind === undefined ? old.get(name) : withoutServers(lines);
      const held = loaded.sections.get(name) ?? lived ?? [];
      const asleep = isBackend(name) && hasChecks(held) && !hasChecks(lines);
      const kept = withPoolSwitchOf(held, lines);
      if (kept !== lines) sections.set(name, kept);
      refuseOtherLines(name, asleep ? withoutChecks(held) : held, kept);
      if (asleep) sections.set(name, withServersOf(held, lines));
      if (name.startsWith('frontend ')) {
        const listener = { before: lived, loaded: held, after: lines };
        parts.push(...listenerChanges(ownName(name), listener, now, abilities));
      }
      if (!isBackend(name)) continue;
      const backend = { before: lived ?? held, loaded: held, after: lines };
      const servers = serverChanges(ownName(name), backend, abilities);
      const changes = kind === undefined ? servers : backendAddition(ownName(name), kind, servers);
      if (changes === undefined) continue;
      parts.push(changes);
      backends.push({ name: ownName(name), servers: serversOf(lines) });
    }
    const had = new Map([...loaded.files, ...before.files]);
    const closed = [...sections].flatMap(([name, lines]) => (now.has(name) ? [] : lines));
    parts.push(certificateChanges(had, after.files, closed));
    parts.push(tableChanges(had, after.files));
    parts.push(ticketKeyChanges(had.get(ticketKeysFile), after.files.get(ticketKeysFile)));
    const commands = [
      ...parts.flatMap(({ coming }) => coming),
      ...parts.flatMap(({ changing }) => changing),
      ...parts.flatMap(({ opening = [] }) => opening),
      ...parts.flatMap(({ leaving }) => leaving),
    ];
    if (commands.length > mostCommands) throw new NeedsReload('it is too much at once');
    const why = summary(parts.flatMap(({ kinds }) => kinds));
    return {
      kind: 'runtime',
      commands,
      backends,
      why,
      loaded: { sections, files: heldFiles(had, after.files, closed) },
    };
  } catch (error) {
    if (!(error instanceof NeedsReload)) throw error;
    return { kind: 'reload', why: error.message };
  }
}

/** All backends of a configuration. */
export const backendsOf = (rendered: RenderedHaproxy): readonly WantedBackend[] =>
  [...partsOf(rendered).parts]
    .filter(([name]) => isBackend(name))
    .map(([name, lines]) => ({ name: ownName(name), servers: serversOf(lines) }));

const isBackend = (name: string): boolean => name.startsWith('backend ');
const ownName = (name: string): string => name.split(' ')[1] ?? '';

/**
 * What is left of a listener that is closed, and of a pool behind it, goes with the next reload; until then whoever asks
 * HAProxy has to pass them over.
 */
const closing = (frontend: string): Steps => ({
  ...{ coming: [], changing: [], kinds: ['listener closed'] },
  leaving: [{ text: `disable frontend ${frontend}`, says: [] }],
});

type Parts = ReadonlyMap<string, readonly string[]>;

/** Lines by the head of their section; what stands outside of all sections is `global`. */
function partsOf({ text, sections }: RenderedHaproxy): {
  parts: Parts;
  /** Of the backends that are of a kind: their lines include those of the kind. */
  kindOf: ReadonlyMap<string, string>;
  known: ReadonlySet<string>;
} {
  const lines = text.split('\n').map((line) => line.trim());
  const outside: string[] = [];
  const parts = new Map<string, readonly string[]>([['global', outside]]);
  const kinds = new Map<string, readonly string[]>();
  const kindOf = new Map<string, string>();
  let end = 0;
  for (const { from, to } of sections) {
    outside.push(...lines.slice(end, from - 1));
    end = to;
    const [name = '', kind] = (lines[from - 1] ?? '').split(' from ');
    const body = lines.slice(from, to);
    if (name.startsWith('defaults ')) kinds.set(ownName(name), body);
    else parts.set(name, [...(kinds.get(kind ?? '') ?? []), ...body]);
    if (kind !== undefined) kindOf.set(name, kind);
  }
  outside.push(...lines.slice(end));
  parts.set(
    'global',
    outside.filter((line) => line !== ''),
  );
  return { parts, kindOf, known: new Set(kinds.keys()) };
}

/** All lines but those of servers and the limit of a listener stay. */
function refuseOtherLines(name: string, before: readonly string[], after: readonly string[]): void {
  const [old, now] = [before, after].map((lines) =>
    withoutServers(lines).filter((line) => !name.startsWith('frontend ') || !isLimit(line)),
  );
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
