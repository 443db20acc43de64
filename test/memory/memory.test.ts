import { describe, expect, it } from 'vitest';
import { fullOfSlowReaders, manyReloads, type Measured, theReport, upstreamReloads } from './scenarios.ts';

/** The small half of `npm run bench:memory`: an amphora of 256 MiB, and the formulas that this project comes from. */

const limitBytes = 256 * 1024 ** 2;

function survives(measured: Measured): void {
  expect(measured.oomKills).toBe(0);
  expect(measured.serves).toBe(true);
  expect(measured.peakBytes).toBeLessThanOrEqual(measured.budgetBytes);
  expect(measured.budgetBytes).toBeLessThanOrEqual(limitBytes);
}

describe('the formulas of bug 2119987, in a real memory group', () => {
  it('before the fix: the first reload is killed', async () => {
    const measured = await upstreamReloads('before its fix', limitBytes, { changes: 3, longLived: 0 });
    expect(measured).toMatchObject({ killedAt: 1 });
    expect(measured.oomKills).toBeGreaterThan(0);
  });

  it('after the fix: two long-lived connections, and the second reload is killed', async () => {
    const measured = await upstreamReloads('after its fix', limitBytes, { changes: 4, longLived: 1 });
    expect(measured).toMatchObject({ killedAt: 2 });
    expect(measured.oomKills).toBeGreaterThan(0);
  });
});

describe('an amphora of 256 MiB is never out of memory', () => {
  it('when it does what the report did', async () => {
    survives(await theReport(limitBytes));
  });

  it('when it is reloaded fifty times with long-lived connections across each', async () => {
    const measured = await manyReloads(limitBytes, 50);
    survives(measured);
    expect(measured.reloads).toBe(50);
  });

  it('when it is reloaded while its listener is full of slow TLS clients', async () => {
    const measured = await fullOfSlowReaders(limitBytes, 500);
    survives(measured);
    expect(measured.connections).toBe(499);
  });
});
