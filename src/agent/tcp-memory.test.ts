import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { boundTcp } from './tcp-memory.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tcp-'));
});
afterEach(() => rm(folder, { recursive: true }));

const setting = (name: string) => readFile(join(folder, name), 'utf8');

it('TCP of a machine of 1 GiB has 8 % of it, in pages of 4 KiB, and is careful from two thirds of that', async () => {
  await boundTcp(2 ** 30, false, folder); // as in a network namespace: there is no such file
  expect(await readdir(folder)).toEqual([]);
  await writeFile(join(folder, 'tcp_mem'), '0 0 0');
  await boundTcp(2 ** 30, false, folder);
  expect(await setting('tcp_mem')).toBe('10485 13980 20971');
});

it('TCP whose buffers are memory of the amphora itself has small ones, and the machine is left alone', async () => {
  for (const name of ['tcp_mem', 'tcp_notsent_lowat', 'tcp_rmem']) {
    await writeFile(join(folder, name), '0');
  }
  await boundTcp(2 ** 30, true, folder);
  expect(await setting('tcp_mem')).toBe('0');
  expect(await setting('tcp_notsent_lowat')).toBe('16384');
  expect(await setting('tcp_rmem')).toBe('4096 65536 65536');
});
