import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findProcess, isAlive, killProcess, parseStat, readRecord, writeRecord } from './processes.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'livia-processes-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('a process', () => {
  it('is read rightly even if its name looks like the fields after it', () => {
    const after = Array.from({ length: 40 }, (_, index) => String(index + 4)).join(' ');
    expect(parseStat(`77 (a) S 1 (b) R ${after}\n`)).toEqual({ pid: 77, state: 'R', startTime: '22' });
  });

  it('is found again by its record, until it dies', async () => {
    const child = spawn('sleep', ['1000']);
    const found = await findProcess(child.pid ?? 0);
    if (found === undefined) throw new Error('sleep did not start');
    await writeRecord(join(folder, 'pid'), found);
    expect(await readRecord(join(folder, 'pid'))).toEqual(found);
    await killProcess(found);
    expect(await isAlive(found)).toBe(false);
    expect(await readRecord(join(folder, 'pid'))).toBeUndefined();
  });

  it('is not taken for another that got its number later', async () => {
    const own = await findProcess(process.pid);
    await writeRecord(join(folder, 'pid'), { pid: process.pid, startTime: `${own?.startTime}1` });
    expect(await readRecord(join(folder, 'pid'))).toBeUndefined();
  });

  it('is not known by a record that is empty, cut off or missing', async () => {
    for (const text of ['', '\n', `${process.pid}`, 'x y\n']) {
      await writeFile(join(folder, 'pid'), text);
      expect(await readRecord(join(folder, 'pid'))).toBeUndefined();
    }
    expect(await readRecord(join(folder, 'none'))).toBeUndefined();
  });
});
