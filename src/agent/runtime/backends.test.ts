import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  aListener,
  aMember,
  aMonitor,
  aPolicy,
  aPool,
  aRule,
  aWanted,
  id,
} from '../../plan/haproxy/wanted.fixture.ts';
import { abilitiesOf } from '../../plan/runtime/abilities.ts';
import type { WantedListener, WantedPool } from '../../wire/wanted.ts';
import { AgentUnderTest, eventually, freePort, get, testMember, type TestMember } from '../agent.fixture.ts';
import { ask, parseStat } from '../haproxy/socket.ts';
import { haproxyVersion } from '../haproxy/version.ts';

const { backends } = abilitiesOf(await haproxyVersion('haproxy'));

describe.skipIf(!backends)('pools behind an HTTP listener (HAProxy 3.4 and later)', () => {
  let servers: TestMember[];
  let agent: AgentUnderTest;
  let port: number;
  let generation = 0;

  beforeEach(async () => {
    servers = await Promise.all(['one', 'two', 'three'].map(testMember));
    [agent, port] = [await AgentUnderTest.start(), await freePort()];
  });
  afterEach(async () => {
    servers.forEach((server) => server.close());
    await agent.remove();
  });

  /** Pool n has the member that answers with its number; policies lead to `/n`. */
  const put = (
    n: readonly number[],
    defaultPool: number | null,
    { pool = {}, listener = {} }: { pool?: Partial<WantedPool>; listener?: Partial<WantedListener> } = {},
  ) => {
    const member = (m: number) => aMember(m, { address: '127.0.0.1', port: servers[m]?.port ?? 0 });
    const rules = (m: number) => [aRule(m, { type: 'PATH', compareType: 'STARTS_WITH', value: `/${m}` })];
    return agent.put(
      aWanted({
        generation: (generation += 1),
        listeners: [
          aListener(1, {
            port,
            defaultPoolId: defaultPool === null ? null : id('p', defaultPool),
            l7Policies: n.map((m) =>
              aPolicy(m, { action: 'REDIRECT_TO_POOL', redirectPoolId: id('p', m), rules: rules(m) }),
            ),
            ...listener,
          }),
        ],
        pools: [0, 1, 2].map((m) => aPool(m, { members: [member(m)], ...pool })),
      }),
    );
  };
  const asked = async () => [await get(port, '/0'), await get(port, '/1'), await get(port, '/2')];
  const runs = async () =>
    (await ask(join(agent.run, 'haproxy/stats.sock'), 'show backend'))
      .split('\n')
      .filter((line) => /^[0-9a-f]{8}-/.test(line))
      .toSorted();
  const written = async () => {
    const text = await readFile(join(agent.run, 'haproxy/current/haproxy.cfg'), 'utf8');
    return [...text.matchAll(/^backend (\S+) from /gm)].map(([, name = '']) => name).toSorted();
  };
  /** What was removed goes when its last connection has ended, idle ones of HAProxy too. */
  const agreed = () =>
    eventually(async () => (String(await runs()) === String(await written()) ? true : undefined));

  it('come, change and go without a reload, and what runs is what is written', async () => {
    await put([], null);
    const workers = async () => (await agent.status()).memory.haproxy.map(({ pid }) => pid);
    const before = await workers();
    expect(await asked()).toEqual(['503', '503', '503']);

    expect(await put([], 0)).toMatchObject({ change: 'runtime', refused: [] });
    expect(await asked()).toEqual(['one', 'one', 'one']);

    expect(await put([1, 2], 0)).toMatchObject({ change: 'runtime' });
    expect(await asked()).toEqual(['one', 'two', 'three']);
    await agreed();
    expect(await runs()).toHaveLength(3);

    expect(await put([2], 1)).toMatchObject({ change: 'runtime' });
    expect(await asked()).toEqual(['two', 'two', 'three']);
    await agreed();
    expect(await runs()).toHaveLength(2);

    // The name is free again.
    expect(await put([2, 0], 1)).toMatchObject({ change: 'runtime' });
    expect(await asked()).toEqual(['one', 'two', 'three']);
    expect((await agent.status()).report.pools[id('p', 0)]).toBeDefined();

    expect(await put([], null)).toMatchObject({ change: 'runtime' });
    expect(await asked()).toEqual(['503', '503', '503']);
    await agreed();
    expect(await runs()).toEqual([]);
    expect(await workers()).toEqual(before);
  });

  it('are checked, and kept over a reload with what is known of their members', async () => {
    const pool = { healthMonitor: aMonitor({ delay: 1, timeout: 1, rise: 1, fall: 1 }) };
    await put([], 0, { pool });
    expect(await put([1], 0, { pool })).toMatchObject({ change: 'runtime' });
    servers[1]?.close();
    const status = async () => (await agent.status()).report.pools[id('p', 1)]?.members[id('m', 1)];
    await eventually(async () => ((await status()) === 'DOWN' ? true : undefined));
    expect(await put([1], 0, { pool, listener: { timeoutClientData: 7000 } })).toMatchObject({
      change: 'reload',
    });
    expect(await status()).toBe('DOWN');
    expect(await asked()).toEqual(['one', '503', 'one']);
  });

  it('let a request end that runs when their pool goes', async () => {
    await put([], 1);
    const slow = get(port, '/slow');
    const backend = `${id('p', 1)}:${id('l', 1)}`;
    const busy = async () =>
      parseStat(await ask(join(agent.run, 'haproxy/stats.sock'), 'show stat')).some(
        ({ proxy, service, current }) => proxy === backend && service === id('m', 1) && current === 1,
      );
    await eventually(async () => ((await busy()) ? true : undefined));
    expect(await put([], 0)).toMatchObject({ change: 'runtime' });
    expect(await get(port)).toBe('one');
    expect(await runs()).toContain(backend);
    await sleep(1500); // the agent has tried to remove it
    expect(await busy()).toBe(true);
    servers[1]?.finish();
    expect(await slow).toBe('begun, ended');
    await agreed();
  });
});
