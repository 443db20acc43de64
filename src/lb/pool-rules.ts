import { noPrometheusChildren } from './listener-rules.ts';
import type { Pool } from './pool.ts';
import { conflict, isProblem, notFound, type Problem, unsupported, validationFailure } from './problems.ts';
import {
  alpnProblem,
  blockedTree,
  ciphersProblem,
  find,
  poolOf,
  protocolPairProblem,
  tlsVersionsProblem,
} from './rules.ts';
import { sessionPersistence, type SessionPersistenceValues } from './session-persistence.ts';
import {
  type Circumstances,
  type Decision,
  listenersUsing,
  pendingUpdate,
  replace,
  type Tree,
} from './tree.ts';

export interface PoolValues
  extends Pick<
    Pool,
    | 'name'
    | 'description'
    | 'adminStateUp'
    | 'lbAlgorithm'
    | 'tlsEnabled'
    | 'tlsContainerRef'
    | 'caTlsContainerRef'
    | 'crlContainerRef'
    | 'tlsCiphers'
    | 'tlsVersions'
    | 'alpnProtocols'
    | 'tags'
  > {
  readonly sessionPersistence: SessionPersistenceValues | null;
}

export interface NewPool extends PoolValues {
  readonly protocol: Pool['protocol'];
  /** The listener it becomes the default pool of. */
  readonly listenerId: string | null;
  /** The client named the load balancer too: then the protocols of listener and pool are its own affair. */
  readonly loadBalancerNamed: boolean;
}

export function createPool(
  tree: Tree,
  { listenerId, loadBalancerNamed, ...values }: NewPool,
  { now, newId, deployment }: Circumstances,
): Decision<Pool> | Problem {
  const unfit = listenerId === null ? undefined : attachProblem(tree, listenerId, values, loadBalancerNamed);
  if (unfit !== undefined) return unfit;
  const persistence = sessionPersistence(values.sessionPersistence, {
    protocol: values.protocol,
    stored: null,
  });
  if (isProblem(persistence)) return persistence;
  const pool: Pool = {
    ...values,
    id: newId(),
    projectId: tree.loadBalancer.projectId,
    loadBalancerId: tree.loadBalancer.id,
    sessionPersistence: persistence,
    tlsCiphers: values.tlsCiphers ?? (values.tlsEnabled ? deployment.poolCiphers : null),
    tlsVersions: values.tlsVersions ?? (values.tlsEnabled ? deployment.poolTlsVersions : null),
    alpnProtocols: values.alpnProtocols ?? (values.tlsEnabled ? deployment.poolAlpnProtocols : null),
    provisioningStatus: 'PENDING_CREATE',
    operatingStatus: 'OFFLINE',
    statusReason: null,
    createdAt: now,
    updatedAt: null,
  };
  const wrong =
    crlProblem(pool) ??
    ciphersProblem(pool, deployment) ??
    (pool.tlsEnabled ? tlsVersionsProblem(pool, deployment) : undefined) ??
    alpnProblem(pool) ??
    blockedTree(tree) ??
    algorithmProblem(tree, values.lbAlgorithm);
  if (wrong !== undefined) return wrong;
  if (listenerId === null) {
    const pending = pendingUpdate(tree);
    return { tree: { ...pending, pools: [...pending.pools, pool] }, answer: pool };
  }
  const pending = pendingUpdate(tree, { listeners: [listenerId] });
  return {
    tree: replace({ ...pending, pools: [...pending.pools, pool] }, 'listeners', listenerId, {
      defaultPoolId: pool.id,
    }),
    answer: pool,
  };
}

export function updatePool(
  tree: Tree,
  id: string,
  { sessionPersistence: persistenceValues, ...changes }: Partial<PoolValues>,
  { now, deployment }: Circumstances,
): Decision<Pool> | Problem {
  const before = find(tree.pools, id);
  if (before === undefined) return notFound('Pool', id);
  const persistence =
    persistenceValues === undefined
      ? before.sessionPersistence
      : sessionPersistence(persistenceValues, {
          protocol: before.protocol,
          stored: before.sessionPersistence,
        });
  if (isProblem(persistence)) return persistence;
  const pool: Pool = {
    ...before,
    ...changes,
    sessionPersistence: persistence,
    ...(changes.tlsCiphers === null && { tlsCiphers: deployment.poolCiphers }),
    ...(changes.tlsVersions === null && { tlsVersions: deployment.poolTlsVersions }),
    provisioningStatus: 'PENDING_UPDATE',
    updatedAt: now,
  };
  const wrong =
    crlProblem(pool) ??
    ('tlsCiphers' in changes ? ciphersProblem(pool, deployment) : undefined) ??
    ('tlsVersions' in changes ? tlsVersionsProblem(pool, deployment) : undefined) ??
    ('alpnProtocols' in changes ? alpnProblem(pool) : undefined) ??
    blockedTree(tree) ??
    algorithmProblem(tree, changes.lbAlgorithm);
  if (wrong !== undefined) return wrong;
  return {
    tree: replace(pendingUpdate(tree, { listeners: listenersUsing(tree, id) }), 'pools', id, pool),
    answer: pool,
  };
}

export function deletePool(tree: Tree, id: string): Decision<undefined> | Problem {
  const pool = poolOf(tree, id);
  if (isProblem(pool)) return pool;
  const policy = tree.l7Policies.find(({ redirectPoolId }) => redirectPoolId === id);
  if (policy !== undefined) return conflict(`Pool ${id} is in use by L7 policy ${policy.id}.`);
  const wrong = blockedTree(tree);
  if (wrong !== undefined) return wrong;
  return {
    tree: replace(pendingUpdate(tree, { listeners: listenersUsing(tree, id) }), 'pools', id, {
      provisioningStatus: 'PENDING_DELETE',
    }),
    answer: undefined,
  };
}

function attachProblem(
  tree: Tree,
  listenerId: string,
  pool: Pick<Pool, 'protocol'>,
  loadBalancerNamed: boolean,
): Problem | undefined {
  const listener = find(tree.listeners, listenerId);
  if (listener === undefined) return notFound('Listener', listenerId);
  if (listener.protocol === 'PROMETHEUS') return noPrometheusChildren('a pool');
  if (listener.defaultPoolId !== null) {
    return conflict(`Listener ${listenerId} already has the default pool ${listener.defaultPoolId}.`);
  }
  return loadBalancerNamed ? undefined : protocolPairProblem(listener.protocol, pool.protocol);
}

function algorithmProblem(tree: Tree, lbAlgorithm: Pool['lbAlgorithm'] | undefined): Problem | undefined {
  return lbAlgorithm === 'SOURCE_IP_PORT'
    ? unsupported(tree.loadBalancer.provider, 'lb_algorithm SOURCE_IP_PORT')
    : undefined;
}

function crlProblem({ crlContainerRef, caTlsContainerRef }: Pool): Problem | undefined {
  return crlContainerRef !== null && caTlsContainerRef === null
    ? validationFailure('crl_container_ref needs a ca_tls_container_ref.')
    : undefined;
}
