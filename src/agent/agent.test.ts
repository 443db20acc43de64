import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAuthority, issueAmphora, issueController } from '../pki/ca.ts';
import {
  aCertificate,
  aListener,
  aMember,
  aMonitor,
  aPool,
  aTls,
  aWanted,
  id,
} from '../plan/haproxy/wanted.fixture.ts';
import type { WantedListener } from '../wire/wanted.ts';
import {
  AgentUnderTest,
  authority,
  eventually,
  freePort,
  get,
  textOf,
  testMember,
  type TestMember,
} from './agent.fixture.ts';
import { ask } from './haproxy/socket.ts';

const certificate = aCertificate('www.example.com');

let agent: AgentUnderTest;
let member: TestMember;
let port: number;

beforeEach(async () => {
  member = await testMember('one');
  port = await freePort();
  agent = await AgentUnderTest.start();
});
afterEach(async () => {
  await agent.remove();
  member.close();
});

const theMember = () => aMember(1, { address: '127.0.0.1', port: member.port });
const thePool = () => aPool(1, { members: [theMember()] });
const http = (changes: Partial<WantedListener> = {}) =>
  aListener(1, { port, defaultPoolId: id('p', 1), connectionLimit: 100, ...changes });
const https = (other: number, changes: Partial<WantedListener> = {}) =>
  aListener(2, {
    port: other,
    protocol: 'TERMINATED_HTTPS',
    defaultPoolId: id('p', 1),
    connectionLimit: 100,
    tls: aTls([certificate], { alpn: [] }),
    ...changes,
  });
const serving = (generation = 1, listeners = [http()]) =>
  aWanted({ generation, listeners, pools: [thePool()] });

/** The name of the certificate that a client is shown who asks for this one. */
async function nameShown(other: number, servername: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: other, servername, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return String(subject.CN);
}

describe('an agent', () => {
  it('carries what it is told, says so in heartbeats, and does nothing when it is told again', async () => {
    expect((await agent.status()).report.generation).toBe(-1);
    const outcome = await agent.put(serving());
    expect(outcome).toMatchObject({ generation: 1, change: 'start', refused: [], warnings: [] });
    expect(await get(port)).toBe('one');

    expect((await agent.put(serving())).change).toBe('none');
    const moved = serving(2, [http({ timeoutClientData: 7000 })]);
    expect(await agent.put(moved)).toMatchObject({ generation: 2, change: 'reload' });

    const report = await eventually(() => agent.heartbeats.find(({ generation }) => generation === 2));
    expect(report).toMatchObject({
      amphoraId: agent.boot.amphoraId,
      listeners: { [id('l', 1)]: { state: 'OPEN' } },
      pools: { [id('p', 1)]: { up: true, members: { [id('m', 1)]: 'NO_CHECK' } } },
    });
    const status = await agent.status();
    expect(status.haproxyVersion).toMatch(/^\d+\.\d+/);
    expect(status.memory.haproxy.map(({ role }) => role).slice(0, 2)).toEqual(['master', 'worker']);
    expect(status.memory.haproxy[0]?.rssBytes).toBeGreaterThan(0);
  });

  it('tells what has become of its changes, and how its memory stands to its budget', async () => {
    await agent.put(serving());
    await agent.put(serving(2, [http({ timeoutClientData: 7000 })]));
    const { changes, memory } = await agent.status();
    expect(changes).toMatchObject([
      { generation: 2, change: 'reload', why: expect.stringContaining('timeout client') },
      { generation: 1, change: 'start', why: null },
    ]);
    const { budget } = memory;
    expect(budget?.worstCaseBytes).toBeLessThanOrEqual(memory.limitBytes);
    expect(budget?.maxconn).toBe(memory.maxconn);
    expect(memory.peakBytes).toBeGreaterThan(0);
  });

  it('obeys the controller alone', async () => {
    const sibling = await issueAmphora(authority, 'another', { days: 1 });
    const stranger = await issueController(await createAuthority(), { days: 1 });
    expect((await agent.call('GET', '/v1/status')).status).toBe(200);
    await expect(agent.call('GET', '/v1/status', undefined, stranger)).rejects.toThrow();
    const asked = agent.call('PUT', '/v1/wanted', serving(), sibling);
    await expect(
      asked.then(
        ({ status }) => status,
        () => 403,
      ),
    ).resolves.toBe(403);
    expect(await get(port)).toBe('refused');
  });

  it('refuses what it does not understand, and an older wish than it serves', async () => {
    expect(await agent.call('PUT', '/v1/wanted', { wire: 2 })).toMatchObject({ status: 400 });
    await agent.put(serving(5));
    expect(await agent.call('PUT', '/v1/wanted', serving(4))).toMatchObject({ status: 409 });
    expect((await agent.status()).report.generation).toBe(5);
  });

  it('keeps a long answer going while it reloads', async () => {
    await agent.put(serving());
    const asked = request({ host: '127.0.0.1', port, path: '/slow', agent: false }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    const text = textOf(answer);
    expect((await agent.put(serving(2, [http({ timeoutClientData: 60_000 })]))).change).toBe('reload');
    expect(await get(port)).toBe('one');
    expect((await agent.status()).memory.haproxy.map(({ role }) => role)).toEqual([
      'master',
      'worker',
      'old worker',
    ]);
    member.finish();
    expect(await text).toBe('begun, ended');
  });

  it('leaves a listener with a broken certificate out and serves the others', async () => {
    const other = await freePort();
    const broken = https(other, { tls: aTls([{ ...certificate, pem: 'nonsense' }]) });
    const outcome = await agent.put(serving(1, [http(), broken]));
    expect(outcome.refused).toEqual([{ id: id('l', 2), reason: expect.stringContaining('HAProxy:') }]);
    expect(await get(port)).toBe('one');
    expect(await get(other, '/', true)).toBe('refused');
    expect(Object.keys(outcome.report.listeners)).toEqual([id('l', 1)]);
  });

  it('goes on with the last good certificate when a listener gets a broken one', async () => {
    const other = await freePort();
    await agent.put(serving(1, [http(), https(other)]));
    const broken = https(other, { tls: aTls([{ name: '0'.repeat(64), pem: 'nonsense' }]) });
    const outcome = await agent.put(serving(2, [http({ timeoutClientData: 9000 }), broken]));
    expect(outcome.refused.map((one) => one.id)).toEqual([id('l', 2)]);
    expect(await get(other, '/', true)).toBe('one');
    expect(await get(port)).toBe('one');
  });

  it('goes on with the certificates it has when it gets a broken one beside them, in a change that is a reload', async () => {
    const other = await freePort();
    const second = aCertificate('second.example.com');
    await agent.put(serving(1, [http(), https(other, { tls: aTls([certificate, second], { alpn: [] }) })]));
    const broken = aTls([certificate, second, { name: '0'.repeat(64), pem: 'nonsense' }], { alpn: [] });
    const outcome = await agent.put(
      serving(2, [http({ timeoutClientData: 9000 }), https(other, { timeoutClientData: 9000, tls: broken })]),
    );
    expect(outcome.change).toBe('reload');
    expect(outcome.refused).toEqual([{ id: id('l', 2), reason: expect.stringContaining('HAProxy:') }]);
    expect(await get(other, '/', true)).toBe('one');
    const { memory } = await agent.status();
    expect(
      memory.haproxy.filter(({ role }) => role === 'worker').map(({ generation }) => generation),
    ).toEqual([0]);
  });

  it('loads after a reload all that the check left out', async () => {
    const other = await freePort();
    const second = aCertificate('second.example.com');
    const both = (timeoutClientData: number) =>
      https(other, { timeoutClientData, tls: aTls([certificate, second], { alpn: [] }) });
    await agent.put(serving(1, [both(8000)]));
    expect((await agent.put(serving(2, [both(9000)]))).change).toBe('reload');
    expect(await nameShown(other, 'second.example.com')).toBe('second.example.com');
    expect(await get(other, '/', true)).toBe('one');
    const version = join(agent.run, 'haproxy/current');
    const list = await readFile(join(version, `listeners/${id('l', 2)}.crt-list`), 'utf8');
    expect(list.trim().split('\n')).toHaveLength(2);
  });

  it('does not have HAProxy read the authorities that the machine trusts, which nobody asks it about', async () => {
    await agent.put(serving());
    const shown = await ask(join(agent.run, 'haproxy/stats.sock'), 'show ssl ca-file');
    expect(shown.trim()).toBe('');
  });

  it('keeps the configuration that it serves and the one before, and no others', async () => {
    for (const n of [1, 2, 3, 4]) {
      const outcome = await agent.put(serving(n, [http({ timeoutClientData: 50_000 + n })]));
      expect(outcome.change).toBe(n === 1 ? 'start' : 'reload');
    }
    const names = await readdir(join(agent.run, 'haproxy'));
    expect(names.filter((name) => Number.isInteger(Number(name))).toSorted()).toEqual(['3', '4']);
  });

  it('goes on with the certificates it has when the key manager gives none any more, and says so', async () => {
    const other = await freePort();
    await agent.put(serving(1, [https(other)]));
    const gone = https(other, { tls: aTls([], { alpn: [], unavailable: 'secret deleted' }) });
    const outcome = await agent.put(serving(2, [gone]));
    expect(outcome.refused).toEqual([]);
    expect(outcome.warnings).toEqual([
      { id: id('l', 2), text: 'goes on with the certificates it has: secret deleted' },
    ]);
    expect(await get(other, '/', true)).toBe('one');
  });

  it('names the reason when there never was a certificate', async () => {
    const gone = https(await freePort(), { tls: aTls([], { unavailable: 'secret deleted' }) });
    const outcome = await agent.put(serving(1, [http(), gone]));
    expect(outcome.refused).toEqual([{ id: id('l', 2), reason: 'secret deleted' }]);
    expect(await get(port)).toBe('one');
  });

  it('names the listener whose port is taken, and serves the others', async () => {
    const taken = await testMember('stranger');
    try {
      await agent.put(serving());
      const outcome = await agent.put(
        serving(2, [http(), { ...https(taken.port), protocol: 'HTTP', tls: null }]),
      );
      expect(outcome.refused).toEqual([{ id: id('l', 2), reason: expect.stringContaining('cannot bind') }]);
      expect(await get(port)).toBe('one');
    } finally {
      taken.close();
    }
  });

  it('serves again after HAProxy was killed', async () => {
    await agent.put(serving());
    const first = (await agent.haproxyPid()) ?? 0;
    process.kill(first, 'SIGKILL');
    await eventually(async () => ((await agent.haproxyPid()) === first ? undefined : true));
    await eventually(async () => ((await get(port)) === 'one' ? true : undefined));
    expect((await agent.put(serving())).change).toBe('none');
  });

  it('adopts the HAProxy of an agent that was killed, and goes on with it', async () => {
    await agent.put(serving());
    const first = await agent.haproxyPid();
    await agent.kill();
    expect(await get(port)).toBe('one');
    await agent.spawn();
    expect((await agent.status()).report).toMatchObject({ generation: 1, listeners: { [id('l', 1)]: {} } });
    expect((await agent.put(serving())).change).toBe('none');
    expect((await agent.put(serving(2, [http({ timeoutClientData: 9000 })]))).change).toBe('reload');
    expect(await agent.haproxyPid()).toBe(first);
    process.kill(first ?? 0, 'SIGKILL');
    await eventually(async () => ((await agent.haproxyPid()) === first ? undefined : true));
    await eventually(async () => ((await get(port)) === 'one' ? true : undefined));
  });

  it('serves the last of a burst of changes that each need a reload, with few reloads', async () => {
    await agent.put(serving());
    const burst = Array.from({ length: 20 }, (_, n) =>
      serving(n + 2, [http({ timeoutClientData: 7000 + n })]),
    );
    const answers = await Promise.all(burst.map((wish) => agent.call('PUT', '/v1/wanted', wish)));
    expect(answers.at(-1)).toMatchObject({ status: 200, body: { generation: 21, change: 'reload' } });
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 409]));
    const { changes, report } = await agent.status();
    expect(changes?.filter(({ change }) => change === 'reload').length).toBeLessThan(10);
    expect(report.generation).toBe(21);
    const text = await readFile(join(agent.run, 'haproxy/current/haproxy.cfg'), 'utf8');
    expect(text).toContain('timeout client 7019');
    expect(await get(port)).toBe('one');
  });

  it('still tells of its changes when it was killed', async () => {
    await agent.put(serving());
    await agent.put(serving(2, [http({ timeoutClientData: 7000 })]));
    const { changes } = await agent.status();
    expect(changes?.map(({ generation }) => generation)).toEqual([2, 1]);
    await agent.kill();
    await agent.spawn();
    expect((await agent.status()).changes).toEqual(changes);
    await agent.put(serving(3, [http({ timeoutClientData: 7000 })]));
    expect((await agent.status()).changes).toMatchObject([
      { generation: 3, change: 'none' },
      ...(changes ?? []),
    ]);
  });

  it('starts what it last carried when it and HAProxy were both killed', async () => {
    await agent.put(serving());
    const first = (await agent.haproxyPid()) ?? 0;
    await agent.kill();
    process.kill(first, 'SIGKILL');
    await eventually(async () => ((await get(port)) === 'refused' ? true : undefined));
    await agent.spawn();
    expect(await get(port)).toBe('one');
    expect((await agent.status()).report.generation).toBe(1);
  });

  it('counts on over reloads, restarts of HAProxy and of itself', async () => {
    const counted = () =>
      eventually(async () => (await agent.status()).report.listeners[id('l', 1)]?.counters);
    await agent.put(serving());
    for (let n = 0; n < 3; n += 1) await get(port);
    expect(await counted()).toMatchObject({ totalConnections: 3 });
    await agent.put(serving(2, [http({ timeoutClientData: 9000 })]));
    await get(port);
    expect(await counted()).toMatchObject({ totalConnections: 4 });
    const first = (await agent.haproxyPid()) ?? 0;
    const { haproxy } = (await agent.status()).memory;
    process.kill(first, 'SIGKILL');
    await eventually(async () => ((await agent.haproxyPid()) === first ? undefined : true));
    // The workers of the killed master may have answered somebody in their last moment.
    const lives = (pid: number) =>
      readFile(`/proc/${pid}/stat`, 'utf8').then(
        (line) => !line.includes(') Z '),
        () => false,
      );
    for (const { pid } of haproxy) await eventually(async () => ((await lives(pid)) ? undefined : true));
    const { totalConnections } = await counted();
    expect(totalConnections).toBeGreaterThanOrEqual(4);
    expect(await get(port)).toBe('one');
    // A worker may answer clients a moment before it is heard.
    await eventually(async () => ((await counted()).totalConnections > totalConnections ? true : undefined));
    expect(await counted()).toMatchObject({ totalConnections: totalConnections + 1 });
    await agent.kill();
    await get(port);
    await agent.spawn();
    const last = await counted();
    expect(last.totalConnections).toBe(totalConnections + 2);
    expect(last.bytesOut).toBeGreaterThan(0);
  });

  it('tells at once when a member goes down, keeps that over a reload, and when it comes back', async () => {
    const pool = aPool(1, {
      members: [theMember()],
      healthMonitor: aMonitor({ type: 'TCP', delay: 1, timeout: 1, rise: 1, fall: 1 }),
    });
    const wanted = aWanted({ listeners: [http()], pools: [pool] });
    await agent.put(wanted);
    const said = (state: string) =>
      eventually(() =>
        agent.heartbeats.at(-1)?.pools[id('p', 1)]?.members[id('m', 1)] === state ? true : undefined,
      );
    await said('UP');
    member.close();
    await said('DOWN');
    const outcome = await agent.put({
      ...wanted,
      generation: 2,
      listeners: [http({ timeoutClientData: 9000 })],
    });
    expect(outcome.report.pools[id('p', 1)]).toEqual({ up: false, members: { [id('m', 1)]: 'DOWN' } });
  });

  it('serves no listener of a disabled load balancer, and all of them when it is enabled again', async () => {
    await agent.put(serving());
    const off = serving(2);
    await agent.put({ ...off, loadBalancer: { ...off.loadBalancer, enabled: false } });
    expect(await get(port)).toBe('refused');
    await agent.put(serving(3));
    expect(await get(port)).toBe('one');
  });

  it('enables a member again that was disabled', async () => {
    const disabled = { ...theMember(), enabled: false };
    const monitor = aMonitor({ type: 'TCP', delay: 1, timeout: 1, rise: 1, fall: 1 });
    const of = (generation: number, only: typeof disabled) =>
      aWanted({
        generation,
        listeners: [http()],
        pools: [aPool(1, { members: [only], healthMonitor: monitor })],
      });
    await agent.put(of(1, disabled));
    expect(await get(port)).toBe('503');
    await agent.put(of(2, theMember()));
    expect(await get(port)).toBe('one');
    const { report } = await agent.put(of(3, disabled));
    expect(report.pools[id('p', 1)]?.members).toEqual({ [id('m', 1)]: 'MAINT' });
  });

  it('serves the newest of the wishes that wait, and answers the ones it overtook', async () => {
    const wishes = [1, 2, 3, 4].map((generation) =>
      agent.call('PUT', '/v1/wanted', serving(generation, [http({ timeoutClientData: 1000 + generation })])),
    );
    const statuses = (await Promise.all(wishes)).map(({ status }) => status);
    expect(statuses.filter((status) => status !== 200 && status !== 409)).toEqual([]);
    const { report } = await agent.put(serving(4, [http({ timeoutClientData: 1004 })]));
    expect(report.generation).toBe(4);
  });

  it('lets no more old workers live than the budget counts, however fast the wishes come', async () => {
    await agent.remove();
    agent = await AgentUnderTest.start({ LIVIA_MEMORY_LIMIT_BYTES: String(512 * 1024 ** 2) });
    for (let generation = 1; generation <= 6; generation += 1) {
      await agent.put(serving(generation, [http({ timeoutClientData: 60_000 + generation })]));
      const held = request({ host: '127.0.0.1', port, path: '/slow', agent: false }).end();
      held.on('error', () => {}); // the eldest are cut: that is the price
      const [answer] = (await once(held, 'response')) as [IncomingMessage];
      answer.on('error', () => {}).resume();
    }
    await agent.put(serving(7, [http({ timeoutClientData: 60_007 })]));
    const { memory } = await agent.status();
    expect(memory.limitBytes).toBe(512 * 1024 ** 2);
    expect(memory.haproxy.map(({ role }) => role)).toEqual(['master', 'worker', 'old worker']);
    expect(await get(port)).toBe('one');
  });

  it('keeps serving what it did when a wish does not fit its memory, and says so in a sentence', async () => {
    await agent.remove();
    agent = await AgentUnderTest.start({ LIVIA_MEMORY_LIMIT_BYTES: String(256 * 1024 ** 2) });
    await agent.put(serving());
    const members = Array.from({ length: 8000 }, (_, n) => aMember(n, { address: '127.0.0.1' }));
    const outcome = await agent.put(
      aWanted({ generation: 2, listeners: [http()], pools: [aPool(1, { members })] }),
    );
    expect(outcome).toMatchObject({ change: 'none', generation: 2 });
    expect(outcome.refused[0]?.reason).toContain('256 MiB of memory are not enough for 8000 servers');
    expect(await get(port)).toBe('one');
  });

  it('keeps no secret where others could read it, nor in what it logs', async () => {
    await agent.put(serving(1, [https(await freePort())]));
    expect(agent.said).not.toContain('PRIVATE KEY');
    const command = await readFile(`/proc/${await agent.haproxyPid()}/cmdline`, 'utf8');
    expect(command).not.toContain('PRIVATE');
    for (const file of [
      'applied.json',
      'haproxy/current/haproxy.cfg',
      `haproxy/current/listeners/${id('l', 2)}.default.pem`,
    ]) {
      expect((await stat(join(agent.run, file))).mode & 0o077, file).toBe(0);
    }
  });

  it('ends HAProxy when it is told to stop', async () => {
    await agent.put(serving());
    const haproxy = await agent.haproxyPid();
    await agent.remove();
    expect(await readFile(`/proc/${haproxy}/stat`, 'utf8').catch(() => 'gone')).toBe('gone');
    expect(await get(port)).toBe('refused');
    agent = await AgentUnderTest.start();
  });
});
