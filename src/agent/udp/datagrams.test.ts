import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { aListener, aWanted, id } from '../../plan/haproxy/wanted.fixture.ts';
import {
  aDatagramListener,
  aDatagramMember,
  aDatagramMonitor,
  aDatagramPool,
  aDatagramTree,
} from '../../plan/udp/nft.fixture.ts';
import { run } from '../../platform/run.ts';
import type { Report } from '../../wire/report.ts';
import type { WantedAmphora } from '../../wire/wanted.ts';
import type { DatagramOutcome } from './datagrams.ts';

const module = join(import.meta.dirname, 'datagrams.ts');
const neighbour = '2001:db8::1';
const vip = '2001:db8::5';
/** The same two in IPv4. */
const [neighbour4, vip4] = ['10.9.0.1', '10.9.0.5'];
/** Clients outside: the first two differ in their last part alone, the third in the part before it. */
const clients6 = ['2001:db8::1:1', '2001:db8::1:2', '2001:db8::2:1'];
const clients4 = ['10.9.1.1', '10.9.1.2', '10.9.2.1'];

let amphora: string;
let outside: string;
let folder: string;

/** An amphora's namespace and one where its clients and members live, joined by a cable. */
beforeEach(async () => {
  const name = `livia-${randomBytes(3).toString('hex')}`;
  [amphora, outside] = [`${name}-a`, `${name}-b`];
  folder = await mkdtemp(join(tmpdir(), 'datagrams-'));
  for (const namespace of [amphora, outside]) await run(['ip', 'netns', 'add', namespace]);
  await run(['ip', '-n', amphora, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'eth0', 'netns', outside]);
  for (const [namespace, addresses] of [
    [amphora, ['2001:db8::4/64', `${vip}/64`, '10.9.0.4/16', `${vip4}/16`]],
    [
      outside,
      [
        ...[neighbour, ...clients6].map((one) => `${one}/64`),
        ...[neighbour4, ...clients4].map((one) => `${one}/16`),
      ],
    ],
  ] as const) {
    await run(['ip', '-n', namespace, 'link', 'set', 'eth0', 'up']);
    for (const address of addresses) {
      const nodad = address.includes(':') ? ['nodad'] : [];
      await run(['ip', '-n', namespace, 'address', 'add', address, 'dev', 'eth0', ...nodad]);
    }
  }
});
afterEach(async () => {
  for (const namespace of [amphora, outside]) await run(['ip', 'netns', 'del', namespace]);
  await rm(folder, { recursive: true, force: true });
});

/** What a program says that runs in a namespace, as JSON. */
async function inside<T>(namespace: string, program: string): Promise<T> {
  const node = [process.execPath, '--input-type=module', '-e', program];
  return JSON.parse(await run(['ip', 'netns', 'exec', namespace, ...node])) as T;
}

/** What an agent says after these steps, of which each is `await agent.…`; it then ends without a farewell. */
const agent = <T>(...steps: readonly string[]): Promise<T> =>
  inside(
    amphora,
    `import { execFileSync } from 'node:child_process';
     import { setTimeout as sleep } from 'node:timers/promises';
     import { datagrams } from ${JSON.stringify(module)};
     const log = { error: (what, text) => process.stderr.write(text + what.err.message) };
     const agent = datagrams({ path: ${JSON.stringify(join(folder, 'kept'))}, log });
     await agent.recall();
     let last;
     ${steps.map((step) => `last = ${step};`).join('\n')}
     process.stdout.write(JSON.stringify(last), () => process.exit());`,
  );
const apply = (wanted: WantedAmphora): string => `await agent.apply(${JSON.stringify(wanted)})`;
const report = 'await agent.report()';

/** Which members answer new flows of these clients, one after the other; members are the ports that listen. */
const answersTo = (clients: readonly string[], ports: readonly number[], door = 9001): Promise<number[]> =>
  inside(
    outside,
    `import { createSocket } from 'node:dgram';
     import { once } from 'node:events';
     const clients = ${JSON.stringify(clients)};
     const [kind, member, vip] = clients[0].includes(':')
       ? ['udp6', '${neighbour}', '${vip}']
       : ['udp4', '${neighbour4}', '${vip4}'];
     for (const port of ${JSON.stringify(ports)}) {
       const socket = createSocket(kind).bind(port, member).unref();
       socket.on('message', (said, from) => said.length && socket.send(String(port), from.port, from.address));
       await once(socket, 'listening');
     }
     const heard = [];
     for (const address of clients) {
       const client = createSocket(kind).bind(0, address);
       client.send('who?', ${door}, vip);
       const [said] = await Promise.race([once(client, 'message'), new Promise((done) => setTimeout(done, 2000, ['0']))]);
       heard.push(Number(said.toString()));
     }
     process.stdout.write(JSON.stringify(heard), () => process.exit());`,
  );
const answers = (ports: readonly number[], flows: number): Promise<number[]> =>
  answersTo(
    Array.from({ length: flows }, () => neighbour),
    ports,
  );

const members = [1, 2, 3].map((n) => aDatagramMember(n, { address: neighbour, port: 7000 + n }));
const tree = (changes: Parameters<typeof aDatagramPool>[1] = {}): WantedAmphora => {
  const wanted = aDatagramTree({ pools: [aDatagramPool(1, { members, ...changes })] });
  return { ...wanted, loadBalancer: { ...wanted.loadBalancer, vipAddresses: [vip] } };
};

describe('an agent that carries datagrams', () => {
  it('carries IPv6, and the next agent finds what the kernel has counted meanwhile', async () => {
    const outcome = await agent<DatagramOutcome>(apply(tree()));
    expect(outcome).toEqual({ changed: true, refused: [], warnings: [] });
    expect((await answers([7001, 7002, 7003], 6)).toSorted((a, b) => a - b)).toEqual([
      7001, 7001, 7002, 7002, 7003, 7003,
    ]);
    const said = await agent<Report>(report);
    const bytes = 40 + 8 + 4;
    expect(said.listeners[id('l', 1)]).toEqual({
      state: 'OPEN',
      activeConnections: 6,
      counters: { totalConnections: 6, bytesIn: 6 * bytes, bytesOut: 6 * bytes, requestErrors: 0 },
    });
    expect(said.pools[id('p', 1)]).toEqual({
      up: true,
      members: { [id('m', 1)]: 'NO_CHECK', [id('m', 2)]: 'NO_CHECK', [id('m', 3)]: 'NO_CHECK' },
    });
  });

  it('counts on over a change, and takes what is no longer needed out of the kernel', async () => {
    await agent(apply(tree()));
    await answers([7001, 7002, 7003], 3);
    await agent(apply(tree({ members: members.slice(0, 1) })));
    expect(await answers([7001, 7002, 7003], 2)).toEqual([7001, 7001]);
    const said = await agent<Report>(report);
    expect(said.listeners[id('l', 1)]?.counters.totalConnections).toBe(5);
    const counters = await run(['ip', 'netns', 'exec', amphora, 'nft', 'list', 'counters']);
    expect(counters).toContain(id('m', 1));
    expect(counters).not.toContain(id('m', 2));
  });

  it('counts at each of the listeners that share a pool what came through it', async () => {
    const shared = [1, 2].map((n) => aDatagramListener(n, { defaultPoolId: id('p', 1) }));
    await agent(apply({ ...tree(), listeners: shared }));
    for (const [door, clients] of [
      [9001, [neighbour, neighbour]],
      [9002, [neighbour]],
    ] as const) {
      expect(await answersTo(clients, [7001, 7002, 7003], door)).not.toContain(0);
    }
    const { listeners } = await agent<Report>(report);
    const bytes = 40 + 8 + 4;
    for (const [n, flows] of [2, 1].entries()) {
      expect(listeners[id('l', n + 1)]?.counters).toMatchObject({
        totalConnections: flows,
        bytesIn: flows * bytes,
        bytesOut: flows * bytes,
      });
    }
  });

  it('keeps members out that were down for the agent before it', async () => {
    const monitor = aDatagramMonitor({ delay: 1, timeout: 1, rise: 1, fall: 1 });
    const down = `await (async () => {
      for (;;) {
        const { pools } = await agent.report();
        if (Object.values(pools).every(({ up }) => !up)) return pools;
        await sleep(50);
      }
    })()`;
    const pools = await agent<Report['pools']>(apply(tree({ healthMonitor: monitor })), down);
    expect(Object.values(pools[id('p', 1)]?.members ?? {})).toEqual(['DOWN', 'DOWN', 'DOWN']);
    expect(await agent<Report>(report)).toMatchObject({ pools: { [id('p', 1)]: { up: false } } });
    expect(await answers([7001, 7002, 7003], 1)).toEqual([0]);
  });

  it('gives new flows to who has the fewest, by least connections', async () => {
    const one = members.slice(0, 1);
    await agent(apply(tree({ algorithm: 'LEAST_CONNECTIONS', members: one })));
    expect(await answers([7001], 12)).toEqual(Array.from({ length: 12 }, () => 7001));
    const both = apply(tree({ algorithm: 'LEAST_CONNECTIONS', members: members.slice(0, 2) }));
    await agent(both, report, both); // the second waits until the rules follow the report's count
    // Twelve against none: the next four are for the other, and so on until it has as many.
    expect(await answers([7001, 7002], 4)).toEqual([7002, 7002, 7002, 7002]);
    await agent(both, report, both);
    expect(await answers([7001, 7002], 4)).toEqual([7002, 7002, 7002, 7002]);
  });

  for (const [version, granularity, clients, at, place] of [
    ['IPv4', '255.255.255.0', clients4, vip4, neighbour4],
    ['IPv6', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:0', clients6, vip, neighbour],
  ] as const) {
    it(`knows clients again by as much of their address as the persistence granularity says, ${version}`, async () => {
      const [one = '', near = '', far = ''] = clients;
      const persistence = (persistenceGranularity: string | null) => {
        const sessionPersistence = {
          ...{ type: 'SOURCE_IP' as const, cookieName: null },
          ...{ persistenceTimeout: 60, persistenceGranularity },
        };
        const own = members.map((member) => ({ ...member, address: place }));
        const wanted = tree({ sessionPersistence, members: own });
        return apply({ ...wanted, loadBalancer: { ...wanted.loadBalancer, vipAddresses: [at] } });
      };
      const ports = [7001, 7002, 7003];
      await agent(persistence(granularity));
      const [first, same, other, again] = await answersTo([one, near, far, one], ports);
      expect(ports).toContain(first);
      expect([same, again]).toEqual([first, first]);
      expect(other).not.toBe(first);
      await agent(persistence(null));
      const [alone, apart, alike] = await answersTo([one, near, one], ports);
      expect(apart).not.toBe(alone);
      expect(alike).toBe(alone);
    });
  }

  it('loads the rules again when somebody has removed them', async () => {
    const remove = `execFileSync('nft', ['flush', 'ruleset'])`;
    const states = `await (async () => {
      const seen = [];
      while (seen.at(-1) !== 'OPEN') {
        const { listeners } = await agent.report();
        const { state } = listeners[${JSON.stringify(id('l', 1))}];
        if (seen.at(-1) !== state) seen.push(state);
      }
      return seen;
    })()`;
    expect(await agent(apply(tree()), remove, states)).toEqual(['CLOSED', 'OPEN']);
    expect((await answers([7001, 7002, 7003], 3)).toSorted((a, b) => a - b)).toEqual([7001, 7002, 7003]);
  });

  it('leaves the kernel alone as long as no datagrams are wanted', async () => {
    const outcome = await agent<DatagramOutcome>(apply(aWanted({ listeners: [aListener(1)] })));
    expect(outcome).toEqual({ changed: false, refused: [], warnings: [] });
    expect(await run(['ip', 'netns', 'exec', amphora, 'nft', 'list', 'ruleset'])).toBe('');
  });

  it('says what the kernel says when it refuses the rules', async () => {
    const listeners = [aDatagramListener(1, { defaultPoolId: null })];
    const outcome = await agent<DatagramOutcome>(
      `process.env.PATH = ${JSON.stringify(folder)}`,
      apply({ ...tree(), listeners }),
    );
    expect(outcome.refused).toEqual([{ id: id('l', 1), reason: expect.stringContaining('nft') }]);
  });
});
