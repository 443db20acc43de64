import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fullOfSlowReaders, fullTwice, killsByBuffers, type Measured } from './scenarios.ts';

/**
 * Stories about slow readers, each in a process with a network of its own, whose settings the agent may change as those
 * of an instance.
 */
const stories = {
  full: fullOfSlowReaders,
  twice: fullTwice,
  kills: killsByBuffers,
};

async function inOwnNetwork(story: keyof typeof stories, limitBytes: number, atMost: number) {
  const network = ['--net', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"'];
  const program = [process.execPath, import.meta.filename, story, String(limitBytes), String(atMost)];
  const child = spawn('unshare', [...network, ...program], { stdio: ['ignore', 'pipe', 'inherit'] });
  return JSON.parse(await text(child.stdout)) as unknown;
}

/** A reload while so many TLS clients do not read, or as many as the amphora takes. */
export const slowReadersAtReload = async (limitBytes: number, atMost: number) =>
  (await inOwnNetwork('full', limitBytes, atMost)) as Measured;

/** As many of them on the worker before a reload, and on the one after it. */
export const slowReadersTwice = async (limitBytes: number, atMost: number) =>
  (await inOwnNetwork('twice', limitBytes, atMost)) as Measured;

/** OOM kills with the kernel's own buffers. */
export const killsWithoutBound = async (limitBytes: number, slow: number) =>
  (await inOwnNetwork('kills', limitBytes, slow)) as number;

if (process.argv[1] === import.meta.filename) {
  const [story = '', limitBytes, atMost] = process.argv.slice(2);
  const measured = await stories[story as keyof typeof stories](Number(limitBytes), Number(atMost));
  console.log(JSON.stringify(measured));
  process.exit();
}
