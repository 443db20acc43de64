import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aFullTree, aListener, aLoadBalancer, aMember, aPool, aTree, uuid } from '../../test/trees.ts';
import { operatingStatuses, type Sighting, withOperatingStatuses } from './rollup.ts';
import { replace, type Tree } from './tree.ts';

type MemberState = Sighting['pools'][string]['members'][string];
const sighting = (
  listener: 'OPEN' | 'FULL' | 'CLOSED' | undefined,
  member: MemberState | undefined,
  up = true,
  generation = 1,
): Sighting => ({
  generation,
  listeners: listener === undefined ? {} : { [uuid(2)]: { state: listener } },
  pools: { [uuid(3)]: { up, members: member === undefined ? {} : { [uuid(4)]: member } } },
});
const roll = (tree: Tree, seen: Sighting) => {
  const statuses = operatingStatuses(tree, seen);
  return [1, 2, 3, 4].map((n) => statuses.get(uuid(n)));
};
const full = aFullTree();
const unwatched = { ...full, healthMonitors: [] };
const off = { adminStateUp: false };

describe('Operating statuses of load balancer, listener, pool and member', () => {
  it.each<[string, Tree, Sighting, (string | undefined)[]]>([
    ['all well', full, sighting('OPEN', 'UP'), ['ONLINE', 'ONLINE', 'ONLINE', 'ONLINE']],
    ['a full listener', full, sighting('FULL', 'UP'), ['DEGRADED', 'DEGRADED', 'ONLINE', 'ONLINE']],
    ['a member down', full, sighting('OPEN', 'DOWN'), ['DEGRADED', 'ONLINE', 'DEGRADED', 'ERROR']],
    ['a pool down', full, sighting('OPEN', 'DOWN', false), ['ERROR', 'ONLINE', 'ERROR', 'ERROR']],
    ['no monitor', unwatched, sighting('OPEN', 'NO_CHECK'), ['ONLINE', 'ONLINE', 'ONLINE', 'NO_MONITOR']],
    [
      'weight 0',
      replace(full, 'members', uuid(4), { weight: 0 }),
      sighting('OPEN', 'UP'),
      ['ONLINE', 'ONLINE', 'ONLINE', 'DRAINING'],
    ],
    [
      'a disabled member',
      replace(full, 'members', uuid(4), off),
      sighting('OPEN', 'MAINT'),
      ['ONLINE', 'ONLINE', 'ONLINE', 'OFFLINE'],
    ],
    ['a listener that is missing', full, sighting(undefined, 'UP'), ['ONLINE', 'ERROR', 'ONLINE', 'ONLINE']],
    [
      'a disabled listener',
      replace(full, 'listeners', uuid(2), off),
      sighting(undefined, 'UP'),
      ['ONLINE', 'OFFLINE', 'ONLINE', 'ONLINE'],
    ],
    [
      'a disabled load balancer',
      { ...full, loadBalancer: aLoadBalancer(off) },
      { generation: 1, listeners: {}, pools: {} },
      ['OFFLINE', 'OFFLINE', 'OFFLINE', 'OFFLINE'],
    ],
    [
      'a pool that no listener uses',
      full,
      { ...sighting('OPEN', undefined), pools: {} },
      ['ONLINE', 'ONLINE', 'OFFLINE', 'OFFLINE'],
    ],
    [
      'a pool without members counts as up',
      { ...full, members: [] },
      sighting('OPEN', undefined, false),
      ['ONLINE', 'ONLINE', 'ONLINE', undefined],
    ],
    [
      'a listener too new for the report is left alone',
      full,
      sighting(undefined, 'UP', true, 0),
      ['ONLINE', undefined, 'ONLINE', 'ONLINE'],
    ],
  ])('%s', (_, tree, seen, expected) => {
    expect(roll(tree, seen)).toEqual(expected);
  });

  const memberState = fc.constantFrom<MemberState>('UP', 'DOWN', 'DRAIN', 'MAINT', 'NO_CHECK');
  const scene = fc
    .record({
      listeners: fc.array(fc.record({ up: fc.boolean(), state: fc.constantFrom('OPEN', 'FULL', 'CLOSED') }), {
        maxLength: 3,
      }),
      members: fc.array(
        fc.record({ up: fc.boolean(), weight: fc.integer({ min: 0, max: 2 }), state: memberState }),
        {
          maxLength: 4,
        },
      ),
      enabled: fc.boolean(),
    })
    .map(({ listeners, members, enabled }) => ({
      tree: aTree({
        loadBalancer: aLoadBalancer({ adminStateUp: enabled }),
        listeners: listeners.map(({ up }, n) => aListener({ id: uuid(10 + n), adminStateUp: up })),
        pools: [aPool()],
        members: members.map(({ up, weight }, n) => aMember({ id: uuid(20 + n), adminStateUp: up, weight })),
        healthMonitors: full.healthMonitors,
      }),
      seen: {
        generation: 1,
        listeners: Object.fromEntries(listeners.map(({ state }, n) => [uuid(10 + n), { state }])),
        pools: {
          [uuid(3)]: {
            up: members.some(({ state }) => state === 'UP'),
            members: Object.fromEntries(members.map(({ state }, n) => [uuid(20 + n), state])),
          },
        },
      } as Sighting,
    }));

  it('are never ONLINE for what is disabled, and settle: the same report changes nothing the second time', () => {
    fc.assert(
      fc.property(scene, ({ tree, seen }) => {
        const statuses = operatingStatuses(tree, seen);
        for (const object of [tree.loadBalancer, ...tree.listeners, ...tree.members]) {
          if (!object.adminStateUp) expect(statuses.get(object.id)).toBe('OFFLINE');
        }
        const once = withOperatingStatuses(tree, statuses);
        expect(withOperatingStatuses(once, operatingStatuses(once, seen))).toBe(once);
      }),
    );
  });

  it('call a load balancer ONLINE only when nothing enabled below it is in trouble', () => {
    fc.assert(
      fc.property(scene, ({ tree, seen }) => {
        const statuses = operatingStatuses(tree, seen);
        const trouble = [...tree.pools, ...tree.members].some(({ id }) => statuses.get(id) === 'ERROR');
        if (tree.loadBalancer.adminStateUp && trouble) {
          expect(statuses.get(tree.loadBalancer.id)).not.toBe('ONLINE');
        }
      }),
    );
  });
});
