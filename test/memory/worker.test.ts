import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { freePort } from '../../src/agent/agent.fixture.ts';
import { ask } from '../../src/agent/haproxy/socket.ts';
import { haproxyVersion } from '../../src/agent/haproxy/version.ts';
import { demandOf } from '../../src/plan/haproxy/demand.ts';
import { renderHaproxy } from '../../src/plan/haproxy/render.ts';
import {
  aBackendTls,
  aCertificate,
  aListener,
  aMember,
  aMonitor,
  aPool,
  aTls,
  aWanted,
  id,
} from '../../src/plan/haproxy/wanted.fixture.ts';
import { memoryBudget } from '../../src/plan/memory-budget.ts';
import { abilitiesOf } from '../../src/plan/runtime/abilities.ts';
import type { WantedListener, WantedPool } from '../../src/wire/wanted.ts';

/** The bytes that HAProxy alone has once it serves this, and what the budget counts for such a worker. */
async function worker(threads: number, pool: Partial<WantedPool>, listener: Partial<WantedListener> = {}) {
  const run = await mkdtemp(join(tmpdir(), 'worker-'));
  const version = await haproxyVersion('haproxy');
  const wanted = aWanted({
    listeners: [aListener(1, { port: await freePort(), defaultPoolId: id('p', 1), ...listener })],
    pools: [aPool(1, pool)],
  });
  const machine = { limitBytes: 2 ** 36, reservedBytes: 0, tcpInside: false, fileLimit: 1_048_576 };
  const budget = memoryBudget({ ...machine, version, threads, ...demandOf(wanted), running: 4096 });
  const paths = {
    ...{ statsSocket: join(run, 'stats.sock'), serverState: join(run, 'state'), pingCheck: '/bin/true' },
    ...{ exporterSocket: join(run, 'e.sock'), metricsSocket: join(run, 'm.sock'), user: null },
  };
  const rendered = renderHaproxy(wanted, budget, paths, abilitiesOf(version));
  for (const [path, content] of [
    ...rendered.files,
    ['state', '1\n'],
    ['haproxy.cfg', rendered.text],
  ] as const) {
    await mkdir(dirname(join(run, path)), { recursive: true });
    await writeFile(join(run, path), content);
  }
  const haproxy = spawn('haproxy', ['-db', '-C', run, '-f', 'haproxy.cfg'], { stdio: 'ignore' });
  try {
    while (!(await ask(paths.statsSocket, 'show info').catch(() => '')).includes('Pid:')) {
      if (haproxy.exitCode !== null) throw new Error('HAProxy ended');
      await sleep(20);
    }
    const text = await readFile(`/proc/${haproxy.pid}/smaps_rollup`, 'utf8');
    const kiB = [...text.matchAll(/^Private_\w+:\s+(\d+) kB$/gm)].map(([, number]) => Number(number));
    const { workerBytes, cacheBytes } = budget.terms;
    return { bytes: kiB.reduce((sum, one) => sum + one, 0) * 1024, counted: workerBytes + cacheBytes };
  } finally {
    haproxy.kill('SIGKILL');
    await rm(run, { recursive: true });
  }
}

const members = (count: number, weight = 1) =>
  Array.from({ length: count }, (_, n) =>
    aMember(n + 1, { address: `127.1.${n >> 8}.${n & 255}`, port: 9, weight }),
  );

describe('a worker takes no more than the budget counts for it', () => {
  for (const threads of [1, 8, 32]) {
    it(`with ${threads} threads: empty, and with members that are checked, or spoken to in TLS`, async () => {
      for (const pool of [
        {},
        { members: members(1000), healthMonitor: aMonitor({ delay: 600 }) },
        { members: members(300), tls: aBackendTls() },
      ]) {
        const { bytes, counted } = await worker(threads, pool);
        expect(bytes).toBeLessThan(counted);
      }
    });
  }

  it('with members on a ring, by the highest weight there is', async () => {
    const { bytes, counted } = await worker(2, { algorithm: 'SOURCE_IP', members: members(100, 256) });
    expect(bytes).toBeLessThan(counted);
    expect(bytes).toBeGreaterThan(counted / 2);
  });

  it('with certificates', async () => {
    const one = aCertificate('www.example.com');
    const certificates = Array.from({ length: 300 }, (_, n) => ({ ...one, name: `${n}`.padStart(64, '0') }));
    const tls = aTls(certificates, { alpn: [] });
    const { bytes, counted } = await worker(2, {}, { protocol: 'TERMINATED_HTTPS', tls });
    expect(bytes).toBeLessThan(counted);
  });
});
