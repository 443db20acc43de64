import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Log } from '../platform/log.ts';
import type { Boot } from '../wire/boot.ts';
import { encodeHeartbeat } from '../wire/heartbeat.ts';
import type { Report } from '../wire/report.ts';
import type { WantedHeartbeat } from '../wire/wanted.ts';
import { statuses } from './report.ts';

/** Statuses are looked at about this often, or every interval when that is shorter. Each look costs clients a little. */
const lookMs = 1000;
/**
 * At most so often while HAProxy has much to do. Looked at every second, the 99th percentile of its clients was
 * 1.076 of that without an agent, and 1.003 every three (20 rounds of 6 s, 32 clients, one CPU).
 */
const busyLookMs = 3000;
/** Not so long that who waits for heartbeats takes the amphora for dead. */
const longestBusyIntervals = 3;

export interface Heartbeat {
  /** A beat at once, with what is true now; from now on as said. */
  readonly now: (told?: WantedHeartbeat) => void;
  readonly stop: () => void;
}

export interface HeartbeatOptions {
  /** Until it is told otherwise. */
  readonly born: Boot['heartbeat'];
  readonly observe: () => Promise<Report>;
  /** Whether each look makes clients wait: up to three intervals are one then. */
  readonly busy: () => boolean;
  readonly log: Log;
}

/** A report to every receiver each interval, give or take a tenth, and at once when a status changes. */
export function startHeartbeat({ born, observe, busy, log }: HeartbeatOptions): Heartbeat {
  let settings: WantedHeartbeat = born;
  const key = Buffer.from(born.key, 'base64');
  const sockets = new Map<boolean, Socket>();
  /** Somebody wants a beat at once. */
  let hurry = false;
  let endPause = (): void => {};
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

  async function pause(ms: number): Promise<void> {
    if (hurry) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  function hasten(): void {
    hurry = true;
    endPause();
  }

  async function beat(): Promise<void> {
    let last = '';
    let dueAt = 0;
    /** The next look is to be told, news or not. Not by the clock then: timers come a little early. */
    let due = true;
    while (!stopped) {
      const startedAt = performance.now();
      if (hurry) due = true;
      hurry = false;
      try {
        const report = await observe();
        const news = statuses(report);
        if (news !== last || due) {
          send(report);
          last = news;
          dueAt = startedAt + settings.intervalMs * (0.9 + Math.random() * 0.2);
        }
      } catch (error) {
        log.error({ err: error }, 'no report of HAProxy');
      }
      const tookMs = performance.now() - startedAt;
      const toDueMs = Math.max(0, dueAt - performance.now());
      const restMs = busy() ? Math.min(busyLookMs, longestBusyIntervals * settings.intervalMs) : 0;
      const looks = Math.max(1, Math.round(toDueMs / Math.max(lookMs, restMs, 10 * tookMs)));
      due = looks === 1;
      const pauseMs = toDueMs / looks || Math.min(lookMs, settings.intervalMs);
      await pause(Math.max(restMs, pauseMs));
    }
    for (const socket of sockets.values()) socket.close();
  }
  void beat();

  return {
    now(told = settings) {
      settings = told;
      hasten();
    },
    stop() {
      stopped = true;
      hasten();
    },
  };
}
