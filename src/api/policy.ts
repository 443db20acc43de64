import type { Caller } from '../clouds/clouds.ts';
import { type Problem, problem } from '../lb/problems.ts';
import { type Credentials, NoVerdict, PolicyRules, type Verdict } from './policy-rules.ts';

/** Who may do what: the union of Keystone's default roles and the load-balancer_* roles, unless the operator says else. */

type Rule =
  | 'read'
  | 'read-global'
  | 'write'
  | 'admin'
  | 'member-read'
  | 'read-quota'
  | 'read-quota-global'
  | 'write-quota';

/** As operators know and override them. */
const rules: Readonly<Record<string, string>> = {
  context_is_admin: 'role:admin or role:load-balancer_admin',
  service: 'role:service',
  'load-balancer:owner': 'project_id:%(project_id)s',
  'load-balancer:admin': 'is_admin:True or role:load-balancer_admin or role:admin',
  'load-balancer:global_observer': 'role:load-balancer_global_observer',
  'load-balancer:observer_and_owner':
    '(role:load-balancer_observer or role:reader) and rule:load-balancer:owner',
  'load-balancer:member_and_owner': '(role:load-balancer_member or role:member) and rule:load-balancer:owner',
  'load-balancer:read-global': 'rule:load-balancer:global_observer or rule:load-balancer:admin',
  'load-balancer:read':
    'rule:load-balancer:observer_and_owner or rule:load-balancer:member_and_owner or rule:load-balancer:global_observer or rule:load-balancer:admin',
  'load-balancer:write': 'rule:load-balancer:member_and_owner or rule:load-balancer:admin',
  'load-balancer:member-read': 'rule:load-balancer:read or rule:service',
  'load-balancer:read-quota': 'rule:load-balancer:read or role:load-balancer_quota_admin',
  'load-balancer:read-quota-global': 'rule:load-balancer:read-global or role:load-balancer_quota_admin',
  'load-balancer:write-quota': 'role:load-balancer_quota_admin or rule:load-balancer:admin',
};

/** The rule of each action; the full name is `os_load-balancer_api:` and the one here. */
const actions = {
  'loadbalancer:get_all': 'read',
  'loadbalancer:get_all-global': 'read-global',
  'loadbalancer:post': 'write',
  'loadbalancer:post:vip_sg_ids': 'write',
  'loadbalancer:get_one': 'read',
  'loadbalancer:put': 'write',
  'loadbalancer:put:vip_sg_ids': 'write',
  'loadbalancer:delete': 'write',
  'loadbalancer:get_status': 'read',
  'loadbalancer:get_stats': 'read',
  'loadbalancer:put_failover': 'admin',
  'listener:get_all': 'read',
  'listener:get_all-global': 'read-global',
  'listener:post': 'write',
  'listener:get_one': 'read',
  'listener:put': 'write',
  'listener:delete': 'write',
  'listener:get_stats': 'read',
  'pool:get_all': 'read',
  'pool:get_all-global': 'read-global',
  'pool:post': 'write',
  'pool:get_one': 'read',
  'pool:put': 'write',
  'pool:delete': 'write',
  'member:get_all': 'member-read',
  'member:post': 'write',
  'member:get_one': 'read',
  'member:put': 'write',
  'member:delete': 'write',
  'healthmonitor:get_all': 'read',
  'healthmonitor:get_all-global': 'read-global',
  'healthmonitor:post': 'write',
  'healthmonitor:get_one': 'read',
  'healthmonitor:put': 'write',
  'healthmonitor:delete': 'write',
  'l7policy:get_all': 'read',
  'l7policy:get_all-global': 'read-global',
  'l7policy:post': 'write',
  'l7policy:get_one': 'read',
  'l7policy:put': 'write',
  'l7policy:delete': 'write',
  'l7rule:get_all': 'read',
  'l7rule:post': 'write',
  'l7rule:get_one': 'read',
  'l7rule:put': 'write',
  'l7rule:delete': 'write',
  'flavor:get_all': 'read',
  'flavor:post': 'admin',
  'flavor:get_one': 'read',
  'flavor:put': 'admin',
  'flavor:delete': 'admin',
  'flavor-profile:get_all': 'admin',
  'flavor-profile:post': 'admin',
  'flavor-profile:get_one': 'admin',
  'flavor-profile:put': 'admin',
  'flavor-profile:delete': 'admin',
  'availability-zone:get_all': 'read',
  'availability-zone:post': 'admin',
  'availability-zone:get_one': 'read',
  'availability-zone:put': 'admin',
  'availability-zone:delete': 'admin',
  'availability-zone-profile:get_all': 'admin',
  'availability-zone-profile:post': 'admin',
  'availability-zone-profile:get_one': 'admin',
  'availability-zone-profile:put': 'admin',
  'availability-zone-profile:delete': 'admin',
  'provider:get_all': 'read',
  'provider-flavor:get_all': 'admin',
  'provider-availability-zone:get_all': 'admin',
  'quota:get_all': 'read-quota',
  'quota:get_all-global': 'read-quota-global',
  'quota:get_one': 'read-quota',
  'quota:get_defaults': 'read-quota',
  'quota:put': 'write-quota',
  'quota:delete': 'write-quota',
  'amphora:get_all': 'admin',
  'amphora:get_one': 'admin',
  'amphora:get_stats': 'admin',
  'amphora:delete': 'admin',
  'amphora:put_failover': 'admin',
  'amphora:put_config': 'admin',
} as const satisfies Readonly<Record<string, Rule>>;

export type Action = keyof typeof actions;

export interface Policy {
  /**
   * `projectId`: the project of the object; null where the caller has none. Throws `Undecided` when another server has
   * to be asked first.
   */
  allows(caller: Judged, action: Action, projectId: string | null): boolean;
}

interface Judged extends Caller {
  /** Of the servers that policy asks, for this request. */
  readonly verdicts?: ReadonlyMap<string, Verdict>;
}

const fullName = (action: string): string => `os_load-balancer_api:${action}`;

export interface PolicyOptions {
  /** Refuse everybody whose token is not of a project, whatever the rules say: all of this belongs to projects. */
  readonly enforceScope: boolean;
}

/** The rules above with those of the operator in their place. Throws an `Error` that names a rule it cannot read. */
export function policy(
  overrides: Readonly<Record<string, string>> = {},
  { enforceScope }: PolicyOptions = { enforceScope: true },
): Policy {
  const known = new PolicyRules({
    ...rules,
    ...Object.fromEntries(
      Object.entries(actions).map(([action, rule]) => [fullName(action), `rule:load-balancer:${rule}`]),
    ),
    ...overrides,
  });
  return {
    allows(caller, action, projectId) {
      if (enforceScope && caller.projectId === null) return false;
      const target = { project_id: projectId, tenant_id: projectId };
      try {
        return known.allows(fullName(action), credentials(caller), target, caller.verdicts);
      } catch (error) {
        if (error instanceof NoVerdict) return false;
        throw error;
      }
    },
  };
}

/** Where nobody is asked who he is, everybody may do everything. */
export const everything: Policy = { allows: () => true };

function credentials({ roles, projectId, userId, systemScope }: Caller): Credentials {
  return {
    roles,
    attributes: {
      project_id: projectId,
      tenant_id: projectId,
      user_id: userId,
      system_scope: systemScope ? 'all' : null,
    },
  };
}

/** Who asks, and by which policy it is decided what is answered. */
export interface ApiCaller extends Judged {
  readonly policy: Policy;
}

/** Undefined: go on. */
export function authorize(caller: ApiCaller, action: Action, projectId: string | null): Problem | undefined {
  return caller.policy.allows(caller, action, projectId)
    ? undefined
    : problem(403, 'Policy does not allow this request to be performed.');
}
