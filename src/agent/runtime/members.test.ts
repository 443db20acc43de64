import { execFile } from 'node:child_process';
import fc from 'fast-check';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { aListener, aMember, aMonitor, aPool, aWanted, id } from '../../plan/haproxy/wanted.fixture.ts';
import { serverName } from '../../plan/haproxy/server-names.ts';
import type { WantedListener, WantedMember, WantedPool } from '../../wire/wanted.ts';
import {
  AgentUnderTest,
  eventually,
  freePort,
  get,
  textOf,
  testMember,
  type TestMember,
} from '../agent.fixture.ts';
import { ask } from '../haproxy/socket.ts';
import { agentPaths } from '../paths.ts';
import { parseServers } from '../haproxy/servers.ts';

const names = ['one', 'two', 'three', 'four'];
let servers: TestMember[];
let agent: AgentUnderTest;
let port: number;
let generation: number;

beforeAll(async () => {
  servers = await Promise.all(names.map(testMember));
});
afterAll(() => servers.forEach((server) => server.close()));
beforeEach(start);
afterEach(() => agent.remove());

async function start(env?: NodeJS.ProcessEnv): Promise<void> {
  [agent, port, generation] = [await AgentUnderTest.start(env), await freePort(), 0];
}

const member = (n: number, changes: Partial<WantedMember> = {}): WantedMember =>
  aMember(n, { address: '127.0.0.1', port: servers[n]?.port ?? 0, ...changes });

const put = (
  members: readonly WantedMember[],
  pool: Partial<WantedPool> = {},
  listener: Partial<WantedListener> = {},
) => {
  generation += 1;
  return agent.put(
    aWanted({
      generation,
      listeners: [aListener(1, { port, defaultPoolId: id('p', 1), connectionLimit: 100, ...listener })],
      pools: [aPool(1, { ...pool, members: [...members] })],
    }),
  );
};

const workers = async () => {
  const { memory } = await agent.status();
  return memory.haproxy.filter(({ role }) => role !== 'master').map(({ pid }) => pid);
};
const running = async () =>
  parseServers(await ask(join(agent.run, 'haproxy/stats.sock'), 'show servers state')).map(
    ({ name, address, port: on, weight, maint }) => ({ name, target: `${address}:${on}`, weight, maint }),
  );
/** What the servers would be after a restart. */
const written = async () => {
  const text = await readFile(join(agent.run, 'haproxy/current/haproxy.cfg'), 'utf8');
  return [...text.matchAll(/^ +server (\S+) (\S+) weight (\d+)(.*)$/gm)].map(
    ([, name = '', target = '', weight, options = '']) => ({
      name,
      target,
      weight: Number(weight),
      maint: options.includes(' disabled'),
    }),
  );
};
const byName = <T extends { name: string }>(list: readonly T[]): T[] =>
  list.toSorted((a, b) => a.name.localeCompare(b.name));

/** Who is to answer: the members that are on, backups only when no other is. */
function expected(members: readonly WantedMember[]): string[] {
  const on = members.filter(({ enabled, weight }) => enabled && weight > 0);
  const active = on.filter(({ backup }) => !backup);
  const who = active.length > 0 ? active : on;
  return who.map((one) => names.find((_, n) => one.id === id('m', n)) ?? '').toSorted();
}

/**
 * Who answers to 8 requests, or to as many more until all of those have: HAProxy lets a member wait whose weight has
 * changed, or that has come back; 41 requests were seen.
 */
async function answers(...who: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (let n = 0; n < 8 || (n < 400 && !who.every((one) => found.has(one))); n += 1)
    found.add(await get(port));
  return [...found].toSorted();
}

async function slowAnswer(): Promise<IncomingMessage> {
  const asked = request({ host: '127.0.0.1', port, path: '/slow', agent: false }).end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  return answer;
}

const anyMembers = fc
  .array(
    fc.option(
      fc.record({ weight: fc.integer({ min: 0, max: 2 }), enabled: fc.boolean(), backup: fc.boolean() }),
    ),
    {
      minLength: 4,
      maxLength: 4,
    },
  )
  .map((list) => list.flatMap((one, n) => (one === null ? [] : [{ n, ...one }])));

describe('any series of changes to members', () => {
  it.each([
    ['ROUND_ROBIN', {}],
    ['ROUND_ROBIN', { healthMonitor: aMonitor({ type: 'TCP', delay: 1, timeout: 1, rise: 1, fall: 2 }) }],
    ['LEAST_CONNECTIONS', { protocol: 'PROXY' }],
    ['SOURCE_IP', {}],
  ] as const)(
    'of a pool with %s %j takes no reload, and running state and files agree',
    async (algorithm, more) => {
      await agent.remove();
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ members: anyMembers, reload: fc.nat(4) }), { minLength: 3, maxLength: 7 }),
          async (series) => {
            await start();
            try {
              const pool: Partial<WantedPool> = { algorithm, ...more };
              expect(await put([], pool)).toMatchObject({ change: 'start', refused: [] });
              let [worker] = await workers();
              for (const [step, { members: wanted, reload }] of series.entries()) {
                const members = wanted.map(({ n, ...changes }) => member(n, changes));
                // Now and then something that no command can change, so that reloads come between.
                const listener = reload === 0 ? { timeoutClientData: 50_001 + step } : {};
                const outcome = await put(members, pool, listener);
                if (outcome.change === 'reload') {
                  // Or one that comes back before its last connection of before has ended.
                  expect(outcome.why).toMatch(/^timeout client of frontend|: Already exists a server/);
                  [worker] = await workers();
                }
                expect((await workers())[0]).toBe(worker);
                const file = await written();
                const isWritten = ({ name }: { name: string }) => file.some((one) => one.name === name);
                const now = await running();
                expect(byName(now.filter(isWritten))).toEqual(byName(file));
                const leavers = now.filter((server) => !isWritten(server));
                expect(leavers.filter(({ maint }) => !maint)).toEqual([]);
                expect(byName(file).map(({ name }) => name)).toEqual(
                  members.map(serverName).toSorted((one, other) => one.localeCompare(other)),
                );
                if (pool.protocol === 'PROXY') continue; // the members understand no PROXY header
                const who = expected(members);
                const heard = await answers(...(algorithm === 'SOURCE_IP' ? [] : who));
                if (who.length === 0) expect(heard).toEqual(['503']);
                else if (algorithm === 'SOURCE_IP') expect(who).toEqual(expect.arrayContaining(heard));
                else expect(heard).toEqual(who);
              }
              await promisify(execFile)('haproxy', [
                '-c',
                '-C',
                join(agent.run, 'haproxy/current'),
                '-f',
                'haproxy.cfg',
              ]);
            } finally {
              await agent.remove();
            }
          },
        ),
        { numRuns: 2, endOnFailure: true },
      );
      await start();
    },
    180_000,
  );
});

describe('a change of members', () => {
  it('is there at once for clients, without a new worker, and is named', async () => {
    await put([member(0)]);
    const [worker] = await workers();
    expect(await put([member(0), member(1)])).toMatchObject({
      change: 'runtime',
      why: expect.stringContaining('server added'),
    });
    expect(await answers('one', 'two')).toEqual(['one', 'two']);
    expect(await put([member(0, { enabled: false }), member(1)])).toMatchObject({ why: 'server maint' });
    expect(await answers('two')).toEqual(['two']);
    expect(await put([member(0), member(1, { weight: 0 })])).toMatchObject({
      change: 'runtime',
      why: 'server ready, weight changed',
    });
    expect(await answers('one')).toEqual(['one']);
    const moved = { port: servers[2]?.port ?? 0 };
    expect(await put([member(0, moved)])).toMatchObject({ why: 'address changed, server removed' });
    expect(await answers('three')).toEqual(['three']);
    expect(await workers()).toEqual([worker]);
    expect(agent.said).toContain('"change":"runtime"');
  });

  it('outlives the death of HAProxy and of the agent', async () => {
    await put([member(0)]);
    await put([member(1)]);
    process.kill((await agent.haproxyPid()) ?? 0, 'SIGKILL');
    await eventually(async () => ((await get(port)) === 'two' ? true : undefined));

    await put([member(2)]);
    await agent.kill();
    await agent.spawn();
    generation -= 1;
    expect(await put([member(2)])).toMatchObject({ change: 'none' });
    expect(await put([member(0)])).toMatchObject({ change: 'runtime' });
    expect(await answers('one')).toEqual(['one']);
  });

  it('lets the connections of a member that is removed end, and then forgets it', async () => {
    await put([member(0), member(1)]);
    const held = await Promise.all([slowAnswer(), slowAnswer()]);
    expect(await put([member(1)])).toMatchObject({ change: 'runtime', why: 'server removed' });
    expect(await answers('two')).toEqual(['two']);
    expect((await running()).find(({ name }) => name === id('m', 0))).toMatchObject({ maint: true });
    servers.forEach((server) => server.finish());
    expect(await Promise.all(held.map(textOf))).toEqual(['begun, ended', 'begun, ended']);
    await eventually(async () => ((await running()).length === 1 ? true : undefined));
  });

  it('lets them end also when the agent is killed meanwhile: the next one knows who leaves', async () => {
    await put([member(0), member(1)]);
    const held = await Promise.all([slowAnswer(), slowAnswer()]);
    expect(await put([member(1)])).toMatchObject({ change: 'runtime', why: 'server removed' });
    const [worker] = await workers();
    await agent.kill();
    await agent.spawn();
    expect((await running()).filter(({ maint }) => maint)).toMatchObject([{ name: id('m', 0) }]);
    servers.forEach((server) => server.finish());
    expect(await Promise.all(held.map(textOf))).toEqual(['begun, ended', 'begun, ended']);
    await eventually(async () => ((await running()).length === 1 ? true : undefined));
    expect(await workers()).toEqual([worker]);
  });

  it('keeps who came with it and is disabled when the agent is killed before it has noted that', async () => {
    await put([member(0)]);
    const { applied } = agentPaths(agent.run);
    const noted = await readFile(applied, 'utf8');
    const both = [member(0), member(1, { enabled: false })];
    expect(await put(both)).toMatchObject({ change: 'runtime' });
    await agent.kill();
    await writeFile(applied, noted);
    await agent.spawn();
    expect(await put(both)).toMatchObject({ change: 'none' });
    expect(await put([member(0), member(1)])).toMatchObject({ change: 'runtime', why: 'server ready' });
    expect(await answers('one', 'two')).toEqual(['one', 'two']);
  });

  it('that HAProxy refuses becomes a reload', async () => {
    await put([member(0)]);
    const [worker] = await workers();
    const backend = `${id('p', 1)}:${id('l', 1)}`;
    const taken = `add server ${backend}/${id('m', 1)} 127.0.0.1:1`;
    await ask(join(agent.run, 'haproxy/stats.sock'), taken);
    const outcome = await put([member(0), member(1)]);
    expect(outcome.change).toBe('reload');
    expect(outcome.why).toContain('Already exists a server with the same name');
    expect((await workers())[0]).not.toBe(worker);
    expect(await answers('one', 'two')).toEqual(['one', 'two']);
    expect(await put([member(0)])).toMatchObject({ change: 'runtime' });
  });

  it('after which HAProxy is not as told becomes a reload', async () => {
    await put([member(0), member(1)]);
    const backend = `${id('p', 1)}:${id('l', 1)}`;
    await ask(join(agent.run, 'haproxy/stats.sock'), `set server ${backend}/${id('m', 0)} weight 7`);
    const outcome = await put([member(0), member(1), member(2)]);
    expect(outcome).toMatchObject({ change: 'reload', why: expect.stringContaining('is not as told') });
    expect(byName(await running())).toEqual(byName(await written()));
  });

  it('takes no reload either where memory bounds the connections', async () => {
    await agent.remove();
    await start({ LIVIA_MEMORY_LIMIT_BYTES: String(512 * 1024 ** 2) });
    const many = (count: number) =>
      Array.from({ length: count }, (_, n) => aMember(n, { address: '127.0.0.1', port: 1 }));
    const unlimited = { connectionLimit: -1 };
    await put(many(10), {}, unlimited);
    const { maxconn } = (await agent.status()).memory;
    expect(await put(many(250), {}, unlimited)).toMatchObject({ change: 'runtime' });
    expect((await agent.status()).memory.maxconn).toBe(maxconn);
    expect(await put(many(300), {}, unlimited)).toMatchObject({ change: 'reload', why: 'maxconn of global' });
    const fewer = (await agent.status()).memory.maxconn;
    expect(fewer).toBeLessThan(maxconn);
    expect(await put(many(10), {}, unlimited)).toMatchObject({ change: 'runtime' });
    expect(await put(many(10), {}, unlimited)).toMatchObject({ change: 'none' });
    expect((await agent.status()).memory.maxconn).toBe(fewer);
    expect(await ask(join(agent.run, 'haproxy/stats.sock'), 'show info')).toContain(`\nMaxconn: ${fewer}\n`);
  });

  it('to members that cookies name takes no reload either, and clients stay by the cookie', async () => {
    const sessionPersistence = {
      type: 'HTTP_COOKIE',
      cookieName: null,
      persistenceTimeout: null,
      persistenceGranularity: null,
    } as const;
    const changed = (...members: WantedMember[]) => put(members, { sessionPersistence });
    await changed(member(0), member(1));
    expect(await changed(member(0), member(1, { weight: 5 }))).toMatchObject({ change: 'runtime' });
    expect(await changed(member(0), member(1), member(2))).toMatchObject({
      change: 'runtime',
      why: expect.stringContaining('server added'),
    });
    expect(await changed(member(0), member(2, { backup: true }))).toMatchObject({ change: 'runtime' });
    expect(await changed(member(2, { backup: true }))).toMatchObject({ change: 'runtime' });
    expect(await answers('three')).toEqual(['three']);
    expect(await changed(member(0))).toMatchObject({ change: 'runtime' });
  });
});
