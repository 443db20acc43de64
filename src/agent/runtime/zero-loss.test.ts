import { once } from 'node:events';
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  aCertificate,
  aListener,
  aMember,
  aMonitor,
  aPolicy,
  aPool,
  aRule,
  aTls,
  aWanted,
  id,
} from '../../plan/haproxy/wanted.fixture.ts';
import type { WantedL7Policy, WantedMember } from '../../wire/wanted.ts';
import {
  AgentUnderTest,
  eventually,
  freePort,
  get,
  testMember,
  type TestMember,
  textOf,
} from '../agent.fixture.ts';
import { ask } from '../haproxy/socket.ts';
import { parseServers } from '../haproxy/servers.ts';

const certificates = [aCertificate('www.example.com'), aCertificate('www.example.com')] as const;
let members: readonly TestMember[];
let agent: AgentUnderTest;
let ports: { readonly http: number; readonly https: number };
let generation: number;

beforeAll(async () => {
  members = await Promise.all(['one', 'two'].map(testMember));
});
afterAll(() => members.forEach((member) => member.close()));
beforeEach(async () => {
  [agent, generation] = [await AgentUnderTest.start(), 0];
  ports = { http: await freePort(), https: await freePort() };
});
afterEach(() => agent.remove());

interface Wish {
  readonly clientMs?: number;
  readonly certificate?: 0 | 1;
  readonly members?: readonly Partial<WantedMember>[];
  readonly policies?: readonly WantedL7Policy[];
  readonly connectionLimit?: number;
  readonly monitored?: boolean;
}
function put(wish: Wish) {
  const { clientMs = 50_000, certificate = 0, members: changed = [], policies = [] } = wish;
  const { connectionLimit = 1000, monitored = true } = wish;
  generation += 1;
  const common = { defaultPoolId: id('p', 1), connectionLimit, timeoutClientData: clientMs };
  const tls = aTls([certificates[certificate]], { alpn: [] });
  return agent.put(
    aWanted({
      generation,
      listeners: [
        aListener(1, { ...common, port: ports.http, l7Policies: [...policies] }),
        aListener(2, { ...common, port: ports.https, protocol: 'TERMINATED_HTTPS', tls }),
      ],
      pools: [
        aPool(1, {
          healthMonitor: monitored ? aMonitor({ delay: 1, timeout: 1 }) : null,
          members: members.map(({ port }, n) => aMember(n, { address: '127.0.0.1', port, ...changed[n] })),
        }),
      ],
    }),
  );
}

/** Clients that keep their connections and ask without a pause, never twice for the same. */
class Load {
  readonly #agents = [new HttpAgent({ keepAlive: true }), new HttpsAgent({ keepAlive: true })] as const;
  readonly failures: string[] = [];
  readonly #clients: Promise<void>[];
  #stopped = false;
  #answers = 0;
  #reused = 0;

  constructor(clients: number) {
    this.#clients = Array.from({ length: clients }, (_, n) => this.#run(n % 2 === 1));
  }

  async #run(tls: boolean): Promise<void> {
    const options = { host: '127.0.0.1', path: '/', rejectUnauthorized: false };
    while (!this.#stopped) {
      const asked = tls
        ? httpsRequest({ ...options, port: ports.https, agent: this.#agents[1] })
        : httpRequest({ ...options, port: ports.http, agent: this.#agents[0] });
      try {
        const [answer] = (await once(asked.end(), 'response')) as [IncomingMessage];
        const text = await textOf(answer);
        if (answer.statusCode !== 200) this.failures.push(`${answer.statusCode} ${text}`);
        this.#answers += 1;
        if (asked.reusedSocket) this.#reused += 1;
      } catch (error) {
        this.failures.push(String(error));
      }
    }
  }

  /** How many answers came, and how many of them over a connection that had had one before. */
  async stop(): Promise<{ answers: number; reused: number }> {
    this.#stopped = true;
    await Promise.all(this.#clients);
    this.#agents.forEach((one) => one.destroy());
    return { answers: this.#answers, reused: this.#reused };
  }
}

describe('clients that keep their connections lose no request', { timeout: 240_000 }, () => {
  it('over twenty reloads', async () => {
    await put({});
    const load = new Load(8);
    for (let n = 1; n <= 20; n += 1) {
      expect(await put({ clientMs: 50_000 + n })).toMatchObject({ change: 'reload' });
    }
    const { answers, reused } = await load.stop();
    expect(load.failures).toEqual([]);
    expect(answers).toBeGreaterThan(100);
    expect(reused).toBeGreaterThan(answers / 2);
  });

  it('while certificates are swapped, members drained, policies, limits and the monitor changed', async () => {
    await put({});
    const load = new Load(8);
    const elsewhere = (n: number) =>
      aPolicy(n, { rules: [aRule(n, { value: `/elsewhere-${n}`, compareType: 'STARTS_WITH' })] });
    for (let n = 1; n <= 10; n += 1) {
      const wishes: Wish[] = [
        { certificate: 1 },
        { members: [{ weight: 0 }] },
        { members: [{}, { enabled: false }] },
        { policies: [elsewhere(n), elsewhere(n + 1)] },
        { connectionLimit: 100 + n },
        { connectionLimit: 2000, monitored: false },
        {},
      ];
      for (const wish of wishes) expect(await put(wish)).toMatchObject({ change: 'runtime' });
    }
    const { answers } = await load.stop();
    expect(load.failures).toEqual([]);
    expect(answers).toBeGreaterThan(100);
  });

  it('while members become backups and cease to be, and those who are none serve', async () => {
    await put({});
    const load = new Load(8);
    const stats = join(agent.run, 'haproxy/stats.sock');
    /** One server for each member behind each listener: who went has no connection left. */
    const settled = () =>
      eventually(async () =>
        parseServers(await ask(stats, 'show servers state')).length === 4 ? true : undefined,
      );
    const series = [
      { members: [{ backup: true }], serve: ['two'] },
      { members: [{}, { backup: true }], serve: ['one'] },
      { members: [{ backup: true }, { backup: true }], serve: ['one', 'two'] },
      { members: [], serve: ['one', 'two'] },
    ];
    for (let n = 0; n < 5; n += 1) {
      for (const { members: changed, serve } of series) {
        expect(await put({ members: changed })).toMatchObject({ change: 'runtime', refused: [] });
        const heard = new Set<string>();
        // Beside the load, whose turns come between these.
        for (let tries = 0; tries < 8 || (heard.size < serve.length && tries < 400); tries += 1) {
          heard.add(await get(ports.http));
        }
        expect([...heard].toSorted()).toEqual(serve);
        await settled();
        const { report } = await agent.status();
        expect(report.pools[id('p', 1)]?.members).toEqual({ [id('m', 0)]: 'UP', [id('m', 1)]: 'UP' });
      }
    }
    const { answers } = await load.stop();
    expect(load.failures).toEqual([]);
    expect(answers).toBeGreaterThan(100);
  });
});
