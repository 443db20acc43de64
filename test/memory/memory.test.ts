import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { aCertificate, aTls } from '../../src/plan/haproxy/wanted.fixture.ts';
import { killsWithoutBound, slowReadersAtReload, slowReadersTwice } from './own-network.ts';
import {
  bigConfiguration,
  heldByThree,
  manyReloads,
  type Measured,
  theReport,
  upstreamReloads,
} from './scenarios.ts';

/** The small half of `npm run bench:memory`: an amphora of 256 MiB, and the formulas that this project comes from. */

const limitBytes = 256 * 1024 ** 2;
/** Version 2 of cgroups counts TCP's buffers as the group's memory. */
const tcpInside = existsSync('/sys/fs/cgroup/cgroup.controllers');

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

  it('when it is reloaded while its listener is full of slow TLS clients, whose buffers in the kernel are bounded', async () => {
    const measured = await slowReadersAtReload(limitBytes, 300);
    survives(measured);
    expect(measured.maxconn).toBeGreaterThanOrEqual(100);
    expect(measured.connections).toBe(Math.min(measured.maxconn, 300) - 1);
    expect(measured.tcpPeakBytes).toBeGreaterThan(0);
    if (tcpInside) {
      expect(measured.tcpPeakBytes).toBeLessThan(measured.connections * 144 * 1024);
      return;
    }
    // The kernel stops at 8 % of the limit, except for the first packet to and from each member and client: without
    // that bound each of them takes 2 MiB.
    expect(measured.tcpLimitBytes).toBe(Math.floor((limitBytes * 0.08) / 4096) * 4096);
    expect(measured.tcpPeakBytes).toBeLessThan(limitBytes * 0.08 + 300 * 128 * 1024);
  });

  it('when the worker before a reload and the one after it are full of them', async () => {
    const measured = await slowReadersTwice(limitBytes, 2500);
    survives(measured);
    expect(measured.connections).toBe(2 * (measured.maxconn - 1));
  });

  it.runIf(tcpInside)(
    'by that bound: with the buffers of the kernel fewer of them bring a kill',
    async () => {
      expect(await killsWithoutBound(limitBytes, 190)).toBeGreaterThan(0);
    },
  );
});

describe('a reload of a big configuration', () => {
  it('takes hardly more memory than there was before it, with as many old workers as may live', async () => {
    const tls = aTls([aCertificate('www.example.com')], { alpn: [] });
    const measured = await bigConfiguration(1024 ** 3, tls, 10_000);
    expect(measured).toMatchObject({ oomKills: 0, serves: true, connections: 6 });
    expect(measured.lastReloadPeakBytes).toBeLessThan(1.15 * measured.steadyBytes);
  });
});

describe('old workers keep their connections', () => {
  it('as long as they have no more together than one worker may have, and no more than R of them live', async () => {
    expect(await heldByThree(50)).toEqual([0, 50, 50]);
  });

  it('the youngest alone, when together they have more', async () => {
    expect(await heldByThree(100)).toEqual([0, 0, 100]);
  });
});
