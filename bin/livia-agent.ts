import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import Value from 'typebox/value';
import { startAgent } from '../src/agent/agent.ts';
import { makeLog } from '../src/platform/log.ts';
import { Boot, bootFile } from '../src/wire/boot.ts';

const version = '0.1.0';
const file = process.env['LIVIA_BOOT_FILE'] ?? bootFile;

const boot: unknown = JSON.parse(await readFile(file, 'utf8'));
if (!Value.Check(Boot, boot)) throw new Error(`${file} is not what an amphora is born with`);
const agent = await startAgent({
  ...{ boot, run: dirname(file), version, log: makeLog('agent') },
  ownMachine: file === bootFile,
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    void agent.stop().then(() => process.exit(0));
  });
}
