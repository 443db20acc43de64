import { describe, expect, it } from 'vitest';
import {
  aFullTree,
  aHealthMonitor,
  aListener,
  aLoadBalancer,
  aMember,
  anL7Policy,
  anL7Rule,
  aPool,
  aTree,
  uuid,
} from '../../test/trees.ts';
import { restTree, settled } from './settle.ts';
import { replace, type Tree } from './tree.ts';

const now = new Date('2026-02-02T22:17:03Z');
const confirm = (tree: Tree, failed: Record<string, string> = {}, loadBalancerOnline = true): Tree =>
  settled(tree, { now, failed: new Map(Object.entries(failed)), loadBalancerOnline });

const pending = (provisioningStatus: 'PENDING_CREATE' | 'PENDING_UPDATE' | 'PENDING_DELETE') => ({
  provisioningStatus,
});
const updating = (tree: Tree): Tree => ({
  ...tree,
  loadBalancer: { ...tree.loadBalancer, ...pending('PENDING_UPDATE') },
});

describe('A tree the amphorae confirmed', () => {
  it('is ACTIVE everywhere, at the time of the confirmation', () => {
    const tree = updating(replace(aFullTree(), 'listeners', uuid(2), pending('PENDING_CREATE')));
    const after = confirm(tree);
    expect(after.loadBalancer).toMatchObject({ provisioningStatus: 'ACTIVE', updatedAt: now });
    expect(after.listeners[0]).toMatchObject({ provisioningStatus: 'ACTIVE', updatedAt: now });
    expect(restTree(tree)).toBe(false);
    expect(restTree(after)).toBe(true);
  });

  it('leaves what was not pending the very same objects', () => {
    const tree = updating(aFullTree());
    const after = confirm(tree);
    expect(after.listeners[0]).toBe(tree.listeners[0]);
    expect(after.l7Policies[0]).toBe(tree.l7Policies[0]);
    expect(after.members[0]).toBe(tree.members[0]);
  });

  it('turns a load balancer ONLINE, a disabled one OFFLINE, and keeps DEGRADED', () => {
    const of = (changes: object) => confirm(aTree({ loadBalancer: aLoadBalancer(changes) })).loadBalancer;
    expect(of({ operatingStatus: 'OFFLINE' }).operatingStatus).toBe('ONLINE');
    expect(of({ operatingStatus: 'DEGRADED' }).operatingStatus).toBe('DEGRADED');
    expect(of({ operatingStatus: 'ONLINE', adminStateUp: false }).operatingStatus).toBe('OFFLINE');
  });

  it('turns a monitor, a policy and a rule ONLINE when they are enabled', () => {
    const created = { ...pending('PENDING_CREATE'), operatingStatus: 'OFFLINE' } as const;
    const after = confirm(
      updating({
        ...aFullTree(),
        healthMonitors: [aHealthMonitor(created)],
        l7Policies: [anL7Policy({ ...created, adminStateUp: false })],
        l7Rules: [anL7Rule(created)],
      }),
    );
    expect(after.healthMonitors[0]?.operatingStatus).toBe('ONLINE');
    expect(after.l7Policies[0]?.operatingStatus).toBe('OFFLINE');
    expect(after.l7Rules[0]?.operatingStatus).toBe('ONLINE');
  });
});

describe('What was to be deleted', () => {
  it('takes a pool with its members and monitor, and detaches it from its listeners', () => {
    const after = confirm(updating(replace(aFullTree(), 'pools', uuid(3), pending('PENDING_DELETE'))));
    expect(after.pools).toEqual([]);
    expect(after.members).toEqual([]);
    expect(after.healthMonitors).toEqual([]);
    expect(after.listeners[0]?.defaultPoolId).toBeNull();
  });

  it('takes a listener with its policies and their rules, and leaves the pool', () => {
    const after = confirm(updating(replace(aFullTree(), 'listeners', uuid(2), pending('PENDING_DELETE'))));
    expect(after).toMatchObject({ listeners: [], l7Policies: [], l7Rules: [] });
    expect(after.pools).toHaveLength(1);
  });

  it('closes the gap a policy leaves', () => {
    const policies = [1, 2, 3].map((position) => anL7Policy({ id: uuid(60 + position), position }));
    const tree = replace({ ...aFullTree(), l7Policies: policies }, 'l7Policies', uuid(61), {
      ...pending('PENDING_DELETE'),
    });
    expect(confirm(tree).l7Policies.map((policy) => [policy.id, policy.position])).toEqual([
      [uuid(62), 1],
      [uuid(63), 2],
    ]);
  });

  it('leaves the members of an unwatched pool without a monitor', () => {
    const after = confirm(replace(aFullTree(), 'healthMonitors', uuid(5), pending('PENDING_DELETE')));
    expect(after.healthMonitors).toEqual([]);
    expect(after.members[0]?.operatingStatus).toBe('NO_MONITOR');
  });

  it('takes the whole tree with the load balancer', () => {
    const after = confirm({ ...aFullTree(), loadBalancer: aLoadBalancer(pending('PENDING_DELETE')) });
    expect(after).toMatchObject({ listeners: [], pools: [], members: [], healthMonitors: [] });
    expect(after.loadBalancer.provisioningStatus).toBe('DELETED');
  });

  it('stays in ERROR when it could not be removed', () => {
    const tree = { ...aFullTree(), loadBalancer: aLoadBalancer(pending('PENDING_DELETE')) };
    const after = confirm(tree, { [uuid(1)]: 'The port is gone wild.' });
    expect(after.loadBalancer).toMatchObject({
      provisioningStatus: 'ERROR',
      statusReason: 'The port is gone wild.',
    });
    expect(after.listeners).toHaveLength(1);
  });
});

describe('What failed', () => {
  it('is ERROR alone, with its reason, while its parents become ACTIVE', () => {
    const tree = updating(replace(aFullTree(), 'listeners', uuid(2), pending('PENDING_CREATE')));
    const after = confirm(tree, { [uuid(2)]: 'Secret gone.' });
    expect(after.listeners[0]).toMatchObject({ provisioningStatus: 'ERROR', statusReason: 'Secret gone.' });
    expect(after.loadBalancer.provisioningStatus).toBe('ACTIVE');
  });

  it('stays ERROR when something else changes, and recovers by its own change', () => {
    const broken = aListener({ provisioningStatus: 'ERROR', statusReason: 'Secret gone.' });
    expect(confirm(updating(aTree({ listeners: [broken] }))).listeners[0]).toBe(broken);
    const mended = { ...broken, ...pending('PENDING_UPDATE') };
    expect(confirm(updating(aTree({ listeners: [mended] }))).listeners[0]).toMatchObject({
      provisioningStatus: 'ACTIVE',
      statusReason: null,
    });
  });

  it('takes everything along when the load balancer could not be built', () => {
    const created = pending('PENDING_CREATE');
    const tree = aTree({
      loadBalancer: aLoadBalancer(created),
      listeners: [aListener(created)],
      pools: [aPool(created)],
      members: [aMember(created)],
    });
    const after = confirm(tree, { [uuid(1)]: 'No host has room.' });
    for (const object of [after.loadBalancer, ...after.listeners, ...after.pools, ...after.members]) {
      expect(object).toMatchObject({ provisioningStatus: 'ERROR', statusReason: 'No host has room.' });
    }
  });
});
