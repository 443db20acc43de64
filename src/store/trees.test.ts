import { randomUUID } from 'node:crypto';
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
  uuid,
} from '../../test/trees.ts';
import { isProblem, problem } from '../lb/problems.ts';
import type { OperatingStatus } from '../lb/status.ts';
import { replace, type Tree } from '../lb/tree.ts';
import type { Store } from './store.ts';

let store: Store;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ store, drop } = await freshStore());
});
afterAll(() => drop());

/** One of everything, with ids of its own. */
function grownTree(): Tree {
  const [lb, listener, pool, policy] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
  return aTree({
    loadBalancer: aLoadBalancer({ id: lb, generation: 0 }),
    listeners: [aListener({ id: listener, loadBalancerId: lb, defaultPoolId: pool })],
    pools: [aPool({ id: pool, loadBalancerId: lb })],
    members: [aMember({ id: randomUUID(), poolId: pool })],
    healthMonitors: [aHealthMonitor({ id: randomUUID(), poolId: pool })],
    l7Policies: [anL7Policy({ id: policy, listenerId: listener, redirectPoolId: pool })],
    l7Rules: [anL7Rule({ id: randomUUID(), l7PolicyId: policy })],
  });
}

async function created(tree: Tree = grownTree()): Promise<Tree> {
  expect(await store.trees.create(tree)).toBeUndefined();
  return tree;
}

/** Takes everything that is due and says which keys it were. */
async function dueKeys(): Promise<readonly string[]> {
  const claims = await store.work.claim(randomUUID(), 1000, 60_000);
  for (const claim of claims) await store.work.release(claim);
  return claims.map((claim) => claim.key);
}

describe('a new load balancer', () => {
  it('is read back with everything below it, and is due for work', async () => {
    const tree = await created();
    expect(await store.trees.read(tree.loadBalancer.id)).toEqual(tree);
    expect(await dueKeys()).toContain(tree.loadBalancer.id);
  });

  it('is found by each of its objects', async () => {
    const tree = await created();
    const id = tree.loadBalancer.id;
    expect(await store.trees.loadBalancerOf('loadBalancer', id)).toBe(id);
    expect(await store.trees.loadBalancerOf('member', tree.members[0]?.id ?? '')).toBe(id);
    expect(await store.trees.loadBalancerOf('l7Rule', tree.l7Rules[0]?.id ?? '')).toBe(id);
    expect(await store.trees.loadBalancerOf('listener', randomUUID())).toBeUndefined();
    expect(await store.trees.loadBalancerOf('listener', 'no uuid')).toBeUndefined();
  });

  it('is refused when its flavor is gone', async () => {
    const tree = grownTree();
    const flavorId = randomUUID();
    const refusal = await store.trees.create({ ...tree, loadBalancer: { ...tree.loadBalancer, flavorId } });
    expect(refusal).toMatchObject({ status: 400, text: expect.stringContaining(flavorId) });
    expect(await store.trees.read(tree.loadBalancer.id)).toBeUndefined();
  });
});

describe('a change', () => {
  it('writes the new tree, raises the generation by one and marks the load balancer', async () => {
    const tree = await created();
    await dueKeys();
    const id = tree.loadBalancer.id;
    const listenerId = tree.listeners[0]?.id ?? '';
    const added = aMember({ id: randomUUID(), poolId: tree.pools[0]?.id ?? '', address: '192.0.2.17' });
    const answer = await store.trees.change(id, (before) => {
      if (!before) return problem(404, 'gone');
      const renamed = replace(before, 'listeners', listenerId, { name: 'other', updatedAt: new Date(5) });
      return { tree: { ...renamed, members: [...renamed.members, added], l7Rules: [] }, answer: 'done' };
    });
    expect(answer).toBe('done');
    const after = await store.trees.read(id);
    expect(after?.loadBalancer.generation).toBe(1);
    expect(after?.listeners).toMatchObject([{ name: 'other', updatedAt: new Date(5) }]);
    expect(after?.members.map((member) => member.address).toSorted()).toEqual(['192.0.2.16', '192.0.2.17']);
    expect(after?.l7Rules).toEqual([]);
    expect(after?.pools).toEqual(tree.pools);
    expect(await dueKeys()).toEqual([id]);
  });

  it('that decides for the same tree leaves no trace', async () => {
    const tree = await created();
    await dueKeys();
    const id = tree.loadBalancer.id;
    expect(await store.trees.change(id, (before) => ({ tree: before as Tree, answer: 7 }))).toBe(7);
    expect(await store.trees.read(id)).toEqual(tree);
    expect(await dueKeys()).toEqual([]);
  });

  it('that ends in a problem leaves no trace', async () => {
    const tree = await created();
    await dueKeys();
    const answer = await store.trees.change(tree.loadBalancer.id, () => problem(409, 'no'));
    expect(answer).toEqual(problem(409, 'no'));
    expect(await store.trees.read(tree.loadBalancer.id)).toEqual(tree);
    expect(await dueKeys()).toEqual([]);
  });

  it('sees undefined when there is no such load balancer', async () => {
    for (const id of [randomUUID(), 'no uuid']) {
      const answer = await store.trees.change(id, (before) => problem(404, String(before)));
      expect(answer).toEqual(problem(404, 'undefined'));
    }
  });

  it('has one winner when many race for a load balancer at rest', async () => {
    const wish = (id: string, name: string) =>
      store.trees.change(id, (before) => {
        if (before?.loadBalancer.provisioningStatus !== 'ACTIVE') return problem(409, 'immutable');
        const loadBalancer = { ...before.loadBalancer, provisioningStatus: 'PENDING_UPDATE', name } as const;
        return { tree: { ...before, loadBalancer }, answer: name };
      });
    for (let round = 0; round < 5; round++) {
      const id = (await created()).loadBalancer.id;
      const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => wish(id, `by ${n}`)));
      const winners = answers.filter((answer) => !isProblem(answer));
      expect(winners).toHaveLength(1);
      const after = await store.trees.read(id);
      expect(after?.loadBalancer).toMatchObject({ name: winners[0], generation: 1 });
    }
  });

  it('that breaks what only the database can see is refused and leaves no trace', async () => {
    const tree = await created();
    const [listener, member, monitor] = [tree.listeners[0], tree.members[0], tree.healthMonitors[0]];
    const breaks: ((before: Tree) => Tree)[] = [
      (before) => ({
        ...before,
        listeners: [...before.listeners, { ...listener, id: randomUUID() } as never],
      }),
      (before) => ({ ...before, members: [...before.members, { ...member, id: randomUUID() } as never] }),
      (before) => ({
        ...before,
        healthMonitors: [...before.healthMonitors, { ...monitor, id: randomUUID() } as never],
      }),
    ];
    for (const broken of breaks) {
      const answer = await store.trees.change(tree.loadBalancer.id, (before) => ({
        tree: broken(before as Tree),
        answer: 'done',
      }));
      expect(answer).toMatchObject({ status: 409 });
    }
    for (const name of ['a\u0000b', 'half a \ud83d pair']) {
      const named = await store.trees.change(tree.loadBalancer.id, (before) => ({
        tree: replace(before as Tree, 'listeners', listener?.id ?? '', { name }),
        answer: 'done',
      }));
      expect(named).toMatchObject({ status: 400 });
    }
    const huge = await store.trees.change(tree.loadBalancer.id, (before) => ({
      tree: replace(before as Tree, 'members', member?.id ?? '', { weight: 1e12 }),
      answer: 'done',
    }));
    expect(huge).toMatchObject({ status: 400 });
    expect(await store.trees.read(tree.loadBalancer.id)).toEqual(tree);
  });

  it('may put a UDP listener on the port of a TCP listener', async () => {
    const tree = await created();
    const udp = aListener({ id: randomUUID(), loadBalancerId: tree.loadBalancer.id, protocol: 'UDP' });
    const answer = await store.trees.change(tree.loadBalancer.id, (before) => ({
      tree: { ...(before as Tree), listeners: [...tree.listeners, udp] },
      answer: 'done',
    }));
    expect(answer).toBe('done');
  });

  it('may replace a member by one of the same address', async () => {
    const tree = await created();
    const successor = { ...(tree.members[0] as Tree['members'][0]), id: randomUUID() };
    const answer = await store.trees.change(tree.loadBalancer.id, (before) => ({
      tree: { ...(before as Tree), members: [successor] },
      answer: 'done',
    }));
    expect(answer).toBe('done');
    expect((await store.trees.read(tree.loadBalancer.id))?.members).toEqual([successor]);
  });
});

describe('settling', () => {
  it('writes what has come true, on the newest tree, without a new wish', async () => {
    const tree = await created();
    const id = tree.loadBalancer.id;
    await store.trees.change(id, (before) => ({
      tree: { ...(before as Tree), loadBalancer: { ...(before as Tree).loadBalancer, name: 'newer' } },
      answer: 0,
    }));
    await dueKeys();
    await store.trees.settle(id, (now) => ({
      ...replace(now, 'pools', tree.pools[0]?.id ?? '', { provisioningStatus: 'ERROR', statusReason: 'why' }),
      l7Rules: [],
    }));
    const after = await store.trees.read(id);
    expect(after?.loadBalancer).toMatchObject({ name: 'newer', generation: 1 });
    expect(after?.pools).toMatchObject([{ provisioningStatus: 'ERROR', statusReason: 'why' }]);
    expect(after?.l7Rules).toEqual([]);
    expect(await dueKeys()).toEqual([]);
  });

  it('hides a deleted load balancer and removes what is below it', async () => {
    const tree = await created();
    const id = tree.loadBalancer.id;
    await store.trees.settle(id, (now) => ({
      ...now,
      loadBalancer: { ...now.loadBalancer, provisioningStatus: 'DELETED' },
    }));
    expect(await store.trees.read(id)).toBeUndefined();
    expect(await store.trees.loadBalancerOf('loadBalancer', id)).toBeUndefined();
    expect(await store.trees.loadBalancerOf('member', tree.members[0]?.id ?? '')).toBeUndefined();
    expect(await store.lists.show('loadBalancer', id)).toBeUndefined();
    expect(await store.lists.list('loadBalancer', { filters: { id }, sort: [] })).toEqual([]);
    expect(await store.lists.list('pool', { filters: { loadBalancerId: id }, sort: [] })).toEqual([]);
    await store.trees.settle(id, () => {
      throw new Error('nothing is left to settle');
    });
  });
});

describe('operating statuses', () => {
  it('are written to the objects named and change nothing else', async () => {
    const tree = await created();
    await dueKeys();
    const other = await created();
    const said = new Map<string, OperatingStatus>([
      [tree.loadBalancer.id, 'DEGRADED'],
      [tree.members[0]?.id ?? '', 'ERROR'],
      [tree.pools[0]?.id ?? '', 'ONLINE'],
      [other.listeners[0]?.id ?? '', 'ERROR'], // of another load balancer: not its to say
      [randomUUID(), 'ERROR'],
      ['no uuid', 'ERROR'],
    ]);
    await dueKeys();
    await store.trees.setOperatingStatuses(tree.loadBalancer.id, said);
    expect(await store.trees.read(tree.loadBalancer.id)).toEqual({
      ...tree,
      loadBalancer: { ...tree.loadBalancer, operatingStatus: 'DEGRADED' },
      members: [{ ...tree.members[0], operatingStatus: 'ERROR' }],
    });
    expect(await store.trees.read(other.loadBalancer.id)).toEqual(other);
    expect(await dueKeys()).toEqual([]);
  });

  it('and changes that race lose neither', async () => {
    const tree = await created();
    const id = tree.loadBalancer.id;
    const memberId = tree.members[0]?.id ?? '';
    for (let n = 1; n <= 10; n++) {
      const status = n % 2 === 0 ? 'ONLINE' : 'ERROR';
      await Promise.all([
        store.trees.setOperatingStatuses(id, new Map([[memberId, status]])),
        store.trees.change(id, (before) => ({
          tree: replace(before as Tree, 'members', memberId, { weight: n }),
          answer: n,
        })),
      ]);
      expect((await store.trees.read(id))?.members).toMatchObject([{ operatingStatus: status, weight: n }]);
    }
  });
});

describe('a pool of 10,000 members', () => {
  it('is written, changed, told its statuses and read as a whole', async () => {
    const id = randomUUID();
    const pool = aPool({ id: randomUUID(), loadBalancerId: id });
    const members = Array.from({ length: 10_000 }, (_, n) =>
      aMember({ id: uuid(1_000_000 + n), poolId: pool.id, address: `10.0.${n >> 8}.${n & 255}` }),
    );
    const tree = aTree({ loadBalancer: aLoadBalancer({ id, generation: 0 }), pools: [pool], members });
    await created(tree);
    expect(await store.trees.read(id)).toEqual(tree);
    await store.trees.change(id, (before) => ({
      tree: {
        ...(before as Tree),
        members: (before as Tree).members.slice(0, 9000).map((member) => ({ ...member, weight: 7 })),
      },
      answer: 0,
    }));
    await store.trees.setOperatingStatuses(id, new Map(members.map((member) => [member.id, 'ERROR'])));
    const after = await store.trees.read(id);
    expect(after?.members).toEqual(
      members.slice(0, 9000).map((member) => ({ ...member, weight: 7, operatingStatus: 'ERROR' })),
    );
  });
});
