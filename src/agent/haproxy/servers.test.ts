import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aListener, aMember, aMonitor, aPool, aWanted, id } from '../../plan/haproxy/wanted.fixture.ts';
import { AgentUnderTest, eventually, freePort, testMember, type TestMember } from '../agent.fixture.ts';
import { parseServers } from './servers.ts';
import { ask, parseStat } from './socket.ts';

/** Numbers of the members. */
const [here, gone, weightless, disabled, drained, tired] = [1, 2, 3, 4, 5, 6];
const numbers = [here, gone, weightless, disabled, drained, tired];

describe('what a server is', () => {
  let agent: AgentUnderTest;
  let member: TestMember;

  beforeAll(async () => {
    [agent, member] = await Promise.all([AgentUnderTest.start(), testMember('one')]);
    const [listener, other, nobody] = [await freePort(), await freePort(), await freePort()];
    const members = numbers.map((n) =>
      aMember(n, {
        ...{ address: '127.0.0.1', port: n === gone ? nobody : member.port },
        ...{ weight: n === weightless ? 0 : 1, enabled: n !== disabled },
      }),
    );
    await agent.put(
      aWanted({
        listeners: [
          aListener(1, { port: listener, defaultPoolId: id('p', 1) }),
          aListener(2, { port: other, defaultPoolId: id('p', 2) }),
        ],
        pools: [
          aPool(1, { members, healthMonitor: aMonitor({ type: 'TCP', delay: 1, timeout: 1, fall: 1 }) }),
          aPool(2, { members }),
        ],
      }),
    );
  });
  afterAll(async () => {
    await agent.remove();
    member.close();
  });

  it('is read from its state as from the statistics: UP, DOWN, DRAIN, MAINT, not checked', async () => {
    const socket = join(agent.run, 'haproxy/stats.sock');
    for (const pool of [1, 2]) {
      const backend = `${id('p', pool)}:${id('l', pool)}`;
      await ask(socket, `set server ${backend}/${id('m', drained)} state drain`);
      await ask(socket, `set server ${backend}/${id('m', tired)} weight 0`);
    }
    await eventually(async () => ((await ask(socket, 'show stat')).includes(',DOWN,') ? true : undefined));
    const stated = parseServers(await ask(socket, 'show servers state'));
    const counted = parseStat(await ask(socket, 'show stat -1 4 -1'));
    const called = (status: string, weight: number): string => {
      if (status === 'no check') return 'NO_CHECK';
      return status === 'UP' && weight === 0 ? 'DRAIN' : status;
    };
    expect(stated.map(({ backend, name, state }) => [backend, name, state])).toEqual(
      counted.map(({ proxy, service, status, weight }) => [proxy, service, called(status, weight)]),
    );
    expect(stated.map(({ state }) => state)).toEqual([
      ...['UP', 'DOWN', 'DRAIN', 'MAINT', 'DRAIN', 'DRAIN'],
      ...['NO_CHECK', 'NO_CHECK', 'NO_CHECK', 'MAINT', 'DRAIN', 'NO_CHECK'],
    ]);
  });
});
