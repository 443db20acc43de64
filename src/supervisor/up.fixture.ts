/** A Livia whose cloudlet and control plane are stand-ins: what the supervisor's tests start, stop and kill. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Parts } from './serve.ts';
import { stateDirFrom } from './state-dir.ts';
import { stopInstance } from './stop.ts';
import { up, upDetached } from './up.ts';

const [, self = '', command = '', programs = ''] = process.argv;

const parts: Parts = {
  node: process.execPath,
  cloudletProgram: join(programs, 'livia-cloudlet.mjs'),
  serverProgram: join(programs, 'livia-server.mjs'),
  writeBootScript: (path) => writeFile(path, '#!/bin/sh\n'),
  sweepCloud: () => Promise.resolve(),
};

try {
  const again = [process.execPath, self, 'up', programs];
  if (command === 'up') process.exitCode = await up({ parts, self: again, demonstrate: undefined });
  if (command === 'detach') process.exitCode = await upDetached(again);
  if (command === 'stop') console.log(await stopInstance(stateDirFrom(process.env, '/'), parts.sweepCloud));
} catch (error) {
  console.error(`livia: ${(error as Error).message}`);
  process.exitCode = 1;
}
