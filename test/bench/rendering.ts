/**
 * What the size of a load balancer costs where no database and no network is asked: the rules, what is wanted of an
 * amphora, HAProxy's configuration, the comparison of two of them, statuses. CPU milliseconds (median of several
 * rounds) and the heap that stays, for 50 listeners, 200 pools and a growing number of members. What goes over the
 * wire, and `haproxy -c`, stand beside it.
 *
 *   npm run bench:render [-- ROUNDS]
 */
import { randomUUID } from 'node:crypto';
import { Compile } from 'typebox/compile';
import { statusTree } from '../../src/api/status-tree.ts';
import { standardDeployment } from '../../src/lb/defaults.ts';
import { createMember, replaceMembers } from '../../src/lb/member-rules.ts';
import { operatingStatuses, withOperatingStatuses } from '../../src/lb/rollup.ts';
import { settled } from '../../src/lb/settle.ts';
import type { Tree } from '../../src/lb/tree.ts';
import { wantedAmphora } from '../../src/plan/wanted.ts';
import { checkWithHaproxy, render } from '../../src/plan/haproxy/wanted.fixture.ts';
import { abilitiesOf } from '../../src/plan/runtime/abilities.ts';
import { runtimeChange } from '../../src/plan/runtime.ts';
import { WantedAmphora } from '../../src/wire/wanted.ts';
import { bigTree, cardFacts } from './big-tree.ts';
import { median } from './figures.ts';

const rounds = Number(process.argv[2] ?? 7);
const sizes = [10, 100, 1000, 10_000];

/** CPU milliseconds of this process, garbage collection included: other work on the machine does not count. */
function cpuMs(work: () => unknown): number {
  const spent: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    spent.push((user + system) / 1000);
  }
  return median(spent);
}

/** MiB that stay when the result is kept; needs `--expose-gc`. */
function keptMiB(make: () => unknown): number {
  const heap = (): number => {
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  };
  const before = heap();
  const kept = make();
  const after = heap();
  return kept === undefined ? Number.NaN : (after - before) / 2 ** 20;
}

const rows = new Map<string, string[]>();
const note = (what: string, figure: number, unit = 'ms'): void => {
  rows.set(what, [...(rows.get(what) ?? []), `${figure.toFixed(1)} ${unit}`]);
};

/** As the agent reads it. */
const wish = Compile(WantedAmphora);
const circumstances = { now: new Date(), newId: randomUUID, deployment: standardDeployment };

for (const members of sizes) {
  const tree = bigTree({ listeners: 50, pools: 200, members });
  const facts = cardFacts(tree);
  const { wanted } = wantedAmphora(tree, facts);
  const text = JSON.stringify(wanted);
  const rendered = render(wanted);
  const one: Tree = {
    ...tree,
    members: tree.members.map((member, n) => (n === 0 ? { ...member, weight: 7 } : member)),
  };
  const oneChanged = render(wantedAmphora(one, facts).wanted);
  const poolId = tree.pools[0]?.id ?? '';
  const pending: Tree = {
    ...tree,
    members: tree.members.map((member) => ({ ...member, provisioningStatus: 'PENDING_UPDATE' })),
  };
  const sighting = {
    generation: tree.loadBalancer.generation,
    listeners: Object.fromEntries(tree.listeners.map(({ id }) => [id, { state: 'OPEN' as const }])),
    pools: Object.fromEntries(
      [...Map.groupBy(tree.members, (member) => member.poolId)].map(([id, group]) => [
        id,
        { up: true, members: Object.fromEntries(group.map((member) => [member.id, 'UP' as const])) },
      ]),
    ),
  };

  note(
    'wish from the tree (wantedAmphora)',
    cpuMs(() => wantedAmphora(tree, facts)),
  );
  note(
    'wish to JSON',
    cpuMs(() => JSON.stringify(wanted)),
  );
  note(
    'wish from JSON',
    cpuMs(() => JSON.parse(text)),
  );
  note(
    'wish checked by its schema',
    cpuMs(() => wish.Check(wanted)),
  );
  note(
    'HAProxy configuration rendered',
    cpuMs(() => render(wanted)),
  );
  note(
    'two configurations compared, one weight differs',
    cpuMs(() => runtimeChange(rendered, oneChanged, abilitiesOf('2.6.12'))),
  );
  note(
    'POST member decided',
    cpuMs(() => createMember(tree, poolId, freshMember(), circumstances)),
  );
  const everything = inOnePool(tree, poolId);
  const items = everything.members.map(({ address, protocolPort }) => ({
    ...freshMember(),
    address,
    protocolPort,
  }));
  note(
    'PUT members decided, all new',
    cpuMs(() => replaceMembers({ ...tree, members: [] }, poolId, items, false, circumstances)),
  );
  note(
    'PUT members decided, all there',
    cpuMs(() => replaceMembers(everything, poolId, items, false, circumstances)),
  );
  const settlement = { now: new Date(), failed: new Map<string, string>(), loadBalancerOnline: true };
  note(
    'settled, every member was pending',
    cpuMs(() => settled(pending, settlement)),
  );
  const quiet: Tree = {
    ...tree,
    members: tree.members.map((member) => ({ ...member, operatingStatus: 'OFFLINE' })),
  };
  note(
    'statuses of a report',
    cpuMs(() => operatingStatuses(tree, sighting)),
  );
  const statuses = operatingStatuses(tree, sighting);
  note(
    'statuses written into the tree, all differ',
    cpuMs(() => withOperatingStatuses(quiet, statuses)),
  );
  note(
    'status tree for the API',
    cpuMs(() => JSON.stringify(statusTree(tree))),
  );
  note('wish on the wire', Buffer.byteLength(text) / 1024, 'kiB');
  note('configuration', Buffer.byteLength(rendered.text) / 1024, 'kiB');
  note(
    'heap of the tree',
    keptMiB(() => bigTree({ listeners: 50, pools: 200, members })),
    'MiB',
  );
  note(
    'heap of the wish',
    keptMiB(() => wantedAmphora(tree, facts)),
    'MiB',
  );
  note(
    'heap of the rendering',
    keptMiB(() => render(wanted)),
    'MiB',
  );
  const since = performance.now();
  const said = checkWithHaproxy(rendered);
  if (said !== '') throw new Error(said);
  note('haproxy -c, wall time', performance.now() - since);
}

console.log(`50 listeners, 200 pools; CPU time, median of ${rounds} rounds\n`);
console.log(`${''.padEnd(50)}${sizes.map((size) => `${size} members`.padStart(16)).join('')}`);
for (const [what, figures] of rows) {
  console.log(`${what.padEnd(50)}${figures.map((figure) => figure.padStart(16)).join('')}`);
}

/** The tree with every member in that pool. */
function inOnePool(tree: Tree, poolId: string): Tree {
  return { ...tree, members: tree.members.map((member) => ({ ...member, poolId })) };
}

function freshMember() {
  return {
    name: '',
    adminStateUp: true,
    address: '198.51.100.1',
    protocolPort: 80,
    weight: 1,
    backup: false,
    monitorAddress: null,
    monitorPort: null,
    subnetId: null,
    requestSriov: false,
    tags: [],
  };
}
