import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { freshStore, type TestDatabase } from '../../test/database.ts';
import { aLoadBalancer, aTree } from '../../test/trees.ts';
import type { Amphora } from '../lb/amphora.ts';
import { anAmphora } from './amphora.fixture.ts';
import type { Claim, Store } from './store.ts';

let store: Store;
let database: TestDatabase;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ store, database, drop } = await freshStore());
});
afterAll(() => drop());

const long = 600_000;
const claimed = async (owner = 'worker', leaseMs = long) =>
  (await store.work.claim(owner, 1000, leaseMs)) as Claim[];
const patient = { timeout: 30_000, interval: 20 };

afterEach(async () => {
  await sqlOf('truncate work');
});

async function sqlOf(statement: string): Promise<void> {
  const client = new Client(database);
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

describe('a marked key', () => {
  it('is due once, however often it was marked, and for one worker only', async () => {
    await store.work.mark('lb');
    await store.work.mark('lb');
    expect(await claimed('a')).toEqual([{ key: 'lb', owner: 'a', attempt: 0 }]);
    expect(await claimed('b')).toEqual([]);
  });

  it('is shared out among workers that claim at the same time', async () => {
    const keys = Array.from({ length: 60 }, (_, n) => `lb ${n}`);
    await Promise.all(keys.map((key) => store.work.mark(key)));
    const shares = await Promise.all(
      Array.from({ length: 8 }, (_, n) => store.work.claim(`worker ${n}`, 10, long)),
    );
    const taken = shares.flat().map((claim) => claim.key);
    expect(new Set(taken).size).toBe(taken.length);
    const rest = await claimed();
    expect([...taken, ...rest.map((claim) => claim.key)].toSorted()).toEqual(keys.toSorted());
  });

  it('is gone when released', async () => {
    await store.work.mark('lb');
    for (const claim of await claimed()) await store.work.release(claim);
    expect(await claimed()).toEqual([]);
  });

  it('is due again at once when it was marked during the work', async () => {
    await store.work.mark('lb');
    const [claim] = await claimed();
    await store.work.mark('lb');
    expect(await claimed()).toEqual([]);
    await store.work.release(claim as Claim);
    expect(await claimed('next')).toEqual([{ key: 'lb', owner: 'next', attempt: 0 }]);
  });

  it('loses no mark, whenever the mark meets the release', async () => {
    for (let n = 0; n < 40; n++) {
      await store.work.mark('lb');
      const [claim] = await claimed();
      await Promise.all([store.work.release(claim as Claim), store.work.mark('lb')]);
      expect(await claimed()).toHaveLength(1);
      await sqlOf('truncate work');
    }
  });

  it('is not due before its time', async () => {
    await store.work.mark('lb', new Date(Date.now() + long));
    expect(await claimed()).toEqual([]);
    await store.work.mark('lb');
    expect(await claimed()).toHaveLength(1);
  });

  it('keeps the earlier of two times', async () => {
    await store.work.mark('lb');
    await store.work.mark('lb', new Date(Date.now() + long));
    expect(await claimed()).toHaveLength(1);
  });
});

describe('a failed try', () => {
  it('is repeated after a while and counted', async () => {
    await store.work.mark('lb');
    for (let attempt = 0; attempt < 3; attempt++) {
      const claims = await claimed();
      expect(claims).toMatchObject([{ attempt }]);
      await store.work.retry(claims[0] as Claim, 0);
    }
    const [claim] = await claimed();
    await store.work.retry(claim as Claim, long);
    expect(await claimed()).toEqual([]);
    await store.work.mark('lb');
    expect(await claimed()).toMatchObject([{ attempt: 4 }]);
  });

  it('is repeated at once when the key was marked during the work', async () => {
    await store.work.mark('lb');
    const [claim] = await claimed();
    await store.work.mark('lb');
    await store.work.retry(claim as Claim, long);
    expect(await claimed()).toMatchObject([{ attempt: 1 }]);
  });

  it('is forgotten when the key comes to rest', async () => {
    await store.work.mark('lb');
    const [first] = await claimed();
    await store.work.retry(first as Claim, 0);
    const [second] = await claimed();
    await store.work.release(second as Claim);
    await store.work.mark('lb');
    expect(await claimed()).toMatchObject([{ attempt: 0 }]);
  });
});

describe('a lease', () => {
  it('that ran out is taken over, and its former holder can do nothing any more', async () => {
    await store.work.mark('lb');
    const [former] = (await claimed('same name', 0)) as [Claim];
    const [present] = (await claimed('same name')) as [Claim];
    expect(present).toEqual({ key: 'lb', owner: 'same name', attempt: 1 });
    expect(await store.work.renew(former, long)).toBe(false);
    await store.work.release(former);
    await store.work.retry(former, 0);
    expect(await store.work.renew(present, long)).toBe(true);
    expect(await claimed()).toEqual([]);
  });

  it('that is renewed in time is kept', async () => {
    await store.work.mark('lb');
    const [claim] = (await claimed('a', 0)) as [Claim];
    expect(await store.work.renew(claim, long)).toBe(true);
    expect(await claimed('b')).toEqual([]);
  });

  it('of a worker that was killed ends by itself', async () => {
    await store.work.mark('lb');
    const fixture = fileURLToPath(new URL('work-queue.fixture.ts', import.meta.url));
    const { host, database: name, user } = database;
    const doomed = spawn(process.execPath, [fixture, host, name, user, '2000'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [said] = (await once(doomed.stdout, 'data')) as [Buffer];
      expect(said.toString()).toBe('lb\n');
    } finally {
      const gone = once(doomed, 'exit');
      doomed.kill('SIGKILL');
      await gone;
    }
    await vi.waitFor(async () => {
      expect(await claimed('heir')).toEqual([{ key: 'lb', owner: 'heir', attempt: 1 }]);
    }, patient);
  });
});

describe('who listens', () => {
  it('hears marks, also after the connection broke, until it ends', async () => {
    let heard = 0;
    const end = await store.work.listen(() => (heard += 1));
    await store.work.mark('lb');
    await vi.waitFor(() => expect(heard).toBeGreaterThan(0), patient);

    await sqlOf(`select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen%'`);
    const before = heard;
    await vi.waitFor(async () => {
      await store.work.mark('lb');
      expect(heard).toBeGreaterThan(before);
    }, patient);

    await end();
    const after = heard;
    await store.work.mark('lb');
    const another = await store.work.listen(() => (heard += 1000));
    await store.work.mark('lb');
    await vi.waitFor(() => expect(heard).toBeGreaterThanOrEqual(after + 1000), patient);
    expect((heard - after) % 1000).toBe(0);
    await another();
  });
});

describe('what is unfinished', () => {
  it('is marked, unless it waits on the queue already', async () => {
    const lb = async (changes: Parameters<typeof aLoadBalancer>[0], amphora?: Partial<Amphora>) => {
      const id = randomUUID();
      await store.trees.create(aTree({ loadBalancer: aLoadBalancer({ id, generation: 3, ...changes }) }));
      if (amphora) await store.amphorae.save(anAmphora({ id: randomUUID(), loadBalancerId: id, ...amphora }));
      return id;
    };
    const unfinished = [
      await lb({ provisioningStatus: 'PENDING_UPDATE' }),
      await lb({ provisioningStatus: 'ERROR' }),
      await lb({}, { appliedGeneration: 2 }),
      await lb({}, { appliedGeneration: 3, status: 'BOOTING' }),
    ];
    await lb({}, { appliedGeneration: 3 });
    await lb({}, { appliedGeneration: 0, status: 'DELETED' });
    const waiting = await lb({ provisioningStatus: 'PENDING_UPDATE' });
    await sqlOf('truncate work');
    await store.work.mark(waiting, new Date(Date.now() + long));

    expect(await store.work.markUnfinished()).toBe(4);
    expect((await claimed()).map((claim) => claim.key).toSorted()).toEqual(unfinished.toSorted());
    expect(await store.work.markUnfinished()).toBe(0);
  });
});
