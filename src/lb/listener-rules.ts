import { ipVersion } from './addresses.ts';
import type { Deployment } from './defaults.ts';
import type { Listener, ListenerProtocol } from './listener.ts';
import {
  conflict,
  isProblem,
  notFound,
  type Problem,
  problem,
  switchedOff,
  validationFailure,
} from './problems.ts';
import {
  alpnProblem,
  blockedTree,
  ciphersProblem,
  find,
  isDatagram,
  poolOf,
  portFamily,
  protocolPairProblem,
  tlsVersionsProblem,
  vipVersions,
} from './rules.ts';
import { type Circumstances, type Decision, pendingUpdate, replace, type Tree } from './tree.ts';

type Nullable<T, K extends keyof T> = { readonly [P in K]: T[P] | null };

/** What a client may change; null: back to the default. */
export interface ListenerValues
  extends Pick<
      Listener,
      | 'name'
      | 'description'
      | 'adminStateUp'
      | 'connectionLimit'
      | 'defaultPoolId'
      | 'insertHeaders'
      | 'defaultTlsContainerRef'
      | 'sniContainerRefs'
      | 'clientCaTlsContainerRef'
      | 'clientCrlContainerRef'
      | 'allowedCidrs'
      | 'hstsMaxAge'
      | 'hstsIncludeSubdomains'
      | 'hstsPreload'
      | 'tags'
    >,
    Nullable<
      Listener,
      'clientAuthentication' | 'tlsCiphers' | 'tlsVersions' | 'alpnProtocols' | TimeoutName
    > {}

type TimeoutName = 'timeoutClientData' | 'timeoutMemberConnect' | 'timeoutMemberData' | 'timeoutTcpInspect';

export interface NewListener extends ListenerValues {
  readonly protocol: ListenerProtocol;
  readonly protocolPort: number;
}

export const httpHeaders: readonly string[] = [
  'X-Forwarded-For',
  'X-Forwarded-Port',
  'X-Forwarded-Proto',
  'X-Forwarded-IP',
  'X-Client-IP',
  'X-Real-IP',
];
export const tlsHeaders: readonly string[] = [
  'X-SSL-Client-Verify',
  'X-SSL-Client-Has-Cert',
  'X-SSL-Client-DN',
  'X-SSL-Client-CN',
  'X-SSL-Issuer',
  'X-SSL-Client-SHA1',
  'X-SSL-Client-Not-Before',
  'X-SSL-Client-Not-After',
];

export function createListener(
  tree: Tree,
  values: NewListener,
  { now, newId, deployment }: Circumstances,
): Decision<Listener> | Problem {
  const tlsDefaults = terminatesTls(values);
  const listener: Listener = {
    ...values,
    id: newId(),
    projectId: tree.loadBalancer.projectId,
    loadBalancerId: tree.loadBalancer.id,
    ...timeouts(values, deployment),
    clientAuthentication: values.clientAuthentication ?? 'NONE',
    allowedCidrs: cidrs(values.allowedCidrs),
    tlsCiphers: values.tlsCiphers ?? (tlsDefaults ? deployment.listenerCiphers : null),
    tlsVersions: values.tlsVersions ?? (tlsDefaults ? deployment.listenerTlsVersions : null),
    alpnProtocols: values.alpnProtocols ?? (tlsDefaults ? deployment.listenerAlpnProtocols : null),
    provisioningStatus: 'PENDING_CREATE',
    operatingStatus: 'OFFLINE',
    statusReason: null,
    createdAt: now,
    updatedAt: null,
  };
  const wrong =
    defaultPoolProblem(tree, listener) ??
    blockedTree(tree) ??
    headersProblem(listener) ??
    switchProblem(listener, deployment) ??
    certificatesProblem(listener) ??
    missingCertificateProblem(listener, values) ??
    nullAuthenticationProblem(values) ??
    clientAuthenticationProblem(listener) ??
    ciphersProblem(listener, deployment) ??
    portProblem(tree, listener) ??
    cidrsProblem(tree, listener) ??
    (tlsDefaults ? (tlsVersionsProblem(listener, deployment) ?? alpnProblem(listener)) : undefined) ??
    hstsProblem(listener, values);
  if (wrong !== undefined) return wrong;
  const pending = pendingUpdate(tree);
  return { tree: { ...pending, listeners: [...pending.listeners, listener] }, answer: listener };
}

export function updateListener(
  tree: Tree,
  id: string,
  changes: Partial<ListenerValues>,
  { now, deployment }: Circumstances,
): Decision<Listener> | Problem {
  const before = find(tree.listeners, id);
  if (before === undefined) return notFound('Listener', id);
  const sent = (...names: (keyof ListenerValues)[]): boolean => names.some((name) => name in changes);
  const listener: Listener = {
    ...before,
    ...changes,
    ...timeouts({ ...before, ...changes }, deployment),
    clientAuthentication: (sent('clientAuthentication') ? changes : before).clientAuthentication ?? 'NONE',
    allowedCidrs: cidrs(changes.allowedCidrs === undefined ? before.allowedCidrs : changes.allowedCidrs),
    tlsCiphers: sent('tlsCiphers') ? (changes.tlsCiphers ?? deployment.listenerCiphers) : before.tlsCiphers,
    tlsVersions: sent('tlsVersions')
      ? (changes.tlsVersions ?? deployment.listenerTlsVersions)
      : before.tlsVersions,
    alpnProtocols: sent('alpnProtocols')
      ? (changes.alpnProtocols ?? deployment.listenerAlpnProtocols)
      : before.alpnProtocols,
    provisioningStatus: 'PENDING_UPDATE',
    updatedAt: now,
  };
  // What the client did not touch was legal when it came in, or is repaired step by step: only what is sent is judged.
  const wrong =
    (sent('defaultPoolId') ? defaultPoolProblem(tree, listener) : undefined) ??
    blockedTree(tree) ??
    (sent('insertHeaders') ? headersProblem(listener) : undefined) ??
    (sent('defaultTlsContainerRef', 'sniContainerRefs') ? certificatesProblem(listener) : undefined) ??
    (sent('clientAuthentication', 'clientCaTlsContainerRef', 'clientCrlContainerRef')
      ? clientAuthenticationProblem(listener, changes)
      : undefined) ??
    (sent('tlsCiphers') ? ciphersProblem(listener, deployment) : undefined) ??
    (sent('allowedCidrs') ? cidrsProblem(tree, listener) : undefined) ??
    (sent('tlsVersions') ? tlsVersionsProblem(listener, deployment) : undefined) ??
    (sent('alpnProtocols') ? alpnProblem(listener) : undefined) ??
    (sent('hstsMaxAge', 'hstsIncludeSubdomains', 'hstsPreload') ? hstsProblem(listener, changes) : undefined);
  if (wrong !== undefined) return wrong;
  return { tree: replace(pendingUpdate(tree), 'listeners', id, listener), answer: listener };
}

export function deleteListener(tree: Tree, id: string): Decision<undefined> | Problem {
  if (find(tree.listeners, id) === undefined) return notFound('Listener', id);
  const wrong = blockedTree(tree);
  if (wrong !== undefined) return wrong;
  return {
    tree: replace(pendingUpdate(tree), 'listeners', id, { provisioningStatus: 'PENDING_DELETE' }),
    answer: undefined,
  };
}

/** A PROMETHEUS listener speaks TLS as soon as it has a certificate. */
export function terminatesTls(
  listener: Pick<Listener, 'protocol' | 'defaultTlsContainerRef' | 'sniContainerRefs'>,
): boolean {
  return (
    listener.protocol === 'TERMINATED_HTTPS' ||
    (listener.protocol === 'PROMETHEUS' && hasCertificate(listener))
  );
}

function hasCertificate(listener: Pick<Listener, 'defaultTlsContainerRef' | 'sniContainerRefs'>): boolean {
  return listener.defaultTlsContainerRef !== null || listener.sniContainerRefs.length > 0;
}

function timeouts(
  values: Pick<ListenerValues, TimeoutName>,
  deployment: Deployment,
): Pick<Listener, TimeoutName> {
  return {
    timeoutClientData: values.timeoutClientData ?? deployment.timeoutClientData,
    timeoutMemberConnect: values.timeoutMemberConnect ?? deployment.timeoutMemberConnect,
    timeoutMemberData: values.timeoutMemberData ?? deployment.timeoutMemberData,
    timeoutTcpInspect: values.timeoutTcpInspect ?? deployment.timeoutTcpInspect,
  };
}

function cidrs(values: readonly string[] | null): readonly string[] | null {
  return values === null || values.length === 0 ? null : [...new Set(values)];
}

function defaultPoolProblem(tree: Tree, { protocol, defaultPoolId }: Listener): Problem | undefined {
  if (defaultPoolId === null) return undefined;
  if (protocol === 'PROMETHEUS') return noPrometheusChildren('a default pool');
  const pool = poolOf(tree, defaultPoolId);
  return isProblem(pool) ? pool : protocolPairProblem(protocol, pool.protocol);
}

export function noPrometheusChildren(what: string): Problem {
  return problem(400, `A listener of protocol PROMETHEUS cannot have ${what}.`);
}

function headersProblem({ protocol, insertHeaders }: Listener): Problem | undefined {
  const names = Object.keys(insertHeaders);
  if (names.length === 0) return undefined;
  const unknown = names.filter((name) => !httpHeaders.includes(name) && !tlsHeaders.includes(name));
  if (unknown.length > 0) {
    return validationFailure(`insert_headers cannot hold ${unknown.join(', ')}.`);
  }
  const allowed =
    protocol === 'TERMINATED_HTTPS'
      ? [...httpHeaders, ...tlsHeaders]
      : protocol === 'HTTP'
        ? httpHeaders
        : [];
  const refused = names.filter((name) => !allowed.includes(name));
  return refused.length === 0
    ? undefined
    : validationFailure(`insert_headers ${refused.join(', ')} cannot be used by a ${protocol} listener.`);
}

function switchProblem(listener: Listener, deployment: Deployment): Problem | undefined {
  if (terminatesTls(listener) && !deployment.allowTlsTerminatedListeners) {
    return switchedOff('protocol', listener.protocol);
  }
  return listener.protocol === 'PROMETHEUS' && !deployment.allowPrometheusListeners
    ? switchedOff('protocol', listener.protocol)
    : undefined;
}

function certificatesProblem(listener: Listener): Problem | undefined {
  const { protocol } = listener;
  if (!hasCertificate(listener) || protocol === 'TERMINATED_HTTPS' || protocol === 'PROMETHEUS') {
    return undefined;
  }
  return validationFailure(
    isDatagram(protocol)
      ? `A ${protocol} listener takes no TLS certificate references.`
      : `Certificate container references are only allowed on TERMINATED_HTTPS and PROMETHEUS listeners, not on ${protocol}.`,
  );
}

function missingCertificateProblem(listener: Listener, values: NewListener): Problem | undefined {
  if (hasCertificate(listener)) return undefined;
  if (listener.protocol === 'TERMINATED_HTTPS') {
    return validationFailure(
      'A TERMINATED_HTTPS listener needs at least one certificate: default_tls_container_ref or sni_container_refs.',
    );
  }
  return values.clientCaTlsContainerRef === null
    ? undefined
    : validationFailure('client_ca_tls_container_ref needs a server certificate on the same listener.');
}

/** Null counts as a wish for something other than NONE. */
function nullAuthenticationProblem(values: NewListener): Problem | undefined {
  return values.clientAuthentication === null && values.clientCaTlsContainerRef === null
    ? validationFailure('client_authentication null needs a client_ca_tls_container_ref.')
    : undefined;
}

/** `sent` undefined: the listener is new. Clearing a stored CA under a stored CRL is let through, as Octavia does. */
function clientAuthenticationProblem(
  listener: Listener,
  sent?: Partial<ListenerValues>,
): Problem | undefined {
  const { protocol, clientAuthentication, clientCaTlsContainerRef, clientCrlContainerRef } = listener;
  const asked =
    clientAuthentication !== 'NONE' || clientCaTlsContainerRef !== null || clientCrlContainerRef !== null;
  if (!asked) return undefined;
  if (protocol !== 'TERMINATED_HTTPS' && protocol !== 'PROMETHEUS') {
    return validationFailure(`Client authentication cannot be used by a ${protocol} listener.`);
  }
  if (clientCaTlsContainerRef !== null) return undefined;
  if (clientAuthentication !== 'NONE') {
    return validationFailure(
      `client_authentication ${clientAuthentication} needs a client_ca_tls_container_ref.`,
    );
  }
  return sent === undefined || (sent.clientCrlContainerRef ?? null) !== null
    ? validationFailure('client_crl_container_ref needs a client_ca_tls_container_ref.')
    : undefined;
}

function portProblem(tree: Tree, listener: Listener): Problem | undefined {
  const other = tree.listeners.find(
    ({ protocol, protocolPort }) =>
      protocolPort === listener.protocolPort && portFamily(protocol) === portFamily(listener.protocol),
  );
  return (
    other &&
    conflict(
      `protocol_port ${other.protocolPort} is taken on this load balancer by listener ${other.id} with protocol ${other.protocol}.`,
    )
  );
}

function cidrsProblem(tree: Tree, { allowedCidrs }: Listener): Problem | undefined {
  if (allowedCidrs === null) return undefined;
  if (tree.loadBalancer.vipSgIds.length > 0) {
    return validationFailure('allowed_cidrs cannot be used on a load balancer with vip_sg_ids.');
  }
  const versions = vipVersions(tree);
  const foreign = allowedCidrs.filter((cidr) => !versions.has(ipVersion(cidr)));
  return foreign.length === 0
    ? undefined
    : validationFailure(`allowed_cidrs ${foreign.join(', ')}: no VIP has an address of that IP version.`);
}

/** Stored flags stay when the client drops the age; only flags it sends need one. */
function hstsProblem(listener: Listener, sent: Partial<ListenerValues>): Problem | undefined {
  const flagged = sent.hstsIncludeSubdomains === true || sent.hstsPreload === true;
  if (listener.hstsMaxAge === null && !flagged) return undefined;
  if (listener.protocol !== 'TERMINATED_HTTPS') {
    return validationFailure(
      `HSTS can only be used by a TERMINATED_HTTPS listener, not by ${listener.protocol}.`,
    );
  }
  return listener.hstsMaxAge === null
    ? validationFailure('hsts_include_subdomains and hsts_preload need hsts_max_age.')
    : undefined;
}
