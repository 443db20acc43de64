import type { PastChange } from '../wire/report.ts';

/** As many as an operator reads. */
const kept = 100;

/** What has become of the latest wishes, newest first; since this agent began. */
export function pastChanges() {
  let list: readonly PastChange[] = [];
  return {
    add(change: PastChange): void {
      list = [change, ...list].slice(0, kept);
    },
    list: (): PastChange[] => [...list],
  };
}
