import type { Resource } from '../lb/resource.ts';
import { operatingStatuses, withOperatingStatuses } from '../lb/rollup.ts';
import { restTree, settled } from '../lb/settle.ts';
import { isPending } from '../lb/status.ts';
import { type Tree, treeLists } from '../lb/tree.ts';
import type { Context, Run } from './context.ts';

/** Writes back that the generation has come true, unless the tree was changed meanwhile. */
export async function settle(
  { store, log }: Context,
  run: Run,
  tree: Tree,
  generation: number,
): Promise<void> {
  const { id } = tree.loadBalancer;
  const confirmations = [...run.confirmed.values()];
  const failed = new Map(confirmations.flatMap((confirmation) => [...confirmation.failed]));
  const report = confirmations[0]?.report;
  await store.trees.settle(id, (now) => {
    if (now.loadBalancer.generation !== generation) return now;
    const settlement = { now: new Date(), failed, loadBalancerOnline: true };
    const after = settled(revived(now, failed), settlement);
    run.settled = generation;
    run.failed = failed;
    return report === undefined ? after : withOperatingStatuses(after, operatingStatuses(after, report));
  });
  log.info({ loadBalancerId: id, generation, failed: Object.fromEntries(failed) }, 'settled');
}

/** What was ERROR and now has come true is on its way to ACTIVE again. */
export function revived(tree: Tree, failed: ReadonlyMap<string, string>): Tree {
  return mapResources(tree, (object) =>
    object.provisioningStatus === 'ERROR' && !failed.has(object.id)
      ? { ...object, provisioningStatus: 'PENDING_UPDATE' }
      : object,
  );
}

/**
 * The tree whose wishes did not come true, for the given reason. What is to be deleted stays so: its status is the
 * only place where that wish is written. A tree without open wishes stays as it is.
 */
export function givenUp(tree: Tree, reason: string, now: Date): Tree {
  const { provisioningStatus, id } = tree.loadBalancer;
  if (restTree(tree) && provisioningStatus !== 'ERROR') return tree;
  return mapResources(tree, (object) => {
    if (!isPending(object.provisioningStatus) && object.id !== id) return object;
    const shown = object.provisioningStatus === 'PENDING_DELETE' ? 'PENDING_DELETE' : 'ERROR';
    return object.provisioningStatus === shown && object.statusReason === reason
      ? object
      : { ...object, provisioningStatus: shown, statusReason: reason, updatedAt: now };
  });
}

function mapResources(tree: Tree, change: <T extends Resource>(object: T) => T): Tree {
  const lists = treeLists.map((list) => [
    list,
    (tree[list] as readonly Resource[]).map((object) => change(object)),
  ]);
  return { ...tree, loadBalancer: change(tree.loadBalancer), ...(Object.fromEntries(lists) as object) };
}
