import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { findInstance, type Instance } from './instance.ts';
import { endLeftovers } from './leftovers.ts';
import { findProcesses } from './processes.ts';
import { Refusal } from './refusal.ts';
import type { Parts } from './serve.ts';
import type { StateDir } from './state-dir.ts';

/** Ends the Livia of this state folder, or what a killed one left, and returns when it is gone. Gives what it ended. */
export async function stopInstance(
  state: StateDir,
  sweepCloud: Parts['sweepCloud'],
  withinMs = 90_000,
): Promise<string | undefined> {
  const instance = await findInstance(state.root);
  if (instance !== undefined) await endInstance(state, instance, withinMs);
  const left = await endLeftovers(state, { keepInstances: false });
  if (process.getuid?.() === 0 && existsSync(state.cloudletConfig)) {
    await sweepCloud(state.cloudletConfig, state.cloud);
  }
  return instance === undefined ? left.join(', ') || undefined : `Livia (pid ${instance.pid})`;
}

async function endInstance(state: StateDir, instance: Instance, withinMs: number): Promise<void> {
  const seen = await findProcesses((argv, pid) => pid === instance.pid && argv.includes('up'));
  if (seen.length === 0) {
    throw new Refusal(
      `the Livia of ${state.root} runs where its processes cannot be seen: stop it from there`,
    );
  }
  process.kill(instance.pid, 'SIGTERM');
  const end = Date.now() + withinMs;
  while ((await findInstance(state.root))?.pid === instance.pid) {
    if (Date.now() > end) process.kill(instance.pid, 'SIGKILL');
    await pause(50);
  }
}
