import { spawn } from 'node:child_process';
import { open, readFile, rename, stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { Running } from './keep-running.ts';
import { Refusal } from './refusal.ts';

export interface Program {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** What it says, on both its outputs. */
  readonly logFile: string;
  /** Whether it serves by now. */
  readonly ready: () => Promise<boolean>;
  readonly startTimeoutMs: number;
  /** From SIGTERM to SIGKILL. */
  readonly stopTimeoutMs: number;
}

const largestLogBytes = 10 * 1024 * 1024;

/** Starts a program and waits until it serves. Throws a Refusal, with the program's last words, when it does not. */
export async function startProgram(program: Program, signal: AbortSignal): Promise<Running> {
  const [file, ...args] = program.command;
  if (file === undefined) throw new Error(`${program.name}: empty command`);
  const log = await openLog(program.logFile);
  // A session of its own: Ctrl-C in our terminal is ours to pass on, in the right order.
  const child = spawn(file, args, { env: program.env, stdio: ['ignore', log.fd, log.fd], detached: true });
  let gone: string | undefined;
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, killed) => resolve(killed === null ? `exit ${code}` : `killed by ${killed}`));
  }).then((how) => (gone = how));
  await log.close();

  const stop = async (): Promise<void> => {
    if (gone !== undefined) return;
    child.kill('SIGTERM');
    if (await settled(exited, program.stopTimeoutMs)) return;
    child.kill('SIGKILL');
    await exited;
  };

  const end = Date.now() + program.startTimeoutMs;
  while (!(await program.ready())) {
    if (gone !== undefined) {
      throw new Refusal(`${program.name} does not start: ${await lastWords(program.logFile, gone)}`);
    }
    if (signal.aborted || Date.now() > end) {
      await stop();
      if (signal.aborted) throw new Refusal(`${program.name} was stopped while it started`);
      throw new Refusal(`${program.name} does not answer: see ${program.logFile}`);
    }
    await pause(30);
  }
  if (gone !== undefined)
    throw new Refusal(`${program.name} ended at once: somebody else answers on its port`);
  return { pid: child.pid ?? 0, exited, stop };
}

/** Appends; what has grown too large is put aside first. */
export async function openLog(path: string): ReturnType<typeof open> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0, // it is not there yet
  );
  if (size > largestLogBytes) await rename(path, `${path}.1`);
  return open(path, 'a', 0o600);
}

async function settled(promise: Promise<unknown>, withinMs: number): Promise<boolean> {
  const timer = new AbortController();
  const late = pause(withinMs, false, { signal: timer.signal }).catch(() => false);
  const result = await Promise.race([promise.then(() => true), late]);
  timer.abort();
  return result;
}

/** The last thing it wrote, out of its JSON where it wrote JSON. */
async function lastWords(logFile: string, how: string): Promise<string> {
  const lines = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-40).toReversed();
  for (const line of lines) {
    try {
      const entry = JSON.parse(line) as { level?: number; msg?: string; err?: { message?: string } };
      const words = [entry.msg, entry.err?.message].filter(Boolean).join(': ');
      if ((entry.level ?? 0) >= 40 && words !== '') return `${words} (${logFile})`;
    } catch {
      const error = /^(?:\w*Error|livia\S*): (.+)/.exec(line);
      if (error) return `${error[1]} (${logFile})`;
    }
  }
  return `${how}, see ${logFile}`;
}
