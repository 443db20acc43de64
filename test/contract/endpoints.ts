/**
 * Who may ask what, when, and what then waits: every endpoint as the API promises it. Written down apart from the
 * service's own routes and policy.
 */

/** Who is asking. */
export interface Asker {
  readonly roles: readonly string[];
  /** Of the project the load balancer is in, of another, or of none. */
  readonly project: 'own' | 'other' | 'none';
  readonly system?: true;
}

export const askers: Readonly<Record<string, Asker | undefined>> = {
  'nobody (no token)': undefined,
  'a user without a role': { roles: ['guest'], project: 'own' },
  'a reader': { roles: ['reader'], project: 'own' },
  'a member': { roles: ['member', 'reader'], project: 'own' },
  'an observer': { roles: ['load-balancer_observer'], project: 'own' },
  'a load balancer member': { roles: ['load-balancer_member'], project: 'own' },
  'a reader elsewhere': { roles: ['reader'], project: 'other' },
  'a member elsewhere': { roles: ['member', 'reader', 'load-balancer_member'], project: 'other' },
  'a global observer': { roles: ['load-balancer_global_observer'], project: 'other' },
  'a quota admin': { roles: ['load-balancer_quota_admin'], project: 'other' },
  'a load balancer admin': { roles: ['load-balancer_admin'], project: 'other' },
  'an admin': { roles: ['admin'], project: 'other' },
  'a service': { roles: ['service'], project: 'other' },
  'an admin of the system': { roles: ['admin'], project: 'none', system: true },
};

export type Rule =
  | 'anybody'
  | 'read'
  | 'read-global'
  | 'write'
  | 'admin'
  | 'member-read'
  | 'read-quota'
  | 'read-quota-global'
  | 'write-quota';

/** `of`: whose thing it is. What is the caller's own by nature, such as a list, is `caller`. */
export function isAllowed(rule: Rule, { roles, project, system }: Asker, of: 'project' | 'caller'): boolean {
  if (rule === 'anybody') return true;
  if (system || project === 'none') return false;
  const has = (...names: readonly string[]): boolean => names.some((name) => roles.includes(name));
  const owner = of === 'caller' || project === 'own';
  const admin = has('admin', 'load-balancer_admin');
  const globalReader = admin || has('load-balancer_global_observer');
  const writer = admin || (owner && has('member', 'load-balancer_member'));
  const reader = globalReader || writer || (owner && has('reader', 'load-balancer_observer'));
  switch (rule) {
    case 'read':
      return reader;
    case 'read-global':
      return globalReader;
    case 'write':
      return writer;
    case 'admin':
      return admin;
    case 'member-read':
      return reader || has('service');
    case 'read-quota':
      return reader || has('load-balancer_quota_admin');
    case 'read-quota-global':
      return globalReader || has('load-balancer_quota_admin');
    case 'write-quota':
      return admin || has('load-balancer_quota_admin');
  }
}

/** Names of what stands on the stage, without the colon. */
type Thing = 'balancer' | 'listener' | 'pool' | 'monitor' | 'member' | 'policy' | 'rule';

export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below `/v2/`, with `:listener` and the like for ids of what is there. */
  readonly path: string;
  readonly success: 200 | 201 | 202 | 204;
  readonly body?: object;
  readonly rule: Rule;
  readonly of: 'project' | 'caller';
  /** In the path, and has to be there; of the two the last. */
  readonly named?: Thing | 'amphora';
  /** Comes before the thing in the path: its absence is told by the routing. */
  readonly within?: 'pool' | 'policy';
  /** Who may not ask learns nothing of what is there. */
  readonly policyFirst?: true;
  /** Have to be ACTIVE, in the order they are looked at. */
  readonly active?: readonly Thing[];
  /** The load balancer itself may also be in ERROR, and another status is called by its name. */
  readonly balancerIn?: readonly ('ACTIVE' | 'ERROR')[];
  /** What waits once it is taken. `new`: what was made. */
  readonly waits?: Readonly<Partial<Record<Thing | 'unwatched-pool' | 'new', string>>>;
  /** Made afresh for every request, by an admin; its id or name is `:own`. */
  readonly own?: {
    readonly method: 'POST' | 'PUT';
    readonly path: string;
    readonly key: string;
    readonly body: object;
  };
}

const update = 'PENDING_UPDATE';
const remove = 'PENDING_DELETE';
const made = 'PENDING_CREATE';

/** List, create, show, change and delete of one resource of a tree. */
function resource(one: {
  readonly thing: Exclude<Thing, 'balancer'>;
  readonly path: string;
  readonly key: string;
  readonly make: object;
  readonly change: object;
  readonly within?: 'pool' | 'policy';
  readonly active: readonly Thing[];
  /** What waits beside the thing itself when it is made, and when it is changed or deleted. */
  readonly around: { readonly make: Endpoint['waits']; readonly change: Endpoint['waits'] };
  readonly listRule?: Rule;
}): readonly Endpoint[] {
  const { thing, path, key, active, within, around } = one;
  const place = within === undefined ? {} : { within };
  const at = `${path}/:${thing}`;
  const own = { rule: 'write', of: 'project', active, ...place } as const;
  return [
    within === undefined
      ? { method: 'GET', path, success: 200, rule: 'read', of: 'caller' }
      : { method: 'GET', path, success: 200, rule: one.listRule ?? 'read', of: 'project', within },
    ...(within === undefined
      ? [
          {
            method: 'GET',
            path: `${path}?project_id=:project`,
            success: 200,
            rule: 'read',
            of: 'project',
          } as const,
        ]
      : []),
    {
      ...own,
      method: 'POST',
      path,
      success: 201,
      body: { [key]: one.make },
      waits: { ...around.make, new: made },
    },
    { method: 'GET', path: at, success: 200, rule: 'read', of: 'project', named: thing, ...place },
    {
      ...{ ...own, method: 'PUT', path: at, success: 200, named: thing, body: { [key]: one.change } },
      waits: { ...around.change, [thing]: update },
    },
    {
      ...own,
      method: 'DELETE',
      path: at,
      success: 204,
      named: thing,
      waits: { ...around.change, [thing]: remove },
    },
  ];
}

/** List, create, show, change and delete of what operators offer. */
function offer(path: string, key: string, body: object, readRule: 'read' | 'admin'): readonly Endpoint[] {
  const own = { method: 'POST', path, key, body } as const;
  const fresh = { ...body, name: ':fresh' };
  const change = path === 'lbaas/availabilityzones' ? { description: 'd' } : { name: ':fresh' };
  const common = { of: 'caller', policyFirst: true } as const;
  return [
    { ...common, method: 'GET', path, success: 200, rule: readRule },
    { ...common, method: 'POST', path, success: 201, rule: 'admin', body: { [key]: fresh } },
    { ...common, method: 'GET', path: `${path}/:own`, success: 200, rule: readRule, own },
    {
      ...common,
      method: 'PUT',
      path: `${path}/:own`,
      success: 200,
      rule: 'admin',
      own,
      body: { [key]: change },
    },
    { ...common, method: 'DELETE', path: `${path}/:own`, success: 204, rule: 'admin', own },
  ];
}

const balancer = { path: 'lbaas/loadbalancers/:balancer', named: 'balancer', of: 'project' } as const;
const underPool = { balancer: update, listener: update, pool: update };
const amphora = { named: 'amphora', of: 'caller', rule: 'admin' } as const;
const quota = { path: 'lbaas/quotas/:project', of: 'project' } as const;
const ownQuota = { method: 'PUT', path: quota.path, key: 'quota', body: { pool: 5 } } as const;

export const endpoints: readonly Endpoint[] = [
  ...['', 'lbaas', 'octavia'].map(
    (path) => ({ method: 'GET', path, success: 200, rule: 'anybody', of: 'caller' }) as const,
  ),
  { method: 'GET', path: 'lbaas/loadbalancers', success: 200, rule: 'read', of: 'caller' },
  {
    method: 'GET',
    path: 'lbaas/loadbalancers?project_id=:project',
    success: 200,
    rule: 'read',
    of: 'project',
  },
  {
    ...{ method: 'POST', path: 'lbaas/loadbalancers', success: 201, rule: 'write', of: 'project' },
    body: { loadbalancer: { vip_subnet_id: ':subnet', project_id: ':project' } },
  },
  { ...balancer, method: 'GET', success: 200, rule: 'read' },
  {
    ...{ ...balancer, method: 'PUT', success: 200, rule: 'write', body: { loadbalancer: { name: 'n' } } },
    ...{ balancerIn: ['ACTIVE'], waits: { balancer: update } },
  },
  {
    ...{ ...balancer, method: 'DELETE', path: `${balancer.path}?cascade=true`, success: 204, rule: 'write' },
    ...{ balancerIn: ['ACTIVE', 'ERROR'], waits: { balancer: remove } },
  },
  ...['status', 'statuses', 'stats'].map(
    (part) =>
      ({ ...balancer, method: 'GET', path: `${balancer.path}/${part}`, success: 200, rule: 'read' }) as const,
  ),
  {
    ...{ ...balancer, method: 'PUT', path: `${balancer.path}/failover`, success: 202, rule: 'admin' },
    ...{ balancerIn: ['ACTIVE', 'ERROR'], waits: { balancer: update } },
  },
  ...resource({
    ...{ thing: 'listener', path: 'lbaas/listeners', key: 'listener', active: ['balancer'] },
    make: { loadbalancer_id: ':balancer', protocol: 'TCP', protocol_port: 99 },
    change: { name: 'n' },
    around: { make: { balancer: update }, change: { balancer: update } },
  }),
  {
    method: 'GET',
    path: 'lbaas/listeners/:listener/stats',
    success: 200,
    rule: 'read',
    of: 'project',
    named: 'listener',
  },
  ...resource({
    ...{ thing: 'pool', path: 'lbaas/pools', key: 'pool', active: ['balancer'] },
    make: { loadbalancer_id: ':balancer', protocol: 'TCP', lb_algorithm: 'SOURCE_IP' },
    change: { name: 'n' },
    around: { make: { balancer: update }, change: { balancer: update, listener: update } },
  }),
  ...resource({
    ...{ thing: 'member', path: 'lbaas/pools/:pool/members', key: 'member', within: 'pool' },
    ...{ active: ['pool', 'balancer'], listRule: 'member-read' },
    make: { address: '198.51.100.1', protocol_port: 80 },
    change: { name: 'n' },
    around: { make: underPool, change: underPool },
  }),
  {
    ...{ method: 'PUT', path: 'lbaas/pools/:pool/members', success: 202, rule: 'write', of: 'project' },
    ...{ within: 'pool', active: ['pool', 'balancer'] },
    body: { members: [{ address: '198.51.100.1', protocol_port: 80 }] },
    waits: { ...underPool, member: remove, new: made },
  },
  ...resource({
    ...{ thing: 'monitor', path: 'lbaas/healthmonitors', key: 'healthmonitor', active: ['pool', 'balancer'] },
    make: { pool_id: ':unwatched-pool', type: 'TCP', delay: 5, timeout: 3, max_retries: 2 },
    change: { name: 'n' },
    around: { make: { balancer: update, 'unwatched-pool': update }, change: underPool },
  }).map((one) => (one.method === 'POST' ? { ...one, active: ['balancer'] as const } : one)),
  ...resource({
    ...{ thing: 'policy', path: 'lbaas/l7policies', key: 'l7policy', active: ['balancer'] },
    make: { listener_id: ':listener', action: 'REJECT' },
    change: { name: 'n' },
    around: { make: { balancer: update, listener: update }, change: { balancer: update, listener: update } },
  }),
  ...resource({
    ...{ thing: 'rule', path: 'lbaas/l7policies/:policy/rules', key: 'rule', within: 'policy' },
    active: ['policy', 'balancer'],
    make: { type: 'PATH', compare_type: 'EQUAL_TO', value: '/b' },
    change: { invert: true },
    around: {
      make: { balancer: update, listener: update, policy: update },
      change: { balancer: update, listener: update, policy: update },
    },
  }),
  ...offer('lbaas/flavors', 'flavor', { name: ':fresh', flavor_profile_id: ':flavor_profile_id' }, 'read'),
  ...offer(
    ...(['lbaas/flavorprofiles', 'flavorprofile'] as const),
    ...([{ name: 'f', provider_name: 'amphora', flavor_data: '{}' }, 'admin'] as const),
  ),
  ...offer(
    ...(['lbaas/availabilityzones', 'availability_zone'] as const),
    ...([{ name: ':fresh', availability_zone_profile_id: ':availability_zone_profile_id' }, 'read'] as const),
  ),
  ...offer(
    ...(['lbaas/availabilityzoneprofiles', 'availability_zone_profile'] as const),
    ...([{ name: 'z', provider_name: 'amphora', availability_zone_data: '{}' }, 'admin'] as const),
  ),
  { method: 'GET', path: 'lbaas/providers', success: 200, rule: 'read', of: 'caller' },
  ...['flavor_capabilities', 'availability_zone_capabilities'].map(
    (what) =>
      ({
        method: 'GET',
        path: `lbaas/providers/amphora/${what}`,
        success: 200,
        rule: 'admin',
        of: 'caller',
      }) as const,
  ),
  { method: 'GET', path: 'lbaas/quotas', success: 200, rule: 'read-quota', of: 'caller' },
  {
    method: 'GET',
    path: 'lbaas/quotas?project_id=:project',
    success: 200,
    rule: 'read-quota',
    of: 'project',
  },
  { ...quota, method: 'GET', success: 200, rule: 'read-quota' },
  // A project of that name, which is nobody's.
  { method: 'GET', path: 'lbaas/quotas/defaults', success: 200, rule: 'read-quota-global', of: 'project' },
  { ...quota, method: 'GET', path: `${quota.path}/default`, success: 200, rule: 'read-quota' },
  { ...quota, method: 'PUT', success: 202, rule: 'write-quota', body: { quota: { pool: 7 } } },
  { ...quota, method: 'DELETE', success: 202, rule: 'write-quota', own: ownQuota },
  { method: 'GET', path: 'octavia/amphorae', success: 200, rule: 'admin', of: 'caller' },
  { ...amphora, method: 'GET', path: 'octavia/amphorae/:amphora', success: 200 },
  { ...amphora, method: 'GET', path: 'octavia/amphorae/:amphora/stats', success: 200, policyFirst: true },
  { ...amphora, method: 'DELETE', path: 'octavia/amphorae/:broken-amphora', success: 204, policyFirst: true },
  {
    ...{ ...amphora, method: 'PUT', path: 'octavia/amphorae/:amphora/failover', success: 202 },
    ...{ active: ['balancer'], waits: { balancer: update } },
  },
  { ...amphora, method: 'PUT', path: 'octavia/amphorae/:amphora/config', success: 202 },
];
