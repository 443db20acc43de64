import type { Abilities } from './abilities.ts';
import {
  type CheckTarget,
  checking,
  checkTarget,
  checksElsewhere,
  hasChecks,
  isSameTarget,
  ofChecks,
  refuseIfOneFailureCounts,
  withoutCheckTarget,
} from './checks.ts';
import { type Command, NeedsReload, type Steps } from './steps.ts';

/** A server as its line says and as `show servers state` tells it. */
export interface Server {
  readonly name: string;
  /** Without brackets. */
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  /** Administratively down. */
  readonly maint: boolean;
  readonly checked: boolean;
  readonly checks: CheckTarget;
}

interface ServerLine extends Server {
  /** As written: `address:port`. */
  readonly target: string;
  /** All behind the weight, but whether it is disabled. */
  readonly words: string;
  /** Of them, what no command can change. */
  readonly options: string;
}

const silent: readonly string[] = [];
/** An address that no member has. */
const nowhere = '0.0.0.0';
const addressTaken = ['IP changed', 'no need to change', 'port changed'];

export function serversOf(lines: readonly string[]): readonly Server[] {
  return [...serverLines(lines).values()].map(({ name, address, port, weight, maint, checked, checks }) => ({
    ...{ name, address, port, weight, maint, checked, checks },
  }));
}

/** Lines of one backend. */
export interface BackendLines {
  /** As its servers are; of one behind a listener that is closed, as it was loaded. */
  readonly before: readonly string[];
  /** As HAProxy has loaded it: with the checks that it has switched off. */
  readonly loaded: readonly string[];
  readonly after: readonly string[];
}

/** Undefined when no server changes. Throws `NeedsReload`. */
export function serverChanges(
  backend: string,
  { before, loaded, after }: BackendLines,
  abilities: Abilities,
): Steps | undefined {
  const [old, now, held] = [serverLines(before), serverLines(after), serverLines(loaded)];
  const [wasChecked, isChecked] = [hasChecks(before), hasChecks(after)];
  if (wasChecked && !isChecked) refuseIfOneFailureCounts(loaded);
  const shared =
    loaded.find((line) => line.startsWith('default-server '))?.slice('default-server'.length) ?? '';
  // Of these a server that is added gets its cookie by moving to its address.
  const moves = !abilities.cookiesAtOnce && loaded.some((line) => line.startsWith('cookie '));
  const coming: Command[] = [];
  const changing: Command[] = [];
  const leaving: Command[] = [];
  const kinds: string[] = [];
  for (const server of now.values()) {
    const was = old.get(server.name);
    if (was === undefined) {
      coming.push(...addition(backend, server, { shared, moves }));
      kinds.push('server added');
      continue;
    }
    const has = held.get(server.name) ?? was;
    if (has.options !== server.options) throw new NeedsReload(`options of server ${server.name}`);
    if (wasChecked !== isChecked) changing.push(...checking(backend, server.name, isChecked));
    if (isChecked && !isSameTarget(has.checks, server.checks)) {
      const path = `${backend}/${server.name}`;
      changing.push(checksElsewhere(path, has.checks, server.checks, shared, abilities));
      kinds.push('monitor address changed');
    }
    for (const [kind, command] of alterations(backend, was, server)) {
      changing.push(command);
      kinds.push(kind);
    }
  }
  for (const { name } of old.values()) {
    if (now.has(name)) continue;
    leaving.push(...removal(backend, name));
    kinds.push('server removed');
  }
  if (wasChecked !== isChecked && old.size > 0) kinds.push(isChecked ? 'monitor on' : 'monitor off');
  return kinds.length === 0 ? undefined : { coming, changing, leaving, kinds };
}

export const withoutServers = (lines: readonly string[]): string[] =>
  lines.filter((line) => !line.startsWith('server '));

/** The lines of a backend whose servers rest: out of service, with their checks as they were loaded. */
export const atRest = (loaded: readonly string[], lines: readonly string[]): string[] =>
  withServersOf(loaded, lines).map((line) => (line.startsWith('server ') ? `${line} disabled` : line));

/** Has the servers of a backend rest: they serve those they serve, and nobody new. */
export function rest(backend: string, loaded: readonly string[], lines: readonly string[]): Steps {
  const wake = hasChecks(loaded) && !hasChecks(lines);
  const leaving = [...serverLines(lines).keys()].flatMap((server) => [
    maintenance(backend, server),
    ...(wake ? checking(backend, server, true) : []),
  ]);
  return { coming: [], changing: [], leaving, kinds: [] };
}

export function removalOfAll(backend: string, lines: readonly string[]): Steps {
  const leaving = [...serverLines(lines).keys()].flatMap((server) => removal(backend, server));
  return { coming: [], changing: [], leaving, kinds: ['pool of a listener removed'] };
}

/** The lines as HAProxy has them now when checks go on sleeping: of each server as it was loaded or added. */
export function withServersOf(loaded: readonly string[], after: readonly string[]): string[] {
  const held = serverLines(loaded);
  return [
    ...withoutServers(loaded),
    ...after
      .filter((line) => line.startsWith('server '))
      .map((line) => {
        const [server] = serverLines([line]).values();
        const own = held.get(server?.name ?? '')?.words;
        return own === undefined || server === undefined
          ? line
          : `server ${server.name} ${server.target} weight ${server.weight}${own}`;
      }),
  ];
}

const moved = (backend: string, { name, address, port }: ServerLine): Command => ({
  text: `set server ${backend}/${name} addr ${address} port ${port}`,
  says: addressTaken,
});

function* alterations(backend: string, was: ServerLine, now: ServerLine): Generator<[string, Command]> {
  const server = `set server ${backend}/${now.name}`;
  if (was.target !== now.target) {
    yield ['address changed', moved(backend, now)];
  }
  if (was.weight !== now.weight) {
    yield ['weight changed', { text: `${server} weight ${now.weight}`, says: silent }];
  }
  if (was.maint !== now.maint) {
    const state = now.maint ? 'maint' : 'ready';
    yield [`server ${state}`, { text: `${server} state ${state}`, says: silent }];
  }
}

/** A server that is added inherits nothing from `default-server`, and is down until it is enabled. */
function addition(
  backend: string,
  server: ServerLine,
  { shared, moves }: { readonly shared: string; readonly moves: boolean },
): Command[] {
  const words = `${shared}${server.words}${ofChecks(shared, server.checks)}`;
  // Quotes mean something else on the socket.
  if (/['\\;]/.test(words)) throw new NeedsReload('options that need quotes of a server added');
  const path = `${backend}/${server.name}`;
  const first = moves ? `${nowhere}:${server.port}` : server.target;
  return [
    {
      text: `add server ${path} ${first} weight ${server.weight}${words}`,
      says: ['New server registered.'],
    },
    ...(moves ? [moved(backend, server)] : []),
    ...(server.checked ? [{ text: `enable health ${path}`, says: silent }] : []),
    ...(server.maint ? [] : [{ text: `enable server ${path}`, says: silent }]),
  ];
}

const maintenance = (backend: string, server: string): Command => ({
  text: `set server ${backend}/${server} state maint`,
  says: silent,
});

/** It gets nothing new from now on; while its last connections live it cannot be deleted, which is no refusal. */
export function removal(backend: string, server: string): [Command, Command] {
  return [
    maintenance(backend, server),
    {
      text: `del server ${backend}/${server}`,
      says: ['Server deleted.', ...later],
    },
  ];
}

/** What HAProxy says to a deletion that it will do when the last connections have ended. */
export const later = [
  'Server still has connections attached to it',
  'Only a backend without server can be deleted',
  'Backend still has attached streams on it',
];

function serverLines(lines: readonly string[]): Map<string, ServerLine> {
  const checked = hasChecks(lines);
  const servers = new Map<string, ServerLine>();
  for (const line of lines) {
    if (!line.startsWith('server ')) continue;
    const found = /^server (\S+) (\[?([^\s\]]+)\]?:(\d+)) weight (\d+)((?: .*?)??)( disabled)?$/.exec(line);
    if (found === null) throw new NeedsReload('a server that is written otherwise');
    const [, name = '', target = '', address = '', port, weight, words = '', disabled] = found;
    servers.set(name, {
      ...{ name, target, address, port: Number(port), weight: Number(weight) },
      ...{ words, options: withoutCheckTarget(words), maint: disabled !== undefined, checked },
      checks: checkTarget(words),
    });
  }
  return servers;
}
