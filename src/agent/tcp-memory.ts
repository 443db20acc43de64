import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tcpBytesOf } from '../plan/memory-budget.ts';
import { numberIn, ownCgroup, unlimitedBytes } from './cgroup.ts';

const pageBytes = 4096;
const settings = '/proc/sys/net/ipv4';

/**
 * Bounds TCP's buffers in a network that is the amphora's alone. Where they are memory of its cgroup (`inside`, version 2)
 * nothing bounds them all together, and the kernel kills for them: there each connection has small ones. What is not yet
 * sent, 16 KiB and the packet it is part of; what is not yet read, 64 KiB. Data under way is not bounded by this, so that
 * a far client is served as fast as ever.
 *
 * Else `tcp_mem`, in pages, which only a whole machine has (Linux, networking/ip-sysctl.rst): in a network namespace
 * whoever made the instance bounds them.
 */
export async function boundTcp(limitBytes: number, inside: boolean, folder = settings): Promise<void> {
  const pages = Math.floor(tcpBytesOf(limitBytes) / pageBytes);
  const wanted = inside
    ? { tcp_notsent_lowat: [16_384], tcp_rmem: [4096, 65_536, 65_536] }
    : { tcp_mem: [pages / 2, (pages * 2) / 3, pages].map(Math.floor) };
  for (const [name, values] of Object.entries(wanted)) {
    const text = values.join(' ');
    await writeFile(join(folder, name), text, { flag: 'r+' }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
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
    [join(settings, 'tcp_mem'), '/proc/net/sockstat'].map((path) => readFile(path, 'utf8').catch(() => '')),
  );
  const most = bounds?.trim().split(/\s+/)[2];
  const used = /^TCP: .* mem (\d+)$/m.exec(sockets ?? '')?.[1];
  if (most === undefined || used === undefined) return {};
  return { usedBytes: Number(used) * pageBytes, limitBytes: Number(most) * pageBytes };
}
