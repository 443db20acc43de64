import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { aListener, aMember, aPolicy, aPool, aRule, aWanted, id } from '../../plan/haproxy/wanted.fixture.ts';
import type { WantedL7Policy, WantedListener } from '../../wire/wanted.ts';
import { AgentUnderTest, freePort, get, testMember, type TestMember } from '../agent.fixture.ts';
import { tableEntries } from './tables.ts';

let members: readonly TestMember[];
let agent: AgentUnderTest;
let port: number;
let generation: number;

beforeAll(async () => {
  members = await Promise.all(['web', 'images'].map(testMember));
});
afterAll(() => members.forEach((member) => member.close()));
beforeEach(async () => {
  [agent, port, generation] = [await AgentUnderTest.start(), await freePort(), 0];
});
afterEach(() => agent.remove());

const member = (n: number) => aMember(n, { address: '127.0.0.1', port: members[n - 1]?.port ?? 0 });
/** A listener with a pool of its own, and another pool behind it by a policy for a host that nobody asks for. */
function put(policies: readonly WantedL7Policy[], listener: Partial<WantedListener> = {}) {
  const kept = aPolicy(9, {
    action: 'REDIRECT_TO_POOL',
    redirectPoolId: id('p', 2),
    rules: [aRule(9, { type: 'HOST_NAME', compareType: 'EQUAL_TO', value: 'nobody' })],
  });
  return putAlone([...policies, kept], listener);
}
function putAlone(l7Policies: readonly WantedL7Policy[], listener: Partial<WantedListener> = {}) {
  generation += 1;
  return agent.put(
    aWanted({
      generation,
      listeners: [
        aListener(1, {
          port,
          defaultPoolId: id('p', 1),
          connectionLimit: 100,
          l7Policies: [...l7Policies],
          ...listener,
        }),
      ],
      pools: [1, 2].map((n) => aPool(n, { members: [member(n)] })),
    }),
  );
}
const toImages = (n: number, value: string) =>
  aPolicy(n, {
    action: 'REDIRECT_TO_POOL',
    redirectPoolId: id('p', 2),
    rules: [aRule(n, { compareType: 'ENDS_WITH', value })],
  });
const rejecting = (n: number, value: string, compareType: 'STARTS_WITH' | 'REGEX' = 'STARTS_WITH') =>
  aPolicy(n, { rules: [aRule(n, { value, compareType })] });

const file = async () =>
  (await readFile(join(agent.run, 'haproxy/current/listeners', `${id('l', 1)}.l7`), 'utf8'))
    .split('\n')
    .filter(Boolean);
const held = () => tableEntries(join(agent.run, 'haproxy/stats.sock'), `listeners/${id('l', 1)}.l7`);

describe('L7 policies', () => {
  it('come, change, move and go without a reload; HAProxy holds what its files say', async () => {
    await put([]);
    const taken = { change: 'runtime', why: 'L7 policies', refused: [] };
    expect(await get(port, '/a.png')).toBe('web');
    const series: [readonly WantedL7Policy[], string][] = [
      [[toImages(1, '.png')], 'images'],
      [[rejecting(2, '/a'), toImages(1, '.png')], '403'],
      [[toImages(1, '.png'), rejecting(2, '/a')], 'images'],
      [[toImages(1, '.gif'), rejecting(2, '/b')], 'web'],
      [[], 'web'],
    ];
    for (const [policies, answer] of series) {
      expect(await put(policies)).toMatchObject(taken);
      expect(await get(port, '/a.png')).toBe(answer);
      expect(await held()).toEqual(await file());
    }
  });

  it('to another pool go and come back without a reload; to the default pool they need no other', async () => {
    const byDefault = aPolicy(2, {
      action: 'REDIRECT_TO_POOL',
      redirectPoolId: id('p', 1),
      rules: [aRule(2, { compareType: 'STARTS_WITH', value: '/a' })],
    });
    await putAlone([]);
    const taken = { change: 'runtime', refused: [] };
    expect(await putAlone([byDefault, rejecting(3, '/a')])).toMatchObject(taken);
    expect([await get(port, '/a.png'), await get(port, '/b.png')]).toEqual(['web', 'web']);
    expect(await putAlone([toImages(1, '.png')])).toMatchObject({ change: 'reload', refused: [] });
    for (const [policies, answer] of [
      [[], 'web'],
      [[toImages(1, '.png')], 'images'],
      [[rejecting(2, '/a')], '403'],
      [[byDefault, toImages(1, '.png')], 'web'],
    ] as const) {
      expect(await putAlone(policies)).toMatchObject(taken);
      expect(await get(port, '/a.png')).toBe(answer);
    }
  });

  it('are all there for a request, or none of them, while the first come and the last go', async () => {
    const policies = [
      aPolicy(1, {
        action: 'REDIRECT_TO_URL',
        redirectUrl: 'http://elsewhere/',
        rules: [aRule(1, { compareType: 'ENDS_WITH', value: '.png' })],
      }),
      rejecting(2, '/a'),
    ];
    await put([], { l7Policies: [] });
    const answers = new Set<string>();
    let [asked, changing] = [0, true];
    const client = async () => {
      while (changing) {
        answers.add(await get(port, '/a.png'));
        asked += 1;
      }
    };
    const clients = Promise.all(Array.from({ length: 4 }, client));
    for (let turn = 0; turn < 20 || asked < 200; turn += 1) {
      const outcome = await put([], { l7Policies: turn % 2 === 0 ? policies : [] });
      expect(outcome).toMatchObject({ change: 'runtime', refused: [] });
    }
    changing = false;
    await clients;
    expect([...answers].toSorted()).toEqual(['302', 'web']);
  });

  it('by the hundred, of values of every kind', async () => {
    await put([]);
    const many = Array.from({ length: 300 }, (_, n) => rejecting(100 + n, `/it's #${n} "x" é \\`));
    expect(await put([...many, toImages(1, '.png')])).toMatchObject({ change: 'runtime', refused: [] });
    expect(await get(port, '/a.png')).toBe('images');
    expect(await held()).toEqual(await file());
  });

  it('with an expression that is none are refused whole, and those of before decide on', async () => {
    await put([toImages(1, '.png')]);
    const outcome = await put([rejecting(2, '/a'), rejecting(3, 'a{2,1}', 'REGEX'), toImages(1, '.gif')]);
    expect(outcome.refused).toMatchObject([{ id: id('l', 1), reason: expect.stringContaining('HAProxy') }]);
    expect(await get(port, '/a.png')).toBe('images');
    expect(await put([rejecting(2, '/a')])).toMatchObject({ refused: [] });
    expect(await get(port, '/a.png')).toBe('403');
  });

  it('are there after a reload', async () => {
    await put([]);
    await put([rejecting(2, '/a')]);
    expect(await put([rejecting(2, '/a')], { timeoutClientData: 7000 })).toMatchObject({ change: 'reload' });
    expect(await get(port, '/a.png')).toBe('403');
  });
});

describe('a request made to be dear', () => {
  /** User and system time of HAProxy's worker so far, in seconds. */
  async function spentSeconds(): Promise<number> {
    const worker = (await agent.status()).memory.haproxy.find(({ role }) => role === 'worker')?.pid;
    const cells = (await readFile(`/proc/${worker}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
    return (Number(cells[11]) + Number(cells[12])) / 100;
  }

  it('costs HAProxy no seconds, whatever its headers and however many policies look at them', async () => {
    const compareTypes = ['CONTAINS', 'ENDS_WITH', 'EQUAL_TO', 'STARTS_WITH', 'REGEX'] as const;
    const policies = Array.from({ length: 100 }, (_, n) =>
      aPolicy(n + 100, {
        rules: [
          aRule(n + 100, {
            ...{ type: n < 20 ? 'COOKIE' : 'HEADER', key: n < 20 ? 'c' : 'X-Tier' },
            ...{ compareType: compareTypes[n % 5] ?? 'CONTAINS', value: `zz${n}` },
          }),
        ],
      }),
    );
    expect((await put(policies)).refused).toEqual([]);
    const before = await spentSeconds();
    for (const header of [',', ', ', ' ', 'z', 'z,', ' z']) {
      const headers = { 'X-Tier': `a${header.repeat(13_000 / header.length)}a` };
      const asked = request({ host: '127.0.0.1', port, headers, agent: false }).end();
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      answer.resume();
      expect(answer.statusCode).toBe(200);
    }
    for (const cookie of ['c=;', 'c=z;', ';', 'c=z, ']) {
      const headers = { cookie: cookie.repeat(13_000 / cookie.length) };
      const asked = request({ host: '127.0.0.1', port, headers, agent: false }).end();
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      answer.resume();
      expect(answer.statusCode).toBe(200);
    }
    // Ten requests past a hundred policies: over four seconds where every pair of places was tried.
    expect((await spentSeconds()) - before).toBeLessThan(2);
  });
});
