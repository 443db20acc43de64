import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const fastMs = 15_000;
const immediateMs = 30_000;

/**
 * Stops a server that was left on this cluster, by a kill -9 of its parent, and waits for its children. Takes no
 * other process for it, though the number in `postmaster.pid` may be another's by now.
 */
export async function stopStalePostgres(dataDir: string): Promise<void> {
  const folder = resolve(dataDir);
  const pidFile = join(folder, 'postmaster.pid');
  const [firstLine] = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n');
  const postmaster = Number(firstLine);
  if (!Number.isInteger(postmaster) || postmaster <= 0) return;

  const began = Date.now();
  let asked: NodeJS.Signals | undefined;
  for (;;) {
    const left = await serversOn(folder, postmaster);
    if (left.length === 0) break;
    const waited = Date.now() - began;
    if (waited > immediateMs)
      throw new Error(`${folder}: process ${left.join(', ')} of PostgreSQL does not end`);
    const signal = waited > fastMs ? 'SIGQUIT' : 'SIGINT';
    if (signal !== asked && left.includes(postmaster)) {
      asked = signal;
      process.kill(postmaster, signal);
    }
    await pause(20);
  }
  // A process that has got the number since would keep PostgreSQL from starting.
  if (await exists(`/proc/${postmaster}`)) await rm(pidFile, { force: true });
}

/** Processes of PostgreSQL that work in the folder: the server and its children. */
async function serversOn(folder: string, postmaster: number): Promise<readonly number[]> {
  const here = await stat(folder);
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const comm = await readFile(`/proc/${entry}/comm`, 'utf8').catch(() => '');
    if (comm.trim() !== 'postgres') continue;
    const pid = Number(entry);
    const works = await stat(`/proc/${entry}/cwd`).catch((error: NodeJS.ErrnoException) => error.code);
    if (typeof works === 'object') {
      if (works.dev === here.dev && works.ino === here.ino) found.push(pid);
    } else if (works === 'EACCES' && pid === postmaster) {
      // One of a former user namespace does not show its folder, but was told it.
      const words = (await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')).split('\0');
      if (words[words.indexOf('-D') + 1] === folder) found.push(pid);
    }
  }
  return found;
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
