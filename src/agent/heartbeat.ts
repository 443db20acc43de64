import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../platform/log.ts';
import type { Boot } from '../wire/boot.ts';
import { encodeHeartbeat } from '../wire/heartbeat.ts';
import type { Report } from '../wire/report.ts';
import type { WantedHeartbeat } from '../wire/wanted.ts';
import { statuses } from './report.ts';

/** Statuses are looked at about this often, or every interval when that is shorter. Each look costs clients a little. */
const lookMs = 1000;

export interface Heartbeat {
  /** A beat at once, with what is true now; from now on as said. */
  readonly now: (told?: WantedHeartbeat) => void;
  readonly stop: () => void;
}

/** A report to every receiver each interval, give or take a tenth, and at once when a status changes. */
export function startHeartbeat(born: Boot['heartbeat'], observe: () => Promise<Report>, log: Log): Heartbeat {
  let settings: WantedHeartbeat = born;
  const key = Buffer.from(born.key, 'base64');
  const sockets = new Map<boolean, Socket>();
  const wake = { now: () => {} };
  let stopped = false;
  let sequence = 0;
  let complained = '';

  const complain = (sentence: string): void => {
    if (sentence !== complained) log.warn(sentence);
    complained = sentence;
  };

  function socketFor(v6: boolean): Socket {
    let socket = sockets.get(v6);
    if (socket === undefined) {
      socket = createSocket(v6 ? 'udp6' : 'udp4').unref();
      socket.on('error', (error) => complain(`heartbeats: ${error.message}`));
      sockets.set(v6, socket);
    }
    return socket;
  }

  function send(report: Report): void {
    sequence = Math.max(Date.now(), sequence + 1);
    const datagrams = encodeHeartbeat(report, sequence, key);
    for (const receiver of settings.receivers) {
      const colon = receiver.lastIndexOf(':');
      const address = receiver.slice(0, colon).replace(/^\[|\]$/g, '');
      const port = Number(receiver.slice(colon + 1));
      for (const datagram of datagrams) {
        socketFor(isIPv6(address)).send(datagram, port, address, (error) => {
          if (error) complain(`heartbeat to ${receiver}: ${error.message}`);
        });
      }
    }
  }

  async function beat(): Promise<void> {
    let last = '';
    let dueAt = 0;
    while (!stopped) {
      const startedAt = performance.now();
      const woken = new Promise<void>((resolve) => (wake.now = resolve));
      try {
        const report = await observe();
        const news = statuses(report);
        if (news !== last || startedAt >= dueAt) {
          send(report);
          last = news;
          dueAt = startedAt + settings.intervalMs * (0.9 + Math.random() * 0.2);
        }
      } catch (error) {
        log.error({ err: error }, 'no report of HAProxy');
      }
      const tookMs = performance.now() - startedAt;
      const toDueMs = Math.max(0, dueAt - performance.now());
      const looks = Math.max(1, Math.round(toDueMs / Math.max(lookMs, 10 * tookMs)));
      const cut = new AbortController();
      const pause = sleep(toDueMs / looks || Math.min(lookMs, settings.intervalMs), undefined, {
        signal: cut.signal,
        ref: false,
      });
      await Promise.race([pause.catch(() => {}), woken.then(() => (dueAt = 0))]);
      cut.abort();
    }
    for (const socket of sockets.values()) socket.close();
  }
  void beat();

  return {
    now(told = settings) {
      settings = told;
      wake.now();
    },
    stop() {
      stopped = true;
      wake.now();
    },
  };
}
