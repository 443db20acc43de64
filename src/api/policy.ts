import type { Caller } from '../clouds/clouds.ts';
import { type Problem, problem } from '../lb/problems.ts';

/** Who may do what: the union of Keystone's default roles and the load-balancer_* roles. */

type Rule =
  | 'read'
  | 'read-global'
  | 'write'
  | 'admin'
  | 'member-read'
  | 'read-quota'
  | 'read-quota-global'
  | 'write-quota';

interface Roles {
  /** Wherever the object is. */
  readonly anywhere: readonly string[];
  /** On objects of the project of the token. */
  readonly ownProject?: readonly string[];
}

const admins = ['admin', 'load-balancer_admin'];
const writers = ['member', 'load-balancer_member'];
const readers = ['reader', 'load-balancer_observer', ...writers];
const globalReaders = ['load-balancer_global_observer', ...admins];

const rules: Readonly<Record<Rule, Roles>> = {
  read: { anywhere: globalReaders, ownProject: readers },
  'read-global': { anywhere: globalReaders },
  write: { anywhere: admins, ownProject: writers },
  admin: { anywhere: admins },
  'member-read': { anywhere: [...globalReaders, 'service'], ownProject: readers },
  'read-quota': { anywhere: [...globalReaders, 'load-balancer_quota_admin'], ownProject: readers },
  'read-quota-global': { anywhere: [...globalReaders, 'load-balancer_quota_admin'] },
  'write-quota': { anywhere: ['load-balancer_quota_admin', ...admins] },
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
} as const satisfies Readonly<Record<string, Rule>>;

export type Action = keyof typeof actions;

/** `projectId`: the project of the object; null where the caller has none. */
export function allows(caller: Caller, action: Action, projectId: string | null): boolean {
  const { anywhere, ownProject = [] } = rules[actions[action]];
  const has = (roles: readonly string[]): boolean =>
    caller.roles.some((role) => roles.includes(role.toLowerCase()));
  return has(anywhere) || (projectId !== null && projectId === caller.projectId && has(ownProject));
}

/** Undefined: go on. */
export function authorize(caller: Caller, action: Action, projectId: string | null): Problem | undefined {
  return allows(caller, action, projectId)
    ? undefined
    : problem(403, 'Policy does not allow this request to be performed.');
}
