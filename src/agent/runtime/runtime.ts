import { ticketKeysFile } from '../../plan/haproxy/tls.ts';
import type { RuntimeChange, WantedBackend } from '../../plan/runtime.ts';
import { isSameTarget } from '../../plan/runtime/checks.ts';
import { later, removal, type Server } from '../../plan/runtime/servers.ts';
import type { Command, LimitChange, Replacement } from '../../plan/runtime/steps.ts';
import { parseServers, type RunningServer } from '../haproxy/servers.ts';
import { ask } from '../haproxy/socket.ts';
import { changeLimit } from './limits.ts';
import { RuntimeRefusal } from './refusal.ts';
import { replaceTable } from './tables.ts';

/** What a line to the socket may hold, well below HAProxy's buffer of 16 KiB. */
const longestLine = 8000;

/**
 * Has the worker behind this socket take a change, and reads back whether it did: servers, ticket keys. What HAProxy
 * has said to the replacement of a certificate is proof enough. Gives the deletions that wait for the end of the last
 * connections: who is to be deleted gets nothing new. Throws `RuntimeRefusal`.
 */
export async function takeAtRuntime(
  socket: string,
  change: Extract<RuntimeChange, { kind: 'runtime' }>,
  files: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
  const waiting: string[] = [];
  for (const step of linesOf(change.commands)) {
    if ('map' in step) {
      await replaceTable(socket, step);
      continue;
    }
    if ('limits' in step) {
      await changeLimit(socket, step);
      continue;
    }
    const { line, says, unless } = step;
    const answer = await ask(socket, line);
    const lines = answer.split('\n').filter((said) => said !== '');
    const wrong = lines.find((said) => !says.some((part) => said.includes(part)));
    if (unless !== undefined && answer.includes(unless.said)) throw new RuntimeRefusal(unless.why);
    // A key or a certificate may stand in the line: only its first words are repeated.
    if (wrong !== undefined) throw new RuntimeRefusal(`${line.split(' ', 3).join(' ')}: ${wrong}`);
    if (line.startsWith('del backend ') && isLater(answer)) waiting.push(line);
  }
  const keys = files.get(ticketKeysFile);
  if (
    keys !== undefined &&
    change.commands.some((one) => 'text' in one && one.text.startsWith('set ssl tls-key'))
  ) {
    const shown = await ask(socket, `show tls-keys ${ticketKeysFile}`);
    const held = [...shown.matchAll(/^\d+\.\d+ (\S+)$/gm)].map(([, key]) => key);
    if (held.join('\n') !== keys.trim()) throw new RuntimeRefusal('the ticket keys are not as told');
  }
  const servers: string[] = [];
  for (const backend of change.backends) servers.push(...(await compared(socket, backend)));
  // A backend goes after its servers.
  return [...servers, ...waiting];
}

/** Deletes those whose connections have ended; the others are given back. */
export async function dismiss(socket: string, deletions: readonly string[]): Promise<readonly string[]> {
  const left: string[] = [];
  for (const deletion of deletions) if (isLater(await ask(socket, deletion))) left.push(deletion);
  return left;
}

const isLater = (answer: string): boolean => later.some((said) => answer.includes(said));

/** Commands to servers go many in a line, whose answers are one text; what they have done is read back anyway. */
function* linesOf(
  commands: readonly (Command | Replacement | LimitChange)[],
): Generator<(Omit<Command, 'text'> & { line: string }) | Replacement | LimitChange> {
  let texts: string[] = [];
  let says = new Set<string>();
  const joined = () => ({ line: texts.join(';'), says: [...says] });
  for (const command of commands) {
    const joins = 'text' in command && / server | health /.test(command.text.slice(0, 16));
    if (!joins || texts.join(';').length + command.text.length > longestLine) {
      if (texts.length > 0) yield joined();
      [texts, says] = [[], new Set()];
    }
    if (!joins) {
      yield 'text' in command ? { ...command, line: command.text } : command;
      continue;
    }
    texts.push(command.text);
    for (const part of command.says) says.add(part);
  }
  if (texts.length > 0) yield joined();
}

/** Throws unless the backend's servers are as wanted; gives the deletions of those that are still there. */
async function compared(socket: string, backend: WantedBackend): Promise<readonly string[]> {
  const running = parseServers(await ask(socket, `show servers state ${backend.name}`));
  const wanted = new Map(backend.servers.map((server) => [server.name, server]));
  const deletions: string[] = [];
  for (const server of running) {
    const target = wanted.get(server.name);
    wanted.delete(server.name);
    if (target !== undefined && isSame(server, target)) continue;
    if (target !== undefined || !server.maint)
      throw new RuntimeRefusal(`server ${server.name} is not as told`);
    deletions.push(removal(backend.name, server.name)[1].text);
  }
  const [missing] = wanted.keys();
  if (missing !== undefined) throw new RuntimeRefusal(`server ${missing} is not there`);
  return deletions;
}

/** The deletions of servers that rest beside those of these backends: they wait for the end of their last connections. */
export async function departing(
  socket: string,
  backends: readonly WantedBackend[],
): Promise<readonly string[]> {
  const deletions: string[] = [];
  for (const { name, servers } of backends) {
    for (const running of parseServers(await ask(socket, `show servers state ${name}`))) {
      if (!running.maint || servers.some((server) => server.name === running.name)) continue;
      deletions.push(removal(name, running.name)[1].text);
    }
  }
  return deletions;
}

const isSame = (one: RunningServer, other: Server): boolean =>
  !(one.down && !one.checked && !one.maint) &&
  isSameTarget(one, other) &&
  one.weight === other.weight &&
  one.maint === other.maint &&
  one.checked === other.checked &&
  (!one.checked || isSameTarget(one.checks, other.checks));
