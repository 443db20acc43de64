import { ipVersion, isReserved } from './addresses.ts';
import type { Deployment } from './defaults.ts';
import type { Member } from './member.ts';
import type { Pool } from './pool.ts';
import { conflict, isProblem, notFound, type Problem, problem, unsupported } from './problems.ts';
import { blockedPool, find, firstProblem, isDatagram, pendingPool, poolOf, vipVersions } from './rules.ts';
import { type Circumstances, type Decision, listenersUsing, replace, type Tree } from './tree.ts';

export type MemberValues = Pick<
  Member,
  'name' | 'adminStateUp' | 'weight' | 'backup' | 'monitorAddress' | 'monitorPort' | 'tags'
>;

export interface NewMember extends MemberValues {
  readonly address: string;
  readonly protocolPort: number;
  readonly subnetId: string | null;
  readonly requestSriov: boolean;
}

/** An item of a batch: what is not sent of these three stays as it is on a member that exists. */
export type BatchMember = Omit<NewMember, 'name' | 'tags' | 'subnetId'> &
  Partial<Pick<NewMember, 'name' | 'tags' | 'subnetId'>>;

export function createMember(
  tree: Tree,
  poolId: string,
  values: NewMember,
  circumstances: Circumstances,
): Decision<Member> | Problem {
  const pool = poolOf(tree, poolId);
  if (isProblem(pool)) return pool;
  const wrong =
    newMemberProblem(values, circumstances.deployment) ??
    blockedPool(tree, pool) ??
    (at(tree, poolId, values) && duplicate(poolId, values)) ??
    unreachableProblem(tree, pool, values);
  if (wrong !== undefined) return wrong;
  const member = newMember(tree, pool, values, circumstances);
  const pending = pendingPool(tree, poolId);
  return { tree: { ...pending, members: [...pending.members, member] }, answer: member };
}

export function updateMember(
  tree: Tree,
  poolId: string,
  id: string,
  changes: Partial<MemberValues>,
  { now }: Circumstances,
): Decision<Member> | Problem {
  const pool = poolOf(tree, poolId);
  if (isProblem(pool)) return pool;
  const before = memberOf(tree, poolId, id);
  if (before === undefined) return notFound('Member', id);
  const wrong = blockedPool(tree, pool);
  if (wrong !== undefined) return wrong;
  const member: Member = { ...before, ...changes, provisioningStatus: 'PENDING_UPDATE', updatedAt: now };
  return { tree: replace(pendingPool(tree, poolId), 'members', id, member), answer: member };
}

export function deleteMember(tree: Tree, poolId: string, id: string): Decision<undefined> | Problem {
  const pool = poolOf(tree, poolId);
  if (isProblem(pool)) return pool;
  if (memberOf(tree, poolId, id) === undefined) return notFound('Member', id);
  const wrong = blockedPool(tree, pool);
  if (wrong !== undefined) return wrong;
  return {
    tree: replace(pendingPool(tree, poolId), 'members', id, { provisioningStatus: 'PENDING_DELETE' }),
    answer: undefined,
  };
}

/**
 * Makes the members of the pool the given ones, known by address and port: new ones are added, those that exist take
 * the values of their item, the others go, unless `additiveOnly`. Nothing there and nothing sent changes nothing.
 */
export function replaceMembers(
  tree: Tree,
  poolId: string,
  items: readonly BatchMember[],
  additiveOnly: boolean,
  circumstances: Circumstances,
): Decision<undefined> | Problem {
  const pool = poolOf(tree, poolId);
  if (isProblem(pool)) return pool;
  const stored = new Set(tree.members.filter((member) => member.poolId === poolId).map(place));
  if (stored.size === 0 && items.length === 0) return { tree, answer: undefined };
  const itemOf = new Map<string, BatchMember>();
  for (const item of items) {
    if (itemOf.has(place(item))) {
      return !stored.has(place(item))
        ? duplicate(poolId, item)
        : problem(400, `Member ${item.address}:${item.protocolPort} is listed twice.`);
    }
    itemOf.set(place(item), item);
  }
  const fresh = items.filter((item) => !stored.has(place(item)));
  const wrong =
    firstProblem(fresh, (item) => newMemberProblem(item, circumstances.deployment)) ??
    blockedPool(tree, pool) ??
    firstProblem(fresh, (item) => unreachableProblem(tree, pool, item));
  if (wrong !== undefined) return wrong;

  const members = tree.members.map((member): Member => {
    if (member.poolId !== poolId) return member;
    const item = itemOf.get(place(member));
    if (item !== undefined) return matched(member, item, circumstances.now);
    return additiveOnly ? member : { ...member, provisioningStatus: 'PENDING_DELETE' };
  });
  const added = fresh.map((item) =>
    newMember(tree, pool, { name: '', tags: [], subnetId: null, ...item }, circumstances),
  );
  return {
    tree: { ...pendingPool(tree, poolId), members: [...members, ...added] },
    answer: undefined,
  };
}

function newMember(
  tree: Tree,
  pool: Pool,
  { requestSriov, ...values }: NewMember,
  { now, newId }: Circumstances,
): Member {
  return {
    ...values,
    id: newId(),
    projectId: tree.loadBalancer.projectId,
    poolId: pool.id,
    vnicType: requestSriov ? 'direct' : 'normal',
    provisioningStatus: 'PENDING_CREATE',
    operatingStatus: tree.healthMonitors.some(({ poolId }) => poolId === pool.id) ? 'OFFLINE' : 'NO_MONITOR',
    statusReason: null,
    createdAt: now,
    updatedAt: null,
  };
}

function matched(member: Member, { requestSriov: _, ...item }: BatchMember, now: Date): Member {
  return { ...member, ...item, provisioningStatus: 'PENDING_UPDATE', updatedAt: now };
}

/** Members of a pool are told apart by what the client wrote, letter by letter. */
function place({ address, protocolPort }: Pick<Member, 'address' | 'protocolPort'>): string {
  return `${address} ${protocolPort}`;
}

function at(tree: Tree, poolId: string, where: Pick<Member, 'address' | 'protocolPort'>): Member | undefined {
  return tree.members.find((member) => member.poolId === poolId && place(member) === place(where));
}

function memberOf(tree: Tree, poolId: string, id: string): Member | undefined {
  const member = find(tree.members, id);
  return member?.poolId === poolId ? member : undefined;
}

function duplicate(poolId: string, { address, protocolPort }: Pick<Member, 'address' | 'protocolPort'>) {
  return conflict(`Pool ${poolId} already has a member with address ${address} and port ${protocolPort}.`);
}

function newMemberProblem(
  { address }: Pick<NewMember, 'address'>,
  { reservedIps }: Deployment,
): Problem | undefined {
  return isReserved(address, reservedIps)
    ? problem(400, `The member address ${address} is reserved and cannot be used.`)
    : undefined;
}

/** What the provider cannot do: it is asked last. */
function unreachableProblem(
  tree: Tree,
  pool: Pool,
  { address }: Pick<NewMember, 'address'>,
): Problem | undefined {
  const clash =
    isDatagram(pool.protocol) &&
    listenersUsing(tree, pool.id).length > 0 &&
    !vipVersions(tree).has(ipVersion(address));
  return clash
    ? unsupported(
        tree.loadBalancer.provider,
        `member ${address} in a ${pool.protocol} pool behind a VIP of the other IP version`,
      )
    : undefined;
}
