import type { Tree } from '../lb/tree.ts';
import { ticketKeys, ticketPeriod, ticketPeriodMs } from '../pki/ticket-keys.ts';
import { hasTls } from '../plan/wanted.ts';
import type { AgentStatus } from '../wire/report.ts';
import type { WantedTicketKeys } from '../wire/wanted.ts';
import type { Context } from './context.ts';

/** So that not all load balancers come at the stroke of the hour. */
const spreadMs = 300_000;

export function currentTicketKeys({ secretKey }: Context, { loadBalancer }: Tree): WantedTicketKeys {
  const { period, keys } = ticketKeys(secretKey, loadBalancer.id, ticketPeriod(new Date()));
  return { period, keys: [...keys] };
}

/** An amphora that never had any counts too. */
export function hasOldTicketKeys(tree: Tree, status: AgentStatus): boolean {
  return hasTls(tree) && (status.ticketPeriod ?? -1) < ticketPeriod(new Date());
}

/** Puts a load balancer that comes to rest on the queue for its next ticket keys. */
export async function remindOfRotation({ store }: Context, tree: Tree): Promise<void> {
  if (!hasTls(tree) || tree.loadBalancer.provisioningStatus === 'PENDING_DELETE') return;
  const nextMs = (ticketPeriod(new Date()) + 1) * ticketPeriodMs;
  await store.work.mark(tree.loadBalancer.id, new Date(nextMs + Math.random() * spreadMs));
}
