import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StatRow } from './haproxy/socket.ts';
import { countersFor, heard, noTraffic } from './traffic.ts';

const row = (total: number): StatRow => ({
  proxy: 'listener',
  service: 'FRONTEND',
  status: 'OPEN',
  weight: 0,
  current: 0,
  most: 0,
  limit: 0,
  total,
  bytesIn: total * 10,
  bytesOut: total * 20,
  requestErrors: 0,
});

describe('the counters of a listener', () => {
  it('never go back and lose nothing that was heard, however workers come, go and fall silent', () => {
    const step = fc.record({
      worker: fc.nat(3),
      more: fc.nat(100),
      event: fc.constantFrom('counts', 'is silent', 'ends', 'all end'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const live = new Map<number, number>();
        let [traffic, expected, born] = [noTraffic, 0, 0];
        for (const { worker, more, event } of steps) {
          if (event === 'all end') live.clear();
          if (event === 'ends') live.delete([...live.keys()][worker] ?? -1);
          if (event === 'counts') {
            const pid = [...live.keys()][worker] ?? (born += 1);
            live.set(pid, (live.get(pid) ?? 0) + more);
            expected += more;
          }
          const answers =
            event === 'is silent' ? [] : [...live].map(([pid, total]) => [pid, [row(total)]] as const);
          traffic = heard(traffic, [...live.keys()], new Map(answers));
          expect(countersFor(traffic, 'listener')).toEqual({
            totalConnections: expected,
            bytesIn: expected * 10,
            bytesOut: expected * 20,
            requestErrors: 0,
          });
        }
      }),
    );
  });

  it('stay when a stopping worker no longer lists the listener', () => {
    const before = heard(noTraffic, [1], new Map([[1, [row(5)]]]));
    const after = heard(
      before,
      [2, 1],
      new Map([
        [2, [row(1)]],
        [1, []],
      ]),
    );
    expect(countersFor(after, 'listener').totalConnections).toBe(6);
  });
});
