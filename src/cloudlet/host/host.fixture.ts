import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Log, makeLog } from '../../platform/log.ts';
import { run } from '../../platform/run.ts';
import type { InstanceSpec, Nic } from './host.ts';

/** For tests on the real machine: names, addresses and scripts that meet nobody else's. */
export const quiet: Log = makeLog('test', 'silent');

export const aName = () => `t${randomBytes(2).toString('hex')}`;

export function needRoot(): void {
  if (process.getuid?.() !== 0) throw new Error('these tests make network namespaces: run them as root');
}

/** A network with the machine at .1, and cards in it at .10, .11 … */
export function aNetwork() {
  const [id, third] = [randomUUID(), randomInt(0, 256)];
  let last = 9;
  return {
    network: { id, hostAddresses: [`198.18.${third}.1/24`, `fd00:198:${third.toString(16)}::1/64`] },
    gateway: `198.18.${third}.1`,
    card(): Nic & { address: string; address6: string } {
      last += 1;
      const address = `198.18.${third}.${last}`;
      const address6 = `fd00:198:${third.toString(16)}::${last}`;
      return {
        portId: randomUUID(),
        networkId: id,
        macAddress: ['02', ...randomBytes(5).toString('hex').match(/../g)!].join(':'),
        addresses: [`${address}/24`, `${address6}/64`],
        gateways: [`198.18.${third}.1`, `fd00:198:${third.toString(16)}::1`],
        address,
        address6,
      };
    },
  };
}

/** A web server that says which machine it is. */
export const webServer = `exec ${process.execPath} -e '
require("http").createServer((_, answer) => answer.end("I am " + require("os").hostname())).listen(80, "::")'`;

export const hungry = `${process.execPath} -e 'const kept = []; for (;;) kept.push(Buffer.alloc(2 ** 20, 1))'`;

export function anInstance(change: Partial<InstanceSpec>): InstanceSpec {
  const id = randomUUID();
  const limits = { memoryBytes: 256 * 2 ** 20, vcpus: 1 };
  return { id, name: `amphora-${id}`, ...limits, nics: [], files: [], bootScript: webServer, ...change };
}

/** What a web server answers, once it does; from our own network or from that of the process. */
export async function ask(address: string, from?: number): Promise<string> {
  const url = `http://${isIPv6(address) ? `[${address}]` : address}/`;
  const inside = from === undefined ? [] : ['nsenter', `--net=/proc/${from}/ns/net`];
  const script = `fetch('${url}').then((answer) => answer.text()).then((text) => process.stdout.write(text))`;
  return eventually(() => run([...inside, process.execPath, '-e', script]));
}

/** The first value that is no error and not undefined. */
export async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    try {
      const value = await look();
      if (value !== undefined) return value;
      if (Date.now() > deadline) throw new Error('it has not come about');
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(20);
  }
}

/** Every process of the machine whose command line or environment holds the text. */
export async function processesWith(text: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const texts = await Promise.all(
        ['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
      );
      return texts.some((content) => content.includes(text)) ? [pid] : [];
    }),
  );
  return found.flat();
}

export async function groupsOf(name: string): Promise<string[]> {
  const text = await run(['find', '/sys/fs/cgroup', '-type', 'd', '-path', `*/livia-${name}*`]);
  return text.split('\n').filter(Boolean);
}
