import { chmod, readFile, writeFile } from 'node:fs/promises';
import { writeWhole } from '../../platform/files.ts';
import type { WantedAmphora } from '../../wire/wanted.ts';
import type { AgentPaths } from '../paths.ts';

/** HAProxy gives address and port of the proxy, then those of the server. */
const program = `#!/bin/sh
exec ping -q -n -c 1 -W 1 "$3" >/dev/null 2>&1
`;
const groupRange = '/proc/sys/net/ipv4/ping_group_range';

/**
 * Makes ready what members are pinged with, when a health monitor of this tree does: the program, where HAProxy's user
 * finds it, and leave for that user to send echo requests in this network namespace.
 */
export async function readyToPing(wanted: WantedAmphora, paths: AgentPaths): Promise<void> {
  if (!wanted.pools.some(({ healthMonitor }) => healthMonitor?.type === 'PING')) return;
  await chmod(paths.run, 0o711);
  await writeWhole(paths.pingCheck, program);
  await chmod(paths.pingCheck, 0o755);
  const [first = 1, last = 0] = (await readFile(groupRange, 'utf8')).trim().split(/\s+/).map(Number);
  if (first > last) await writeFile(groupRange, '0 2147483647');
}
