import { readFile, rename, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process, told apart from a later one with the same number by its start time (field 22 of /proc/PID/stat). */
export interface Process {
  readonly pid: number;
  readonly startTime: string;
}

/** Reads the text of /proc/PID/stat. The second field is a free text in parentheses and may hold both. */
export function parseStat(text: string): Process & { readonly state: string } {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { pid: Number.parseInt(text, 10), state: fields[0] ?? '', startTime: fields[19] ?? '' };
}

/** Where processes that outlive us find programs; nothing else of our environment is theirs. */
export const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Undefined: there is none of that number, or only its remains are (a zombie). */
export async function findProcess(pid: number): Promise<Process | undefined> {
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
  const { state, startTime } = parseStat(text);
  return state === 'Z' || state === 'X' ? undefined : { pid, startTime };
}

export async function isAlive(process: Process): Promise<boolean> {
  return (await findProcess(process.pid))?.startTime === process.startTime;
}

/** Resolves when the process is gone. For a process that is not our child there is nothing better than looking. */
export async function ended(process: Process, everyMs = 500): Promise<void> {
  // A watch that may last for months must not keep the program itself alive.
  while (await isAlive(process)) await sleep(everyMs, undefined, { ref: false });
}

/** SIGKILL, then waits until it is gone. Throws after `limitMs`. */
export async function killProcess(victim: Process, limitMs = 30_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (await isAlive(victim)) {
    if (Date.now() > deadline) throw new Error(`process ${victim.pid} does not die of SIGKILL`);
    signal(victim.pid);
    await sleep(5);
  }
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}

/**
 * `<pid> <start time>\n`, whole or not at all. Not synced: after a power cut it describes no living process anyway, and
 * a sync is slower than all the rest of a boot.
 */
export async function writeRecord(path: string, { pid, startTime }: Process): Promise<void> {
  await writeFile(`${path}.new`, `${pid} ${startTime}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** The process of the record if it is alive. */
export async function readRecord(path: string): Promise<Process | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  const [pid, startTime] = text.trim().split(' ');
  const found = await findProcess(Number(pid));
  return found?.startTime === startTime ? found : undefined;
}

export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
