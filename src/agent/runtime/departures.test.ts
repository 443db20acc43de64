import { once } from 'node:events';
import { Agent as HttpAgent, type IncomingMessage, request } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
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
} from '../../plan/haproxy/wanted.fixture.ts';
import type { CertificatePem, WantedListener, WantedPool } from '../../wire/wanted.ts';
import { AgentUnderTest, freePort, get, testMember, type TestMember, textOf } from '../agent.fixture.ts';

const certificates = [aCertificate('www.example.com'), aCertificate('www.example.com')] as const;
let members: readonly TestMember[];
let agent: AgentUnderTest;
let ports: readonly number[];
let generation: number;

beforeAll(async () => {
  members = await Promise.all(['one', 'two'].map(testMember));
});
afterAll(() => members.forEach((member) => member.close()));
beforeEach(async () => {
  [agent, ports, generation] = [await AgentUnderTest.start(), [await freePort(), await freePort()], 0];
});
afterEach(() => agent.remove());

interface Wish {
  readonly enabled?: boolean;
  /** Which of the members. */
  readonly member?: 0 | 1;
  /** That of the second listener makes it terminate TLS. */
  readonly certificate?: CertificatePem;
  readonly listener?: Partial<WantedListener>;
  readonly pool?: Partial<WantedPool>;
}
/** Listeners that share a pool. */
function put(
  numbers: readonly number[],
  { enabled = true, member = 0, certificate, listener, pool }: Wish = {},
) {
  generation += 1;
  const tls =
    certificate === undefined
      ? {}
      : ({ protocol: 'TERMINATED_HTTPS', tls: aTls([certificate], { alpn: [] }) } as const);
  const wanted = aWanted({
    generation,
    listeners: numbers.map((n) =>
      aListener(n, {
        ...{ port: ports[n - 1] ?? 0, defaultPoolId: id('p', 1), connectionLimit: 100 },
        ...(n === 2 ? tls : {}),
        ...listener,
      }),
    ),
    pools: [
      aPool(1, {
        ...pool,
        members: [aMember(member, { address: '127.0.0.1', port: members[member]?.port ?? 0 })],
      }),
    ],
  });
  return agent.put({ ...wanted, loadBalancer: { ...wanted.loadBalancer, enabled } });
}
const answers = (tls = false) => Promise.all(ports.map((port, n) => get(port, '/', tls && n === 1)));

describe('a listener that goes', () => {
  it('is closed without a reload; the other serves on, and nothing is told of the one that went', async () => {
    await put([1, 2]);
    expect(await answers()).toEqual(['one', 'one']);
    const gone = await put([2]);
    expect(gone).toMatchObject({ change: 'runtime', refused: [] });
    expect(await answers()).toEqual(['refused', 'one']);
    expect(Object.keys(gone.report.listeners)).toEqual([id('l', 2)]);
    expect(gone.report.pools).toMatchObject({ [id('p', 1)]: { up: true } });
  });

  it('comes back without a reload, with what has changed meanwhile, as often as it likes', async () => {
    await put([1, 2]);
    for (let n = 0; n < 3; n += 1) {
      expect(await put([2])).toMatchObject({ change: 'runtime' });
      expect(await put([2], { member: 1 })).toMatchObject({ change: 'runtime' });
      const back = await put([1, 2], { member: 1, listener: { connectionLimit: 200 + n } });
      expect(back).toMatchObject({ change: 'runtime', refused: [] });
      expect(back.why).toContain('listener opened');
      expect(Object.keys(back.report.listeners)).toEqual([id('l', 1), id('l', 2)]);
      expect(await answers()).toEqual(['two', 'two']);
      expect(await put([1, 2])).toMatchObject({ change: 'runtime' });
    }
  });

  it('comes back by a reload when HAProxy has reloaded meanwhile, or the agent is another', async () => {
    await put([1, 2]);
    await put([2]);
    expect(await put([2], { listener: { timeoutClientData: 1000 } })).toMatchObject({ change: 'reload' });
    expect(await answers()).toEqual(['refused', 'one']);
    expect(await put([1, 2], { listener: { timeoutClientData: 1000 } })).toMatchObject({ change: 'reload' });
    await put([2], { listener: { timeoutClientData: 1000 } });
    await agent.kill();
    await agent.spawn();
    expect(await put([1, 2], { listener: { timeoutClientData: 1000 } })).toMatchObject({
      change: 'reload',
      refused: [],
    });
    expect(await answers()).toEqual(['one', 'one']);
  });

  it('goes with all others when the load balancer is disabled, and comes back with them', async () => {
    await put([1, 2]);
    expect(await put([1, 2], { enabled: false })).toMatchObject({ change: 'runtime', refused: [] });
    expect(await answers()).toEqual(['refused', 'refused']);
    expect(await put([1, 2])).toMatchObject({ change: 'runtime', refused: [] });
    expect(await answers()).toEqual(['one', 'one']);
  });

  it('goes and comes with its certificates, renewed meanwhile or not', async () => {
    const [first, renewed] = certificates;
    await put([1, 2], { certificate: first });
    expect(await answers(true)).toEqual(['one', 'one']);
    for (const certificate of [first, renewed, first]) {
      expect(await put([1])).toMatchObject({ change: 'runtime', refused: [] });
      expect(await answers(true)).toEqual(['one', 'refused']);
      expect(await put([1, 2], { certificate })).toMatchObject({ change: 'runtime', refused: [] });
      expect(await answers(true)).toEqual(['one', 'one']);
    }
  });

  it('goes and comes with pools that are checked, or not checked meanwhile', async () => {
    const healthMonitor = aMonitor({ delay: 1, timeout: 1, rise: 1, fall: 2 });
    await put([1, 2], { pool: { healthMonitor } });
    for (const [closed, back] of [
      [healthMonitor, null],
      [null, healthMonitor],
      [null, null],
    ] as const) {
      expect(await put([2], { pool: { healthMonitor: closed } })).toMatchObject({
        change: 'runtime',
        refused: [],
      });
      const opened = await put([1, 2], { pool: { healthMonitor: back } });
      expect(opened).toMatchObject({ change: 'runtime', refused: [] });
      const state = back === null ? 'NO_CHECK' : 'UP';
      expect(opened.report.pools[id('p', 1)]?.members).toEqual({ [id('m', 0)]: state });
      expect(await answers()).toEqual(['one', 'one']);
    }
  });

  it("goes and comes with pools that show the amphora's certificate to their members", async () => {
    const [certificate] = certificates;
    const tls = aBackendTls({ certificate });
    await put([1, 2], { pool: { tls } });
    for (let n = 0; n < 2; n += 1) {
      expect(await put([], { pool: { tls } })).toMatchObject({ change: 'runtime', refused: [] });
      expect(await put([1, 2], { pool: { tls } })).toMatchObject({ change: 'runtime', refused: [] });
    }
  });

  it('counts in the memory budget until HAProxy reloads, for it keeps its certificates', async () => {
    const [certificate] = certificates;
    const many = Array.from({ length: 40 }, (_, n) => ({
      ...certificate,
      name: String(n).padStart(64, '0'),
    }));
    const workerBytes = async () => (await agent.status()).memory.budget?.workerBytes ?? 0;
    await put([1, 2], { certificate });
    const least = await workerBytes();
    const tls = aTls(many, { alpn: [] });
    const rich = { certificate, listener: { protocol: 'TERMINATED_HTTPS', tls } } as const;
    await put([2], rich);
    const most = await workerBytes();
    expect(most).toBeGreaterThan(least);
    expect(await put([])).toMatchObject({ change: 'runtime' });
    expect(await workerBytes()).toBe(most);
    expect(await put([1], { listener: { timeoutClientData: 1000 } })).toMatchObject({ change: 'reload' });
    expect(await workerBytes()).toBeLessThan(most);
  });

  it('lets a request under way end', async () => {
    await put([1, 2]);
    const keepAlive = new HttpAgent({ keepAlive: true });
    const asked = request({ host: '127.0.0.1', port: ports[0], path: '/slow', agent: keepAlive }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    expect(await put([2])).toMatchObject({ change: 'runtime' });
    members[0]?.finish();
    expect(await textOf(answer)).toBe('begun, ended');
    expect(await answers()).toEqual(['refused', 'one']);
    keepAlive.destroy();
  });
});
