import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { aListener, aMember, aPool, aWanted, id } from '../../plan/haproxy/wanted.fixture.ts';
import type { WantedListener, WantedPool } from '../../wire/wanted.ts';
import { AgentUnderTest, freePort, textOf, testMember, type TestMember } from '../agent.fixture.ts';

const names = ['one', 'two', 'three', 'four'];
let servers: TestMember[];
let agent: AgentUnderTest;
let port: number;
let generation = 0;

beforeAll(async () => {
  servers = await Promise.all(names.map(testMember));
});
afterAll(() => servers.forEach((server) => server.close()));
beforeEach(async () => {
  [agent, port] = [await AgentUnderTest.start(), await freePort()];
});
afterEach(() => agent.remove());

const put = (pool: Partial<WantedPool>, members: readonly number[], listener: Partial<WantedListener> = {}) =>
  agent.put(
    aWanted({
      generation: (generation += 1),
      listeners: [aListener(1, { port, defaultPoolId: id('p', 1), ...listener })],
      pools: [
        aPool(1, {
          ...pool,
          members: members.map((n) => aMember(n, { address: '127.0.0.1', port: servers[n]?.port ?? 0 })),
        }),
      ],
    }),
  );

async function asks(options: { localAddress?: string; cookie?: string } = {}) {
  const headers = options.cookie === undefined ? {} : { cookie: options.cookie };
  const asked = request({ host: '127.0.0.1', port, agent: false, ...options, headers }).end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  return { name: await textOf(answer), cookie: answer.headers['set-cookie']?.[0]?.split(';')[0] };
}

describe('clients that are told apart by their address', () => {
  const pool: Partial<WantedPool> = { algorithm: 'SOURCE_IP' };
  const clients = Array.from({ length: 60 }, (_, n) => `127.0.7.${n + 1}`);
  const chosen = () => Promise.all(clients.map(async (localAddress) => (await asks({ localAddress })).name));

  it('are spread over all members that were added without a reload', async () => {
    await put(pool, [0]);
    for (const members of [
      [0, 1],
      [0, 1, 2],
      [0, 1, 2, 3],
    ]) {
      expect(await put(pool, members)).toMatchObject({ change: 'runtime' });
    }
    expect([...new Set(await chosen())].toSorted()).toEqual(names.toSorted());
  });

  it('keep their member when another goes, at run time and at the reload after it', async () => {
    await put(pool, [0, 1, 2]);
    const before = await chosen();
    const kept = (after: readonly string[]) => after.filter((_, n) => before[n] !== 'one');
    expect(await put(pool, [1, 2])).toMatchObject({ change: 'runtime' });
    const without = await chosen();
    expect(kept(without)).toEqual(kept(before));
    expect(await put(pool, [1, 2], { timeoutClientData: 7000 })).toMatchObject({ change: 'reload' });
    expect(await chosen()).toEqual(without);
  });
});

describe('a client with a cookie', () => {
  const sessionPersistence: WantedPool['sessionPersistence'] = {
    type: 'HTTP_COOKIE',
    cookieName: null,
    persistenceTimeout: null,
    persistenceGranularity: null,
  };

  /** The cookie of each member that answers, by its name. */
  async function given(tries: number): Promise<Map<string, string>> {
    const cookies = new Map<string, string>();
    for (let n = 0; n < tries; n += 1) {
      const { name, cookie = 'none' } = await asks();
      cookies.set(name, cookie);
    }
    return cookies;
  }
  async function expectToStay(cookies: ReadonlyMap<string, string>): Promise<void> {
    for (let n = 0; n < 3; n += 1) {
      for (const [name, cookie] of cookies) expect((await asks({ cookie })).name).toBe(name);
    }
  }

  it('stays with a member that was added without a reload, also after a reload and when it left between', async () => {
    await put({ sessionPersistence }, [0]);
    expect(await put({ sessionPersistence }, [0, 1])).toMatchObject({ change: 'runtime' });
    const cookies = await given(4);
    expect([...cookies.keys()].toSorted()).toEqual(['one', 'two']);
    await expectToStay(cookies);
    expect(await put({ sessionPersistence }, [0])).toMatchObject({ change: 'runtime' });
    expect(await given(2)).toEqual(new Map([['one', cookies.get('one')]]));
    expect(await put({ sessionPersistence }, [0, 1])).toMatchObject({ change: 'runtime' });
    await expectToStay(cookies);
    const other = { timeoutClientData: 7000 };
    expect(await put({ sessionPersistence }, [0, 1], other)).toMatchObject({ change: 'reload' });
    await expectToStay(cookies);
  });
});
