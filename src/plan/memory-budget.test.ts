import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BudgetInput, type ConnectionKind, memoryBudget, worstCaseBytes } from './memory-budget.ts';
import { workerBytesOf } from './worker-memory.ts';

const miB = 1024 * 1024;
const giB = 1024 * miB;

function input(changes: Partial<BudgetInput> = {}): BudgetInput {
  return {
    limitBytes: giB,
    reservedBytes: 96 * miB,
    tcpInside: false,
    fileLimit: 1_048_576,
    version: '2.6.12-1+deb12u4',
    threads: 1,
    certificates: 1,
    servers: 10,
    tlsServers: 0,
    ringWeight: 0,
    l7Rules: 0,
    stickEntries: 0,
    listeners: [{ id: 'l1', kind: 'terminated', connectionLimit: -1, binds: 1 }],
    ...changes,
  };
}

const anyInput: fc.Arbitrary<BudgetInput> = fc.record({
  limitBytes: fc.oneof(
    fc.integer({ min: 256, max: 4096 }).map((n) => n * miB),
    fc.integer({ min: 1, max: 1024 }).map((n) => n * giB),
  ),
  reservedBytes: fc.integer({ min: 0, max: 128 }).map((n) => n * miB),
  tcpInside: fc.boolean(),
  fileLimit: fc.integer({ min: 1024, max: 4_000_000 }),
  version: fc.constantFrom('2.6.12', '3.0.0', '3.2.0', '3.4.0-64a335366', 'unknown'),
  threads: fc.integer({ min: 1, max: 64 }),
  certificates: fc.integer({ min: 0, max: 2000 }),
  servers: fc.integer({ min: 0, max: 20_000 }),
  tlsServers: fc.integer({ min: 0, max: 20_000 }),
  ringWeight: fc.integer({ min: 0, max: 5_000_000 }),
  l7Rules: fc.integer({ min: 0, max: 5000 }),
  stickEntries: fc.integer({ min: 0, max: 1_000_000 }),
  listeners: fc.array(
    fc.record({
      id: fc.uuid(),
      kind: fc.constantFrom<ConnectionKind>('plain', 'terminated', 'reencrypted'),
      connectionLimit: fc.integer({ min: -1, max: 2_000_000 }),
      binds: fc.integer({ min: 1, max: 4 }),
    }),
    { maxLength: 20 },
  ),
});

describe('the memory budget', () => {
  it('holds for every amphora from 256 MiB to 1 TiB and every configuration that it accepts', () => {
    fc.assert(
      fc.property(anyInput, (given) => {
        const budget = memoryBudget(given);
        if (!budget.fits) return;
        expect(worstCaseBytes(budget)).toBeLessThanOrEqual(given.limitBytes);
        expect(budget.maxconn * 2 + given.servers).toBeLessThan(given.fileLimit);
        for (const maxconn of budget.listenerMaxconn.values()) {
          expect(maxconn).toBeGreaterThan(0);
          expect(maxconn).toBeLessThanOrEqual(budget.maxconn);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('serves a plain configuration in the smallest amphora', () => {
    const budget = memoryBudget(input({ limitBytes: 256 * miB }));
    expect(budget.fits).toBe(true);
    expect(budget.maxconn).toBeGreaterThan(400);
  });

  it('counts TCP of every connection where the kernel does not bound all of it', () => {
    for (const limitBytes of [256 * miB, giB]) {
      const [bounded, inside] = [false, true].map((tcpInside) =>
        memoryBudget(input({ limitBytes, tcpInside })),
      );
      expect(bounded?.terms.tcpBytes).toBe(Math.floor(0.08 * limitBytes));
      expect(inside?.fits).toBe(true);
      expect(inside?.terms.tcpBytes).toBe(2 * (inside?.maxconn ?? 0) * 144 * 1024);
      expect(inside?.maxconn).toBeLessThan(bounded?.maxconn ?? 0);
    }
  });

  it('gives the default limit in full where there is room, without a warning', () => {
    const budget = memoryBudget(input({ limitBytes: 32 * giB }));
    expect(budget.listenerMaxconn.get('l1')).toBe(50_000);
    expect(budget.warnings).toEqual([]);
  });

  it('leaves limits room to grow without a reload, where there is room', () => {
    const bound = (connectionLimit: number, limitBytes = 4 * giB) =>
      memoryBudget(input({ limitBytes, listeners: [{ id: 'l1', kind: 'plain', connectionLimit, binds: 1 }] }))
        .maxconn;
    expect([100, 3000, 4096, 12_000].map((limit) => bound(limit))).toEqual([4096, 4096, 8192, 16_384]);
    expect(bound(100, 256 * miB)).toBe(bound(900_000, 256 * miB));
  });

  it('caps a connection limit that does not fit, and says so', () => {
    const budget = memoryBudget(
      input({ listeners: [{ id: 'l1', kind: 'terminated', connectionLimit: 900_000, binds: 1 }] }),
    );
    expect(budget.listenerMaxconn.get('l1')).toBe(budget.maxconn);
    expect(budget.maxconn).toBeLessThan(20_000);
    expect(budget.warnings).toEqual([
      { id: 'l1', text: expect.stringMatching(/^connection limit 900000 capped to \d+: 1024 MiB/) },
    ]);
  });

  it('caps by open files where they are fewer than the memory would carry', () => {
    const budget = memoryBudget(input({ limitBytes: 32 * giB, fileLimit: 20_000 }));
    expect(budget.maxconn).toBeLessThan(10_000);
    expect(budget.warnings[0]?.text).toContain('open files');
  });

  it('moves no bound with every member, for that would be a reload: not by memory, and not by open files', () => {
    for (const fileLimit of [20_000, 1_048_576]) {
      const bounds = [10_000, 10_001, 10_100, 10_239].map(
        (servers) => memoryBudget(input({ limitBytes: 2 * giB, fileLimit, servers })).maxconn,
      );
      expect(new Set(bounds).size).toBe(1);
    }
  });

  it('keeps the session cache and the number of old workers where they are, whatever is configured', () => {
    fc.assert(
      fc.property(anyInput, anyInput, (one, other) => {
        const first = memoryBudget(one);
        const second = memoryBudget({ ...other, limitBytes: one.limitBytes });
        expect(first.cacheSize).toBe(20_000);
        expect(second.maxReloads).toBe(first.maxReloads);
      }),
      { numRuns: 100 },
    );
  });

  it('counts for a worker what was measured of its version and threads, at least', () => {
    const empty = { certificates: 0, servers: 0, tlsServers: 0, ringWeight: 0, l7Rules: 0, stickEntries: 0 };
    const measuredKiB = {
      '2.6.12-1+deb12u4': { 1: 3921, 2: 4209, 8: 6233, 64: 22_449 },
      // By itself, on Debian 13: what a worker shares with its master is in it.
      '3.0.11-1+deb13u4': { 1: 10_012, 2: 10_108, 8: 12_416, 64: 28_428 },
      '3.0.0': { 1: 4140, 2: 4398, 8: 5444, 64: 13_713 },
      '3.2.0': { 1: 6200, 2: 6162, 8: 7358, 64: 15_536 },
      '3.4.0-64a335366': { 1: 9470, 2: 9546, 8: 10_716, 64: 19_254 },
    };
    for (const [version, byThreads] of Object.entries(measuredKiB)) {
      for (const [threads, measured] of Object.entries(byThreads)) {
        const counted = workerBytesOf({ ...empty, version, threads: Number(threads) });
        expect(counted).toBeGreaterThan(measured * 1024);
        expect(workerBytesOf({ ...empty, version: 'unknown', threads: Number(threads) })).toBeGreaterThan(
          measured * 1024,
        );
      }
    }
  });

  it('says in a sentence what does not fit', () => {
    const budget = memoryBudget(input({ limitBytes: 256 * miB, servers: 20_000 }));
    expect(budget.fits).toBe(false);
    expect(budget.sentence).toBe('256 MiB of memory are not enough for 20000 servers and 1 certificates');
    expect(memoryBudget(input({ stickEntries: 10_000_000 })).sentence).toContain(
      'with 10000000 entries of stick tables',
    );
  });
});
