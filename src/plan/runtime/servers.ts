import type { Abilities } from './abilities.ts';
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
}

interface ServerLine extends Server {
  /** As written: `address:port`. */
  readonly target: string;
  /** What no command can change. */
  readonly options: string;
}

const silent: readonly string[] = [];
const addressTaken = ['IP changed', 'no need to change', 'port changed'];

export function serversOf(lines: readonly string[]): readonly Server[] {
  return [...serverLines(lines).values()].map(({ name, address, port, weight, maint, checked }) => ({
    name,
    address,
    port,
    weight,
    maint,
    checked,
  }));
}

/** Of a backend's lines; undefined when no server changes. Throws `NeedsReload`. */
export function serverChanges(
  backend: string,
  before: readonly string[],
  after: readonly string[],
  abilities: Abilities,
): Steps | undefined {
  const [old, now] = [serverLines(before), serverLines(after)];
  const shared =
    after.find((line) => line.startsWith('default-server '))?.slice('default-server'.length) ?? '';
  const coming: Command[] = [];
  const changing: Command[] = [];
  const leaving: Command[] = [];
  const kinds: string[] = [];
  for (const server of now.values()) {
    const was = old.get(server.name);
    if (was === undefined) {
      coming.push(...addition(backend, server, shared, abilities));
      kinds.push('server added');
      continue;
    }
    if (was.options !== server.options) throw new NeedsReload(`options of server ${server.name}`);
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
  return kinds.length === 0 ? undefined : { coming, changing, leaving, kinds };
}

function* alterations(backend: string, was: ServerLine, now: ServerLine): Generator<[string, Command]> {
  const server = `set server ${backend}/${now.name}`;
  if (was.target !== now.target) {
    yield ['address changed', { text: `${server} addr ${now.address} port ${now.port}`, says: addressTaken }];
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
  shared: string,
  { serversWithCookie }: Abilities,
): Command[] {
  const words = `${shared}${server.options}`;
  if (!serversWithCookie && / cookie /.test(server.options))
    throw new NeedsReload('a server added to cookie persistence');
  // Quotes mean something else on the socket.
  if (/['\\;]/.test(words)) throw new NeedsReload('options that need quotes of a server added');
  const path = `${backend}/${server.name}`;
  return [
    {
      text: `add server ${path} ${server.target} weight ${server.weight}${words}`,
      says: ['New server registered.'],
    },
    ...(server.checked ? [{ text: `enable health ${path}`, says: silent }] : []),
    ...(server.maint ? [] : [{ text: `enable server ${path}`, says: silent }]),
  ];
}

/** It gets nothing new from now on; while its last connections live it cannot be deleted, which is no refusal. */
export function removal(backend: string, server: string): [Command, Command] {
  return [
    { text: `set server ${backend}/${server} state maint`, says: silent },
    {
      text: `del server ${backend}/${server}`,
      says: ['Server deleted.', 'Server still has connections attached to it'],
    },
  ];
}

function serverLines(lines: readonly string[]): Map<string, ServerLine> {
  const checked = lines.some((line) => /^default-server (.* )?check( |$)/.test(line));
  const servers = new Map<string, ServerLine>();
  for (const line of lines) {
    if (!line.startsWith('server ')) continue;
    const found = /^server (\S+) (\[?([^\s\]]+)\]?:(\d+)) weight (\d+)((?: .*?)??)( disabled)?$/.exec(line);
    if (found === null) throw new NeedsReload('a server that is written otherwise');
    const [, name = '', target = '', address = '', port, weight, options = '', disabled] = found;
    servers.set(name, {
      name,
      target,
      address,
      port: Number(port),
      weight: Number(weight),
      options,
      maint: disabled !== undefined,
      checked,
    });
  }
  return servers;
}
