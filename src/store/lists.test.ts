import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshStore } from '../../test/database.ts';
import {
  aHealthMonitor,
  aListener,
  aLoadBalancer,
  aMember,
  anL7Policy,
  anL7Rule,
  aPool,
  aTree,
} from '../../test/trees.ts';
import { listenersUsing } from '../lb/tree.ts';
import type { ListQuery, Store } from './store.ts';

let store: Store;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ store, drop } = await freshStore());
});
afterAll(() => drop());

const byAge = [
  { key: 'createdAt', descending: false },
  { key: 'id', descending: false },
] as const;

const loadBalancers = (query: Partial<ListQuery>) =>
  store.lists.list('loadBalancer', { filters: {}, sort: byAge, ...query });

const ids = (rows: readonly { id: string }[] | undefined) => rows?.map((row) => row.id);

describe('pages of load balancers', () => {
  const projectId = 'project-of-pages';
  const filters = { projectId };

  beforeAll(async () => {
    for (let n = 0; n < 25; n++) {
      const loadBalancer = aLoadBalancer({
        id: randomUUID(),
        projectId,
        name: n % 4 === 0 ? null : `lb ${n % 3}`,
        description: n % 5 === 0 ? '' : null,
        adminStateUp: n % 2 === 0,
        createdAt: new Date(1_700_000_000_000 + (n % 6) * 1000),
        updatedAt: n % 3 === 0 ? null : new Date(1_700_000_000_000 + n),
        tags: n % 2 === 0 ? ['even'] : [],
        vipSgIds: n % 7 === 0 ? ['x'] : [],
      });
      await store.trees.create(aTree({ loadBalancer }));
    }
  });

  const anySort = fc
    .uniqueArray(
      fc.record({
        key: fc.constantFrom(
          ...[
            'name',
            'description',
            'adminStateUp',
            'createdAt',
            'updatedAt',
            'generation',
            'tags',
            'vipSgIds',
          ],
          'additionalVips',
        ),
        descending: fc.boolean(),
      }),
      { maxLength: 3, selector: ({ key }) => key },
    )
    .chain((first) => fc.boolean().map((descending) => [...first, { key: 'id', descending }]));

  it('visit each row once, in the order of the whole list, whatever the sort', async () => {
    await fc.assert(
      fc.asyncProperty(anySort, fc.integer({ min: 1, max: 9 }), async (sort, limit) => {
        const whole = ids(await loadBalancers({ filters, sort }));
        expect(whole).toHaveLength(25);
        const seen: string[] = [];
        for (
          let page: string[] | undefined = [];
          page && (seen.length === 0 || page.length > 0);
          seen.push(...page)
        ) {
          const marker = seen.at(-1);
          page = ids(await loadBalancers({ filters, sort, limit, ...(marker !== undefined && { marker }) }));
          if (!page) throw new Error('the marker is unknown');
        }
        expect(seen).toEqual(whole);
      }),
      { numRuns: 25 },
    );
  });

  it('in reverse give the first rows of the list before the marker', async () => {
    await fc.assert(
      fc.asyncProperty(anySort, fc.nat(24), async (sort, at) => {
        const whole = ids(await loadBalancers({ filters, sort })) ?? [];
        const before = await loadBalancers({
          filters,
          sort,
          marker: whole[at] ?? '',
          reverse: true,
          limit: 4,
        });
        expect(ids(before)).toEqual(whole.slice(0, Math.min(at, 4)));
      }),
      { numRuns: 15 },
    );
  });

  it('go on behind a load balancer that was deleted meanwhile', async () => {
    const whole = ids(await loadBalancers({ filters })) ?? [];
    const marker = whole[3] ?? '';
    await store.trees.settle(marker, (now) => ({
      ...now,
      loadBalancer: { ...now.loadBalancer, provisioningStatus: 'DELETED' },
    }));
    expect(ids(await loadBalancers({ filters, marker }))).toEqual(whole.slice(4));
    expect(ids(await loadBalancers({ filters }))).toHaveLength(24);
  });

  it('do not begin behind an unknown marker', async () => {
    expect(await loadBalancers({ marker: randomUUID() })).toBeUndefined();
    expect(await loadBalancers({ marker: 'no uuid' })).toBeUndefined();
  });

  it('sort nothing as if it were empty', async () => {
    const names = (
      await loadBalancers({ filters, sort: [{ key: 'name', descending: false }, ...byAge] })
    )?.map((row) => row.name ?? '');
    expect(names).toEqual(names?.toSorted());
  });
});

describe('filters', () => {
  const projectId = 'project-of-filters';
  const created = new Date('2026-03-04T05:06:07.089Z');
  const [lb, other, listener, pool, policy, monitor] = Array.from({ length: 6 }, () => randomUUID()) as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];

  beforeAll(async () => {
    await store.trees.create(
      aTree({
        loadBalancer: aLoadBalancer({ id: lb, projectId, name: 'one', createdAt: created, tags: ['a', 'b'] }),
        listeners: [aListener({ id: listener, projectId, loadBalancerId: lb, protocolPort: 8080 })],
        pools: [aPool({ id: pool, projectId, loadBalancerId: lb })],
        members: [aMember({ id: randomUUID(), projectId, poolId: pool, weight: 3, backup: true })],
        healthMonitors: [aHealthMonitor({ id: monitor, projectId, poolId: pool, httpVersion: 1.1 })],
        l7Policies: [anL7Policy({ id: policy, projectId, listenerId: listener, redirectPoolId: pool })],
        l7Rules: [anL7Rule({ id: randomUUID(), projectId, l7PolicyId: policy })],
      }),
    );
    await store.trees.create(
      aTree({
        loadBalancer: aLoadBalancer({ id: other, projectId, name: null, description: 'd', tags: ['b', 'c'] }),
        pools: [aPool({ id: randomUUID(), projectId, loadBalancerId: other })],
      }),
    );
  });

  const found = async (filters: ListQuery['filters']) =>
    ids(await loadBalancers({ filters: { projectId, ...filters } }));

  it('match exactly, and null matches what is not set', async () => {
    expect(await found({ name: 'one' })).toEqual([lb]);
    expect(await found({ name: 'on' })).toEqual([]);
    expect(await found({ name: null })).toEqual([other]);
    expect(await found({ description: 'd', name: null })).toEqual([other]);
    expect(await found({ id: lb })).toEqual([lb]);
    expect(await found({ id: 'no uuid' })).toEqual([]);
    expect(await found({ name: 'one\0' })).toEqual([]);
    expect(await found({ adminStateUp: false })).toEqual([]);
    expect(await found({ flavorId: 'no uuid' })).toEqual([]);
    expect(await found({ createdAt: '2026-03-04T05:06:07' })).toEqual([lb]);
    expect(await found({ createdAt: 'yesterday' })).toEqual([]);
  });

  it('on numbers match numbers alone', async () => {
    const members = async (filters: ListQuery['filters']) =>
      (await store.lists.list('member', { filters: { projectId, ...filters }, sort: byAge }))?.length;
    expect(await members({ weight: 3, backup: true })).toBe(1);
    expect(await members({ weight: 4 })).toBe(0);
    expect(await members({ weight: 'many' })).toBe(0);
    expect(await members({ weight: 1e12 })).toBe(0);
    const monitors = await store.lists.list('healthMonitor', { filters: { httpVersion: 1.1 }, sort: byAge });
    expect(ids(monitors)).toEqual([monitor]);
  });

  it('by load balancer work for everything below one', async () => {
    for (const kind of ['listener', 'pool', 'member', 'healthMonitor', 'l7Policy', 'l7Rule'] as const) {
      const rows = await store.lists.list(kind, { filters: { loadBalancerId: lb, projectId }, sort: byAge });
      expect(rows, kind).toHaveLength(1);
    }
  });

  it('find a pool by its listener and by its monitor', async () => {
    const pools = async (filters: ListQuery['filters']) =>
      ids(await store.lists.list('pool', { filters: { projectId, ...filters }, sort: byAge }));
    expect(await pools({ listenerId: listener })).toEqual([pool]);
    expect(await pools({ healthMonitorId: monitor })).toEqual([pool]);
    expect(await pools({ healthMonitorId: randomUUID() })).toEqual([]);
    expect(await pools({ healthMonitorId: null })).toHaveLength(1);
    expect(await pools({ listenerId: null })).toHaveLength(1);
  });

  it('by tags: all, any, not all, not any', async () => {
    const tagged = async (tags: NonNullable<ListQuery['tags']>) =>
      (await loadBalancers({ filters: { projectId }, tags }))?.map((row) => row.tags.join(''));
    const both = ['ab', 'bc'];
    expect((await tagged({ all: ['b'] }))?.toSorted()).toEqual(both);
    expect(await tagged({ all: ['a', 'b'] })).toEqual(['ab']);
    expect((await tagged({ any: ['a', 'c'] }))?.toSorted()).toEqual(both);
    expect(await tagged({ notAll: ['a', 'b'] })).toEqual(['bc']);
    expect(await tagged({ notAny: ['a', 'z'] })).toEqual(['bc']);
    expect(await tagged({ all: ['b'], notAny: ['c'] })).toEqual(['ab']);
    expect(await tagged({ all: ['a\0'] })).toEqual([]);
  });

  it('of a field that does not exist are a bug', async () => {
    await expect(found({ nonsense: 1 })).rejects.toThrow('nonsense');
  });
});

describe('what stands around an object', () => {
  it('is shown with it', async () => {
    const lb = randomUUID();
    const [first, second] = [randomUUID(), randomUUID()];
    const at = (second: number) => ({ createdAt: new Date(1_700_000_000_000 + second * 1000) });
    const pools = [1, 2, 3, 4].map((n) => aPool({ id: randomUUID(), loadBalancerId: lb, ...at(n) }));
    const [direct, redirected, disabled, bare] = pools.map((pool) => pool.id) as [
      string,
      string,
      string,
      string,
    ];
    const monitor = randomUUID();
    const members = [2, 1].map((n) =>
      aMember({ id: randomUUID(), poolId: direct, address: `192.0.2.${n}`, ...at(n) }),
    );
    const policies = [
      anL7Policy({ id: randomUUID(), listenerId: second, redirectPoolId: redirected, position: 3, ...at(1) }),
      anL7Policy({
        id: randomUUID(),
        listenerId: second,
        redirectPoolId: disabled,
        position: 1,
        adminStateUp: false,
        ...at(2),
      }),
      anL7Policy({ id: randomUUID(), listenerId: second, redirectPoolId: bare, position: 2, ...at(3) }),
    ];
    const rules = [0, 1].map((n) => anL7Rule({ id: randomUUID(), l7PolicyId: policies[n]?.id ?? '' }));
    const tree = aTree({
      loadBalancer: aLoadBalancer({ id: lb }),
      listeners: [
        aListener({ id: second, loadBalancerId: lb, defaultPoolId: direct, protocolPort: 2, ...at(2) }),
        aListener({ id: first, loadBalancerId: lb, defaultPoolId: direct, protocolPort: 1, ...at(1) }),
      ],
      pools,
      members,
      healthMonitors: [aHealthMonitor({ id: monitor, poolId: direct })],
      l7Policies: policies,
      l7Rules: rules,
    });
    await store.trees.create(tree);

    expect(await store.lists.show('loadBalancer', lb)).toEqual({
      ...tree.loadBalancer,
      listenerIds: [first, second],
      poolIds: [direct, redirected, disabled, bare],
    });
    expect(await store.lists.show('listener', second)).toEqual({
      ...tree.listeners[0],
      l7PolicyIds: [policies[1]?.id, policies[2]?.id, policies[0]?.id],
    });
    expect(await store.lists.show('pool', direct)).toEqual({
      ...pools[0],
      listenerIds: [first, second],
      memberIds: [members[1]?.id, members[0]?.id],
      healthMonitorId: monitor,
    });
    const read = await store.trees.read(lb);
    for (const pool of pools) {
      const shown = await store.lists.show('pool', pool.id);
      expect(shown?.listenerIds).toEqual(read && listenersUsing(read, pool.id));
    }
    expect(await store.lists.show('pool', bare)).toMatchObject({
      listenerIds: [],
      memberIds: [],
      healthMonitorId: null,
    });
    expect(await store.lists.show('l7Policy', policies[0]?.id ?? '')).toEqual({
      ...policies[0],
      l7RuleIds: [rules[0]?.id],
    });
    expect(await store.lists.show('l7Rule', rules[0]?.id ?? '')).toEqual(rules[0]);
    expect(await store.lists.show('member', 'no uuid')).toBeUndefined();
  });
});
