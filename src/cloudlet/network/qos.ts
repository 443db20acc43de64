import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type, { type Static } from 'typebox';
import { type Caller, owns, projectFor, requireAdmin } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import { conflict, notFound } from '../refusal.ts';
import { type BandwidthLimit, born, changed, type Net, type QosPolicy } from './records.ts';
import { findVisible, type Resource, tagFilters } from './resource.ts';

const changeable = {
  name: Type.Optional(Type.String({ maxLength: 255 })),
  description: Type.Optional(Type.String({ maxLength: 255 })),
  shared: Type.Optional(Type.Boolean()),
  is_default: Type.Optional(Type.Boolean()),
};
const Create = Type.Object(
  { ...changeable, project_id: Type.Optional(Type.String()), tenant_id: Type.Optional(Type.String()) },
  { additionalProperties: false },
);
const Update = Type.Object(changeable, { additionalProperties: false });

const speed = Type.Integer({ minimum: 0, maximum: 2_147_483_647 });
const direction = Type.Optional(Type.Union([Type.Literal('egress'), Type.Literal('ingress')]));
const NewLimit = Type.Object(
  { max_kbps: speed, max_burst_kbps: Type.Optional(speed), direction },
  { additionalProperties: false },
);
const ChangedLimit = Type.Object(
  { max_kbps: Type.Optional(speed), max_burst_kbps: Type.Optional(speed), direction },
  { additionalProperties: false },
);

/** `/qos/policies`: made by admins, named by whoever sees them. */
export function policyResource(net: Net): Resource<QosPolicy> {
  return {
    one: 'policy',
    many: 'policies',
    path: '/qos/policies',
    type: 'QosPolicy',
    collection: net.policies,
    sees,
    filters: ['id', 'name', 'description', 'project_id', 'shared', 'is_default', 'revision_number'],
    special: tagFilters<QosPolicy>(),
    view: ({ limits, ...policy }) => ({
      ...policy,
      tenant_id: policy.project_id,
      rules: limits.map((limit) => ({ ...limit, type: 'bandwidth_limit', qos_policy_id: policy.id })),
    }),
    create(caller, body) {
      requireAdmin(caller);
      const { project_id, tenant_id, ...wish } = read(Create, body);
      const project = projectFor(caller, project_id ?? tenant_id);
      if (wish.is_default === true) requireOnlyDefault(net, project);
      return net.policies.put({
        ...born(net, { ...wish, project_id: project }),
        shared: wish.shared ?? false,
        is_default: wish.is_default ?? false,
        limits: [],
      });
    },
    update(caller, policy, body) {
      requireAdmin(caller);
      const wish = read(Update, body);
      if (wish.is_default === true && !policy.is_default) requireOnlyDefault(net, policy.project_id);
      return net.policies.put(changed<QosPolicy>(net, policy, wish));
    },
    remove(caller, policy) {
      requireAdmin(caller);
      const users = { port: net.ports, network: net.networks };
      for (const [what, collection] of Object.entries(users)) {
        const user = collection.all().find((each) => each.qos_policy_id === policy.id);
        if (user !== undefined)
          throw conflict(`QoS Policy ${policy.id} is used by ${what} ${user.id}.`, 'QosPolicyInUse');
      }
    },
  };
}

function sees(caller: Caller, policy: QosPolicy): boolean {
  return policy.shared || owns(caller, policy.project_id);
}

function requireOnlyDefault(net: Net, projectId: string): void {
  const other = net.policies.all().find((each) => each.is_default && each.project_id === projectId);
  if (other === undefined) return;
  throw conflict(
    `A default QoS policy exists for project ${projectId}: ${other.id}.`,
    'QoSPolicyDefaultAlreadyExists',
  );
}

/** Throws 404 for a policy that the caller cannot name. */
export function checkPolicy(net: Net, caller: Caller, id: string | null | undefined): void {
  if (id == null) return;
  const policy = net.policies.get(id);
  if (policy === undefined || !sees(caller, policy))
    throw notFound(`QoS policy ${id} could not be found.`, 'QosPolicyNotFound');
}

/** What networks of the project get that name none. */
export function defaultPolicy(net: Net, projectId: string): string | null {
  return net.policies.all().find((each) => each.is_default && each.project_id === projectId)?.id ?? null;
}

/** `/qos/policies/{id}/bandwidth_limit_rules` and the kinds of rules there are. */
export function qosRuleRoutes(
  app: FastifyInstance,
  net: Net,
  policies: Resource<QosPolicy>,
  settle: () => Promise<void>,
): void {
  const path = '/qos/policies/:id/bandwidth_limit_rules';
  const policyOf = (request: FastifyRequest) =>
    findVisible(policies, callerOf(request), param(request, 'id'));
  const limitOf = (request: FastifyRequest): BandwidthLimit => {
    const policy = policyOf(request);
    const found = policy.limits.find((limit) => limit.id === param(request, 'rule'));
    if (found === undefined) {
      throw notFound(
        `QoS rule ${param(request, 'rule')} for policy ${policy.id} could not be found.`,
        'QosRuleNotFound',
      );
    }
    return found;
  };
  const write = async (policy: QosPolicy, limits: readonly BandwidthLimit[]): Promise<void> => {
    const ways = limits.map((limit) => limit.direction);
    if (new Set(ways).size < ways.length) {
      throw conflict(
        `Rule bandwidth_limit conflicts with a rule of the same direction in QoS Policy ${policy.id}.`,
        'QoSRuleParameterConflict',
      );
    }
    net.policies.put(changed<QosPolicy>(net, policy, { limits }));
    await settle();
  };

  app.get(path, async (request) => ({ bandwidth_limit_rules: policyOf(request).limits }));
  app.get(`${path}/:rule`, async (request) => ({ bandwidth_limit_rule: limitOf(request) }));

  app.post(path, async (request, reply) => {
    requireAdmin(callerOf(request));
    const policy = policyOf(request);
    const wish = body(NewLimit, request.body);
    const limit: BandwidthLimit = {
      ...{ id: randomUUID(), max_kbps: wish.max_kbps, max_burst_kbps: wish.max_burst_kbps ?? 0 },
      direction: wish.direction ?? 'egress',
    };
    await write(policy, [...policy.limits, limit]);
    return reply.code(201).send({ bandwidth_limit_rule: limit });
  });

  app.put(`${path}/:rule`, async (request) => {
    requireAdmin(callerOf(request));
    const policy = policyOf(request);
    const before = limitOf(request);
    const after = { ...before, ...body(ChangedLimit, request.body) };
    await write(
      policy,
      policy.limits.map((limit) => (limit === before ? after : limit)),
    );
    return { bandwidth_limit_rule: after };
  });

  app.delete(`${path}/:rule`, async (request, reply) => {
    requireAdmin(callerOf(request));
    const policy = policyOf(request);
    const gone = limitOf(request);
    await write(
      policy,
      policy.limits.filter((limit) => limit !== gone),
    );
    return reply.code(204).send();
  });

  app.get('/qos/rule-types', async () => ({ rule_types: [{ type: 'bandwidth_limit' }] }));
  app.get('/qos/rule-types/:type', async (request) => {
    requireAdmin(callerOf(request));
    const type = param(request, 'type');
    if (type !== 'bandwidth_limit')
      throw notFound(`QoS rule type ${type} could not be found.`, 'QosRuleTypeNotFound');
    return { rule_type: { type, drivers: [] } };
  });
}

function body<S extends Type.TSchema>(schema: S, given: unknown): Static<S> {
  const whole = read(Type.Object({ bandwidth_limit_rule: Type.Unknown() }), given);
  return read(schema, whole.bandwidth_limit_rule);
}
