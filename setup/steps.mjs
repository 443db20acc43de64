import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, readFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repo = dirname(dirname(fileURLToPath(import.meta.url)));

/** What cannot go on without a person: printed as one line, never with a stack. */
export class Stop extends Error {}

/** Daemons live in sbin, which is not on everybody's PATH. */
const path = `${process.env.PATH ?? ''}${delimiter}/usr/local/sbin${delimiter}/usr/sbin${delimiter}/sbin`;

/** The environment of what we start: Node 24 and the project's tools first. */
export const environment = { ...process.env, PATH: `${join(repo, 'node_modules/.bin')}${delimiter}${path}` };

/** The same without the project's own node: for npm, which replaces it. */
export const outerEnvironment = {
  ...process.env,
  PATH: path
    .split(delimiter)
    .filter((folder) => !folder.includes('node_modules/.bin'))
    .join(delimiter),
};

/** Whether a command can be found. */
export function has(command) {
  return path.split(delimiter).some((folder) => executable(join(folder, command)));
}

export function executable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function hashOf(...parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}

export function readOr(file, otherwise) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}

/** Runs a program without input to its end; gives exit code and everything it said. */
export function capture(command, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command[0], command.slice(1), {
      cwd: repo,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment,
      ...options,
    });
    let output = '';
    const take = (text) => (output += text);
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', (error) => resolve({ code: 127, output: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

/** Prints "[1/4] npm packages … done (12 s)". `work` returns what to say when there was nothing to do, or nothing. */
export async function step(number, count, title, work) {
  const started = Date.now();
  process.stdout.write(`[${number}/${count}] ${title} … `);
  try {
    const nothingToDo = await work();
    const seconds = Math.round((Date.now() - started) / 1000);
    process.stdout.write(nothingToDo === undefined ? `done (${seconds} s)\n` : `${nothingToDo}\n`);
  } catch (error) {
    process.stdout.write('failed\n');
    throw error;
  }
}

/** One setup at a time for each user: npm and apt-get do not bear company. flock(1) frees the lock when we die. */
export async function withLock(work) {
  if (!has('flock')) return work();
  const file = join(tmpdir(), `livia-setup-${userInfo().uid}.lock`);
  const holder = spawn('flock', [file, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: environment,
  });
  await new Promise((resolve) => {
    holder.stdout.once('data', resolve);
    holder.once('exit', resolve);
    holder.once('error', resolve);
  });
  try {
    return await work();
  } finally {
    holder.stdin.end();
  }
}
