import type { Abilities } from './abilities.ts';
import { type Command, NeedsReload } from './steps.ts';

const ofBackend =
  /^(timeout check |option (httpchk|tcp-check|external-check)$|http-check |external-check |load-server-state)/;

/** Where the checks of a server go: what is undefined is that of its traffic. */
export interface CheckTarget {
  /** Without brackets. */
  readonly address: string | undefined;
  readonly port: number | undefined;
}

const [ownAddress, ownPort] = [/ addr \[?([^\s\]]+)\]?/, / port (\d+)/];

/** Of the words of a server's line. */
export function checkTarget(words: string): CheckTarget {
  const port = ownPort.exec(words)?.[1];
  return { address: ownAddress.exec(words)?.[1], port: port === undefined ? undefined : Number(port) };
}

export const withoutCheckTarget = (words: string): string =>
  words.replace(ownAddress, '').replace(ownPort, '');

/** Whether the servers of a backend are checked, by its lines. */
export const hasChecks = (lines: readonly string[]): boolean =>
  lines.some((line) => /^default-server (.* )?check( |$)/.test(line));

/** The lines of the same backend without its monitor. */
export function withoutChecks(lines: readonly string[]): string[] {
  if (!hasChecks(lines)) return [...lines];
  return lines.flatMap((line) => {
    if (ofBackend.test(line)) return [];
    if (line.startsWith('server ')) return [withoutCheckTarget(line)];
    if (!line.startsWith('default-server ')) return [line];
    const rest = line.replace(/ check( .*)?$/, '');
    return rest === 'default-server' ? [] : [rest];
  });
}

/** A check under way when checks are switched off may still fail. It takes no server out unless one failure does. */
export function refuseIfOneFailureCounts(lines: readonly string[]): void {
  if (lines.some((line) => /^default-server .*check .*\bfall 1 /.test(line))) {
    throw new NeedsReload('a monitor that takes members out at the first failure');
  }
}

/** A server that failed its checks is up when nobody checks it. */
export function checking(backend: string, server: string, on: boolean): Command[] {
  const path = `${backend}/${server}`;
  if (on) return [{ text: `enable health ${path}`, says: [] }];
  return [
    { text: `disable health ${path}`, says: [] },
    { text: `set server ${path} health up`, says: [] },
  ];
}

/**
 * The options by which the checks of a server speak as its traffic does, given those that the servers of its backend
 * share. A line of the configuration implies them unless its checks go elsewhere; `add server` does not.
 */
export function ofChecks(shared: string, target: CheckTarget): string {
  const has = (option: string) => new RegExp(` ${option}( |$)`).test(shared);
  if (!has('check') || !isOwn(target)) return '';
  return `${has('ssl') && !has('check-ssl') ? ' check-ssl' : ''}${has('send-proxy\\S*') ? ' check-send-proxy' : ''}`;
}

const isOwn = ({ address, port }: CheckTarget): boolean => address === undefined && port === undefined;
const own: CheckTarget = { address: undefined, port: undefined };

const canonical = (address = ''): string =>
  address.includes(':') ? new URL(`http://[${address}]`).hostname : address;

export const isSameTarget = (one: Partial<CheckTarget>, other: Partial<CheckTarget>): boolean =>
  one.port === other.port && canonical(one.address) === canonical(other.address);

/** Sends the checks of a server elsewhere, which is being checked. Throws `NeedsReload`. */
export function checksElsewhere(
  path: string,
  was: CheckTarget,
  now: CheckTarget,
  shared: string,
  { checkAddresses }: Abilities,
): Command {
  // Checks that go where the traffic goes speak as it does, others do not; no command changes that.
  if (isOwn(was) !== isOwn(now) && ofChecks(shared, own) !== '') {
    throw new NeedsReload(`encryption or PROXY header of the checks of ${path}`);
  }
  const { address, port = 0 } = now;
  if (address === was.address) return { text: `set server ${path} check-port ${port}`, says: [] };
  if (!checkAddresses) throw new NeedsReload(`address of the checks of ${path}`);
  // No address and port 0: where the traffic goes, also when that moves.
  return { text: `set server ${path} check-addr ${address ?? '0.0.0.0'} port ${port}`, says: [] };
}
