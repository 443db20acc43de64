import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

export interface Process {
  readonly pid: number;
  readonly argv: readonly string[];
}

/** The processes we can see whose command line fits. Zombies have none, so they never do. */
export async function findProcesses(
  fits: (argv: readonly string[], pid: number) => boolean,
): Promise<Process[]> {
  const found: Process[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const argv = await commandLine(Number(name));
    if (argv !== undefined && fits(argv, Number(name))) found.push({ pid: Number(name), argv });
  }
  return found;
}

async function commandLine(pid: number): Promise<readonly string[] | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    return text === '' ? undefined : text.replace(/\0$/, '').split('\0');
  } catch {
    return undefined; // it ended while we looked, or is not ours to look at
  }
}

/** Whether the pid still is that process, not another that got its number. */
async function lives(process: Process): Promise<boolean> {
  const argv = await commandLine(process.pid);
  return argv !== undefined && argv.join('\0') === process.argv.join('\0');
}

/** Sends the signal, waits for the end, and after `withinMs` kills. */
export async function endProcess(victim: Process, signal: NodeJS.Signals, withinMs: number): Promise<void> {
  if (!send(victim.pid, signal)) return;
  const end = Date.now() + withinMs;
  while (await lives(victim)) {
    if (Date.now() > end) send(victim.pid, 'SIGKILL');
    await pause(20);
  }
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
