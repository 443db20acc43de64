import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openVault } from './vault.ts';

let folder: string;
let key: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vault-'));
  key = join(folder, 'key');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the vault', () => {
  it('opens what it sealed, also after a restart', async () => {
    const sealed = (await openVault(key)).seal(Buffer.from('a secret'), 'one');
    expect((await openVault(key)).open(sealed, 'one').toString()).toBe('a secret');
  });

  it('opens nothing under another name, nothing changed, nothing of another key', async () => {
    const vault = await openVault(key);
    const sealed = vault.seal(Buffer.from('a secret'), 'one');
    expect(() => vault.open(sealed, 'two')).toThrow();
    const bytes = Buffer.from(sealed, 'base64');
    bytes[30] = (bytes[30] ?? 0) ^ 1;
    expect(() => vault.open(bytes.toString('base64'), 'one')).toThrow();
    const other = await openVault(join(folder, 'other'));
    expect(() => other.open(sealed, 'one')).toThrow();
  });

  it('keeps its key readable by its owner alone', async () => {
    await openVault(key);
    expect((await stat(key)).mode & 0o777).toBe(0o600);
  });

  it('refuses a key file that is none', async () => {
    await writeFile(key, 'short');
    await expect(openVault(key)).rejects.toThrow(/is not a key of 32 bytes/);
  });
});
