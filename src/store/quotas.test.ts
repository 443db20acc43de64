import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshStore } from '../../test/database.ts';
import { aListener, aLoadBalancer, aMember, anL7Policy, anL7Rule, aPool, aTree } from '../../test/trees.ts';
import { quotaMet } from '../lb/problems.ts';
import type { Tree } from '../lb/tree.ts';
import type { Store } from './store.ts';

let store: Store;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ store, drop } = await freshStore({ quotaDefaults: { loadBalancer: 2 } }));
});
afterAll(() => drop());

const lb = (projectId: string, parts: Partial<Tree> = {}): Tree =>
  aTree({ loadBalancer: aLoadBalancer({ id: randomUUID(), projectId }), ...parts });

describe('the quota of a project', () => {
  it('is the default until it has one of its own', async () => {
    const projectId = randomUUID();
    expect(await store.quotas.of(projectId)).toMatchObject({ loadBalancer: null, member: null });
    expect(await store.trees.create(lb(projectId))).toBeUndefined();
    expect(await store.trees.create(lb(projectId))).toBeUndefined();
    expect(await store.trees.create(lb(projectId))).toEqual(quotaMet('Load Balancer'));
    await store.quotas.set(projectId, { loadBalancer: 3 });
    await store.quotas.set(projectId, { member: 0 });
    expect(await store.quotas.of(projectId)).toMatchObject({ loadBalancer: 3, member: 0, pool: null });
    expect(await store.trees.create(lb(projectId))).toBeUndefined();
    await store.quotas.set(projectId, { loadBalancer: -1 });
    expect(await store.trees.create(lb(projectId))).toBeUndefined();
    await store.quotas.reset(projectId);
    expect(await store.trees.create(lb(projectId))).toEqual(quotaMet('Load Balancer'));
  });

  it('is not overrun by many at once', async () => {
    const projectId = randomUUID();
    await store.quotas.set(projectId, { loadBalancer: 3 });
    const answers = await Promise.all(Array.from({ length: 9 }, () => store.trees.create(lb(projectId))));
    expect(answers.filter((answer) => answer === undefined)).toHaveLength(3);
    const rows = await store.lists.list('loadBalancer', { filters: { projectId }, sort: [] });
    expect(rows).toHaveLength(3);
  });

  it('counts what is being deleted, and not what is deleted', async () => {
    const projectId = randomUUID();
    await store.quotas.set(projectId, { loadBalancer: 1 });
    const first = lb(projectId);
    await store.trees.create(first);
    const become = (provisioningStatus: 'PENDING_DELETE' | 'DELETED') =>
      store.trees.settle(first.loadBalancer.id, (now) => ({
        ...now,
        loadBalancer: { ...now.loadBalancer, provisioningStatus },
      }));
    await become('PENDING_DELETE');
    expect(await store.trees.create(lb(projectId))).toEqual(quotaMet('Load Balancer'));
    await become('DELETED');
    expect(await store.trees.create(lb(projectId))).toBeUndefined();
  });

  it('limits growth alone, over all load balancers of the project', async () => {
    const projectId = randomUUID();
    await store.quotas.set(projectId, { member: 3 });
    const make = async () => {
      const tree = lb(projectId);
      const pool = aPool({ id: randomUUID(), projectId, loadBalancerId: tree.loadBalancer.id });
      await store.trees.create({ ...tree, pools: [pool] });
      const withMembers = (count: number) =>
        store.trees.change(tree.loadBalancer.id, (before) => ({
          tree: {
            ...(before as Tree),
            members: Array.from({ length: count }, (_, n) =>
              aMember({ id: randomUUID(), projectId, poolId: pool.id, protocolPort: n + 1 }),
            ),
          },
          answer: 'done',
        }));
      return withMembers;
    };
    const [one, two] = [await make(), await make()];
    expect(await one(2)).toBe('done');
    expect(await two(2)).toEqual(quotaMet('Member'));
    expect(await two(1)).toBe('done');
    await store.quotas.set(projectId, { member: 1 });
    expect(await one(2)).toBe('done'); // replaced, none more
    expect(await one(1)).toBe('done');
    expect(await one(2)).toEqual(quotaMet('Member'));
  });

  it('counts what comes with a new load balancer', async () => {
    const projectId = randomUUID();
    await store.quotas.set(projectId, { pool: 0 });
    const tree = lb(projectId);
    const pool = aPool({ id: randomUUID(), projectId, loadBalancerId: tree.loadBalancer.id });
    expect(await store.trees.create({ ...tree, pools: [pool] })).toEqual(quotaMet('Pool'));
    expect(await store.trees.read(tree.loadBalancer.id)).toBeUndefined();
  });

  it('does not count the policies and rules that come with a new load balancer', async () => {
    const projectId = randomUUID();
    await store.quotas.set(projectId, { l7Policy: 0, l7Rule: 0 });
    const tree = lb(projectId);
    const below = { projectId, loadBalancerId: tree.loadBalancer.id };
    const listener = aListener({ id: randomUUID(), ...below });
    const policy = anL7Policy({ id: randomUUID(), projectId, listenerId: listener.id });
    const rule = anL7Rule({ id: randomUUID(), projectId, l7PolicyId: policy.id });
    const whole = { ...tree, listeners: [listener], l7Policies: [policy], l7Rules: [rule] };
    expect(await store.trees.create(whole)).toBeUndefined();
    const more = await store.trees.change(tree.loadBalancer.id, (before) => ({
      tree: { ...whole, ...before, l7Rules: [rule, anL7Rule({ ...rule, id: randomUUID() })] },
      answer: 'done',
    }));
    expect(more).toEqual(quotaMet('L7 Rule'));
  });

  it('has a record from the first check on, which a reset keeps', async () => {
    const projectId = randomUUID();
    expect(await store.quotas.reset(projectId)).toMatchObject({ status: 404 });
    await store.trees.create(lb(projectId));
    expect(await store.quotas.reset(projectId)).toBeUndefined();
    expect(await store.quotas.reset(projectId)).toBeUndefined();
    expect(await store.lists.show('quota', projectId)).toMatchObject({ projectId, loadBalancer: null });
  });
});
