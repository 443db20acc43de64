import * as kind from './kinds.ts';

/**
 * What each resource takes and shows, field by field, as the API promises it to its clients. Written down apart from
 * the service's own tables: it must not be made from them, or it could not find them wrong.
 */

/** What null does: it is refused, or the answer shows this. */
export type Null = 'refused' | { readonly shown: unknown };
const shown = (value: unknown): Null => ({ shown: value });

export interface Field {
  readonly kind: kind.Kind;
  /** `ignored`: anything of the kind is taken, and nothing comes of it. */
  readonly post: 'required' | 'optional' | 'ignored' | 'unknown';
  readonly put: 'optional' | 'unknown';
  /** Shown when a POST says nothing; undefined: not to be foreseen. */
  readonly absent?: unknown;
  readonly nullOnPost?: Null;
  readonly nullOnPut?: Null;
  /** The key is not in answers. */
  readonly hidden?: true;
  /** Which of the bodies below it is laid over; by default the first. */
  readonly on?: string;
  /** What must be said beside it for its values to be legal. */
  readonly beside?: Readonly<Record<string, unknown>>;
}

export interface Expected {
  /** Of the path of the list, with `:pool` and `:policy` for the parents of those below one. */
  readonly path: string;
  /** Of the one key of a body. */
  readonly key: string;
  /** How faults name a body. */
  readonly argument: string;
  readonly argumentOnPut?: string;
  /** Legal bodies; `:balancer`, `:listener` … stand for ids of what is there. */
  readonly bodies: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly fields: Readonly<Record<string, Field>>;
  /** Shown, and never to be sent. */
  readonly readOnly: readonly string[];
  /** Keys that come and go. */
  readonly sometimes?: readonly string[];
  /** Not filters though they are shown or sent. */
  readonly noFilters: readonly string[];
}

const name: Field = {
  ...{ kind: kind.text(255), post: 'optional', put: 'optional' },
  ...{ absent: '', nullOnPost: shown(''), nullOnPut: shown('') },
};
const flag = (absent: boolean, nullOnPost: Null, nullOnPut: Null): Field => ({
  ...{ kind: kind.boolean, post: 'optional', put: 'optional' },
  ...{ absent, nullOnPost, nullOnPut },
});
const adminStateUp = flag(true, shown(false), shown(false));
const tags: Field = {
  ...{ kind: kind.tags, post: 'optional', put: 'optional' },
  ...{ absent: [], nullOnPost: shown([]), nullOnPut: shown(['kept']) },
};
const project: Field = { kind: kind.text(36), post: 'ignored', put: 'unknown' };
const whole = { name, description: name, admin_state_up: adminStateUp, tags };
const below = { ...whole, project_id: project, tenant_id: project };
const life = ['id', 'provisioning_status', 'operating_status', 'created_at', 'updated_at'];
const parent = (ref: string): Field => ({
  ...{ kind: kind.id(ref), post: 'required', put: 'unknown', nullOnPost: 'refused' },
});
const ciphers = kind.only({
  taken: ['', 'A', 'ECDHE-RSA-AES128-GCM-SHA256:!MD5+x@STRENGTH=1.0_', 'c'.repeat(2048)],
  refused: ['A B', 'A;B', "A'", 'ü', 'c'.repeat(2049), 1, [], {}],
});
const versions = ['TLSv1.2', 'TLSv1.3', 'TLSv1.1', 'TLSv1', 'SSLv3'];
const protocols = ['h2', 'http/1.1', 'http/1.0'];
const standardCiphers =
  'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:' +
  'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:' +
  'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:' +
  'DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305';
const timeout = (absent: number): Field => ({
  ...{ kind: kind.integer(0, 2_073_600_000), post: 'optional', put: 'optional' },
  ...{ absent, nullOnPost: shown(absent), nullOnPut: shown(absent) },
});
/** Of what can only be created together with a load balancer: elsewhere nothing, or none. */
const nested = (...refused: readonly unknown[]): Field => ({
  ...{ kind: kind.only({ taken: [], refused }), post: 'optional', put: 'unknown', hidden: true },
});
const nestedList: Field = {
  kind: kind.only({ taken: [[]], refused: [[{}], [1], {}, 'x', 1] }),
  ...{ post: 'optional', put: 'unknown', absent: [], nullOnPost: shown([]) },
};

const loadBalancer: Expected = {
  ...{ path: 'loadbalancers', key: 'loadbalancer', argument: 'load_balancer.loadbalancer' },
  bodies: { plain: { vip_subnet_id: ':subnet' } },
  fields: {
    ...whole,
    project_id: {
      kind: kind.only({ taken: [':project'], refused: ['p'.repeat(37), 1, [], {}] }),
      post: 'optional',
      put: 'unknown',
    },
    tenant_id: {
      kind: kind.only({ taken: [':project'], refused: ['p'.repeat(37), 1, [], {}] }),
      post: 'optional',
      put: 'unknown',
    },
    vip_subnet_id: { kind: kind.id(':subnet'), post: 'optional', put: 'unknown', nullOnPost: 'refused' },
    vip_network_id: { kind: kind.id(':network'), post: 'optional', put: 'unknown' },
    vip_port_id: { kind: kind.id(), post: 'optional', put: 'unknown' },
    vip_address: {
      kind: kind.only({ taken: ['192.0.2.99'], refused: ['192.0.2', '192.0.2.0/24', '', 1, [], {}] }),
      ...{ post: 'optional', put: 'unknown' },
    },
    vip_qos_policy_id: {
      ...{ kind: kind.id(':qos'), post: 'optional', put: 'optional', absent: null },
      ...{ nullOnPost: shown(null), nullOnPut: shown(null) },
    },
    vip_sg_ids: {
      kind: {
        taken: [
          { sent: [], shown: [] },
          { sent: [':group'], shown: [':group'] },
        ],
        refused: [':group', ['x'], [1], ['00000000-0000-4000-8000-000000000009'], {}, true],
      },
      ...{ post: 'optional', put: 'optional', absent: [], nullOnPost: shown([]), nullOnPut: shown([]) },
    },
    additional_vips: {
      kind: {
        taken: [{ sent: [], shown: [] }],
        refused: [
          {},
          'x',
          [{}],
          [{ subnet_id: null }],
          [{ subnet_id: 'x' }],
          [{ subnet_id: ':subnet' }],
          [{ subnet_id: '00000000-0000-4000-8000-000000000009' }],
          [{ subnet_id: ':other-subnet', nonsense: 1 }],
        ],
      },
      ...{ post: 'optional', put: 'unknown', absent: [], nullOnPost: 'refused' },
    },
    provider: {
      kind: kind.only({ taken: ['amphora', 'octavia'], refused: ['nobody', '', 'p'.repeat(65), 1, [], {}] }),
      ...{ post: 'optional', put: 'unknown', absent: 'amphora', nullOnPost: shown('amphora') },
    },
    flavor_id: {
      kind: kind.id(':flavor'),
      post: 'optional',
      put: 'unknown',
      absent: null,
      nullOnPost: 'refused',
    },
    availability_zone: {
      kind: kind.only({ taken: [':zone'], refused: ['nowhere', '', 'z'.repeat(256), 1, [], {}] }),
      ...{ post: 'optional', put: 'unknown', absent: null, nullOnPost: 'refused' },
    },
    listeners: {
      kind: kind.only({ taken: [[]], refused: [{}, 'x', [1], [{}], 1] }),
      post: 'optional',
      put: 'unknown',
    },
    pools: {
      kind: kind.only({ taken: [[]], refused: [{}, 'x', [1], [{}], 1] }),
      post: 'optional',
      put: 'unknown',
    },
  },
  readOnly: [...life, 'vip_vnic_type'],
  noFilters: ['tenant_id', 'vip_sg_ids', 'additional_vips', 'listeners', 'pools'],
};

const tls = { on: 'tls' };
const listener: Expected = {
  ...{ path: 'listeners', key: 'listener', argument: 'listener_.listener' },
  bodies: {
    http: { loadbalancer_id: ':balancer', protocol: 'HTTP', protocol_port: 8080 },
    tls: {
      ...{ loadbalancer_id: ':balancer', protocol: 'TERMINATED_HTTPS', protocol_port: 8443 },
      default_tls_container_ref: ':certificate',
    },
  },
  fields: {
    ...below,
    loadbalancer_id: { ...parent(':balancer'), hidden: true },
    protocol: {
      kind: {
        ...kind.choice('HTTP', 'HTTPS', 'TCP', 'UDP', 'SCTP', 'PROMETHEUS'),
        refused: [...kind.choice('HTTP', 'TCP').refused, 'TERMINATED_HTTPS'], // without a certificate
      },
      ...{ post: 'required', put: 'unknown', nullOnPost: 'refused' },
    },
    protocol_port: { kind: kind.integer(1, 65_535), post: 'required', put: 'unknown', nullOnPost: 'refused' },
    connection_limit: {
      ...{ kind: kind.integer(-1), post: 'optional', put: 'optional' },
      ...{ absent: -1, nullOnPost: shown(null), nullOnPut: shown(-1) },
    },
    default_pool_id: {
      ...{ kind: kind.id(':pool'), post: 'optional', put: 'optional' },
      ...{ absent: null, nullOnPost: shown(null), nullOnPut: shown(null) },
    },
    default_pool: nested({}, { name: 'p' }, 'x', 1, []),
    l7policies: nestedList,
    insert_headers: {
      kind: {
        taken: [
          { sent: {}, shown: {} },
          ...[
            'X-Forwarded-For',
            'X-Forwarded-Port',
            'X-Forwarded-Proto',
            'X-Forwarded-IP',
            'X-Client-IP',
            'X-Real-IP',
          ].map((header) => ({ sent: { [header]: 'true' }, shown: { [header]: 'true' } })),
          { sent: { 'X-Forwarded-For': 'h'.repeat(255) }, shown: { 'X-Forwarded-For': 'h'.repeat(255) } },
        ],
        refused: [
          { 'X-SSL-Client-DN': 'true' },
          { 'x-forwarded-for': 'true' },
          { 'X-Nonsense': 'true' },
          { 'X-Forwarded-For': true },
          { 'X-Forwarded-For': null },
          { 'X-Forwarded-For': 'h'.repeat(256) },
          [],
          'x',
          1,
        ],
      },
      ...{ post: 'optional', put: 'optional', absent: {}, nullOnPost: shown({}), nullOnPut: shown({}) },
    },
    timeout_client_data: timeout(50_000),
    timeout_member_connect: timeout(5000),
    timeout_member_data: timeout(50_000),
    timeout_tcp_inspect: timeout(0),
    default_tls_container_ref: {
      kind: kind.only({ taken: [':certificate'], refused: ['nowhere', 'r'.repeat(256), 1, [], {}] }),
      ...{ post: 'optional', put: 'optional', nullOnPost: 'refused', nullOnPut: shown(null), ...tls },
    },
    sni_container_refs: {
      kind: {
        taken: [
          { sent: [], shown: [] },
          { sent: [':certificate'], shown: [':certificate'] },
        ],
        refused: [':certificate', ['nowhere'], ['r'.repeat(256)], [1], {}, 1],
      },
      ...{
        post: 'optional',
        put: 'optional',
        absent: [],
        nullOnPost: shown([]),
        nullOnPut: shown([]),
        ...tls,
      },
    },
    client_authentication: {
      kind: kind.choice('NONE', 'OPTIONAL', 'MANDATORY'),
      ...{
        post: 'optional',
        put: 'optional',
        absent: 'NONE',
        nullOnPost: shown('NONE'),
        nullOnPut: shown('NONE'),
      },
      ...{ ...tls, beside: { client_ca_tls_container_ref: ':authority' } },
    },
    client_ca_tls_container_ref: {
      kind: kind.only({
        taken: [':authority'],
        refused: ['nowhere', ':certificate', 'r'.repeat(256), 1, [], {}],
      }),
      ...{
        post: 'optional',
        put: 'optional',
        absent: null,
        nullOnPost: shown(null),
        nullOnPut: shown(null),
        ...tls,
      },
    },
    client_crl_container_ref: {
      kind: kind.only({
        taken: [':revoked'],
        refused: ['nowhere', ':authority', 'r'.repeat(256), 1, [], {}],
      }),
      ...{ post: 'optional', put: 'optional', absent: null, nullOnPost: shown(null), nullOnPut: shown(null) },
      ...{ ...tls, beside: { client_ca_tls_container_ref: ':authority' } },
    },
    allowed_cidrs: {
      ...{ kind: kind.networks, post: 'optional', put: 'optional' },
      ...{ absent: null, nullOnPost: shown(null), nullOnPut: shown(null) },
    },
    tls_ciphers: {
      ...{ kind: ciphers, post: 'optional', put: 'optional', ...tls },
      ...{ absent: standardCiphers, nullOnPost: shown(standardCiphers), nullOnPut: shown(standardCiphers) },
    },
    tls_versions: {
      ...{ kind: kind.words(versions), post: 'optional', put: 'optional', ...tls },
      absent: ['TLSv1.2', 'TLSv1.3'],
      ...{ nullOnPost: shown(['TLSv1.2', 'TLSv1.3']), nullOnPut: shown(['TLSv1.2', 'TLSv1.3']) },
    },
    alpn_protocols: {
      ...{ kind: kind.words(protocols), post: 'optional', put: 'optional', ...tls },
      ...{ absent: protocols, nullOnPost: shown(protocols), nullOnPut: shown(protocols) },
    },
    hsts_max_age: {
      ...{ kind: kind.integer(0), post: 'optional', put: 'optional', ...tls },
      ...{ absent: null, nullOnPost: shown(null), nullOnPut: shown(null) },
    },
    hsts_include_subdomains: {
      ...flag(false, shown(false), shown(false)),
      ...{ ...tls, beside: { hsts_max_age: 1 } },
    },
    hsts_preload: { ...flag(false, shown(false), shown(false)), ...tls, beside: { hsts_max_age: 1 } },
  },
  readOnly: [...life, 'loadbalancers'],
  noFilters: [
    ...['tenant_id', 'default_pool', 'l7policies', 'insert_headers', 'sni_container_refs', 'allowed_cidrs'],
    ...['tls_versions', 'alpn_protocols', 'loadbalancers'],
  ],
};

const persistence = (values: object) => ({
  ...{ cookie_name: null, persistence_timeout: null, persistence_granularity: null },
  ...values,
});
const pool: Expected = {
  ...{ path: 'pools', key: 'pool', argument: 'pool_.pool' },
  bodies: {
    http: { loadbalancer_id: ':balancer', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
    tls: { loadbalancer_id: ':balancer', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', tls_enabled: true },
    udp: { loadbalancer_id: ':balancer', protocol: 'UDP', lb_algorithm: 'ROUND_ROBIN' },
  },
  fields: {
    ...below,
    loadbalancer_id: {
      kind: kind.id(':balancer'),
      post: 'optional',
      put: 'unknown',
      hidden: true,
      nullOnPost: 'refused',
    },
    listener_id: {
      kind: kind.id(':free-listener'),
      post: 'optional',
      put: 'unknown',
      hidden: true,
      nullOnPost: shown(undefined),
    },
    protocol: {
      kind: kind.choice('HTTP', 'HTTPS', 'PROXY', 'PROXYV2', 'TCP', 'UDP', 'SCTP'),
      ...{ post: 'required', put: 'unknown', nullOnPost: 'refused' },
    },
    lb_algorithm: {
      kind: kind.choice('ROUND_ROBIN', 'LEAST_CONNECTIONS', 'SOURCE_IP'),
      ...{ post: 'required', put: 'optional', nullOnPost: 'refused', nullOnPut: 'refused' },
    },
    session_persistence: {
      kind: {
        taken: [
          { sent: { type: 'SOURCE_IP' }, shown: persistence({ type: 'SOURCE_IP' }) },
          { sent: { type: 'HTTP_COOKIE', cookie_name: null }, shown: persistence({ type: 'HTTP_COOKIE' }) },
          {
            sent: { type: 'APP_COOKIE', cookie_name: 'c'.repeat(255) },
            shown: persistence({ type: 'APP_COOKIE', cookie_name: 'c'.repeat(255) }),
          },
        ],
        refused: [
          ...[{}, { type: null }, { type: 'X' }, { type: 1 }, [], 'SOURCE_IP', 1, { type: 'APP_COOKIE' }],
          ...[' ', 'a b', 'a;b', 'a,b', 'a\\b', 'a=b', 'a"b', 'a(b', 'a\u0001', 'c'.repeat(256), 1].map(
            (cookie_name) => ({ type: 'APP_COOKIE', cookie_name }),
          ),
          { type: 'SOURCE_IP', cookie_name: 'c' },
          { type: 'HTTP_COOKIE', cookie_name: 'c' },
          { type: 'SOURCE_IP', persistence_timeout: 5 },
          { type: 'SOURCE_IP', persistence_granularity: '255.255.255.0' },
          { type: 'SOURCE_IP', nonsense: 1 },
        ],
      },
      ...{ post: 'optional', put: 'optional', absent: null, nullOnPost: shown(null), nullOnPut: shown(null) },
    },
    healthmonitor: nested({}, { type: 'HTTP' }, 'x', 1),
    members: nestedList,
    tls_enabled: flag(false, shown(false), 'refused'),
    tls_container_ref: {
      kind: kind.only({ taken: [':certificate'], refused: ['nowhere', 'r'.repeat(256), 1, [], {}] }),
      ...{ post: 'optional', put: 'optional', absent: null, nullOnPost: shown(null), nullOnPut: shown(null) },
    },
    ca_tls_container_ref: {
      kind: kind.only({
        taken: [':authority'],
        refused: ['nowhere', ':certificate', 'r'.repeat(256), 1, [], {}],
      }),
      ...{ post: 'optional', put: 'optional', absent: null, nullOnPost: shown(null), nullOnPut: shown(null) },
    },
    crl_container_ref: {
      kind: kind.only({
        taken: [':revoked'],
        refused: ['nowhere', ':authority', 'r'.repeat(256), 1, [], {}],
      }),
      ...{ post: 'optional', put: 'optional', absent: null, nullOnPost: shown(null), nullOnPut: shown(null) },
      beside: { ca_tls_container_ref: ':authority' },
    },
    tls_ciphers: {
      ...{ kind: ciphers, post: 'optional', put: 'optional', ...tls },
      ...{ absent: standardCiphers, nullOnPost: shown(standardCiphers), nullOnPut: shown(standardCiphers) },
    },
    tls_versions: {
      ...{ kind: kind.words(versions), post: 'optional', put: 'optional', ...tls },
      absent: ['TLSv1.2', 'TLSv1.3'],
      ...{ nullOnPost: shown(['TLSv1.2', 'TLSv1.3']), nullOnPut: shown(['TLSv1.2', 'TLSv1.3']) },
    },
    alpn_protocols: {
      ...{ kind: kind.words(protocols), post: 'optional', put: 'optional', ...tls },
      ...{ absent: protocols, nullOnPost: shown(protocols), nullOnPut: shown(null) },
    },
  },
  readOnly: [...life, 'loadbalancers', 'listeners', 'healthmonitor_id'],
  sometimes: ['healthmonitor_id'],
  noFilters: [
    ...[
      'tenant_id',
      'listener_id',
      'loadbalancers',
      'listeners',
      'session_persistence',
      'healthmonitor',
      'members',
    ],
    ...['tls_versions', 'alpn_protocols'],
  ],
};

const { description: _, ...belowWithoutDescription } = below;
const member: Expected = {
  ...{ path: 'pools/:pool/members', key: 'member', argument: 'member_.member' },
  bodies: { plain: { address: '198.51.100.1', protocol_port: 80 } },
  fields: {
    ...belowWithoutDescription,
    address: {
      kind: { ...kind.address, refused: [...kind.address.refused, '169.254.169.254', '::ffff:a9fe:a9fe'] },
      ...{ post: 'required', put: 'unknown', nullOnPost: 'refused' },
    },
    protocol_port: { kind: kind.integer(1, 65_535), post: 'required', put: 'unknown', nullOnPost: 'refused' },
    weight: {
      ...{ kind: kind.integer(0, 256), post: 'optional', put: 'optional' },
      ...{ absent: 1, nullOnPost: shown(1), nullOnPut: shown(1) },
    },
    backup: flag(false, shown(false), shown(false)),
    subnet_id: {
      kind: {
        ...kind.id(':subnet'),
        refused: [...kind.id().refused, '00000000-0000-4000-8000-000000000009'],
      },
      ...{ post: 'optional', put: 'unknown', absent: null, nullOnPost: shown(null) },
    },
    monitor_address: {
      ...{ kind: kind.address, post: 'optional', put: 'optional' },
      ...{ absent: null, nullOnPost: shown(null), nullOnPut: shown(null) },
    },
    monitor_port: {
      ...{ kind: kind.integer(1, 65_535), post: 'optional', put: 'optional' },
      ...{ absent: null, nullOnPost: shown(null), nullOnPut: shown(null) },
    },
    request_sriov: {
      kind: { taken: [{ sent: false, shown: undefined }], refused: [true, 'maybe', [], {}] },
      ...{ post: 'optional', put: 'unknown', hidden: true, nullOnPost: shown(undefined) },
    },
  },
  readOnly: [...life, 'vnic_type'],
  noFilters: ['tenant_id', 'request_sriov'],
};

const http = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'TRACE', 'OPTIONS', 'CONNECT', 'PATCH'];
const label = 'l'.repeat(63);
const healthMonitor: Expected = {
  ...{ path: 'healthmonitors', key: 'healthmonitor', argument: 'health_monitor_.healthmonitor' },
  bodies: {
    http: { pool_id: ':unwatched-pool', type: 'HTTP', delay: 5, timeout: 3, max_retries: 2 },
  },
  fields: {
    ...belowWithoutDescription,
    pool_id: { ...parent(':unwatched-pool'), hidden: true },
    type: {
      kind: {
        ...kind.choice('HTTP', 'HTTPS', 'PING', 'TCP', 'TLS-HELLO'),
        refused: [...kind.choice('HTTP').refused, 'UDP-CONNECT', 'SCTP'], // not of a stream
      },
      ...{ post: 'required', put: 'unknown', nullOnPost: 'refused' },
    },
    delay: {
      kind: kind.integer(0),
      post: 'required',
      put: 'optional',
      nullOnPost: 'refused',
      nullOnPut: 'refused',
    },
    timeout: {
      kind: kind.integer(0),
      post: 'required',
      put: 'optional',
      nullOnPost: 'refused',
      nullOnPut: 'refused',
    },
    max_retries: {
      ...{ kind: kind.integer(1, 10), post: 'required', put: 'optional' },
      ...{ nullOnPost: 'refused', nullOnPut: 'refused' },
    },
    max_retries_down: {
      ...{ kind: kind.integer(1, 10), post: 'optional', put: 'optional' },
      ...{ absent: 3, nullOnPost: shown(3), nullOnPut: shown(3) },
    },
    http_method: {
      ...{ kind: kind.choice(...http), post: 'optional', put: 'optional' },
      ...{ absent: 'GET', nullOnPost: shown('GET'), nullOnPut: shown('GET') },
    },
    url_path: {
      kind: kind.only({
        taken: ['/', '/a/b%20c?d=e&f#g', `/${'n'.repeat(2047)}`],
        refused: ['', 'a', '/a b', '/%zz', 'http://a/b', '//a/b', '/ü', `/${'n'.repeat(2048)}`, 1, [], {}],
      }),
      ...{ post: 'optional', put: 'optional', absent: '/', nullOnPost: shown('/'), nullOnPut: shown('/') },
    },
    expected_codes: {
      kind: kind.only({
        taken: ['200', '200,201', '200, 204 ,302', '200-299'],
        refused: [
          '',
          '20',
          '2000',
          '200-',
          '200-299,300',
          'ok',
          '200;201',
          `200${',200'.repeat(16)}`,
          200,
          [],
          {},
        ],
      }),
      ...{
        post: 'optional',
        put: 'optional',
        absent: '200',
        nullOnPost: shown('200'),
        nullOnPut: shown('200'),
      },
    },
    http_version: {
      ...{ kind: kind.number(1, 1.1), post: 'optional', put: 'optional' },
      ...{ absent: null, nullOnPost: shown(null), nullOnPut: shown(null) },
    },
    domain_name: {
      kind: kind.only({
        taken: [
          'a',
          'a.example',
          'a.example.',
          '_a._b',
          'a-b.example',
          label,
          `${label}.${label}.${label}.${'l'.repeat(61)}`,
        ],
        refused: [
          '',
          '-a',
          'a-',
          'a..b',
          'a b',
          'a_b',
          `${label}l`,
          `${label}.${label}.${label}.${label}`,
          'ü',
          1,
          [],
          {},
        ],
      }),
      ...{ post: 'optional', put: 'optional', absent: null, nullOnPost: shown(null), nullOnPut: shown(null) },
      beside: { http_version: 1.1 },
    },
  },
  readOnly: [...life, 'pools'],
  noFilters: ['tenant_id', 'pools'],
};

const target = { action: 'REDIRECT_TO_URL' };
const l7Policy: Expected = {
  ...{ path: 'l7policies', key: 'l7policy', argument: 'l7policy_.l7policy' },
  bodies: {
    reject: { listener_id: ':listener', action: 'REJECT' },
    url: { listener_id: ':listener', ...target, redirect_url: 'http://a.example' },
    prefix: { listener_id: ':listener', action: 'REDIRECT_PREFIX', redirect_prefix: 'http://a.example' },
  },
  fields: {
    ...below,
    // A PUT that says nothing is refused, and null tags say nothing.
    tags: { ...tags, nullOnPut: 'refused' },
    listener_id: parent(':listener'),
    action: {
      kind: {
        taken: [{ sent: 'REJECT', shown: 'REJECT' }],
        refused: ['reject', '', 'X', 1, [], {}, 'REDIRECT_TO_URL', 'REDIRECT_TO_POOL', 'REDIRECT_PREFIX'],
      },
      ...{ post: 'required', put: 'optional', nullOnPost: 'refused', nullOnPut: 'refused' },
    },
    redirect_pool_id: {
      ...{
        kind: kind.id(':pool'),
        post: 'optional',
        put: 'optional',
        beside: { action: 'REDIRECT_TO_POOL' },
      },
      ...{ nullOnPost: 'refused', nullOnPut: 'refused' },
    },
    redirect_url: {
      ...{ kind: kind.url, post: 'optional', put: 'optional', beside: target },
      ...{ nullOnPost: 'refused', nullOnPut: 'refused' },
    },
    redirect_prefix: {
      ...{ kind: kind.url, post: 'optional', put: 'optional', beside: { action: 'REDIRECT_PREFIX' } },
      ...{ nullOnPost: 'refused', nullOnPut: 'refused' },
    },
    redirect_http_code: {
      kind: { ...kind.number(301, 302, 303, 307, 308), refused: [300, 304, 200, 'x', '', [], {}] },
      ...{ post: 'optional', put: 'optional', beside: { ...target, redirect_url: 'http://b.example' } },
      ...{ absent: 302, nullOnPost: shown(302), nullOnPut: shown(302) },
    },
    position: {
      kind: {
        taken: [
          { sent: 1, shown: 1 },
          { sent: '1', shown: 1 },
        ],
        refused: kind.integer(1, 2_147_483_647).refused,
      },
      ...{ post: 'optional', put: 'optional' },
    },
    rules: nestedList,
  },
  readOnly: life,
  noFilters: ['tenant_id', 'rules'],
};

const { name: __, ...ruleCommon } = belowWithoutDescription;
const compare = ['CONTAINS', 'ENDS_WITH', 'EQUAL_TO', 'REGEX', 'STARTS_WITH'];
const l7Rule: Expected = {
  ...{ path: 'l7policies/:policy/rules', key: 'rule', argument: 'rule_.rule', argumentOnPut: 'l7rule_.rule' },
  bodies: {
    path: { type: 'PATH', compare_type: 'STARTS_WITH', value: '/a' },
    header: { type: 'HEADER', compare_type: 'EQUAL_TO', key: 'X-A', value: 'a' },
    cookie: { type: 'COOKIE', compare_type: 'EQUAL_TO', key: 'a', value: 'a' },
  },
  fields: {
    ...ruleCommon,
    type: {
      kind: {
        taken: [
          { sent: 'PATH', shown: 'PATH' },
          { sent: 'HOST_NAME', shown: 'HOST_NAME' },
        ],
        refused: [
          'path',
          '',
          'X',
          1,
          [],
          {},
          'HEADER',
          'COOKIE',
          'FILE_TYPE',
          'SSL_DN_FIELD',
          'SSL_CONN_HAS_CERT',
        ],
      },
      ...{ post: 'required', put: 'optional', nullOnPost: 'refused', nullOnPut: 'refused' },
    },
    compare_type: {
      kind: kind.choice(...compare),
      ...{ post: 'required', put: 'optional', nullOnPost: 'refused', nullOnPut: 'refused' },
    },
    key: {
      kind: kind.only({
        taken: ['A', "!#$%&'*+-.^_`|~09Az", 'k'.repeat(255)],
        refused: ['', 'a b', 'a\nb', 'a:b', 'ü', 'k'.repeat(256), 1, [], {}],
      }),
      ...{ post: 'optional', put: 'optional', nullOnPost: 'refused', nullOnPut: 'refused', on: 'header' },
    },
    value: {
      kind: kind.only({
        taken: ['v', '"a b"', 'v'.repeat(255), '"#;\''],
        refused: ['', 'a b', 'a\nb', 'ü', 'v'.repeat(256), 1, true, [], {}],
      }),
      ...{ post: 'required', put: 'optional', nullOnPost: 'refused', nullOnPut: 'refused', on: 'header' },
    },
    invert: flag(false, shown(false), shown(false)),
  },
  readOnly: life,
  noFilters: ['tenant_id'],
};

const jsonText = kind.only({
  taken: ['{}', ' {"compute_flavor" : "10"} '],
  refused: ['', '{', '[]', '1', `{"compute_flavor":"${'x'.repeat(4096)}"}`, 1, {}, []],
});
const offer = (profile: string): Expected['fields'] => ({
  name: { kind: kind.text(255), post: 'required', put: 'optional', nullOnPost: 'refused' },
  description: name,
  enabled: { kind: kind.boolean, post: 'optional', put: 'optional', absent: true },
  [profile]: {
    kind: {
      ...kind.id(`:${profile}`),
      refused: [...kind.id().refused, '00000000-0000-4000-8000-000000000009'],
    },
    ...{ post: 'required', put: 'unknown', nullOnPost: 'refused' },
  },
});
const profile = (data: string): Expected['fields'] => ({
  name: {
    kind: kind.text(255),
    post: 'required',
    put: 'optional',
    nullOnPost: 'refused',
    nullOnPut: 'refused',
  },
  provider_name: {
    kind: kind.only({ taken: ['amphora', 'octavia'], refused: ['nobody', '', 'p'.repeat(256), 1, [], {}] }),
    ...{ post: 'required', put: 'optional', nullOnPost: 'refused', nullOnPut: 'refused' },
  },
  [data]: {
    kind: data === 'flavor_data' ? jsonText : { ...jsonText, taken: [{ sent: ' {} ', shown: ' {} ' }] },
    ...{ post: 'required', put: 'optional', nullOnPost: 'refused', nullOnPut: 'refused' },
  },
});

export const expected: Readonly<Record<string, Expected>> = {
  'load balancer': loadBalancer,
  listener,
  pool,
  member,
  'health monitor': healthMonitor,
  'L7 policy': l7Policy,
  'L7 rule': l7Rule,
  flavor: {
    ...{ path: 'flavors', key: 'flavor', argument: 'flavor_.flavor' },
    bodies: { plain: { name: ':fresh', flavor_profile_id: ':flavor_profile_id' } },
    ...{ fields: offer('flavor_profile_id'), readOnly: ['id'], noFilters: ['tags'] },
  },
  'flavor profile': {
    ...{ path: 'flavorprofiles', key: 'flavorprofile', argument: 'flavor_profile_.flavorprofile' },
    bodies: { plain: { name: 'f', provider_name: 'amphora', flavor_data: '{}' } },
    ...{ fields: profile('flavor_data'), readOnly: ['id'], noFilters: [] },
  },
  'availability zone': {
    ...{
      path: 'availabilityzones',
      key: 'availability_zone',
      argument: 'availability_zone_.availability_zone',
    },
    bodies: { plain: { name: ':fresh', availability_zone_profile_id: ':availability_zone_profile_id' } },
    fields: {
      ...offer('availability_zone_profile_id'),
      // Without a name it could never be asked for again, which is its own affair.
      name: {
        kind: { ...kind.text(255), taken: kind.text(255).taken.filter(({ sent }) => sent !== '') },
        ...{ post: 'required', put: 'unknown', nullOnPost: 'refused' },
      },
    },
    ...{ readOnly: [], noFilters: ['id'] },
  },
  'availability zone profile': {
    ...{ path: 'availabilityzoneprofiles', key: 'availability_zone_profile' },
    argument: 'availability_zone_profile_.availability_zone_profile',
    bodies: { plain: { name: 'z', provider_name: 'amphora', availability_zone_data: '{}' } },
    ...{ fields: profile('availability_zone_data'), readOnly: ['id'], noFilters: [] },
  },
};
