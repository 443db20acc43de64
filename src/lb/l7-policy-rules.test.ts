import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aListener, anL7Policy, anL7Rule, aPool, aTree, uuid } from '../../test/trees.ts';
import { standardDeployment } from './defaults.ts';
import {
  createL7Policy,
  deleteL7Policy,
  lastPosition,
  type L7PolicyValues,
  type NewL7Policy,
  normalised,
  updateL7Policy,
} from './l7-policy-rules.ts';
import type { L7PolicyAction } from './l7-policy.ts';
import type { ListenerProtocol } from './listener.ts';
import { isProblem, type Problem } from './problems.ts';
import { settled } from './settle.ts';
import type { Circumstances, Decision, Tree } from './tree.ts';

const now = new Date('2026-02-02T22:17:03Z');

function circumstances(): Circumstances {
  let last = 0;
  return { now, newId: () => uuid(++last + 5000), deployment: standardDeployment };
}

const newPolicy = (values: Partial<NewL7Policy> = {}): NewL7Policy => ({
  listenerId: uuid(2),
  name: '',
  description: '',
  adminStateUp: true,
  action: 'REJECT',
  redirectPoolId: null,
  redirectUrl: null,
  redirectPrefix: null,
  redirectHttpCode: null,
  position: lastPosition,
  tags: [],
  ...values,
});

function fine<T>(decision: Decision<T> | Problem): Decision<T> {
  if (isProblem(decision)) throw new Error(decision.text);
  return decision;
}

const outcome = (decision: Decision<unknown> | Problem): number | 'fine' =>
  isProblem(decision) ? decision.status : 'fine';

const carriedOut = (tree: Tree): Tree => settled(tree, { now, failed: new Map(), loadBalancerOnline: true });

const order = (tree: Tree): readonly string[] =>
  tree.l7Policies.toSorted((a, b) => a.position - b.position).map(({ id }) => id);

const url = 'https://www.example.com/';

describe('The arguments of an L7 policy', () => {
  const cases: readonly [string, Partial<L7PolicyValues>, Partial<L7PolicyValues> | 400][] = [
    [
      'REJECT drops a URL and a pool',
      { action: 'REJECT', redirectUrl: url, redirectPoolId: uuid(3) },
      { action: 'REJECT', redirectUrl: null, redirectPoolId: null },
    ],
    [
      'REJECT with a prefix becomes REDIRECT_PREFIX',
      { action: 'REJECT', redirectPrefix: url },
      { action: 'REDIRECT_PREFIX', redirectPrefix: url, redirectHttpCode: 302 },
    ],
    ['REDIRECT_TO_URL needs a URL', { action: 'REDIRECT_TO_URL', redirectPrefix: url }, 400],
    [
      'REDIRECT_TO_URL drops a pool',
      { action: 'REDIRECT_TO_URL', redirectUrl: url, redirectPoolId: uuid(3) },
      { action: 'REDIRECT_TO_URL', redirectUrl: url, redirectPoolId: null, redirectHttpCode: 302 },
    ],
    [
      'a URL goes before a prefix',
      { action: 'REDIRECT_PREFIX', redirectUrl: url, redirectPrefix: url, redirectHttpCode: 308 },
      { action: 'REDIRECT_TO_URL', redirectUrl: url, redirectPrefix: null, redirectHttpCode: 308 },
    ],
    ['REDIRECT_TO_POOL needs a pool', { action: 'REDIRECT_TO_POOL' }, 400],
    [
      'REDIRECT_TO_POOL drops a URL and the code',
      { action: 'REDIRECT_TO_POOL', redirectPoolId: uuid(3), redirectUrl: url, redirectHttpCode: 301 },
      { action: 'REDIRECT_TO_POOL', redirectPoolId: uuid(3), redirectUrl: null, redirectHttpCode: null },
    ],
    [
      'a pool does not stand beside a prefix',
      { action: 'REDIRECT_TO_POOL', redirectPoolId: uuid(3), redirectPrefix: url },
      400,
    ],
    ['REDIRECT_PREFIX needs a prefix', { action: 'REDIRECT_PREFIX', redirectUrl: url }, 400],
    [
      'a pool alone decides on the action',
      { redirectPoolId: uuid(3) },
      { action: 'REDIRECT_TO_POOL', redirectUrl: null, redirectPrefix: null, redirectHttpCode: null },
    ],
    ['a pool and a URL alone contradict each other', { redirectPoolId: uuid(3), redirectUrl: url }, 400],
  ];
  it.each(cases)('%s', (_, sent, expected) => {
    const values = normalised(sent);
    if (expected === 400) expect(isProblem(values) && values.status).toBe(400);
    else expect(values).toMatchObject(expected);
  });

  it('that leave an action without its target are refused', () => {
    const tree = aTree({
      listeners: [aListener()],
      l7Policies: [anL7Policy({ action: 'REDIRECT_TO_URL', redirectUrl: url })],
    });
    expect(outcome(updateL7Policy(tree, uuid(6), { redirectUrl: null }, circumstances()))).toBe(400);
    const rejecting = updateL7Policy(tree, uuid(6), { action: 'REJECT' }, circumstances());
    expect(fine(rejecting).answer).toMatchObject({ action: 'REJECT', redirectUrl: null });
  });
});

describe('An L7 policy', () => {
  it('is for listeners that read HTTP', () => {
    const outcomes: Record<ListenerProtocol, number | 'fine'> = {
      HTTP: 'fine',
      TERMINATED_HTTPS: 'fine',
      HTTPS: 501,
      TCP: 501,
      UDP: 501,
      SCTP: 501,
      PROMETHEUS: 400,
    };
    for (const [protocol, expected] of Object.entries(outcomes)) {
      const listener = aListener({ protocol: protocol as ListenerProtocol });
      const decision = createL7Policy(aTree({ listeners: [listener] }), newPolicy(), circumstances());
      expect(outcome(decision), protocol).toBe(expected);
    }
  });

  it('makes its listener wait, and redirects to pools of its load balancer only', () => {
    const pools = [aPool(), aPool({ id: uuid(31), protocol: 'TCP' })];
    const tree = aTree({ listeners: [aListener(), aListener({ id: uuid(21), protocolPort: 81 })], pools });
    const to = (redirectPoolId: string) =>
      createL7Policy(tree, newPolicy({ action: 'REDIRECT_TO_POOL', redirectPoolId }), circumstances());
    expect(outcome(to(uuid(9999)))).toBe(404);
    expect(outcome(to(uuid(31)))).toBe(400);
    const { tree: pending, answer } = fine(to(uuid(3)));
    expect(answer).toMatchObject({ action: 'REDIRECT_TO_POOL', position: 1, redirectHttpCode: null });
    expect(pending.loadBalancer.provisioningStatus).toBe('PENDING_UPDATE');
    expect(pending.listeners.map((listener) => listener.provisioningStatus)).toEqual([
      'PENDING_UPDATE',
      'ACTIVE',
    ]);
    expect(outcome(createL7Policy(pending, newPolicy(), circumstances()))).toBe(409);
    expect(outcome(updateL7Policy(pending, answer.id, { name: 'x' }, circumstances()))).toBe(409);
    expect(outcome(deleteL7Policy(pending, answer.id))).toBe(409);
  });

  it('needs something to change', () => {
    const tree = aTree({ listeners: [aListener()], l7Policies: [anL7Policy()] });
    expect(outcome(updateL7Policy(tree, uuid(6), {}, circumstances()))).toBe(400);
  });

  it('takes its rules along when it goes', () => {
    const tree = aTree({ listeners: [aListener()], l7Policies: [anL7Policy()], l7Rules: [anL7Rule()] });
    const after = carriedOut(fine(deleteL7Policy(tree, uuid(6))).tree);
    expect(after.l7Policies).toEqual([]);
    expect(after.l7Rules).toEqual([]);
  });
});

type Step =
  | { readonly do: 'insert'; readonly listener: number; readonly at: number }
  | { readonly do: 'move'; readonly which: number; readonly at: number }
  | { readonly do: 'drop'; readonly which: number };

const at = fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constant(lastPosition));
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('insert' as const), listener: fc.nat(1), at }),
  fc.record({ do: fc.constant('move' as const), which: fc.nat(9), at }),
  fc.record({ do: fc.constant('drop' as const), which: fc.nat(9) }),
);

describe('Positions', () => {
  it('are 1 to n within each listener, in the order of a list that was inserted into', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const context = circumstances();
        const listenerIds = [uuid(2), uuid(21)];
        let tree = aTree({
          listeners: [aListener(), aListener({ id: uuid(21), protocolPort: 81 })],
        });
        const lists = new Map<string, readonly string[]>(listenerIds.map((id) => [id, []]));
        for (const now of steps) {
          if (now.do === 'insert') {
            const listenerId = listenerIds[now.listener] ?? '';
            const decision = fine(createL7Policy(tree, newPolicy({ listenerId, position: now.at }), context));
            tree = decision.tree;
            lists.set(listenerId, (lists.get(listenerId) ?? []).toSpliced(now.at - 1, 0, decision.answer.id));
          } else {
            const policy = tree.l7Policies[now.which];
            if (policy === undefined) continue;
            const without = (lists.get(policy.listenerId) ?? []).filter((id) => id !== policy.id);
            if (now.do === 'drop') {
              tree = fine(deleteL7Policy(tree, policy.id)).tree;
              lists.set(policy.listenerId, without);
            } else {
              tree = fine(updateL7Policy(tree, policy.id, { position: now.at }, context)).tree;
              lists.set(policy.listenerId, without.toSpliced(now.at - 1, 0, policy.id));
            }
          }
          tree = carriedOut(tree);
          for (const id of listenerIds) {
            const own = { ...tree, l7Policies: tree.l7Policies.filter((p) => p.listenerId === id) };
            expect(order(own)).toEqual(lists.get(id));
            const positions = own.l7Policies.map(({ position }) => position).toSorted((a, b) => a - b);
            expect(positions).toEqual(positions.map((_, n) => n + 1));
          }
        }
      }),
    );
  });

  it('of others leave the objects that do not move alone', () => {
    const policies = [1, 2, 3].map((position) => anL7Policy({ id: uuid(60 + position), position }));
    const tree = aTree({ listeners: [aListener()], l7Policies: policies });
    const after = fine(createL7Policy(tree, newPolicy({ position: 3 }), circumstances())).tree;
    expect(after.l7Policies[0]).toBe(policies[0]);
    expect(after.l7Policies[2]).toMatchObject({ position: 4, provisioningStatus: 'ACTIVE' });
  });
});

describe('Whatever is sent', () => {
  it('gives a policy whose action has its target and no other', () => {
    const maybe = <T>(value: T) => fc.option(fc.constant(value));
    const actions: readonly L7PolicyAction[] = [
      'REJECT',
      'REDIRECT_TO_URL',
      'REDIRECT_TO_POOL',
      'REDIRECT_PREFIX',
    ];
    const values = fc.record({
      action: fc.constantFrom(...actions),
      redirectPoolId: maybe(uuid(3)),
      redirectUrl: maybe(url),
      redirectPrefix: maybe(url),
      redirectHttpCode: fc.option(fc.constantFrom(301, 302)),
    });
    fc.assert(
      fc.property(values, fc.array(values, { maxLength: 4 }), (first, updates) => {
        const context = circumstances();
        const created = createL7Policy(
          aTree({ listeners: [aListener()], pools: [aPool()] }),
          newPolicy(first),
          context,
        );
        if (isProblem(created)) return;
        let { tree } = created;
        for (const values of updates) {
          tree = carriedOut(tree);
          const id = created.answer.id;
          const decision = updateL7Policy(tree, id, values, context);
          if (!isProblem(decision)) tree = decision.tree;
          const policy = tree.l7Policies[0];
          expect(policy?.redirectPoolId !== null).toBe(policy?.action === 'REDIRECT_TO_POOL');
          expect(policy?.redirectUrl !== null).toBe(policy?.action === 'REDIRECT_TO_URL');
        }
      }),
    );
  });
});
