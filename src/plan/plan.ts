import { serves } from '../lb/amphora.ts';
import { type Tree, treeLists } from '../lb/tree.ts';
import { cast } from './cast.ts';
import { wantedGuard } from './guard.ts';
import type { Seen, SeenAmphora } from './seen.ts';
import type { Step } from './steps.ts';

export interface Wanted {
  readonly tree: Tree;
  /** Milliseconds from an amphora's row to an agent that answers. */
  readonly bootDeadlineMs: number;
}

/** The next steps, which may be taken side by side; empty when all is as it should be. */
export function plan(wanted: Wanted, seen: Seen): readonly Step[] {
  const { loadBalancer } = wanted.tree;
  if (loadBalancer.provisioningStatus === 'PENDING_DELETE') return planRemoval(wanted, seen);
  const { chosen, missing, outgoing, surplus } = cast(loadBalancer.topology, seen.amphorae);
  const serving = [
    ...planSurroundings(wanted, seen),
    ...chosen.filter(({ row }) => serves(row)).flatMap((amphora) => planAmphora(wanted, seen, amphora)),
  ];
  const making = [
    ...missing.map((role): Step => ({ kind: 'open-amphora', role })),
    ...chosen.filter(({ row }) => !serves(row)).flatMap((amphora) => planAmphora(wanted, seen, amphora)),
  ];
  const leaving = [
    ...outgoing.flatMap((amphora) => planOutgoing(wanted, seen, amphora)),
    ...surplus.flatMap(planAmphoraRemoval),
  ];
  // A failover is over when those it was about are gone.
  const failingOver = seen.amphorae.some(({ row }) => row.outgoing);
  const settling = failingOver ? [] : planSettlement(wanted, seen);
  // While one of a pair serves, changes come true with it first, whatever becomes of the other.
  const served =
    chosen.some(({ row }) => serves(row)) && loadBalancer.provisioningStatus !== 'PENDING_CREATE';
  const order = served ? [serving, settling, making] : [[...serving, ...making], settling];
  // What is only to be cleared away holds nobody up.
  return [...(order.find((steps) => steps.length > 0) ?? []), ...leaving];
}

function planSurroundings({ tree }: Wanted, seen: Seen): readonly Step[] {
  const steps: Step[] = [];
  if (seen.vipPort === 'missing') steps.push({ kind: 'repair-vip-port' });
  const guard = wantedGuard(tree);
  if (JSON.stringify(guard) !== JSON.stringify(seen.guard)) {
    const serving = seen.amphorae.filter(({ row }) => serves(row));
    const portIds = serving.map((amphora) => amphora.vrrpPortId).filter((id) => id !== undefined);
    steps.push({ kind: 'ensure-guard', guard, portIds });
  }
  return steps;
}

function planAmphora(wanted: Wanted, seen: Seen, amphora: SeenAmphora): readonly Step[] {
  const { row } = amphora;
  const reason = whyLost(wanted, seen, amphora);
  if (reason !== undefined) {
    const condemn: Step = { kind: 'condemn', amphoraId: row.id, reason };
    // One that never served is made again only after a pause: the cloud may refuse the next as well.
    return serves(row) ? [condemn] : [condemn, { kind: 'back-off', reason }];
  }
  return serves(row) ? planServing(wanted, amphora) : planBoot(wanted, seen, amphora);
}

/** It carries the traffic until another does; of a pair it hears of its new peers. Nobody waits for it any more. */
function planOutgoing(wanted: Wanted, seen: Seen, amphora: SeenAmphora): readonly Step[] {
  const reason = whyLost(wanted, seen, amphora);
  if (reason !== undefined) return [{ kind: 'condemn', amphoraId: amphora.row.id, reason }];
  if (amphora.row.role === 'STANDALONE') return [];
  return planServing(wanted, amphora).filter(({ kind }) => kind === 'push');
}

/** Why the amphora will never serve (again); undefined while there is hope. */
function whyLost(wanted: Wanted, seen: Seen, { row, server, agent, silent, vrrpPortId }: SeenAmphora) {
  if (server === 'gone' && row.computeId !== null) return `The server ${row.computeId} is gone.`;
  if (typeof server === 'object' && (server.status === 'ERROR' || server.status === 'DELETED')) {
    return `The server ${server.id} is ${server.status}: ${server.fault ?? 'no reason given'}`;
  }
  if (row.computeId !== null && vrrpPortId === undefined) return `The port ${row.vrrpPortId} is gone.`;
  if (serves(row)) {
    if (agent === 'unreachable' && silent && !seen.massSilence) {
      return `The amphora ${row.id} neither sends heartbeats nor answers.`;
    }
    return undefined;
  }
  const late = seen.now.getTime() - row.createdAt.getTime() > wanted.bootDeadlineMs;
  return late && typeof server === 'object' && typeof agent !== 'number'
    ? `The agent of amphora ${row.id} did not answer in time.`
    : undefined;
}

function planServing({ tree }: Wanted, amphora: SeenAmphora): readonly Step[] {
  const { row, agent, trouble, confirmed, outdated } = amphora;
  const { generation } = tree.loadBalancer;
  if (trouble !== undefined) return [{ kind: 'back-off', reason: trouble }];
  if (confirmed === generation) return [];
  if (agent === 'unreachable')
    return [{ kind: 'back-off', reason: `The amphora ${row.id} does not answer.` }];
  const behind = row.appliedGeneration !== generation || (agent !== 'unasked' && agent !== generation);
  return behind || outdated || !atRest(tree) ? [{ kind: 'push', amphoraId: row.id, generation }] : [];
}

function planBoot({ tree }: Wanted, seen: Seen, amphora: SeenAmphora): readonly Step[] {
  const { row, server, managementPortId, vrrpPortId, agent, trouble } = amphora;
  const amphoraId = row.id;
  if (trouble !== undefined) return [{ kind: 'back-off', reason: trouble }];
  if (typeof server === 'object') {
    if (row.computeId !== server.id) return [{ kind: 'adopt-server', amphoraId, serverId: server.id }];
    if (typeof agent !== 'number') {
      return [{ kind: 'wait', reason: `The amphora ${amphoraId} is booting.` }];
    }
    return [{ kind: 'push', amphoraId, generation: tree.loadBalancer.generation }];
  }
  const linked = row.lbNetworkIp !== null && row.vrrpPortId !== null;
  if (managementPortId !== undefined && vrrpPortId === row.vrrpPortId && linked) {
    return [{ kind: 'boot-server', amphoraId }];
  }
  const ready = seen.guard !== undefined && seen.vipPort === 'there';
  return ready ? [{ kind: 'ensure-ports', amphoraId }] : [];
}

function planSettlement({ tree }: Wanted, seen: Seen): readonly Step[] {
  const { generation } = tree.loadBalancer;
  const open = !atRest(tree) || seen.failures;
  return open && seen.settled !== generation ? [{ kind: 'settle', generation }] : [];
}

/** Amphorae first, for a group in use cannot go; the row of the load balancer last, for it is what we remember by. */
function planRemoval({ tree }: Wanted, seen: Seen): readonly Step[] {
  const { generation, vipPortId, vipPortOwned } = tree.loadBalancer;
  if (seen.amphorae.length > 0) return seen.amphorae.flatMap(planAmphoraRemoval);
  const steps: Step[] = [];
  if (!seen.groupRemoved) steps.push({ kind: 'remove-security-group' });
  if (vipPortOwned && seen.vipPort === 'there') steps.push({ kind: 'remove-port', portId: vipPortId });
  return steps.length > 0 ? steps : [{ kind: 'settle', generation }];
}

/** Server first, then what it held, then the row. */
function planAmphoraRemoval(amphora: SeenAmphora): readonly Step[] {
  const { row, server, portIds } = amphora;
  if (row.status !== 'PENDING_DELETE') {
    return [{ kind: 'condemn', amphoraId: row.id, reason: 'It is not needed any more.' }];
  }
  if (typeof server === 'object' && server.status !== 'DELETED') {
    return server.leaving
      ? [{ kind: 'wait', reason: `The server ${server.id} is leaving.` }]
      : [{ kind: 'remove-server', serverId: server.id }];
  }
  if (portIds.length > 0) return portIds.map((portId) => ({ kind: 'remove-port', portId }));
  return [{ kind: 'close-amphora', amphoraId: row.id }];
}

/** Nothing waits for an amphora: all is ACTIVE. What is ERROR is tried again. */
export function atRest(tree: Tree): boolean {
  return (
    tree.loadBalancer.provisioningStatus === 'ACTIVE' &&
    treeLists.every((list) => tree[list].every((object) => object.provisioningStatus === 'ACTIVE'))
  );
}
