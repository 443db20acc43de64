import { readFile } from 'node:fs/promises';
import { writeWhole } from '../platform/files.ts';
import type { PastChange } from '../wire/report.ts';

/** As many as an operator reads. */
const kept = 100;

/** What has become of the latest wishes, newest first; kept in a file, so that the next agent knows it too. */
export async function pastChanges(path: string) {
  let list = await readFile(path, 'utf8').then(
    (text) => JSON.parse(text) as readonly PastChange[],
    (): readonly PastChange[] => [],
  );
  let writing: Promise<void> = Promise.resolve();
  return {
    /** Listed at once; resolves when it is in the file. */
    add(change: PastChange): Promise<void> {
      list = [change, ...list].slice(0, kept);
      // One after the other, so that no older list takes the place of a newer one.
      const written = writing.then(() => writeWhole(path, JSON.stringify(list)));
      writing = written.catch(() => {}); // the caller hears of it
      return written;
    },
    list: (): PastChange[] => [...list],
  };
}
