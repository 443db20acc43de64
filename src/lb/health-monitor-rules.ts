import type { Deployment } from './defaults.ts';
import type { HealthMonitor } from './health-monitor.ts';
import {
  conflict,
  invalidInput,
  isProblem,
  notFound,
  type Problem,
  switchedOff,
  validationFailure,
} from './problems.ts';
import { blockedPool, find, pendingPool, poolMonitorTypes, poolOf } from './rules.ts';
import { type Circumstances, type Decision, replace, type Tree } from './tree.ts';

/** Null HTTP values: the default of the type. */
export type HealthMonitorValues = Pick<
  HealthMonitor,
  | 'name'
  | 'adminStateUp'
  | 'delay'
  | 'timeout'
  | 'maxRetries'
  | 'maxRetriesDown'
  | 'httpMethod'
  | 'urlPath'
  | 'expectedCodes'
  | 'httpVersion'
  | 'domainName'
  | 'tags'
>;

export interface NewHealthMonitor extends HealthMonitorValues {
  readonly poolId: string;
  readonly type: HealthMonitor['type'];
}

export function createHealthMonitor(
  tree: Tree,
  values: NewHealthMonitor,
  { now, newId, deployment }: Circumstances,
): Decision<HealthMonitor> | Problem {
  const pool = poolOf(tree, values.poolId);
  if (isProblem(pool)) return pool;
  const monitor: HealthMonitor = {
    ...values,
    ...httpDefaults(values.type, values),
    id: newId(),
    projectId: tree.loadBalancer.projectId,
    provisioningStatus: 'PENDING_CREATE',
    operatingStatus: 'OFFLINE',
    statusReason: null,
    createdAt: now,
    updatedAt: null,
  };
  const other = tree.healthMonitors.find(({ poolId }) => poolId === pool.id);
  const wrong =
    (poolMonitorTypes[pool.protocol].includes(values.type)
      ? undefined
      : validationFailure(
          `A health monitor of type ${values.type} cannot watch a pool of protocol ${pool.protocol}.`,
        )) ??
    (values.type === 'PING' && !deployment.allowPingHealthMonitors
      ? switchedOff('type', 'PING')
      : undefined) ??
    httpProblem(monitor, values) ??
    delayProblem(monitor, deployment) ??
    blockedPool(tree, pool) ??
    (other && conflict(`Pool ${pool.id} already has the health monitor ${other.id}.`));
  if (wrong !== undefined) return wrong;
  const pending = pendingPool(tree, pool.id);
  return { tree: { ...pending, healthMonitors: [...pending.healthMonitors, monitor] }, answer: monitor };
}

export function updateHealthMonitor(
  tree: Tree,
  id: string,
  changes: Partial<HealthMonitorValues>,
  { now, deployment }: Circumstances,
): Decision<HealthMonitor> | Problem {
  const before = find(tree.healthMonitors, id);
  if (before === undefined) return notFound('Health Monitor', id);
  const merged = { ...before, ...changes };
  const monitor: HealthMonitor = {
    ...merged,
    ...httpDefaults(merged.type, merged),
    provisioningStatus: 'PENDING_UPDATE',
    updatedAt: now,
  };
  const pool = poolOf(tree, before.poolId);
  if (isProblem(pool)) return pool;
  const wrong =
    updatedHttpProblem(monitor, changes) ?? delayProblem(monitor, deployment) ?? blockedPool(tree, pool);
  if (wrong !== undefined) return wrong;
  return { tree: replace(pendingPool(tree, pool.id), 'healthMonitors', id, monitor), answer: monitor };
}

export function deleteHealthMonitor(tree: Tree, id: string): Decision<undefined> | Problem {
  const monitor = find(tree.healthMonitors, id);
  if (monitor === undefined) return notFound('Health Monitor', id);
  const pool = poolOf(tree, monitor.poolId);
  if (isProblem(pool)) return pool;
  const wrong = blockedPool(tree, pool);
  if (wrong !== undefined) return wrong;
  return {
    tree: replace(pendingPool(tree, pool.id), 'healthMonitors', id, { provisioningStatus: 'PENDING_DELETE' }),
    answer: undefined,
  };
}

type HttpValues = Pick<HealthMonitor, 'httpMethod' | 'urlPath' | 'expectedCodes'>;
const httpAttributes = {
  httpMethod: 'http_method',
  urlPath: 'url_path',
  expectedCodes: 'expected_codes',
} as const;

function speaksHttp(type: HealthMonitor['type']): boolean {
  return type === 'HTTP' || type === 'HTTPS';
}

function httpDefaults(type: HealthMonitor['type'], values: HttpValues): HttpValues {
  if (!speaksHttp(type)) return { httpMethod: null, urlPath: null, expectedCodes: null };
  return {
    httpMethod: values.httpMethod ?? 'GET',
    urlPath: values.urlPath ?? '/',
    expectedCodes: values.expectedCodes ?? '200',
  };
}

function httpProblem(monitor: HealthMonitor, sent: Partial<HttpValues>): Problem | undefined {
  const names = Object.keys(httpAttributes) as (keyof HttpValues)[];
  const misplaced = names.filter((name) => (sent[name] ?? null) !== null);
  if (!speaksHttp(monitor.type) && misplaced.length > 0) {
    return misplacedProblem(monitor, misplaced);
  }
  if (typeof sent.urlPath === 'string') {
    const wrong = urlPathProblem(sent.urlPath);
    if (wrong !== undefined) return wrong;
  }
  return domainProblem(monitor);
}

/** On a monitor without HTTP even the wish for the default is out of place. */
function updatedHttpProblem(monitor: HealthMonitor, sent: Partial<HealthMonitorValues>): Problem | undefined {
  const names = Object.keys(httpAttributes) as (keyof HttpValues)[];
  const named = names.filter((name) => name in sent);
  return !speaksHttp(monitor.type) && named.length > 0
    ? misplacedProblem(monitor, named)
    : httpProblem(monitor, sent);
}

function misplacedProblem({ type }: HealthMonitor, names: readonly (keyof HttpValues)[]): Problem {
  const attributes = names.map((name) => httpAttributes[name]).join(', ');
  return validationFailure(`${attributes}: only for health monitors of type HTTP and HTTPS, not ${type}.`);
}

function domainProblem({ domainName, httpVersion }: HealthMonitor): Problem | undefined {
  if (domainName === null || httpVersion === 1.1) return undefined;
  return validationFailure(
    httpVersion === null
      ? 'domain_name needs http_version 1.1.'
      : `domain_name cannot be used with http_version ${httpVersion.toFixed(1)}; it needs 1.1.`,
  );
}

/** A path with perhaps query and fragment, and nothing before it. */
function urlPathProblem(urlPath: string): Problem | undefined {
  const legal =
    /^\/(?!\/)(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?#]|%[0-9A-Fa-f]{2})*$/.test(urlPath) &&
    (urlPath.match(/#/g) ?? []).length <= 1;
  return legal
    ? undefined
    : invalidInput(
        'url_path',
        urlPath,
        'The path should start with / and be a valid URL path without a host.',
      );
}

function delayProblem(
  { type, delay }: HealthMonitor,
  { udpConnectMinInterval }: Deployment,
): Problem | undefined {
  return type === 'UDP-CONNECT' && udpConnectMinInterval >= 0 && delay < udpConnectMinInterval
    ? validationFailure(
        `The delay of a UDP-CONNECT health monitor is at least ${udpConnectMinInterval} seconds.`,
      )
    : undefined;
}
