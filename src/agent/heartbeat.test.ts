import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { makeLog } from '../platform/log.ts';
import type { Report } from '../wire/report.ts';
import { type Heartbeat, startHeartbeat } from './heartbeat.ts';

const nothing: Report = { amphoraId: '0', generation: 0, listeners: {}, pools: {} };

describe('the heartbeat of an amphora', () => {
  let busy: boolean;
  let looks: number;
  let heartbeat: Heartbeat | undefined;

  beforeEach(() => {
    vi.useFakeTimers();
    [busy, looks] = [false, 0];
  });
  afterEach(() => {
    heartbeat?.stop();
    vi.useRealTimers();
  });

  function start(intervalMs: number): void {
    heartbeat = startHeartbeat({
      born: { receivers: [], intervalMs, key: '' },
      observe: async () => {
        looks += 1;
        return nothing;
      },
      busy: () => busy,
      log: makeLog('heartbeat'),
    });
  }

  async function looksIn(seconds: number): Promise<number> {
    const before = looks;
    await vi.advanceTimersByTimeAsync(seconds * 1000);
    return looks - before;
  }

  it('looks every second, or every interval when that is shorter', async () => {
    start(10_000);
    expect(await looksIn(60)).toBeCloseTo(60, -1);
    heartbeat?.now({ receivers: [], intervalMs: 200 });
    expect(await looksIn(60)).toBeGreaterThan(250);
  });

  it('looks every three seconds as long as HAProxy is busy', async () => {
    start(1000);
    busy = true;
    await looksIn(5);
    expect(await looksIn(60)).toBe(20);
    busy = false;
    await looksIn(5);
    expect(await looksIn(60)).toBeCloseTo(60, -1);
  });

  it('beats within three intervals however busy HAProxy is', async () => {
    start(200);
    busy = true;
    expect(await looksIn(60)).toBeGreaterThanOrEqual(100);
  });

  it('looks at once after a change, busy or not', async () => {
    start(1000);
    busy = true;
    await looksIn(5);
    heartbeat?.now();
    expect(await looksIn(0.001)).toBe(1);
  });

  it('tells receivers that are new at once, news or not', async () => {
    const receiver = createSocket('udp4').bind(0, '127.0.0.1');
    await once(receiver, 'listening');
    const told = once(receiver, 'message');
    start(10_000);
    await looksIn(2);
    heartbeat?.now({ receivers: [`127.0.0.1:${receiver.address().port}`], intervalMs: 10_000 });
    await looksIn(0.001);
    await told;
    receiver.close();
  });
});
