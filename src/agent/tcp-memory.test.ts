import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { boundTcp } from './tcp-memory.ts';

it('TCP of a machine of 1 GiB has 8 % of it, in pages of 4 KiB, and is careful from two thirds of that', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tcp-'));
  try {
    const file = join(folder, 'tcp_mem');
    await boundTcp(2 ** 30, file); // as in a network namespace: there is no such file
    await expect(readFile(file)).rejects.toThrow('ENOENT');
    await writeFile(file, '0 0 0');
    await boundTcp(2 ** 30, file);
    expect(await readFile(file, 'utf8')).toBe('10485 13980 20971');
  } finally {
    await rm(folder, { recursive: true });
  }
});
