import fc from 'fast-check';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  aCertificate,
  aListener,
  aMember,
  aMonitor,
  aPool,
  aTls,
  aWanted,
  id,
} from '../../plan/haproxy/wanted.fixture.ts';
import type { WantedAmphora } from '../../wire/wanted.ts';
import { AgentUnderTest, freePort, get, testMember, type TestMember } from '../agent.fixture.ts';
import { ask, parseStat } from '../haproxy/socket.ts';

const names = ['one', 'two'];
const certificates = [aCertificate('www.example.com'), aCertificate('www.example.com')] as const;
const monitor = aMonitor({ delay: 1, timeout: 1, rise: 1, fall: 2 });
let members: readonly TestMember[];

beforeAll(async () => {
  members = await Promise.all(names.map(testMember));
});
afterAll(() => members.forEach((member) => member.close()));

/** Two listeners, the second with TLS, that share a pool. */
const anyWish = fc.record({
  enabled: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
  listeners: fc.subarray([1, 2]),
  members: fc.subarray([0, 1], { minLength: 1 }),
  monitored: fc.boolean(),
  certificate: fc.constantFrom(0 as const, 1 as const),
  limit: fc.constantFrom(50, 100, 1000),
});
type Wish = typeof anyWish extends fc.Arbitrary<infer T> ? T : never;

const wantedOf = (wish: Wish, ports: readonly number[], generation: number): WantedAmphora => {
  const tls = aTls([certificates[wish.certificate]], { alpn: [] });
  const wanted = aWanted({
    generation,
    listeners: wish.listeners.map((n) =>
      aListener(n, {
        ...{ port: ports[n - 1] ?? 0, defaultPoolId: id('p', 1), connectionLimit: wish.limit },
        ...(n === 2 ? { protocol: 'TERMINATED_HTTPS', tls } : {}),
      }),
    ),
    pools: [
      aPool(1, {
        healthMonitor: wish.monitored ? monitor : null,
        members: wish.members.map((n) => aMember(n, { address: '127.0.0.1', port: members[n]?.port ?? 0 })),
      }),
    ],
  });
  return { ...wanted, loadBalancer: { ...wanted.loadBalancer, enabled: wish.enabled } };
};

describe('any series of listeners, members, monitors, certificates and limits that come and go', () => {
  it('serves exactly what is wished, with a reload only for what HAProxy has not had since the last', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyWish, { minLength: 8, maxLength: 12 }), async (series) => {
        const agent = await AgentUnderTest.start();
        try {
          const ports = [await freePort(), await freePort()];
          const stats = join(agent.run, 'haproxy/stats.sock');
          const all = { enabled: true, listeners: [1, 2], members: [0], monitored: true };
          const first: Wish = { ...all, certificate: 0, limit: 100 };
          await agent.put(wantedOf(first, ports, 1));
          for (const [n, wish] of series.entries()) {
            const outcome = await agent.put(wantedOf(wish, ports, n + 2));
            expect(outcome.refused).toEqual([]);
            if (outcome.change === 'reload') {
              // What HAProxy was not loaded with, or a member that is back before its last connection has ended.
              const reasons = /^a listener came|^default-server|^timeout check|Already exists a server/;
              expect(outcome.why).toMatch(reasons);
            }
            const served = wish.enabled ? wish.listeners : [];
            for (const listener of [1, 2]) {
              const answer = await get(ports[listener - 1] ?? 0, '/', listener === 2);
              const expected = served.includes(listener)
                ? wish.members.map((one) => names[one])
                : ['refused'];
              expect(expected).toContain(answer);
            }
            const { listeners, pools } = (await agent.status()).report;
            expect(Object.keys(listeners).toSorted()).toEqual(served.map((one) => id('l', one)));
            const state = served.length === 0 ? undefined : wish.monitored ? 'UP' : 'NO_CHECK';
            // One that is gone may be shown while its last connections live.
            for (const one of wish.members) {
              expect(pools[id('p', 1)]?.members[id('m', one)]).toBe(state);
            }
            const rows = parseStat(await ask(stats, 'show stat'));
            for (const one of served) {
              expect(rows.find(({ proxy }) => proxy === id('l', one))?.limit).toBe(wish.limit);
            }
          }
        } finally {
          await agent.remove();
        }
      }),
      { numRuns: 4, endOnFailure: true },
    );
  }, 240_000);
});
