import type { WantedAmphora, WantedPool } from '../../wire/wanted.ts';

/** HAProxy's `10k`. Entries leave by the pressure of newer ones. */
export const standardStickEntries = 10_240;

/** Entries of each stick table of an amphora. Part of the memory budget. */
export const stickEntriesOf = ({ stickTableEntries }: WantedAmphora): number =>
  stickTableEntries ?? standardStickEntries;

/** It remembers clients in HAProxy's memory: not in a cookie of its own, and not in the kernel. */
export const hasStickTable = ({ sessionPersistence, protocol }: WantedPool): boolean =>
  sessionPersistence !== null &&
  sessionPersistence.type !== 'HTTP_COOKIE' &&
  protocol !== 'UDP' &&
  protocol !== 'SCTP';

/** As HAProxy is told a size. */
export const sizeOf = (entries: number): string =>
  entries % 1024 === 0 ? `${entries / 1024}k` : String(entries);

/** What HAProxy understands by a size such as `10k`. */
export function entriesOf(size: string): number {
  const unit = size.at(-1)?.toLowerCase();
  return Number.parseInt(size, 10) * (unit === 'k' ? 1024 : unit === 'm' ? 1024 * 1024 : 1);
}
