import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openRecords } from './records.ts';

interface Thing {
  readonly id: string;
  readonly size: number;
}

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'records-'));
  path = join(folder, 'records.sqlite');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('records', () => {
  it('come back after closing, in the order they were made', () => {
    const before = openRecords(path);
    const things = before.collection<Thing>('thing');
    for (const id of ['c', 'a', 'b']) things.put({ id, size: 1 });
    things.put({ id: 'c', size: 2 });
    things.remove('a');
    before.close();

    const after = openRecords(path);
    expect(after.collection<Thing>('thing').all()).toEqual([
      { id: 'c', size: 2 },
      { id: 'b', size: 1 },
    ]);
    after.close();
  });

  it('of one kind are not seen among those of another', () => {
    const records = openRecords(path);
    records.collection<Thing>('thing').put({ id: 'a', size: 1 });
    expect(records.collection<Thing>('other').get('a')).toBeUndefined();
    records.close();
  });

  it('are as before, in memory and on disk, when a transaction throws', () => {
    const records = openRecords(path);
    const things = records.collection<Thing>('thing');
    things.put({ id: 'kept', size: 1 });
    expect(() =>
      records.transaction(() => {
        things.put({ id: 'kept', size: 2 });
        records.transaction(() => things.put({ id: 'new', size: 1 }));
        things.remove('kept');
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(things.all()).toEqual([{ id: 'kept', size: 1 }]);
    records.close();
    const after = openRecords(path);
    expect(after.collection<Thing>('thing').all()).toEqual([{ id: 'kept', size: 1 }]);
    after.close();
  });

  it('can be open in one process only', () => {
    const records = openRecords(path);
    expect(() => openRecords(path)).toThrow(/records\.sqlite.*locked/);
    records.close();
  });

  it('that were put are there after kill -9 of the process', async () => {
    const writer = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { openRecords } from ${JSON.stringify(join(import.meta.dirname, 'records.ts'))};
         const things = openRecords(${JSON.stringify(path)}).collection('thing');
         for (let size = 0; ; size += 1) { things.put({ id: 'thing-' + size, size }); console.log(size); }`,
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    let last = -1;
    for await (const line of createInterface({ input: writer.stdout })) {
      last = Number(line);
      if (last === 50) writer.kill('SIGKILL');
    }
    if (writer.exitCode === null && writer.signalCode === null) await once(writer, 'exit');
    expect(last).toBeGreaterThanOrEqual(50);

    const records = openRecords(path);
    const sizes = new Set(
      records
        .collection<Thing>('thing')
        .all()
        .map((thing) => thing.size),
    );
    expect(Array.from({ length: last + 1 }, (_, size) => size).filter((size) => !sizes.has(size))).toEqual(
      [],
    );
    records.close();
  });
});
