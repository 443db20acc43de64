import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { aListener, aMember, aPool, aWanted, id } from '../../plan/haproxy/wanted.fixture.ts';
import { AgentUnderTest, freePort, get, testMember, type TestMember } from '../agent.fixture.ts';

let member: TestMember;
let agent: AgentUnderTest;
let ports: readonly number[];
let generation: number;

beforeAll(async () => {
  member = await testMember('one');
});
afterAll(() => member.close());
beforeEach(async () => {
  [agent, ports, generation] = [await AgentUnderTest.start(), [await freePort(), await freePort()], 0];
});
afterEach(() => agent.remove());

/** Listeners that share a pool. */
function put(numbers: readonly number[], enabled = true) {
  generation += 1;
  const wanted = aWanted({
    generation,
    listeners: numbers.map((n) =>
      aListener(n, { port: ports[n - 1] ?? 0, defaultPoolId: id('p', 1), connectionLimit: 100 }),
    ),
    pools: [aPool(1, { members: [aMember(1, { address: '127.0.0.1', port: member.port })] })],
  });
  return agent.put({ ...wanted, loadBalancer: { ...wanted.loadBalancer, enabled } });
}
const answers = () => Promise.all(ports.map((port) => get(port)));

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

  it('comes back by a reload', async () => {
    await put([1, 2]);
    await put([2]);
    expect(await put([1, 2])).toMatchObject({ change: 'reload', refused: [] });
    expect(await answers()).toEqual(['one', 'one']);
  });

  it('goes with all others when the load balancer is disabled', async () => {
    await put([1, 2]);
    expect(await put([1, 2], false)).toMatchObject({ change: 'runtime', refused: [] });
    expect(await answers()).toEqual(['refused', 'refused']);
    expect(await put([1, 2])).toMatchObject({ refused: [] });
    expect(await answers()).toEqual(['one', 'one']);
  });
});
