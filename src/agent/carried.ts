import { serverName } from '../plan/haproxy/server-names.ts';
import type { WantedAmphora, WantedListener, WantedPool } from '../wire/wanted.ts';

export interface Held {
  readonly tree: WantedAmphora;
  readonly warnings: readonly { readonly id: string; readonly text: string }[];
}

/**
 * The tree with the certificates that the key manager no longer gives taken from what was carried before. A listener
 * of which none is held keeps its `unavailable`, and will be left out.
 */
export function withHeldCertificates(wanted: WantedAmphora, before: WantedAmphora | undefined): Held {
  const warnings: { id: string; text: string }[] = [];
  const listeners = wanted.listeners.map((listener) => {
    const { tls } = listener;
    if (tls === null || tls.unavailable === null || tls.certificates.length > 0) return listener;
    const held = before?.listeners.find((candidate) => candidate.id === listener.id)?.tls;
    if (held === null || held === undefined || held.certificates.length === 0) return listener;
    warnings.push({ id: listener.id, text: `goes on with the certificates it has: ${tls.unavailable}` });
    return {
      ...listener,
      tls: {
        ...tls,
        certificates: held.certificates,
        clientCaPem: tls.clientCaPem ?? held.clientCaPem,
        clientCrlPem: tls.clientCrlPem ?? held.clientCrlPem,
      },
    };
  });
  return { tree: warnings.length === 0 ? wanted : { ...wanted, listeners }, warnings };
}

/**
 * The tree without what was refused: each refused listener or pool as it was carried before, when it was and is not
 * that already; else without it.
 */
export function without(
  tree: WantedAmphora,
  refused: ReadonlySet<string>,
  before: WantedAmphora | undefined,
): WantedAmphora {
  const replaced = <T extends WantedListener | WantedPool>(
    list: readonly T[],
    old: readonly T[] | undefined,
  ): T[] =>
    list.flatMap((object) => {
      if (!refused.has(object.id)) return [object];
      const previous = old?.find((candidate) => candidate.id === object.id);
      return previous === undefined || JSON.stringify(previous) === JSON.stringify(object) ? [] : [previous];
    });
  return {
    ...tree,
    listeners: replaced(tree.listeners, before?.listeners),
    pools: replaced(tree.pools, before?.pools),
  };
}

/** Columns of a saved server state. */
const checkState = 13;
const [checkConfigured, checkEnabled] = [0x02, 0x04];

/** Nothing is known of a member whose checks were switched off, and HAProxy would leave them so. */
const checksSleep = (cells: readonly string[]): boolean =>
  (Number(cells[checkState]) & (checkConfigured | checkEnabled)) === checkConfigured;

/** The lines of a saved server state that still hold: of members that are as they were. */
export function stillTrue(state: string, before: WantedAmphora | undefined, now: WantedAmphora): string {
  const membersOf = (tree: WantedAmphora | undefined) =>
    new Map<string, string>(
      tree?.pools.flatMap((pool) =>
        pool.members.map((member) => [`${pool.id} ${serverName(member)}`, JSON.stringify(member)] as const),
      ),
    );
  const [old, current] = [membersOf(before), membersOf(now)];
  const [version = '1', ...lines] = state.split('\n');
  const kept = lines.filter((line) => {
    if (line.startsWith('#')) return true;
    const cells = line.split(' ');
    if (checksSleep(cells)) return false;
    const [, backend = '', , server = ''] = cells;
    const key = `${backend.split(':')[0]} ${server}`;
    return current.has(key) && current.get(key) === old.get(key);
  });
  return `${[version, ...kept].join('\n')}\n`;
}
