import { createL7Rule, deleteL7Rule, updateL7Rule } from '../../lb/l7-rule-rules.ts';
import { isProblem, type Problem } from '../../lb/problems.ts';
import type { Views } from '../../store/store.ts';
import { created, updated } from '../bodies.ts';
import { carry } from '../change.ts';
import { fields } from '../fields.ts';
import { below, idsOf, inParent, listInParent, oneBelow, type Parent, showInParent } from '../nested.ts';
import { type Answer, type Api, type ApiRequest, type Route, strayQuery } from '../request.ts';
import { common, id, inheritedProject, resource } from '../resource.ts';
import { objectAnswer } from '../routes.ts';
import { boolean, oneOf, text, uuid } from '../types.ts';

const line = { max: 255, pattern: /^[^\r\n]*$/, meaning: 'Value should be a single line' } as const;

export const l7Rules = resource({
  kind: 'l7Rule',
  name: 'L7 Rule',
  argument: 'rule_.rule',
  argumentOnPut: 'l7rule_.rule',
  many: 'rules',
  fields: fields({
    ...id,
    ...common,
    ...inheritedProject,
    /** A filter only; openstacksdk repeats the policy of the path in the query of its lists. */
    l7PolicyId: { type: uuid(), api: 'l7policy_id', show: false, sort: false },
    type: {
      type: oneOf(
        'HOST_NAME',
        'PATH',
        'FILE_TYPE',
        'HEADER',
        'COOKIE',
        'SSL_CONN_HAS_CERT',
        'SSL_VERIFY_RESULT',
        'SSL_DN_FIELD',
      ),
      post: 'required',
      put: 'optional',
    },
    compareType: {
      type: oneOf('CONTAINS', 'ENDS_WITH', 'EQUAL_TO', 'REGEX', 'STARTS_WITH'),
      post: 'required',
      put: 'optional',
    },
    key: { type: text(line), post: 'optional', put: 'optional', default: null },
    value: { type: text({ min: 1, ...line }), post: 'required', put: 'optional' },
    invert: {
      type: boolean(),
      post: 'optional',
      put: 'optional',
      default: false,
      nullOnPost: false,
      nullOnPut: false,
    },
  }),
});

const policy: Parent = { kind: 'l7Policy', name: 'L7Policy', param: 'l7policy_id', field: 'l7PolicyId' };

export function l7RuleRoutes(api: Api): readonly Route[] {
  const all = '/v2/lbaas/l7policies/:l7policy_id/rules';
  const one = `${all}/:id`;
  const inPolicy = (handle: (api: Api, request: ApiRequest) => Promise<Answer | Problem>) =>
    inParent(api, policy, (request) => handle(api, request));
  return [
    { method: 'GET', path: all, handle: listInParent(api, policy, l7Rules, 'l7rule:get_all') },
    { method: 'POST', path: all, handle: inPolicy(create) },
    { method: 'GET', path: one, handle: showInParent(api, policy, l7Rules, 'l7rule:get_one') },
    { method: 'PUT', path: one, handle: inPolicy(update) },
    { method: 'DELETE', path: one, handle: inPolicy(remove) },
  ];
}

async function create(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const values = created(l7Rules, request);
  if (isProblem(values)) return values;
  const { parentId } = idsOf(policy, request);
  const rule = await carry(api, {
    ...below(policy, request),
    actions: ['l7rule:post'],
    adds: 'l7Rule',
    decide: (tree, circumstances) => createL7Rule(tree, parentId, values, circumstances),
    show: (_, answer): Views['l7Rule'] => answer,
  });
  return objectAnswer(l7Rules, rule, 201);
}

async function update(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const changes = updated(l7Rules, request);
  if (isProblem(changes)) return changes;
  const { parentId, id } = idsOf(policy, request);
  const rule = await carry(api, {
    ...oneBelow(policy, l7Rules, request),
    actions: ['l7rule:put'],
    decide: (tree, circumstances) => updateL7Rule(tree, parentId, id, changes, circumstances),
    show: (_, answer): Views['l7Rule'] => answer,
  });
  return objectAnswer(l7Rules, rule, 200);
}

async function remove(api: Api, request: ApiRequest): Promise<Answer | Problem> {
  const stray = strayQuery(request);
  if (stray !== undefined) return stray;
  const { parentId, id } = idsOf(policy, request);
  const done = await carry(api, {
    ...oneBelow(policy, l7Rules, request),
    actions: ['l7rule:delete'],
    decide: (tree) => deleteL7Rule(tree, parentId, id),
    show: () => undefined,
  });
  return done ?? { status: 204 };
}
