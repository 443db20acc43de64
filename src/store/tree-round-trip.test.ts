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
import type { AlpnProtocol, TlsVersion } from '../lb/listener.ts';
import type { Resource } from '../lb/resource.ts';
import { type Tree, treeLists } from '../lb/tree.ts';
import type { Store } from './store.ts';

let store: Store;
let drop: () => Promise<void>;
/** A load balancer's zone must be there. */
const zones = ['nova', `日本 "o'zone" \\`];

beforeAll(async () => {
  ({ store, drop } = await freshStore());
  const profile = {
    ...{ id: randomUUID(), name: 'p', providerName: 'amphora' },
    availabilityZoneData: '{}',
  };
  await store.availabilityZones.createProfile(profile);
  for (const name of zones) {
    const zone = { name, description: null, enabled: true, availabilityZoneProfileId: profile.id };
    expect(await store.availabilityZones.create(zone)).toBeUndefined();
  }
});
afterAll(() => drop());

const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((value) => !value.includes('\0'));
const textOrNull = fc.option(text);
const instant = fc.date({ min: new Date(0), max: new Date('2999-12-31'), noInvalidDate: true });
const texts = fc.array(text, { maxLength: 3 });
const count = fc.integer({ min: 0, max: 2_073_600_000 });
const resource = fc.record({
  adminStateUp: fc.boolean(),
  provisioningStatus: fc.constantFrom(
    'PENDING_CREATE',
    'ACTIVE',
    'PENDING_UPDATE',
    'PENDING_DELETE',
    'ERROR',
  ),
  operatingStatus: fc.constantFrom('ONLINE', 'OFFLINE', 'DEGRADED', 'ERROR', 'DRAINING', 'NO_MONITOR'),
  statusReason: textOrNull,
  tags: texts,
  createdAt: instant,
  updatedAt: fc.option(instant),
} satisfies { [F in Exclude<keyof Resource, 'id' | 'projectId'>]: fc.Arbitrary<Resource[F]> });
const named = fc.record({ name: textOrNull });
const described = fc.record({ name: textOrNull, description: textOrNull });
const tlsVersions = fc.option(fc.subarray<TlsVersion>(['SSLv3', 'TLSv1', 'TLSv1.2', 'TLSv1.3']));
const alpnProtocols = fc.option(fc.subarray<AlpnProtocol>(['h2', 'http/1.1', 'http/1.0']));

const loadBalancerParts = fc.record({
  vipSubnetId: textOrNull,
  vipSgIds: texts,
  vipQosPolicyId: textOrNull,
  additionalVips: fc.array(fc.record({ subnetId: text, ipAddress: text, portId: text }), { maxLength: 2 }),
  availabilityZone: fc.constantFrom(null, ...zones),
  vipPortOwned: fc.boolean(),
});
const listenerParts = fc.record({
  connectionLimit: fc.option(fc.integer({ min: -1 })),
  insertHeaders: fc.dictionary(
    text.filter((key) => key !== '__proto__'),
    text,
    { maxKeys: 3 },
  ),
  timeoutClientData: count,
  sniContainerRefs: texts,
  allowedCidrs: fc.option(texts),
  tlsVersions,
  alpnProtocols,
  hstsMaxAge: fc.option(count),
  hstsPreload: fc.boolean(),
});
const poolParts = fc.record({
  sessionPersistence: fc.option(
    fc.record({
      type: fc.constantFrom('SOURCE_IP', 'HTTP_COOKIE', 'APP_COOKIE'),
      cookieName: textOrNull,
      persistenceTimeout: fc.option(count),
      persistenceGranularity: textOrNull,
    }),
  ),
  tlsEnabled: fc.boolean(),
  tlsVersions,
  alpnProtocols,
});
const memberParts = fc.record({
  weight: fc.nat(256),
  monitorPort: fc.option(fc.nat(65_535)),
  backup: fc.boolean(),
});
const monitorParts = fc.record({
  delay: count,
  httpVersion: fc.option(fc.constantFrom(1.0, 1.1)),
  urlPath: textOrNull,
});
const policyParts = fc.record({
  position: fc.nat(9),
  redirectUrl: textOrNull,
  redirectHttpCode: fc.option(fc.nat(308)),
});
const ruleParts = fc.record({ key: textOrNull, value: text, invert: fc.boolean() });

/** Makes any tree of a load balancer; the same small numbers come again, so that two trees share objects and ids. */
const treeMaker = ((): fc.Arbitrary<(loadBalancerId: string) => Tree> => {
  const n = fc.nat(5);
  const some = <T>(of: fc.Arbitrary<T>) => fc.array(of, { maxLength: 5 });
  const unique = <T extends { id: string }>(objects: readonly T[]) => [
    ...new Map(objects.map((o) => [o.id, o])).values(),
  ];
  return fc
    .record({
      loadBalancer: fc.tuple(resource, described, loadBalancerParts),
      listeners: some(fc.tuple(n, n, resource, described, listenerParts)),
      pools: some(fc.tuple(n, resource, described, poolParts)),
      members: some(fc.tuple(n, n, resource, named, memberParts)),
      monitors: some(fc.tuple(n, resource, named, monitorParts)),
      policies: some(fc.tuple(n, n, n, resource, described, policyParts)),
      rules: some(fc.tuple(n, n, resource, ruleParts)),
    })
    .map((made) => (loadBalancerId) => {
      const id = (kind: number, number: number) =>
        `${loadBalancerId.slice(0, 24)}${String(kind * 1000 + number).padStart(12, '0')}`;
      const pools = unique(
        made.pools.map(([i, ...parts]) =>
          aPool({ id: id(1, i), loadBalancerId, ...Object.assign({}, ...parts) }),
        ),
      );
      const poolId = (i: number) => pools[i % Math.max(1, pools.length)]?.id;
      const listeners = unique(
        made.listeners.map(([i, p, ...parts]) =>
          aListener({
            ...Object.assign({}, ...parts),
            id: id(2, i),
            loadBalancerId,
            protocolPort: 1 + i,
            defaultPoolId: poolId(p) ?? null,
          }),
        ),
      );
      const listenerId = (i: number) => listeners[i % Math.max(1, listeners.length)]?.id;
      const policies = unique(
        made.policies.flatMap(([i, l, p, ...parts]) => {
          const owner = listenerId(l);
          const policy = { ...Object.assign({}, ...parts), id: id(3, i), redirectPoolId: poolId(p) ?? null };
          return owner === undefined ? [] : [anL7Policy({ ...policy, listenerId: owner })];
        }),
      );
      const policyId = (i: number) => policies[i % Math.max(1, policies.length)]?.id;
      return aTree({
        loadBalancer: aLoadBalancer({
          ...Object.assign({}, ...made.loadBalancer),
          id: loadBalancerId,
          generation: 0,
        }),
        pools,
        listeners,
        l7Policies: policies,
        members: unique(
          made.members.flatMap(([i, p, ...parts]) => {
            const owner = poolId(p);
            const member = { ...Object.assign({}, ...parts), id: id(4, i), address: `192.0.2.${i}` };
            return owner === undefined ? [] : [aMember({ ...member, poolId: owner })];
          }),
        ),
        // A monitor stays with its pool.
        healthMonitors: pools.slice(0, made.monitors.length).map((pool, at) => {
          const [i = 0, ...parts] = made.monitors[at] ?? [];
          return aHealthMonitor({
            ...Object.assign({}, ...parts),
            id: id(5, Number(pool.id.slice(-1)) * 10 + i),
            poolId: pool.id,
          });
        }),
        l7Rules: unique(
          made.rules.flatMap(([i, p, ...parts]) => {
            const owner = policyId(p);
            const rule = { ...Object.assign({}, ...parts), id: id(6, i) };
            return owner === undefined ? [] : [anL7Rule({ ...rule, l7PolicyId: owner })];
          }),
        ),
      });
    });
})();

/** The lists of a tree have an order only where the API gives them one. */
function sorted(tree: Tree | undefined): unknown {
  if (!tree) return undefined;
  const lists = treeLists.map((list) => [list, tree[list].toSorted((a, b) => (a.id < b.id ? -1 : 1))]);
  return { ...tree, ...Object.fromEntries(lists) };
}

describe('any sequence of trees of one load balancer', () => {
  it('is read back as it was written, each time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(treeMaker, { minLength: 1, maxLength: 4 }), async (makers) => {
        const id = randomUUID();
        const [first, ...next] = makers.map((make) => make(id));
        if (!first) return;
        expect(await store.trees.create(first)).toBeUndefined();
        expect(sorted(await store.trees.read(id))).toEqual(sorted(first));
        let generation = 0;
        for (const tree of next) {
          const answer = await store.trees.change(id, () => ({ tree, answer: 'done' }));
          expect(answer).toBe('done');
          generation += 1;
          const wanted = { ...tree, loadBalancer: { ...tree.loadBalancer, generation } };
          expect(sorted(await store.trees.read(id))).toEqual(sorted(wanted));
        }
        await store.trees.settle(id, (now) => ({
          ...now,
          loadBalancer: { ...now.loadBalancer, provisioningStatus: 'DELETED' },
        }));
      }),
      { numRuns: 60 },
    );
  });
});
