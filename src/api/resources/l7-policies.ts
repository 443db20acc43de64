import { createL7Policy, deleteL7Policy, lastPosition, updateL7Policy } from '../../lb/l7-policy-rules.ts';
import { isProblem, notFound, type Problem } from '../../lb/problems.ts';
import { created, updated } from '../bodies.ts';
import { carry } from '../change.ts';
import { fields, idObjects, unsent } from '../fields.ts';
import type { Answer, Api, ApiRequest, Route } from '../request.ts';
import { common, described, id, inheritedProject, named, resource } from '../resource.ts';
import { deleteRoute, listRoute, objectAnswer, showRoute } from '../routes.ts';
import { httpUrl, integer, oneNumberOf, oneOf, references, uuid } from '../types.ts';
import { l7PolicyView } from '../views.ts';

const redirectUrl = fields({
  field: { type: httpUrl({ max: 255 }), post: 'optional', put: 'optional', default: null },
}).field;

export const l7Policies = resource({
  kind: 'l7Policy',
  name: 'L7 Policy',
  argument: 'l7policy_.l7policy',
  many: 'l7policies',
  fields: fields({
    ...id,
    ...named,
    ...described,
    ...common,
    ...inheritedProject,
    listenerId: { type: uuid(), post: 'required' },
    action: {
      type: oneOf('REJECT', 'REDIRECT_TO_URL', 'REDIRECT_TO_POOL', 'REDIRECT_PREFIX'),
      post: 'required',
      put: 'optional',
    },
    redirectPoolId: { type: uuid(), post: 'optional', put: 'optional', default: null },
    redirectUrl,
    redirectPrefix: redirectUrl,
    redirectHttpCode: {
      type: oneNumberOf(301, 302, 303, 307, 308),
      post: 'optional',
      put: 'optional',
      default: null,
    },
    position: {
      type: integer({ min: 1, max: lastPosition }),
      post: 'optional',
      put: 'optional',
      default: lastPosition,
      nullOnPost: lastPosition,
      nullOnPut: unsent,
    },
    l7RuleIds: {
      type: references(
        'Validation failure: rules can only be created with an L7 policy as part of a whole load balancer.',
      ),
      api: 'rules',
      post: 'optional',
      nullOnPost: [],
      show: (row: { readonly l7RuleIds: readonly string[] }) => idObjects(row.l7RuleIds),
    },
  }),
});

export function l7PolicyRoutes(api: Api): readonly Route[] {
  const all = '/v2/lbaas/l7policies';
  const one = `${all}/:id`;
  return [
    listRoute(api, l7Policies, all, 'l7policy'),
    showRoute(api, l7Policies, one, 'l7policy:get_one'),
    { method: 'POST', path: all, handle: (request) => create(api, request) },
    { method: 'PUT', path: one, handle: (request) => update(api, request) },
    deleteRoute(api, l7Policies, one, 'l7policy:delete', deleteL7Policy),
  ];
}

async function create(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const values = created(l7Policies, request);
  if (isProblem(values)) return values;
  const { l7RuleIds: _, ...wish } = values;
  const policy = await carry(api, {
    caller: request.caller,
    actions: ['l7policy:post'],
    adds: 'l7Policy',
    of: { kind: 'listener', id: wish.listenerId },
    missing: notFound('Listener', wish.listenerId),
    decide: (tree, circumstances) => createL7Policy(tree, wish, circumstances),
    show: l7PolicyView,
  });
  return objectAnswer(l7Policies, policy, 201);
}

async function update(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const changes = updated(l7Policies, request);
  if (isProblem(changes)) return changes;
  const id = request.params['id'] ?? '';
  const policy = await carry(api, {
    caller: request.caller,
    actions: ['l7policy:put'],
    of: { kind: 'l7Policy', id },
    missing: notFound('L7 Policy', id),
    decide: (tree, circumstances) => updateL7Policy(tree, id, changes, circumstances),
    show: l7PolicyView,
  });
  return objectAnswer(l7Policies, policy, 200);
}
