import type { Member } from '../../lb/member.ts';
import { createMember, deleteMember, replaceMembers, updateMember } from '../../lb/member-rules.ts';
import { cloudObjectNotFound, invalidInput, isProblem, type Problem } from '../../lb/problems.ts';
import type { Tree } from '../../lb/tree.ts';
import type { Views } from '../../store/store.ts';
import { created, envelope, updated } from '../bodies.ts';
import { networkRights } from '../caller.ts';
import { carry } from '../change.ts';
import { allowsMemberSriov, memberSriovProblem } from '../flavor-data.ts';
import { type Created, fields, readCreated } from '../fields.ts';
import { below, idsOf, inParent, listInParent, oneBelow, type Parent, showInParent } from '../nested.ts';
import { type Answer, type Api, type ApiRequest, type Route, strayQuery } from '../request.ts';
import { common, id, inheritedProject, named, resource } from '../resource.ts';
import { objectAnswer } from '../routes.ts';
import { boolean, integer, ipAddress, isTrue, oneOf, text, uuid } from '../types.ts';

export const members = resource({
  kind: 'member',
  name: 'Member',
  argument: 'member_.member',
  many: 'members',
  fields: fields({
    ...id,
    ...named,
    ...common,
    ...inheritedProject,
    address: { type: ipAddress(), post: 'required' },
    protocolPort: { type: integer({ min: 1, max: 65_535 }), post: 'required' },
    weight: {
      type: integer({ min: 0, max: 256 }),
      post: 'optional',
      put: 'optional',
      default: 1,
      nullOnPost: 1,
      nullOnPut: 1,
    },
    backup: {
      type: boolean(),
      post: 'optional',
      put: 'optional',
      default: false,
      nullOnPost: false,
      nullOnPut: false,
    },
    subnetId: { type: uuid(), post: 'optional', default: null },
    monitorAddress: { type: ipAddress(), post: 'optional', put: 'optional', default: null },
    monitorPort: { type: integer({ min: 1, max: 65_535 }), post: 'optional', put: 'optional', default: null },
    requestSriov: {
      type: boolean(),
      post: 'optional',
      default: false,
      nullOnPost: false,
      show: false,
      stored: false,
    },
    vnicType: { type: oneOf('normal', 'direct') },
  }),
});

/** Items of a batch: what is not sent of these stays on a member that exists. */
export const batchFields = fields({
  ...members.fields,
  name: { type: text({ max: 255 }), post: 'optional' },
  tags: { type: common.tags.type, post: 'optional', nullOnPost: common.tags.nullOnPost },
  subnetId: { type: uuid(), post: 'optional' },
});
const batchArgument = 'members_.members';

const pool: Parent = { kind: 'pool', name: 'Pool', param: 'pool_id', field: 'poolId' };

export function memberRoutes(api: Api): readonly Route[] {
  const all = '/v2/lbaas/pools/:pool_id/members';
  const one = `${all}/:id`;
  const inPool = (handle: (api: Api, request: ApiRequest) => Promise<Answer | Problem>) =>
    inParent(api, pool, (request) => handle(api, request));
  return [
    { method: 'GET', path: all, handle: listInParent(api, pool, members, 'member:get_all') },
    { method: 'POST', path: all, handle: inPool(create) },
    { method: 'PUT', path: all, handle: inPool(replace) },
    { method: 'GET', path: one, handle: showInParent(api, pool, members, 'member:get_one') },
    { method: 'PUT', path: one, handle: inPool(update) },
    { method: 'DELETE', path: one, handle: inPool(remove) },
  ];
}

async function create(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const values = created(members, request);
  if (isProblem(values)) return values;
  const { parentId: poolId } = idsOf(pool, request);
  const member = await carry(api, {
    ...below(pool, request),
    actions: ['member:post'],
    adds: 'member',
    decide: (tree, circumstances) => createMember(tree, poolId, values, circumstances),
    outside:
      values.subnetId === null && !values.requestSriov
        ? undefined
        : ({ tree, answer }) => surroundingsProblem(api, request, tree, [answer]),
    show: (_, answer): Views['member'] => answer,
  });
  return objectAnswer(members, member, 201);
}

async function update(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const changes = updated(members, request);
  if (isProblem(changes)) return changes;
  const { parentId: poolId, id: memberId } = idsOf(pool, request);
  const member = await carry(api, {
    ...oneBelow(pool, members, request),
    actions: ['member:put'],
    decide: (tree, circumstances) => updateMember(tree, poolId, memberId, changes, circumstances),
    show: (_, answer): Views['member'] => answer,
  });
  return objectAnswer(members, member, 200);
}

async function remove(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const stray = strayQuery(request);
  if (stray !== undefined) return stray;
  const { parentId: poolId, id: memberId } = idsOf(pool, request);
  const done = await carry(api, {
    ...oneBelow(pool, members, request),
    actions: ['member:delete'],
    decide: (tree) => deleteMember(tree, poolId, memberId),
    show: () => undefined,
  });
  return done ?? { status: 204 };
}

async function replace(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const stray = strayQuery(request, 'additive_only');
  if (stray !== undefined) return stray;
  const items = batchItems(request);
  if (isProblem(items)) return items;
  const additiveOnly = isTrue(request.query.get('additive_only') ?? '');
  const { parentId: poolId } = idsOf(pool, request);
  const asks = items.some((item) => (item.subnetId ?? null) !== null || item.requestSriov);
  const done = await carry(api, {
    ...below(pool, request),
    actions: ['member:post', 'member:put', ...(additiveOnly ? [] : (['member:delete'] as const))],
    decide: (tree, circumstances) => {
      const decision = replaceMembers(tree, poolId, items, additiveOnly, circumstances);
      return isProblem(decision)
        ? decision
        : { ...decision, answer: addedMembers(tree.members, decision.tree.members) };
    },
    outside: asks ? ({ tree, answer }) => surroundingsProblem(api, request, tree, answer) : undefined,
    show: () => undefined,
  });
  return done ?? { status: 202 };
}

function batchItems(request: ApiRequest): readonly Created<typeof batchFields>[] | Problem {
  const body = envelope(request, batchArgument);
  if (isProblem(body)) return body;
  if (!Array.isArray(body.value)) {
    return invalidInput('members', JSON.stringify(body.value), 'Value should be a list');
  }
  const items: Created<typeof batchFields>[] = [];
  for (const value of body.value as readonly unknown[]) {
    const item = readCreated(batchFields, value, batchArgument);
    if (isProblem(item)) return item;
    items.push(item);
  }
  return items;
}

function addedMembers(before: readonly Member[], after: readonly Member[]): readonly Member[] {
  const known = new Set(before.map(({ id }) => id));
  return after.filter(({ id }) => !known.has(id));
}

/** What the load balancer's flavor and the network have against new members. */
async function surroundingsProblem(
  api: Api,
  request: ApiRequest,
  { loadBalancer }: Tree,
  added: readonly Member[],
): Promise<Problem | undefined> {
  const direct = added.some(({ vnicType }) => vnicType === 'direct');
  return (
    memberSriovProblem(!direct || (await allowsMemberSriov(api, loadBalancer.flavorId)), added) ??
    subnetsProblem(
      api,
      request,
      added.map(({ subnetId }) => subnetId),
    )
  );
}

/** Each subnet is asked for once. */
async function subnetsProblem(
  api: Api,
  { caller }: ApiRequest,
  subnetIds: readonly (string | null)[],
): Promise<Problem | undefined> {
  for (const subnetId of new Set(subnetIds)) {
    if (subnetId === null) continue;
    if ((await api.networking.subnet(subnetId, networkRights(api, caller))) === undefined) {
      return cloudObjectNotFound('Subnet', subnetId);
    }
  }
  return undefined;
}
