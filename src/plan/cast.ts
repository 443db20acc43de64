import { type AmphoraRole, serves } from '../lb/amphora.ts';
import type { LoadBalancer } from '../lb/load-balancer.ts';
import type { SeenAmphora } from './seen.ts';

/** Which amphora plays which part. */
export interface Cast {
  /** One at most for each role: it serves, or is made to. */
  readonly chosen: readonly SeenAmphora[];
  /** Roles for which another amphora is to be made now. */
  readonly missing: readonly AmphoraRole[];
  /** To be replaced, and serving until that has happened. */
  readonly outgoing: readonly SeenAmphora[];
  readonly surplus: readonly SeenAmphora[];
}

/** In the order in which they are replaced: the one that carries the traffic comes last. */
const roles: Readonly<Record<LoadBalancer['topology'], readonly AmphoraRole[]>> = {
  SINGLE: ['STANDALONE'],
  ACTIVE_STANDBY: ['BACKUP', 'MASTER'],
};

/** For each role those that serve go first, then the oldest. Of a pair one is replaced at a time. */
export function cast(topology: LoadBalancer['topology'], amphorae: readonly SeenAmphora[]): Cast {
  const rank = ({ row }: SeenAmphora): number => (serves(row) ? 0 : 1);
  const hopeful = amphorae
    .filter(({ row }) => row.status !== 'PENDING_DELETE' && row.status !== 'ERROR')
    .toSorted((a, b) => rank(a) - rank(b) || a.row.createdAt.getTime() - b.row.createdAt.getTime());
  const chosen: SeenAmphora[] = [];
  const missing: AmphoraRole[] = [];
  const outgoing: SeenAmphora[] = [];
  let busy = false;
  for (const role of roles[topology]) {
    const ofRole = hopeful.filter(({ row }) => row.role === role);
    const kept = ofRole.find(({ row }) => !row.outgoing);
    const done = kept !== undefined && serves(kept.row);
    const old = done ? undefined : ofRole.find(({ row }) => row.outgoing && serves(row));
    if (kept !== undefined) chosen.push(kept);
    if (old !== undefined) outgoing.push(old);
    if (kept === undefined && (old === undefined || !busy)) missing.push(role);
    busy ||= !done;
  }
  const cast = new Set([...chosen, ...outgoing]);
  return { chosen, missing, outgoing, surplus: amphorae.filter((amphora) => !cast.has(amphora)) };
}
