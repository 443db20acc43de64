import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tcpBytesOf } from '../plan/memory-budget.ts';
import { numberIn, ownCgroup, unlimitedBytes } from './cgroup.ts';

const pageBytes = 4096;
const tcpMem = '/proc/sys/net/ipv4/tcp_mem';

/**
 * Bounds TCP's buffers on a machine that is the amphora's alone: `net.ipv4.tcp_mem`, in pages (Linux,
 * networking/ip-sysctl.rst). It is not in a network namespace; there whoever made the instance bounds them.
 */
export async function boundTcp(limitBytes: number, file = tcpMem): Promise<void> {
  const pages = Math.floor(tcpBytesOf(limitBytes) / pageBytes);
  const text = [pages / 2, (pages * 2) / 3, pages].map(Math.floor).join(' ');
  await writeFile(file, text, { flag: 'r+' }).catch(() => {}); // `tcpMemory` tells what is in force
}

export interface TcpMemory {
  readonly usedBytes?: number;
  /** The kernel takes no more for them, but the first packet of each connection. */
  readonly limitBytes?: number;
}

/** Of this amphora's TCP sockets, as far as it can be seen: in its cgroup, or on a machine of its own. */
export async function tcpMemory(): Promise<TcpMemory> {
  const cgroup = await ownCgroup();
  if (cgroup?.version === 'v2') {
    const stat = await readFile(join(cgroup.folder, 'memory.stat'), 'utf8').catch(() => '');
    const sock = /^sock (\d+)$/m.exec(stat)?.[1];
    return sock === undefined ? {} : { usedBytes: Number(sock) };
  }
  if (cgroup?.version === 'v1') {
    const read = (name: string) => numberIn(join(cgroup.folder, `memory.kmem.tcp.${name}_in_bytes`));
    const [limitBytes, usedBytes] = await Promise.all([read('limit'), read('usage')]);
    // Version 1 counts them only where there is a bound.
    const counted = usedBytes !== undefined && limitBytes !== undefined && limitBytes < unlimitedBytes;
    return counted ? { usedBytes, limitBytes } : {};
  }
  const [bounds, sockets] = await Promise.all(
    [tcpMem, '/proc/net/sockstat'].map((path) => readFile(path, 'utf8').catch(() => '')),
  );
  const most = bounds?.trim().split(/\s+/)[2];
  const used = /^TCP: .* mem (\d+)$/m.exec(sockets ?? '')?.[1];
  if (most === undefined || used === undefined) return {};
  return { usedBytes: Number(used) * pageBytes, limitBytes: Number(most) * pageBytes };
}
