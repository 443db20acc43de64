import { type Amphora, serves } from '../lb/amphora.ts';
import type { Tree } from '../lb/tree.ts';
import { names, type Step } from '../plan/steps.ts';
import { adoptServer, bootServer, ensurePorts, openAmphora } from './amphora-steps.ts';
import { changed, type Context, type Run } from './context.ts';
import { push } from './push.ts';
import { settle } from './settlement.ts';

/** Steps that do something; the others end the run or let it wait. */
export type Deed = Exclude<Step, { kind: 'wait' | 'back-off' }>;

/** Takes one step. Throws `DriverError` when the cloud does not play along. */
export function apply(
  context: Context,
  run: Run,
  tree: Tree,
  rows: readonly Amphora[],
  step: Deed,
): Promise<void> {
  const { clouds } = context;
  const rowOf = (amphoraId: string): Amphora => {
    const row = rows.find((candidate) => candidate.id === amphoraId);
    if (row === undefined) throw new Error(`a step for the unknown amphora ${amphoraId}`);
    return row;
  };
  switch (step.kind) {
    case 'ensure-guard':
      return ensureGuard(context, run, tree, step);
    case 'repair-vip-port':
      return repairVipPort(context, run, tree);
    case 'open-amphora':
      return openAmphora(context, tree, step.role);
    case 'ensure-ports':
      return ensurePorts(context, run, tree, rowOf(step.amphoraId));
    case 'boot-server':
      return bootServer(context, run, tree, rowOf(step.amphoraId));
    case 'adopt-server':
      return adoptServer(context, rowOf(step.amphoraId), step.serverId);
    case 'push':
      return push(context, run, tree, rows, rowOf(step.amphoraId));
    case 'settle':
      return settle(context, run, tree, step.generation);
    case 'condemn':
      return condemn(context, rows, rowOf(step.amphoraId), step.reason);
    case 'remove-server':
      run.leaving.add(step.serverId);
      return clouds.compute.removeServer(step.serverId);
    case 'remove-port':
      run.vipPort = undefined;
      return clouds.networking.removePort(step.portId);
    case 'close-amphora':
      return context.store.amphorae.save(changed(rowOf(step.amphoraId), { status: 'DELETED' }));
    case 'remove-security-group':
      return clouds.networking.removeSecurityGroup(names.securityGroup(tree.loadBalancer.id)).then(() => {
        run.groupRemoved = true;
      });
  }
}

async function condemn(
  { store, log }: Context,
  rows: readonly Amphora[],
  row: Amphora,
  reason: string,
): Promise<void> {
  log.info({ loadBalancerId: row.loadBalancerId, amphoraId: row.id, reason }, 'amphora condemned');
  await store.amphorae.save(changed(row, { status: 'PENDING_DELETE' }));
  // The last one that served: nothing of the load balancer is served until the next amphora reports.
  if (serves(row) && !rows.some((other) => other.id !== row.id && serves(other))) {
    await store.trees.setOperatingStatuses(row.loadBalancerId, new Map([[row.loadBalancerId, 'ERROR']]));
  }
}

async function ensureGuard(
  { clouds }: Context,
  run: Run,
  tree: Tree,
  { guard, portIds }: Extract<Step, { kind: 'ensure-guard' }>,
): Promise<void> {
  const { networking, compute } = clouds;
  const { id } = tree.loadBalancer;
  const own =
    guard.openings.length === 0
      ? []
      : [
          await networking.ensureSecurityGroup(
            names.securityGroup(id),
            await compute.projectId(),
            guard.openings,
          ),
        ];
  const securityGroupIds = [...guard.groupIds, ...own];
  await Promise.all(portIds.map((portId) => networking.ensurePortOpenings(portId, { securityGroupIds })));
  run.guard = guard;
  run.groupIds = securityGroupIds;
}

/** A new port with the addresses the load balancer is known by. */
async function repairVipPort(
  { clouds, store, log }: Context,
  run: Run,
  { loadBalancer }: Tree,
): Promise<void> {
  const { id, vipSubnetId, vipAddress, additionalVips } = loadBalancer;
  const primary = vipSubnetId === null ? [] : [{ subnetId: vipSubnetId, ipAddress: vipAddress }];
  const port = await clouds.networking.ensurePort({
    name: names.vipPort(id),
    networkId: loadBalancer.vipNetworkId,
    fixedIps: [...primary, ...additionalVips.map(({ subnetId, ipAddress }) => ({ subnetId, ipAddress }))],
    deviceId: names.vipDevice(id),
    deviceOwner: 'Octavia',
    projectId: loadBalancer.projectId,
    adminStateUp: false,
  });
  await store.trees.settle(id, (tree) => ({
    ...tree,
    loadBalancer: { ...tree.loadBalancer, vipPortId: port.id, vipPortOwned: true },
  }));
  run.vipPort = port;
  log.warn({ loadBalancerId: id, portId: port.id }, 'the VIP port was gone and was made again');
}
