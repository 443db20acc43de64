import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * The content of a file that is made once and never again (mode 0600). When several processes start together, the
 * first whole file wins and all read that one.
 */
export async function keptFile(path: string, make: () => Buffer | string | Promise<string>): Promise<Buffer> {
  const kept = await readIfThere(path);
  if (kept !== undefined) return kept;
  const beside = await writeBeside(path, await make());
  try {
    await link(beside, path);
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  } finally {
    await unlink(beside);
  }
  return readFile(path);
}

/** Puts the whole content in the place of what was there (mode 0600). */
export async function replaceFile(path: string, content: string): Promise<void> {
  await rename(await writeBeside(path, content), path);
}

/** Undefined when there is no such file. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function writeBeside(path: string, content: Buffer | string): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const beside = join(dirname(path), `.${randomBytes(6).toString('hex')}.new`);
  const file = await open(beside, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  return beside;
}

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;
