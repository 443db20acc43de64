import { randomBytes } from 'node:crypto';
import { open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Writes the whole file or nothing: beside it, synced, then renamed over it. `mode` as for chmod, default 0600. */
export async function writeWhole(path: string, content: string | Buffer, mode = 0o600): Promise<void> {
  const beside = join(dirname(path), `.${randomBytes(6).toString('hex')}.new`);
  const file = await open(beside, 'wx', mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
}
