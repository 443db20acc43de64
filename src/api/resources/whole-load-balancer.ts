import type { PoolReference } from '../../lb/whole-load-balancer.ts';
import type { Tree } from '../../lb/tree.ts';
import { isProblem } from '../../lb/problems.ts';
import { type Created, fields, isObject, object, without } from '../fields.ts';
import { idList, list, text, type Type } from '../types.ts';
import { l7PolicyView, listenerView, poolView } from '../views.ts';
import { healthMonitors } from './health-monitors.ts';
import { l7Policies } from './l7-policies.ts';
import { l7Rules } from './l7-rules.ts';
import { listeners } from './listeners.ts';
import { members } from './members.ts';
import { pools } from './pools.ts';

/** What may be sent below a load balancer that is created whole: the fields of each resource, less what nesting says. */

const monitor = fields(without(healthMonitors.fields, 'projectId', 'tenantId', 'poolId'));

const member = fields(without(members.fields, 'projectId', 'tenantId'));

const pool = fields({
  ...without(
    pools.fields,
    ...(['projectId', 'tenantId', 'loadBalancerId', 'listenerId', 'healthMonitorId', 'memberIds'] as const),
  ),
  protocol: { type: pools.fields.protocol.type, post: 'optional' },
  lbAlgorithm: { type: pools.fields.lbAlgorithm.type, post: 'optional' },
  healthMonitor: { type: object(monitor), api: 'healthmonitor', post: 'optional', default: null },
  members: { type: list(object(member)), post: 'optional', default: [], nullOnPost: [] },
});

const rule = fields({
  ...without(l7Rules.fields, 'projectId', 'tenantId'),
  key: { type: text({ max: 255 }), post: 'optional', default: null },
});

/** A pool, or the name of one that is defined elsewhere: anything beside it makes it a definition. */
const poolOrName: Type<Created<typeof pool> | PoolReference> = {
  schema: object(pool).schema,
  read: (raw, at) => {
    const value = object(pool).read(raw, at);
    if (isProblem(value) || !isObject(raw)) return value;
    const said = Object.keys(raw).filter((name) => !['name', 'admin_state_up', 'tls_enabled'].includes(name));
    return said.length === 0 ? { poolName: value.name } : value;
  },
};

const policy = fields({
  ...without(
    l7Policies.fields,
    ...(['projectId', 'tenantId', 'listenerId', 'redirectPoolId', 'l7RuleIds'] as const),
  ),
  redirectPool: { type: poolOrName, post: 'optional', default: null },
  rules: { type: list(object(rule)), post: 'optional', default: [], nullOnPost: [] },
});

const listener = fields({
  ...without(listeners.fields, 'projectId', 'tenantId', 'loadBalancerId', 'l7PolicyIds'),
  defaultPool: { type: poolOrName, post: 'optional', default: null },
  l7Policies: {
    type: list(object(policy)),
    api: 'l7policies',
    post: 'optional',
    default: [],
    nullOnPost: [],
  },
});

export const wholePools = { ...list(object(pool)), shown: idList };
export const wholeListeners = { ...list(object(listener)), shown: idList };

type Json = Readonly<Record<string, unknown>>;

/** What is below a load balancer, written out, as its creation answers. */
export function writtenOut(tree: Tree): {
  readonly listeners: readonly Json[];
  readonly pools: readonly Json[];
} {
  return {
    listeners: tree.listeners.map((object) => {
      const view = listenerView(tree, object);
      const { loadbalancers: _, ...shown } = listeners.render(view);
      const policies = view.l7PolicyIds.flatMap((id) => tree.l7Policies.filter((one) => one.id === id));
      return { ...shown, l7policies: policies.map((one) => policyWrittenOut(tree, one)) };
    }),
    pools: tree.pools.map((object) => poolWrittenOut(tree, object)),
  };
}

function policyWrittenOut(tree: Tree, object: Tree['l7Policies'][number]): Json {
  const rules = tree.l7Rules.filter(({ l7PolicyId }) => l7PolicyId === object.id);
  return {
    ...l7Policies.render(l7PolicyView(tree, object)),
    rules: rules.map((one) => l7Rules.render(one)),
  };
}

function poolWrittenOut(tree: Tree, object: Tree['pools'][number]): Json {
  const { loadbalancers: _, healthmonitor_id: __, ...shown } = pools.render(poolView(tree, object));
  const watching = tree.healthMonitors.find(({ poolId }) => poolId === object.id);
  const { pools: ___, ...healthmonitor } = watching === undefined ? {} : healthMonitors.render(watching);
  return {
    ...shown,
    members: tree.members.filter(({ poolId }) => poolId === object.id).map((one) => members.render(one)),
    healthmonitor: watching === undefined ? null : healthmonitor,
  };
}
