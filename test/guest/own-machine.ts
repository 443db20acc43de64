/**
 * In the guest of run.sh: an agent on a machine of its own, as in an image's virtual machine, and so many slow readers.
 * It bounds all of TCP in the kernel, clients' and members' sockets included, which are on the machine here.
 *
 *   test/guest/run.sh FOLDER node test/guest/own-machine.ts 300
 */
import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { wholeMachine } from '../memory/memory-group.ts';
import { fullOfSlowReaders } from '../memory/scenarios.ts';

const first = await readFile('/proc/1/comm', 'utf8');
assert.equal(first, 'init.sh\n', 'this changes the kernel of the machine: run it in the guest');
const tcpMem = async () =>
  (await readFile('/proc/sys/net/ipv4/tcp_mem', 'utf8')).trim().split(/\s+/).map(Number);

console.log('tcp_mem before', await tcpMem());
const measured = await fullOfSlowReaders(wholeMachine(), Number(process.argv[2]));
const bounds = await tcpMem();
console.log('tcp_mem after', bounds, measured);

const pages = Math.floor((totalmem() * 0.08) / 4096);
assert.deepEqual(bounds, [pages / 2, (pages * 2) / 3, pages].map(Math.floor));
assert.equal(measured.tcpLimitBytes, pages * 4096);
assert.equal(measured.oomKills, 0);
assert.ok(measured.serves);
process.exit();
