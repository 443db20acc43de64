import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { renderKeepalived } from '../plan/keepalived.ts';
import { writeWhole } from '../platform/files.ts';
import type { Log } from '../platform/log.ts';
import type { WantedAmphora } from '../wire/wanted.ts';
import { cardName, dropVips } from './links.ts';
import type { AgentPaths } from './paths.ts';

const lookMs = 500;
const endLimitMs = 5000;

/**
 * keepalived of an amphora that is one of a pair: it has the VIPs, or watches who has. A killed agent leaves it running
 * for the next one. When it dies, the VIPs are dropped before it is started again: the other has them by then.
 * Calls of `ensure` and `stop` are for one caller at a time.
 */
export function keepalivedProcess(paths: AgentPaths['keepalived'], log: Log) {
  let wanted: WantedAmphora | undefined;
  let starting: Promise<void> | undefined;
  let watch: NodeJS.Timeout | undefined;

  const pid = async (): Promise<number | undefined> => {
    const found = Number(await readFile(paths.pid, 'utf8').catch(() => ''));
    return found > 0 && (await isKeepalived(found)) ? found : undefined;
  };

  async function start(of: WantedAmphora): Promise<void> {
    await dropVips(of);
    for (const file of [paths.pid, paths.vrrpPid]) await rm(file, { force: true });
    // VRRP alone: there need be no IPVS in the kernel.
    const args = ['-P', '-n', '-f', paths.configuration, '-p', paths.pid, '-r', paths.vrrpPid];
    const started = spawn('keepalived', args, { detached: true, stdio: 'ignore' });
    await new Promise<void>((resolve, reject) => {
      started.on('error', reject).on('spawn', resolve);
    });
    started.unref();
    for (let waitedMs = 0; waitedMs < endLimitMs && (await pid()) === undefined; waitedMs += 20) {
      if (started.exitCode !== null) throw new Error(`keepalived ended with ${started.exitCode}`);
      await sleep(20);
    }
  }

  /** One start at a time, whoever finds it dead. */
  async function revive(): Promise<void> {
    if (wanted === undefined || (await pid()) !== undefined) return;
    const of = wanted;
    starting ??= start(of).finally(() => (starting = undefined));
    await starting;
  }

  return {
    /** Makes it run as this tree says; a pair whose other is not known goes on as it was. */
    async ensure(next: WantedAmphora): Promise<void> {
      const { vrrp } = next;
      const [card] = next.interfaces;
      if (vrrp === undefined || card === undefined) return this.stop();
      if (vrrp.peers.length === 0) return;
      await mkdir(paths.folder, { recursive: true, mode: 0o700 });
      const place = { card: await cardName(card.mac), trackFile: paths.trackFile };
      const text = (first: boolean): string => renderKeepalived({ ...vrrp, first }, card, place);
      const now = await readFile(paths.configuration, 'utf8').catch(() => '');
      const running = await pid();
      // How it began is no reason to begin again.
      const changed = running === undefined || ![text(true), text(false)].includes(now);
      if (changed) await writeWhole(paths.configuration, text(vrrp.first));
      wanted = next;
      if (running === undefined) await revive();
      else if (changed) process.kill(running, 'SIGHUP');
      watch ??= setInterval(() => {
        revive().catch((error: unknown) => log.error({ err: error }, 'keepalived cannot be started'));
      }, lookMs).unref();
    },

    /** Without HAProxy it gives the VIPs to the other at once. */
    async track(haproxyServes: boolean): Promise<void> {
      await mkdir(paths.folder, { recursive: true, mode: 0o700 });
      await writeFile(paths.trackFile, haproxyServes ? '0\n' : '1\n');
    },

    /** Ends it, and says goodbye to the other. */
    async stop(): Promise<void> {
      wanted = undefined;
      clearInterval(watch);
      watch = undefined;
      await starting?.catch(() => undefined);
      const running = await pid();
      if (running === undefined) return;
      process.kill(running, 'SIGTERM');
      for (let waitedMs = 0; (await isKeepalived(running)) && waitedMs < endLimitMs; waitedMs += 20)
        await sleep(20);
    },
  };
}

/** A zombie answers `kill -0` until its parent looks; /proc does not lie. */
async function isKeepalived(pid: number): Promise<boolean> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return /^\d+ \(keepalived\) [^ZX]/.test(line);
}
