import Type, { type Static } from 'typebox';

/**
 * What the controller wants of one amphora, whole, with a generation. `PUT /v1/wanted` carries it; the agent makes
 * it so and answers with an `Outcome`. Sending the same again is harmless.
 */

const Id = Type.String({ pattern: '^[0-9a-f-]{36}$' });
const Nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const Strict = <P extends Type.TProperties>(properties: P) =>
  Type.Object(properties, { additionalProperties: false });
const Enum = <const V extends string[]>(values: readonly [...V]): Type.TEnum<V> => Type.Enum(values);

/** A certificate with its key and chain, one PEM text (key, leaf, intermediates). `name` is its SHA-256 in hex. */
export const CertificatePem = Strict({
  name: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  pem: Type.String(),
});

export const WantedTls = Strict({
  /** The default first, then SNI. Empty only when `unavailable` says why. */
  certificates: Type.Array(CertificatePem),
  /**
   * Set when the key manager no longer gives the certificates: the agent goes on with those it holds for this
   * listener, and leaves the listener out when it holds none.
   */
  unavailable: Nullable(Type.String()),
  clientAuthentication: Enum(['NONE', 'OPTIONAL', 'MANDATORY']),
  clientCaPem: Nullable(Type.String()),
  clientCrlPem: Nullable(Type.String()),
  ciphers: Nullable(Type.String()),
  versions: Type.Array(Enum(['SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'])),
  alpn: Type.Array(Enum(['h2', 'http/1.1', 'http/1.0'])),
  /** Seconds; null: no Strict-Transport-Security header. */
  hstsMaxAge: Nullable(Type.Integer({ minimum: 0 })),
  hstsIncludeSubdomains: Type.Boolean(),
  hstsPreload: Type.Boolean(),
});

export const WantedL7Rule = Strict({
  id: Id,
  type: Enum([
    'HOST_NAME',
    'PATH',
    'FILE_TYPE',
    'HEADER',
    'COOKIE',
    'SSL_CONN_HAS_CERT',
    'SSL_VERIFY_RESULT',
    'SSL_DN_FIELD',
  ]),
  compareType: Enum(['CONTAINS', 'ENDS_WITH', 'EQUAL_TO', 'REGEX', 'STARTS_WITH']),
  key: Nullable(Type.String()),
  value: Type.String(),
  invert: Type.Boolean(),
});

/** Enabled policies with at least one enabled rule only, in order of position. */
export const WantedL7Policy = Strict({
  id: Id,
  action: Enum(['REJECT', 'REDIRECT_TO_URL', 'REDIRECT_TO_POOL', 'REDIRECT_PREFIX']),
  redirectPoolId: Nullable(Id),
  redirectUrl: Nullable(Type.String()),
  redirectPrefix: Nullable(Type.String()),
  redirectHttpCode: Nullable(Type.Integer()),
  rules: Type.Array(WantedL7Rule),
});

/** Enabled listeners only. Timeouts in milliseconds. */
export const WantedListener = Strict({
  id: Id,
  protocol: Enum(['HTTP', 'HTTPS', 'TCP', 'TERMINATED_HTTPS', 'UDP', 'SCTP', 'PROMETHEUS']),
  port: Type.Integer({ minimum: 1, maximum: 65535 }),
  /** -1: the default of 50,000. */
  connectionLimit: Type.Integer({ minimum: -1 }),
  defaultPoolId: Nullable(Id),
  insertHeaders: Type.Record(Type.String(), Type.String()),
  timeoutClientData: Type.Integer({ minimum: 0 }),
  timeoutMemberConnect: Type.Integer({ minimum: 0 }),
  timeoutMemberData: Type.Integer({ minimum: 0 }),
  timeoutTcpInspect: Type.Integer({ minimum: 0 }),
  allowedCidrs: Nullable(Type.Array(Type.String())),
  tls: Nullable(WantedTls),
  l7Policies: Type.Array(WantedL7Policy),
});

export const WantedMember = Strict({
  id: Id,
  address: Type.String(),
  port: Type.Integer({ minimum: 1, maximum: 65535 }),
  weight: Type.Integer({ minimum: 0, maximum: 256 }),
  backup: Type.Boolean(),
  /** False: rendered `disabled`. */
  enabled: Type.Boolean(),
  monitorAddress: Nullable(Type.String()),
  monitorPort: Nullable(Type.Integer({ minimum: 1, maximum: 65535 })),
});

/** Enabled monitors only. Seconds. */
export const WantedHealthMonitor = Strict({
  id: Id,
  type: Enum(['HTTP', 'HTTPS', 'PING', 'TCP', 'TLS-HELLO', 'UDP-CONNECT', 'SCTP']),
  delay: Type.Integer({ minimum: 0 }),
  timeout: Type.Integer({ minimum: 0 }),
  rise: Type.Integer({ minimum: 1 }),
  fall: Type.Integer({ minimum: 1 }),
  httpMethod: Nullable(Type.String()),
  urlPath: Nullable(Type.String()),
  expectedCodes: Nullable(Type.String()),
  httpVersion: Nullable(Type.Number()),
  domainName: Nullable(Type.String()),
});

/** Re-encryption towards the members. */
export const WantedBackendTls = Strict({
  certificate: Nullable(CertificatePem),
  caPem: Nullable(Type.String()),
  crlPem: Nullable(Type.String()),
  ciphers: Nullable(Type.String()),
  versions: Type.Array(Enum(['SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'])),
  alpn: Type.Array(Enum(['h2', 'http/1.1', 'http/1.0'])),
});

/** Enabled pools only. */
export const WantedPool = Strict({
  id: Id,
  protocol: Enum(['HTTP', 'HTTPS', 'PROXY', 'PROXYV2', 'TCP', 'UDP', 'SCTP']),
  algorithm: Enum(['ROUND_ROBIN', 'LEAST_CONNECTIONS', 'SOURCE_IP', 'SOURCE_IP_PORT']),
  sessionPersistence: Nullable(
    Strict({
      type: Enum(['SOURCE_IP', 'HTTP_COOKIE', 'APP_COOKIE']),
      cookieName: Nullable(Type.String()),
      persistenceTimeout: Nullable(Type.Integer()),
      persistenceGranularity: Nullable(Type.String()),
    }),
  ),
  tls: Nullable(WantedBackendTls),
  members: Type.Array(WantedMember),
  healthMonitor: Nullable(WantedHealthMonitor),
});

/** One network card beyond the management one, found by its MAC. */
export const WantedInterface = Strict({
  mac: Type.String({ pattern: '^[0-9a-f]{2}(:[0-9a-f]{2}){5}$' }),
  /** `address/prefix` this amphora alone has there. */
  addresses: Type.Array(Type.String()),
  /** `address/prefix` of the VIPs that live on this card. */
  vips: Type.Array(Type.String()),
  gateways: Type.Array(Type.String()),
});

/** Previous, current and next key (80 bytes, base64) of a rotation period; the current one encrypts. */
export const WantedTicketKeys = Strict({
  period: Type.Integer({ minimum: 0 }),
  keys: Type.Array(Type.String({ pattern: '^[A-Za-z0-9+/]{107}=$' }), { minItems: 3, maxItems: 3 }),
});

/** What is logged of every flow of HAProxy's. */
export const WantedFlowLog = Strict({
  /** Syslog servers over UDP, `address:port`. */
  targets: Type.Array(Type.String(), { minItems: 1 }),
  /** Syslog's, such as `local0`. */
  facility: Type.String({ pattern: '^[a-z]+[0-7]?$' }),
  /** HAProxy's log-format; `{{ project_id }}` and `{{ lb_id }}` are filled in. */
  format: Type.String({ minLength: 1 }),
});

/** How it reports, when that is not as it was born. */
export const WantedHeartbeat = Strict({
  /** `address:port` of every receiver. */
  receivers: Type.Array(Type.String()),
  intervalMs: Type.Integer({ minimum: 1 }),
});

/** The part of one amphora in a pair: keepalived then decides who has the VIPs. */
export const WantedVrrp = Strict({
  routerId: Type.Integer({ minimum: 1, maximum: 255 }),
  priority: Type.Integer({ minimum: 1, maximum: 254 }),
  /** Its own address, from which it speaks. */
  address: Type.String({ pattern: '^[0-9a-fA-F.:]+$' }),
  /** Addresses of the others, sorted; empty: not known now. */
  peers: Type.Array(Type.String({ pattern: '^[0-9a-fA-F.:]+$' })),
  password: Type.String({ pattern: '^[A-Za-z0-9]{8}$' }),
  advertSeconds: Type.Integer({ minimum: 1 }),
  /** Nobody had the VIPs before: it need not wait for one who has them. */
  first: Type.Boolean(),
});

export const WantedAmphora = Strict({
  wire: Type.Literal(1),
  generation: Type.Integer({ minimum: 0 }),
  loadBalancer: Strict({
    id: Id,
    projectId: Type.String(),
    /** False: no listener is served. */
    enabled: Type.Boolean(),
    /** Addresses to bind, primary first. */
    vipAddresses: Type.Array(Type.String()),
  }),
  interfaces: Type.Array(WantedInterface),
  listeners: Type.Array(WantedListener),
  pools: Type.Array(WantedPool),
  /** Of the TLS tickets; without them every worker makes its own, and a reload forgets all sessions. */
  ticketKeys: Type.Optional(WantedTicketKeys),
  /** Without it nothing is logged. */
  flowLog: Type.Optional(WantedFlowLog),
  heartbeat: Type.Optional(WantedHeartbeat),
  /** Absent: it is alone, and has the VIPs. */
  vrrp: Type.Optional(WantedVrrp),
  /** Of each stick table; absent: 10,240. */
  stickTableEntries: Type.Optional(Type.Integer({ minimum: 1 })),
});

export type CertificatePem = Static<typeof CertificatePem>;
export type WantedTls = Static<typeof WantedTls>;
export type WantedL7Rule = Static<typeof WantedL7Rule>;
export type WantedL7Policy = Static<typeof WantedL7Policy>;
export type WantedListener = Static<typeof WantedListener>;
export type WantedMember = Static<typeof WantedMember>;
export type WantedHealthMonitor = Static<typeof WantedHealthMonitor>;
export type WantedBackendTls = Static<typeof WantedBackendTls>;
export type WantedPool = Static<typeof WantedPool>;
export type WantedInterface = Static<typeof WantedInterface>;
export type WantedFlowLog = Static<typeof WantedFlowLog>;
export type WantedHeartbeat = Static<typeof WantedHeartbeat>;
export type WantedVrrp = Static<typeof WantedVrrp>;
export type WantedTicketKeys = Static<typeof WantedTicketKeys>;
export type WantedAmphora = Static<typeof WantedAmphora>;
