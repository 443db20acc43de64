import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, rm } from 'node:fs/promises';
import type { Log } from '../../platform/log.ts';
import {
  ended,
  findProcess,
  killProcess,
  type Process,
  readRecord,
  searchPath,
  writeRecord,
} from './processes.ts';

/** A network namespace of the cloud's, apart from the machine's own network and its firewall. */
export interface HeldNamespace {
  /** For `nsenter --net=`; good as long as this program lives. */
  readonly path: string;
  /** True: it is an earlier run's, with what that left in it. */
  readonly adopted: boolean;
  /** A process inside. */
  pid(): number;
  close(): Promise<void>;
}

export interface NamespaceOptions {
  /** File of the holder's number, by which a later run finds it. */
  readonly record: string;
  /** Below /proc/sys/net, such as `ipv4/ip_forward=1`; what this kernel does not have is left out. */
  readonly settings: readonly string[];
  /** What it is the namespace of, for the log. */
  readonly what: string;
  readonly log: Log;
}

// It goes on only when told so, which is after its record is written: if we die before, it ends as well.
const hold = 'echo ready; read -r go || exit 1; exec sleep infinity </dev/null >/dev/null 2>&1';

/**
 * A process holds the namespace, so that nothing stays on disk and our own death leaves it standing. We hold it too, by
 * an open file: if the holder dies, the bridges stay and another holder is put in.
 */
export async function openHeldNamespace(options: NamespaceOptions): Promise<HeldNamespace> {
  const { record, what, log } = options;
  const found = await readRecord(record);
  let holder = found ?? (await startHolder(['unshare', '--net'], lines(options.settings), record));
  const file = await open(`/proc/${holder.pid}/ns/net`);
  const path = `/proc/${process.pid}/fd/${file.fd}`;
  let closed = false;

  async function keepHeld(): Promise<void> {
    for (;;) {
      await ended(holder);
      if (closed) return;
      log.warn({ pid: holder.pid, what }, 'the holder of a network namespace died, starting another');
      holder = await startHolder(['nsenter', `--net=${path}`], '', record);
      if (closed) await killProcess(holder);
    }
  }
  keepHeld().catch((error: unknown) => log.error({ error, what }, 'cannot hold a network namespace'));

  return {
    path,
    adopted: found !== undefined,
    pid: () => holder.pid,
    async close() {
      closed = true;
      await killProcess(holder);
      await file.close();
      await rm(record, { force: true });
    },
  };
}

function lines(settings: readonly string[]): string {
  return `
for setting in ${settings.join(' ')}
do file=/proc/sys/net/\${setting%=*}; if [ -e "$file" ]; then echo "\${setting#*=}" > "$file"; fi
done`;
}

async function startHolder(enter: readonly string[], before: string, record: string): Promise<Process> {
  const [program = '', ...args] = enter;
  const child = spawn(program, [...args, 'sh', '-c', `set -e${before}\n${hold}`], {
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: searchPath },
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ready = await Promise.race([
    once(child.stdout, 'data').then(() => true),
    once(child, 'close').then(() => false),
  ]);
  const holder = child.pid === undefined || !ready ? undefined : await findProcess(child.pid);
  if (holder === undefined) {
    throw new Error(
      `cannot make a network namespace (are you root, or in a user namespace?): ${said.trim()}`,
    );
  }
  await writeRecord(record, holder);
  child.stdin.end('go\n');
  child.stdout.destroy();
  child.stderr.destroy();
  child.unref();
  return holder;
}
