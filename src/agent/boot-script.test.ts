import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { bootScript } from './boot-script.ts';

it('starts the agent again after it was killed, and lets it end in order when told to stop', async () => {
  const folder = await mkdtemp(join(tmpdir(), "livia it's boot-"));
  const log = join(folder, 'log');
  const agent = join(folder, 'agent.mjs');
  await writeFile(
    agent,
    `import { appendFileSync } from 'node:fs';
     process.on('SIGTERM', () => { appendFileSync(process.env.LOG, 'stopped\\n'); process.exit(0); });
     appendFileSync(process.env.LOG, 'pid ' + process.pid + '\\n');
     setInterval(() => {}, 1000);`,
  );
  const shell = spawn('sh', ['-c', bootScript(process.execPath, agent)], {
    env: { ...process.env, LOG: log },
    stdio: 'ignore',
  });
  const lines = async () => (await readFile(log, 'utf8').catch(() => '')).trim().split('\n');
  const until = async (count: number) => {
    while ((await lines()).filter((line) => line !== '').length < count) await sleep(20);
    return (await lines())[count - 1] ?? '';
  };
  try {
    const first = Number((await until(1)).slice(4));
    process.kill(first, 'SIGKILL');
    const second = Number((await until(2)).slice(4));
    expect(second).not.toBe(first);
    const ended = once(shell, 'exit');
    shell.kill('SIGTERM');
    await ended;
    expect(shell.exitCode).toBe(0);
    expect((await lines()).at(-1)).toBe('stopped');
  } finally {
    shell.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
});

it('starts an agent that ends at once ever less often, and stops all the same when told to', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'boot-'));
  const log = join(folder, 'log');
  const agent = join(folder, 'agent.mjs');
  await writeFile(
    agent,
    `import { appendFileSync } from 'node:fs';
     appendFileSync(process.env.LOG, process.hrtime.bigint() / 1000000n + '\\n');
     process.exit(1);`,
  );
  const shell = spawn('sh', ['-c', bootScript(process.execPath, agent)], {
    env: { ...process.env, LOG: log },
    stdio: 'ignore',
  });
  try {
    const starts = async () =>
      (await readFile(log, 'utf8').catch(() => ''))
        .split('\n')
        .filter((line) => line !== '')
        .map(Number);
    while ((await starts()).length < 4) await sleep(50);
    const [, second = 0, third = 0, fourth = 0] = await starts();
    // A loaded machine makes pauses longer, never shorter.
    expect(third - second).toBeGreaterThanOrEqual(1200);
    expect(fourth - third).toBeGreaterThanOrEqual(3200);
    const ended = once(shell, 'exit');
    shell.kill('SIGTERM');
    await ended;
    expect(shell.exitCode).toBe(0);
  } finally {
    shell.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
});
