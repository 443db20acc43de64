import fc from 'fast-check';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { id } from '../../plan/haproxy/wanted.fixture.ts';
import { ticketKeys } from '../../pki/ticket-keys.ts';
import type { Outcome } from '../../wire/report.ts';
import type { WantedAmphora } from '../../wire/wanted.ts';
import { AgentUnderTest, eventually, freePort, testMember, type TestMember } from '../agent.fixture.ts';
import { heardOf } from './heard.fixture.ts';
import { freshHaproxy, type Portrait, portraitOf } from './portrait.fixture.ts';
import {
  anyEdit,
  authorities,
  type Edit,
  edited,
  firstWish,
  isTls,
  type Places,
  secretKey,
  wantedOf,
  type Wish,
} from './wishes.fixture.ts';

let members: readonly TestMember[];
let places: Places;
const encrypted = createServer(authorities[0].server, (_, answer) => answer.end('encrypted'));

beforeAll(async () => {
  members = await Promise.all(['0', '1', '2', '3'].map(testMember));
  encrypted.listen(0, '127.0.0.1');
  await once(encrypted, 'listening');
  places = {
    listeners: [],
    servers: [...members.map(({ port }) => port), await freePort()],
    encrypted: (encrypted.address() as AddressInfo).port,
  };
});
afterAll(() => {
  members.forEach((member) => member.close());
  encrypted.close();
  encrypted.closeAllConnections();
});

/** The same series each time; others, and more of them, when somebody asks for it. */
const numRuns = Number(process.env['SERIES_RUNS'] ?? 3);
const seed = Number(process.env['SERIES_SEED'] ?? 1);

/** What HAProxy keeps until it reloads, of what is no longer wished: it must be at rest. */
function withoutKept(running: Portrait, fresh: Portrait): Portrait {
  const backends: Record<string, Portrait['backends'][string]> = {};
  for (const [name, { own, servers }] of Object.entries(running.backends)) {
    const wished = fresh.backends[name]?.servers ?? {};
    const kept = Object.entries(servers).filter(([server]) => wished[server] === undefined);
    for (const [server, { maint }] of kept) expect([name, server, maint]).toEqual([name, server, 'true']);
    if (fresh.backends[name] === undefined) continue;
    backends[name] = {
      own,
      servers: Object.fromEntries(Object.entries(servers).filter(([server]) => wished[server] !== undefined)),
    };
  }
  return { ...running, backends };
}

const withoutLists = ({ files, ...portrait }: Portrait): Portrait => ({
  ...portrait,
  files: Object.fromEntries(Object.entries(files).filter(([path]) => !path.startsWith('all of '))),
});

/** Paths of the files of the version that is current, relative to it. */
async function filesOf(agent: AgentUnderTest): Promise<string[]> {
  const folder = join(agent.run, 'haproxy/current');
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return found
    .filter((one) => one.isFile())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
}

/** Throws unless running process, files and wish agree. `kept`: certificates of what is closed may still be there. */
async function compare(agent: AgentUnderTest, wish: Wish, kept: boolean): Promise<void> {
  const fresh = await freshHaproxy(agent.run);
  try {
    const paths = await filesOf(agent);
    const written = await portraitOf(fresh.socket, paths);
    const running = withoutKept(await portraitOf(join(agent.run, 'haproxy/stats.sock'), paths), written);
    for (const [path, list] of Object.entries(kept ? written.files : {})) {
      if (path.startsWith('all of ')) expect(running.files[path]).toEqual(expect.arrayContaining([...list]));
    }
    if (kept) expect(withoutLists(running)).toEqual(withoutLists(written));
    else expect(running).toEqual(written);

    const open = wish.listeners.flatMap(({ there }, n) => (there && wish.enabled ? [n] : []));
    const limits = open.map((n) => [id('l', n), String(wish.listeners[n]?.limit)]);
    expect(Object.entries(written.frontends).map(([name, row]) => [name, row['slim']])).toEqual(limits);
    if (open.some(isTls)) {
      expect(written.files['ticket-keys']).toEqual(ticketKeys(secretKey, 'lb', wish.hour).keys);
    }
    const cookieOf = (backend: string, server: string): string =>
      written.backends[backend]?.servers[server]?.['cookie'] ?? 'none';
    const steady = [];
    for (const [whose, host] of Object.entries({ running: '127.0.0.1', fresh: fresh.address })) {
      const same = new Map<string, string>();
      for (const [n, port] of places.listeners.entries()) {
        for await (const [what, heard, wished] of heardOf(wish, n, { host, port, cookieOf }, same)) {
          expect({ whose, what, heard }).toEqual({ whose, what, heard: wished });
        }
      }
      steady.push(same);
    }
    expect(steady[0]).toEqual(steady[1]);
  } finally {
    await fresh.remove();
  }
}

/** Gives an agent of its own one wish after the other by `put`, and compares after each. */
async function agreesAfterEach<Step extends { readonly edits: readonly Edit[] }>(
  series: readonly Step[],
  put: (agent: AgentUnderTest, wanted: WantedAmphora, step: Step) => Promise<Outcome>,
): Promise<void> {
  const agent = await AgentUnderTest.start();
  try {
    places = { ...places, listeners: await Promise.all(firstWish.listeners.map(() => freePort())) };
    let [wish, generation, kept] = [firstWish, 1, false];
    await agent.put(wantedOf(wish, places, generation));
    await compare(agent, wish, kept);
    for (const step of series) {
      const next = edited(wish, step.edits);
      const wanted = wantedOf(next, places, (generation += 1));
      if (isDeepStrictEqual(wanted, wantedOf(wish, places, generation))) continue;
      wish = next;
      const { change, refused } = await put(agent, wanted, step);
      expect(refused).toEqual([]);
      kept = change === 'runtime' || (kept && change === 'none');
      await compare(agent, wish, kept);
    }
  } finally {
    await agent.remove();
  }
}

const someEdits = fc.array(anyEdit, { minLength: 1, maxLength: 3 });
const anySeries = <T>(step: fc.Arbitrary<T>) => fc.array(step, { minLength: 10, maxLength: 14 });

describe('after each of any series of changes', () => {
  it('HAProxy is what one started from its files would be, and what is wished', async () => {
    await fc.assert(
      fc.asyncProperty(anySeries(fc.record({ edits: someEdits })), (series) =>
        agreesAfterEach(series, (agent, wanted) => agent.put(wanted)),
      ),
      { numRuns, seed, endOnFailure: true },
    );
  }, 600_000);
});

const victims = ['agent', 'master', 'worker'] as const;

/** As the kernel does when it runs out of memory. */
async function kill(agent: AgentUnderTest, victim: (typeof victims)[number]): Promise<void> {
  if (victim === 'agent') return agent.kill();
  const master = await agent.haproxyPid();
  const children = await readFile(`/proc/${master}/task/${master}/children`, 'utf8').catch(() => '');
  const pid = victim === 'master' ? master : Number(children.trim().split(' ').at(-1));
  if (pid === undefined || !(pid > 0)) return; // somebody ended it already
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has just ended
  }
}

/** As the controller does: again until the wish is carried out, whatever has become of it before. */
async function insist(agent: AgentUnderTest, wanted: WantedAmphora): Promise<Outcome> {
  return eventually(async () => {
    const outcome = await agent.put(wanted).catch(() => undefined);
    return outcome?.refused.length === 0 ? outcome : undefined;
  });
}

describe('when the agent, or HAProxy, is killed while it changes', () => {
  it('all agrees once the same was wished again', async () => {
    const step = fc.record({ edits: someEdits, victim: fc.constantFrom(...victims), afterMs: fc.nat(250) });
    await fc.assert(
      fc.asyncProperty(anySeries(step), (series) =>
        agreesAfterEach(series, async (agent, wanted, { victim, afterMs }) => {
          const first = agent.put(wanted).catch(() => undefined);
          await sleep(afterMs);
          await kill(agent, victim);
          const outcome = await first;
          if (victim === 'agent') await agent.spawn();
          // A master takes its workers with it, and is taken by the current one.
          else await sleep(200);
          const again = await insist(agent, wanted);
          // What was closed without a reload may be there still, unless HAProxy began anew.
          return again.change === 'none' && outcome?.change !== 'reload'
            ? { ...again, change: 'runtime' }
            : again;
        }),
      ),
      { numRuns: Math.ceil(numRuns / 2), seed, endOnFailure: true },
    );
  }, 600_000);
});
