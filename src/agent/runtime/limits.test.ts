import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { aListener, aMember, aPool, aWanted, id } from '../../plan/haproxy/wanted.fixture.ts';
import { AgentUnderTest, eventually, freePort, get, testMember, type TestMember } from '../agent.fixture.ts';
import { ask } from '../haproxy/socket.ts';

let member: TestMember;
let agent: AgentUnderTest;
let port: number;
let generation: number;

beforeAll(async () => {
  member = await testMember('one');
});
afterAll(() => member.close());
beforeEach(async () => {
  [agent, port, generation] = [await AgentUnderTest.start(), await freePort(), 0];
});
afterEach(() => agent.remove());

function put(connectionLimit: number) {
  generation += 1;
  return agent.put(
    aWanted({
      generation,
      listeners: [aListener(1, { port, defaultPoolId: id('p', 1), connectionLimit })],
      pools: [aPool(1, { members: [aMember(1, { address: '127.0.0.1', port: member.port })] })],
    }),
  );
}

const socket = () => join(agent.run, 'haproxy/stats.sock');
const mostInAll = async () => /^Maxconn: (\d+)$/m.exec(await ask(socket(), 'show info'))?.[1];
const state = async () => (await agent.status()).report.listeners[id('l', 1)]?.state;

/** Connections that HAProxy has accepted or is yet to accept. */
async function held(count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => connect(port, '127.0.0.1'));
  await Promise.all(sockets.map((one) => once(one, 'connect')));
  return sockets;
}
const release = (sockets: readonly Socket[]) => sockets.forEach((one) => one.destroy());
const becomes = (wanted: string) => eventually(async () => ((await state()) === wanted ? true : undefined));

describe('another limit of connections', () => {
  it('takes no reload while the listener has room: it holds at once, and the bound of all is as before', async () => {
    expect((await put(100)).change).toBe('start');
    const before = await mostInAll();
    expect(await put(20)).toMatchObject({ change: 'runtime', why: 'connection limit', refused: [] });
    const some = await held(20);
    await becomes('FULL');
    const waiting = get(port);
    release(some);
    expect(await waiting).toBe('one');
    expect(await mostInAll()).toBe(before);
  });

  it('is a reload while the listener is full; who waits behind the old limit is served', async () => {
    await put(20);
    const some = await held(20);
    await becomes('FULL');
    const waiting = get(port);
    expect(await put(200)).toMatchObject({ change: 'reload', why: expect.stringContaining('full') });
    expect(await waiting).toBe('one');
    expect(await put(300)).toMatchObject({ change: 'runtime' });
    release(some);
  });

  it('is a reload while there are more connections in all than would fill it: none of them has to wait', async () => {
    await put(100);
    expect(await put(20)).toMatchObject({ change: 'runtime' });
    const some = await held(17);
    await eventually(async () =>
      (await ask(socket(), 'show info')).includes('CurrConns: 17') ? true : undefined,
    );
    expect(await put(50)).toMatchObject({ change: 'reload' });
    release(some);
  });

  it('leaves nothing behind when the agent is killed in the middle of it', async () => {
    await put(100);
    const before = await mostInAll();
    await ask(socket(), 'set maxconn global 50');
    await agent.kill();
    await agent.spawn();
    expect(await mostInAll()).toBe(before);
  });

  it('never costs a client its connection, nor HAProxy its life, however near the limit they are', async () => {
    await put(100);
    const master = await agent.haproxyPid();
    const stop = new AbortController();
    const answers: string[] = [];
    const clients = Array.from({ length: 30 }, async (_, n) => {
      while (!stop.signal.aborted) {
        answers.push(await get(port));
        await sleep(n % 3);
      }
    });
    const changes: string[] = [];
    for (let n = 0; n < 30; n += 1)
      changes.push((await put([12, 300, 25, 40, 1000, 60][n % 6] ?? 100)).change);
    stop.abort();
    await Promise.all(clients);
    expect(answers.filter((answer) => answer !== 'one')).toEqual([]);
    expect(answers.length).toBeGreaterThan(60);
    expect(new Set(changes)).toEqual(new Set(['runtime', 'reload']));
    expect(await agent.haproxyPid()).toBe(master);
  }, 240_000);
});
