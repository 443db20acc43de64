import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Flows } from '../../plan/udp/choice.ts';
import { tableName } from '../../plan/udp/render.ts';
import type { Family } from '../../plan/udp/words.ts';
import { run, tryRun } from '../../platform/run.ts';

/** The kernel of the amphora's network namespace, through `nft` and `conntrack`. */

/** Loads rules in one transaction. Rejects with nft's own words. */
export async function loadRules(text: string): Promise<void> {
  await run(['nft', '-f', '-'], { input: text });
}

interface Named {
  readonly table: string;
  readonly name: string;
}

interface Counter extends Named {
  readonly packets: number;
  readonly bytes: number;
}

async function list<T extends Named>(kind: string, family: Family): Promise<T[]> {
  const plural = `${kind}s`;
  const text = await run(['nft', '--json', '--terse', 'list', plural, family]);
  const { nftables } = JSON.parse(text) as { nftables: Record<string, T>[] };
  return nftables.flatMap((entry) => entry[kind] ?? []).filter(({ table }) => table === tableName);
}

export interface Count {
  readonly packets: number;
  readonly bytes: number;
}

/** What the counters say, by name; that of both IP versions together. */
export async function readCounters(families: readonly Family[]): Promise<ReadonlyMap<string, Count>> {
  const counts = new Map<string, Count>();
  for (const family of families) {
    for (const { name, packets, bytes } of await list<Counter>('counter', family)) {
      const other = counts.get(name);
      counts.set(name, {
        packets: packets + (other?.packets ?? 0),
        bytes: bytes + (other?.bytes ?? 0),
      });
    }
  }
  return counts;
}

/** Removes what rules of before have left in the tables. A listener's counters stay: it may come back. */
export async function removeOthers(families: readonly Family[], names: ReadonlySet<string>): Promise<void> {
  const lines: string[] = [];
  for (const family of families) {
    for (const kind of ['chain', 'map', 'set', 'counter']) {
      for (const { name } of await list(kind, family)) {
        if (names.has(name) || /^(in|out|flows)-/.test(name)) continue;
        lines.push(`delete ${kind} ${family} ${tableName} ${name}\n`);
      }
    }
  }
  if (lines.length > 0) await loadRules(lines.join(''));
}

/** Lets packets pass through the amphora; its rules see to it that only those to members do. */
export async function letForward(families: readonly Family[]): Promise<void> {
  for (const family of families) {
    const path = family === 'ip' ? 'ipv4/ip_forward' : 'ipv6/conf/all/forwarding';
    const file = `/proc/sys/net/${path}`;
    if ((await readFile(file, 'utf8')).trim() !== '1') await writeFile(file, '1');
  }
}

/** Ends the flows to a member, so that the next packet of each chooses another. */
export async function cutFlows(mark: number, families: readonly Family[]): Promise<void> {
  for (const family of families) {
    const version = family === 'ip' ? 'ipv4' : 'ipv6';
    const command = ['conntrack', '--delete', '--family', version, '--mark', String(mark)];
    const { code, stderr } = await tryRun(command);
    // 1 is also its answer when there are none.
    if (code !== 0 && !stderr.includes('0 flow entries')) throw new Error(`conntrack: ${stderr.trim()}`);
  }
}

/** How many flows of a protocol there are to members: by the port that their clients sent to, and by member. */
export interface FlowCounts {
  readonly ports: ReadonlyMap<number, number>;
  readonly marks: Flows;
}

export async function countFlows(protocol: 'udp' | 'sctp', families: readonly Family[]): Promise<FlowCounts> {
  const [ports, marks] = [new Map<number, number>(), new Map<number, number>()];
  const count = (flows: Map<number, number>, key: number): unknown =>
    flows.set(key, (flows.get(key) ?? 0) + 1);
  for (const family of families) {
    const version = family === 'ip' ? 'ipv4' : 'ipv6';
    const command = ['--dump', '--family', version, '--proto', protocol, '--dst-nat'];
    const child = spawn('conntrack', command, { stdio: ['ignore', 'pipe', 'ignore'] });
    const ended = new Promise((resolve, reject) => child.on('close', resolve).on('error', reject));
    ended.catch(() => {}); // read below
    // Line by line: there may be hundreds of thousands.
    for await (const line of createInterface({ input: child.stdout })) {
      count(ports, Number(/ dport=(\d+)/.exec(line)?.[1]));
      count(marks, Number(/ mark=(\d+)/.exec(line)?.[1]));
    }
    await ended;
  }
  return { ports, marks };
}
