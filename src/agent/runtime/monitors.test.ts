import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { aListener, aMember, aMonitor, aPool, aWanted, id } from '../../plan/haproxy/wanted.fixture.ts';
import type { WantedHealthMonitor, WantedMember } from '../../wire/wanted.ts';
import { AgentUnderTest, eventually, freePort, get, testMember, type TestMember } from '../agent.fixture.ts';

/** Which one fails: it has no such page. */
const monitor = aMonitor({ type: 'HTTP', delay: 1, timeout: 1, rise: 1, fall: 2, expectedCodes: '200' });
const failing = { ...monitor, expectedCodes: '404' };
const none = null;
let members: readonly TestMember[];
let agent: AgentUnderTest;
let port: number;
let generation: number;

beforeAll(async () => {
  members = await Promise.all(['one', 'two', 'three'].map(testMember));
});
afterAll(() => members.forEach((member) => member.close()));
beforeEach(async () => {
  [agent, port, generation] = [await AgentUnderTest.start(), await freePort(), 0];
});
afterEach(() => agent.remove());

function put(
  healthMonitor: WantedHealthMonitor | null,
  changes: readonly Partial<WantedMember>[] = [{}],
  timeoutClientData = 50_000,
) {
  generation += 1;
  return agent.put(
    aWanted({
      generation,
      listeners: [aListener(1, { port, defaultPoolId: id('p', 1), connectionLimit: 100, timeoutClientData })],
      pools: [
        aPool(1, {
          healthMonitor,
          members: changes.map((change, n) =>
            aMember(n, { address: '127.0.0.1', port: members[n]?.port ?? 0, ...change }),
          ),
        }),
      ],
    }),
  );
}
const state = async (n = 0) => (await agent.status()).report.pools[id('p', 1)]?.members[id('m', n)];
const becomes = (wanted: string, n = 0) =>
  eventually(async () => ((await state(n)) === wanted ? true : undefined));

describe('a health monitor that is switched off', () => {
  it('takes no reload; a member that was DOWN gets traffic again, and goes DOWN once it is on again', async () => {
    await put(failing);
    await becomes('DOWN');
    expect(await get(port)).toBe('503');
    expect(await put(none)).toMatchObject({ change: 'runtime', why: 'monitor off', refused: [] });
    expect(await state()).toBe('NO_CHECK');
    expect(await get(port)).toBe('one');
    expect(await put(failing)).toMatchObject({ change: 'runtime', why: 'monitor on', refused: [] });
    await becomes('DOWN');
    expect(await get(port)).toBe('503');
  });

  it('is on again for members that came meanwhile, and for those in maintenance', async () => {
    await put(monitor, [{}, { enabled: false }]);
    await becomes('UP');
    expect(await put(none, [{ enabled: false }, {}])).toMatchObject({ change: 'runtime' });
    expect([await state(0), await state(1)]).toEqual(['MAINT', 'NO_CHECK']);
    expect(await get(port)).toBe('two');
    const three = [{ enabled: false }, {}, {}];
    expect(await put(none, three)).toMatchObject({ change: 'runtime', refused: [] });
    expect(await state(2)).toBe('NO_CHECK');
    expect(await put(failing, three)).toMatchObject({ change: 'reload' });
    await becomes('DOWN', 2);
    await put(none, three);
    const all = [{}, {}, {}];
    expect(await put(failing, all)).toMatchObject({ change: 'runtime', refused: [] });
    for (const n of [0, 1, 2]) await becomes('DOWN', n);
  });

  it('is the same after a reload, off and on', async () => {
    await put(failing);
    await becomes('DOWN');
    await put(none);
    expect(await put(none, [{}], 50_001)).toMatchObject({ change: 'reload' });
    expect(await state()).toBe('NO_CHECK');
    expect(await get(port)).toBe('one');
    expect(await put(failing, [{}], 50_001)).toMatchObject({ change: 'reload' });
    await becomes('DOWN');
    expect(await put(none, [{}], 50_001)).toMatchObject({ change: 'runtime' });
    // Of a member whose checks slept nothing is taken over, least of all that they sleep.
    expect(await put(failing, [{}], 50_002)).toMatchObject({ change: 'reload' });
    await becomes('DOWN');
  });
});
