import { createSocket } from 'node:dgram';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeLog } from '../platform/log.ts';
import { type FlowLogFile, startFlowLogFile } from './flow-log.ts';

let folder: string;
let file: FlowLogFile;
const sender = createSocket('udp4').unref();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flows-'));
  file = await startFlowLogFile({
    ...{ path: join(folder, 'flows.log'), host: '127.0.0.1', port: 0 },
    ...{ fileBytes: 20_000, files: 2, log: makeLog('test', 'silent') },
  });
});
afterEach(async () => {
  await file.close();
  await rm(folder, { recursive: true });
});

const say = (text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    sender.send(text, file.port, '127.0.0.1', (error) => (error ? reject(error) : resolve()));
  });
const lines = async (name = 'flows.log') =>
  (await readFile(join(folder, name), 'utf8')).split('\n').slice(0, -1);

describe('the file of flow logs', () => {
  it('has a line for each that an amphora has sent, whatever is in it', async () => {
    await say('<134>Nov 25 13:00:00 haproxy[7]: project lb one\n');
    await say('<134>forged\r\n<134>second line');
    while ((await lines()).length < 2) await sleep(10);
    expect(await lines()).toEqual(['Nov 25 13:00:00 haproxy[7]: project lb one', 'forged <134>second line']);
  });

  it('never takes more of the disk than it may', async () => {
    for (let n = 0; n < 2000; n += 1) await say(`<134>${n} ${'x'.repeat(100)}`);
    while (!(await readdir(folder)).includes('flows.log.2')) {
      await say(`<134>${'x'.repeat(100)}`);
      await sleep(5);
    }
    for (let n = 0; n < 500; n += 1) await say(`<134>${n} ${'x'.repeat(100)}`);
    await sleep(200);
    const names = (await readdir(folder)).toSorted();
    expect(names.filter((name) => name.startsWith('flows.log'))).toEqual([
      'flows.log',
      'flows.log.1',
      'flows.log.2',
    ]);
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
    // One that has just become full may be waiting to be put aside.
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(4 * 25_000);
  });
});
