import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aListener, aPool, aTree, uuid } from '../../test/trees.ts';
import { isReserved } from './addresses.ts';
import { standardDeployment } from './defaults.ts';
import { createHealthMonitor, deleteHealthMonitor } from './health-monitor-rules.ts';
import { createL7Policy, deleteL7Policy, lastPosition } from './l7-policy-rules.ts';
import { createL7Rule } from './l7-rule-rules.ts';
import { createListener, deleteListener, type NewListener, updateListener } from './listener-rules.ts';
import type { ListenerProtocol } from './listener.ts';
import { createMember, deleteMember, type NewMember, replaceMembers } from './member-rules.ts';
import { createPool, deletePool, type NewPool } from './pool-rules.ts';
import type { PoolProtocol } from './pool.ts';
import { isProblem, type Problem } from './problems.ts';
import { listenerPoolProtocols, poolMonitorTypes, portFamily } from './rules.ts';
import { restTree, settled } from './settle.ts';
import { isPending } from './status.ts';
import { type Circumstances, type Decision, type Tree, treeLists } from './tree.ts';

const now = new Date('2026-02-02T22:17:03Z');

function circumstances(): Circumstances {
  let last = 0;
  return { now, newId: () => uuid(++last + 5000), deployment: standardDeployment };
}

const newListener = (values: Partial<NewListener> = {}): NewListener => ({
  name: '',
  description: '',
  adminStateUp: true,
  protocol: 'HTTP',
  protocolPort: 80,
  connectionLimit: -1,
  defaultPoolId: null,
  insertHeaders: {},
  timeoutClientData: null,
  timeoutMemberConnect: null,
  timeoutMemberData: null,
  timeoutTcpInspect: null,
  defaultTlsContainerRef: null,
  sniContainerRefs: [],
  clientAuthentication: 'NONE',
  clientCaTlsContainerRef: null,
  clientCrlContainerRef: null,
  allowedCidrs: null,
  tlsCiphers: null,
  tlsVersions: null,
  alpnProtocols: null,
  hstsMaxAge: null,
  hstsIncludeSubdomains: false,
  hstsPreload: false,
  tags: [],
  ...values,
});

const newPool = (values: Partial<NewPool> = {}): NewPool => ({
  name: '',
  description: '',
  adminStateUp: true,
  protocol: 'HTTP',
  lbAlgorithm: 'ROUND_ROBIN',
  sessionPersistence: null,
  tlsEnabled: false,
  tlsContainerRef: null,
  caTlsContainerRef: null,
  crlContainerRef: null,
  tlsCiphers: null,
  tlsVersions: null,
  alpnProtocols: null,
  listenerId: null,
  loadBalancerNamed: false,
  tags: [],
  ...values,
});

const newMember = (values: Partial<NewMember> = {}): NewMember => ({
  name: '',
  adminStateUp: true,
  address: '192.0.2.16',
  protocolPort: 80,
  weight: 1,
  backup: false,
  subnetId: null,
  monitorAddress: null,
  monitorPort: null,
  requestSriov: false,
  tags: [],
  ...values,
});

const newMonitor = (poolId: string, type: 'HTTP' | 'TCP' | 'UDP-CONNECT') => ({
  poolId,
  type,
  name: '',
  adminStateUp: true,
  delay: 5,
  timeout: 3,
  maxRetries: 2,
  maxRetriesDown: 3,
  httpMethod: null,
  urlPath: null,
  expectedCodes: null,
  httpVersion: null,
  domainName: null,
  tags: [],
});

const listenerProtocols = Object.keys(listenerPoolProtocols) as ListenerProtocol[];
const poolProtocols = Object.keys(poolMonitorTypes) as PoolProtocol[];

describe('Protocols', () => {
  it('go together in one way, from whichever side they are joined', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...listenerProtocols),
        fc.constantFrom(...poolProtocols),
        (listenerProtocol, protocol) => {
          const legal = listenerPoolProtocols[listenerProtocol].includes(protocol);
          const tls = listenerProtocol === 'TERMINATED_HTTPS' ? { defaultTlsContainerRef: 'ref' } : {};
          const byListener = createListener(
            aTree({ pools: [aPool({ protocol })] }),
            newListener({ protocol: listenerProtocol, defaultPoolId: uuid(3), ...tls }),
            circumstances(),
          );
          const listener = aListener({ protocol: listenerProtocol });
          const byPool = createPool(
            aTree({ listeners: [listener] }),
            newPool({ protocol, listenerId: listener.id }),
            circumstances(),
          );
          const byChange = updateListener(
            aTree({ listeners: [listener], pools: [aPool({ protocol })] }),
            listener.id,
            { defaultPoolId: uuid(3) },
            circumstances(),
          );
          for (const decision of [byListener, byPool, byChange]) {
            expect(isProblem(decision) ? decision.status : 'fine').toBe(legal ? 'fine' : 400);
          }
        },
      ),
    );
  });

  it('share a port across families only', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...listenerProtocols),
        fc.constantFrom(...listenerProtocols),
        (first, second) => {
          const decision = createListener(
            aTree({ listeners: [aListener({ protocol: first, protocolPort: 443 })] }),
            newListener({
              protocol: second,
              protocolPort: 443,
              ...(second === 'TERMINATED_HTTPS' && { defaultTlsContainerRef: 'ref' }),
            }),
            circumstances(),
          );
          const clash = portFamily(first) === portFamily(second);
          expect(isProblem(decision) ? decision.status : 'fine').toBe(clash ? 409 : 'fine');
        },
      ),
    );
  });
});

describe('A reserved address', () => {
  it('is known in every spelling', () => {
    const reserved = ['169.254.169.254', 'FE80:0:0:0:0:0:A9FE:A9FE'];
    for (const address of [
      '169.254.169.254',
      '::ffff:169.254.169.254',
      '0:0:0:0:0:ffff:A9FE:a9fe',
      'fe80::a9fe:a9fe',
    ]) {
      expect(isReserved(address, reserved), address).toBe(true);
    }
    for (const address of ['169.254.169.253', '::169.254.169.254', 'fe80::1', '::']) {
      expect(isReserved(address, reserved), address).toBe(false);
    }
  });
});

/** What must be true of every tree, whatever was asked. */
function expectLegal(tree: Tree): void {
  const ids = treeLists.flatMap((list) => tree[list].map(({ id }) => id));
  expect(new Set(ids).size).toBe(ids.length);
  const poolById = new Map(tree.pools.map((pool) => [pool.id, pool]));
  const ports = tree.listeners.map(({ protocol, protocolPort }) => `${portFamily(protocol)} ${protocolPort}`);
  expect(new Set(ports).size).toBe(ports.length);
  for (const { protocol, defaultPoolId } of tree.listeners) {
    if (defaultPoolId === null) continue;
    expect(listenerPoolProtocols[protocol]).toContain(poolById.get(defaultPoolId)?.protocol);
  }
  const places = tree.members.map(
    ({ poolId, address, protocolPort }) => `${poolId} ${address} ${protocolPort}`,
  );
  expect(new Set(places).size).toBe(places.length);
  const watched = tree.healthMonitors.map(({ poolId }) => poolId);
  expect(new Set(watched).size).toBe(watched.length);
  for (const poolId of [...watched, ...tree.members.map((member) => member.poolId)]) {
    expect(poolById.has(poolId)).toBe(true);
  }
  for (const monitor of tree.healthMonitors) {
    expect(poolMonitorTypes[poolById.get(monitor.poolId)?.protocol ?? 'TCP']).toContain(monitor.type);
  }
  for (const { redirectPoolId } of tree.l7Policies) {
    if (redirectPoolId !== null) expect(poolById.has(redirectPoolId)).toBe(true);
  }
  const pendingBelow = treeLists.some((list) =>
    tree[list].some((object) => isPending(object.provisioningStatus)),
  );
  if (pendingBelow) expect(isPending(tree.loadBalancer.provisioningStatus)).toBe(true);
}

type Wish = (tree: Tree, context: Circumstances) => Decision<unknown> | Problem;
const pick = (objects: readonly { readonly id: string }[], n: number): string =>
  objects[n % Math.max(1, objects.length)]?.id ?? uuid(9999);

const port = fc.integer({ min: 1, max: 4 });
const which = fc.nat(20);
const address = fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1', '169.254.169.254');
const item = fc.record({ address, protocolPort: port }).map((values) => newMember(values));

const wish: fc.Arbitrary<Wish> = fc.oneof(
  fc.record({ protocol: fc.constantFrom(...listenerProtocols), port, pool: fc.option(which) }).map(
    ({ protocol, port: protocolPort, pool }): Wish =>
      (tree, context) =>
        createListener(
          tree,
          newListener({
            protocol,
            protocolPort,
            defaultPoolId: pool === null ? null : pick(tree.pools, pool),
          }),
          context,
        ),
  ),
  fc.record({ listener: which, pool: fc.option(which) }).map(
    ({ listener, pool }): Wish =>
      (tree, context) =>
        updateListener(
          tree,
          pick(tree.listeners, listener),
          { defaultPoolId: pool === null ? null : pick(tree.pools, pool) },
          context,
        ),
  ),
  fc.record({ protocol: fc.constantFrom(...poolProtocols), listener: fc.option(which) }).map(
    ({ protocol, listener }): Wish =>
      (tree, context) =>
        createPool(
          tree,
          newPool({ protocol, listenerId: listener === null ? null : pick(tree.listeners, listener) }),
          context,
        ),
  ),
  fc.record({ pool: which, item }).map(
    ({ pool, item: values }): Wish =>
      (tree, context) =>
        createMember(tree, pick(tree.pools, pool), values, context),
  ),
  fc.record({ pool: which, items: fc.array(item, { maxLength: 4 }), additive: fc.boolean() }).map(
    ({ pool, items, additive }): Wish =>
      (tree, context) =>
        replaceMembers(tree, pick(tree.pools, pool), items, additive, context),
  ),
  fc
    .record({ pool: which, type: fc.constantFrom('HTTP' as const, 'TCP' as const, 'UDP-CONNECT' as const) })
    .map(
      ({ pool, type }): Wish =>
        (tree, context) =>
          createHealthMonitor(tree, newMonitor(pick(tree.pools, pool), type), context),
    ),
  fc.record({ listener: which, pool: fc.option(which), position: fc.option(port) }).map(
    ({ listener, pool, position }): Wish =>
      (tree, context) =>
        createL7Policy(
          tree,
          {
            listenerId: pick(tree.listeners, listener),
            name: '',
            description: '',
            adminStateUp: true,
            action: pool === null ? 'REJECT' : 'REDIRECT_TO_POOL',
            redirectPoolId: pool === null ? null : pick(tree.pools, pool),
            redirectUrl: null,
            redirectPrefix: null,
            redirectHttpCode: null,
            position: position ?? lastPosition,
            tags: [],
          },
          context,
        ),
  ),
  which.map(
    (n): Wish =>
      (tree, context) =>
        createL7Rule(
          tree,
          pick(tree.l7Policies, n),
          {
            adminStateUp: true,
            type: 'PATH',
            compareType: 'STARTS_WITH',
            key: null,
            value: '/a',
            invert: false,
            tags: [],
          },
          context,
        ),
  ),
  which.map(
    (n): Wish =>
      (tree) =>
        deleteL7Policy(tree, pick(tree.l7Policies, n)),
  ),
  which.map(
    (n): Wish =>
      (tree) =>
        deleteListener(tree, pick(tree.listeners, n)),
  ),
  which.map(
    (n): Wish =>
      (tree) =>
        deletePool(tree, pick(tree.pools, n)),
  ),
  which.map(
    (n): Wish =>
      (tree) =>
        deleteHealthMonitor(tree, pick(tree.healthMonitors, n)),
  ),
  which.map(
    (n): Wish =>
      (tree) => {
        const member = tree.members[n % Math.max(1, tree.members.length)];
        return deleteMember(tree, member?.poolId ?? uuid(9999), member?.id ?? uuid(9999));
      },
  ),
);

describe('Any sequence of wishes', () => {
  it('keeps the tree legal, and lets it come to rest', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ wish, carried: fc.constantFrom('not yet', 'done', 'failed') }), {
          maxLength: 30,
        }),
        (steps) => {
          const context = circumstances();
          let tree = aTree();
          for (const step of steps) {
            const decision = step.wish(tree, context);
            if (!isProblem(decision)) tree = decision.tree;
            expectLegal(tree);
            if (step.carried === 'not yet') continue;
            const pending = treeLists.flatMap((list) =>
              tree[list].filter(({ provisioningStatus }) => isPending(provisioningStatus)),
            );
            const failed = step.carried === 'failed' ? pending.slice(0, 1) : [];
            tree = settled(tree, {
              now,
              failed: new Map(failed.map(({ id }) => [id, 'Bad luck.'])),
              loadBalancerOnline: true,
            });
            expectLegal(tree);
            expect(restTree(tree)).toBe(true);
            expect(tree.loadBalancer.provisioningStatus).toBe('ACTIVE');
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('is refused while another wish is carried out', () => {
    fc.assert(
      fc.property(wish, wish, (first, second) => {
        const context = circumstances();
        const before = first(aTree({ pools: [aPool()], listeners: [aListener()] }), context);
        if (isProblem(before) || before.tree.loadBalancer.provisioningStatus === 'ACTIVE') return;
        const after = second(before.tree, context);
        if (!isProblem(after)) expect(after.tree).toBe(before.tree);
        else expect(after.status).toBeGreaterThanOrEqual(400);
      }),
    );
  });
});
