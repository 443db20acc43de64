import type { Networking, Port } from '../clouds/clouds.ts';
import type { Log } from '../platform/log.ts';
import type { HouseKeepingSettings } from '../platform/settings.ts';
import type { Store } from '../store/store.ts';

const everyMs = 600_000;

export interface House {
  readonly store: Store;
  readonly clouds: { readonly networking: Networking };
  readonly settings: { readonly house_keeping: HouseKeepingSettings };
  readonly log: Log;
}

/**
 * Now and then: puts what is unfinished on the queue, for a mark that got lost must not mean a wish that got lost, and
 * removes VIP ports that a process died over before it wrote their load balancer down, and forgets what is long deleted.
 */
export function keepHouse(house: House): () => void {
  let suspects: ReadonlySet<string> = new Set();
  const sweep = async (): Promise<void> => {
    const count = await house.store.work.markUnfinished();
    if (count > 0) house.log.info({ count }, 'unfinished load balancers marked');
    suspects = await sweepOrphans(house, suspects);
    await forgetDeleted(house, new Date());
  };
  const trySweep = (): void => {
    sweep().catch((error: unknown) => house.log.warn({ err: error }, 'housekeeping did not get to its end'));
  };
  trySweep();
  const timer = setInterval(trySweep, everyMs);
  return () => clearInterval(timer);
}

/**
 * Removes the VIP ports without a load balancer that were so at the last sweep already; gives the others, which may
 * belong to a request that is still under way.
 */
export async function sweepOrphans(
  house: Pick<House, 'store' | 'clouds' | 'log'>,
  suspects: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const { store, clouds, log } = house;
  const orphans: Port[] = [];
  for (const port of await clouds.networking.portsOwnedBy('Octavia')) {
    const [, loadBalancerId] = /^lb-([0-9a-f-]{36})$/.exec(port.deviceId) ?? [];
    if (loadBalancerId === undefined) continue;
    if ((await store.lists.show('loadBalancer', loadBalancerId)) === undefined) orphans.push(port);
  }
  for (const port of orphans.filter(({ id }) => suspects.has(id))) {
    await clouds.networking.removePort(port.id);
    log.info({ portId: port.id, deviceId: port.deviceId }, 'a VIP port without a load balancer removed');
  }
  return new Set(orphans.map(({ id }) => id).filter((id) => !suspects.has(id)));
}

async function forgetDeleted({ store, settings, log }: House, now: Date): Promise<void> {
  const before = (seconds: number): Date => new Date(now.getTime() - seconds * 1000);
  const count = await store.purge({
    loadBalancersBefore: before(settings.house_keeping.load_balancer_expiry_age),
    amphoraeBefore: before(settings.house_keeping.amphora_expiry_age),
  });
  if (count > 0) log.info({ count }, 'deleted load balancers and amphorae forgotten');
}
