import Type, { type Static } from 'typebox';
import { Port, Seconds, Table } from './schemas.ts';

/**
 * What of livia.toml the API follows: how it is reached, what may be asked of it, and what it fills in where a client
 * says nothing. Keys have the names operators of Octavia know them by.
 */

const On = Type.Boolean({ default: true });
const Off = Type.Boolean({ default: false });
const Milliseconds = (fallback: number) =>
  Type.Integer({ minimum: 0, maximum: 2_073_600_000, default: fallback });
const Limit = Type.Integer({ minimum: -1, maximum: 2_000_000_000, default: -1 });

const oneOf = <const T extends string>(...values: readonly T[]) =>
  Type.Union(values.map((value) => Type.Literal(value)));
const TlsVersion = oneOf('SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3');
const TlsVersions = Type.Array(TlsVersion, { minItems: 1, default: ['TLSv1.2', 'TLSv1.3'] });
const AlpnProtocols = Type.Array(oneOf('h2', 'http/1.1', 'http/1.0'), {
  minItems: 1,
  default: ['h2', 'http/1.1', 'http/1.0'],
});
const Ciphers = Type.Optional(Type.String({ pattern: '^[A-Za-z0-9\\-+!:@=_.]+$' }));

/** Where the Octavia API listens, whom it believes, and how it answers. */
export const ApiSettings = Table({
  /** Address to listen on. Default 127.0.0.1. */
  host: Type.String({ default: '127.0.0.1' }),
  /** TCP port; 0: any free one. Default 9876. */
  port: Port(9876),
  /**
   * Who is asking. `keystone`: the owner of the token. `noauth`: whoever the headers say, always an admin, without
   * quotas. `testing`: whoever the headers say, under the policy. Default keystone.
   */
  auth_strategy: Type.Union([Type.Literal('keystone'), Type.Literal('noauth'), Type.Literal('testing')], {
    default: 'keystone',
  }),
  /** Base of the links in answers, such as `https://lb.example.org:9876`; without it, what the client asked. */
  api_base_uri: Type.Optional(Type.String()),
  /** Rows on a page at most; `infinite` or negative: no cap. Default 1000. */
  pagination_max_limit: Type.Union([Type.Integer(), Type.Literal('infinite')], { default: 1000 }),
  /** Follow `limit`, `marker` and `page_reverse`; without, lists are whole and their links null. Default true. */
  allow_pagination: On,
  /** Follow `sort`, `sort_key` and `sort_dir`. Default true. */
  allow_sorting: On,
  /** Follow filters. Default true. */
  allow_filtering: On,
  /** Follow `fields`. Default true. */
  allow_field_selection: On,
  /** Believe `X-Forwarded-*` headers: only behind a proxy that sets them. Default false. */
  trust_proxy: Off,
  /**
   * YAML or JSON of rules by name, as oslo.policy reads them, that go before the built-in ones (`rule:`, `role:`,
   * `project_id:%(project_id)s`, `http://server/%(project_id)s`, `and`, `or`, `not`, `@`, `!`); read again when it
   * changes. None by default.
   */
  policy_file: Type.Optional(Type.String()),
  /** Seconds a server has that `http:` and `https:` checks ask; without a verdict the request is refused. Default 60. */
  policy_remote_timeout: Seconds(60),
  /** How rule, target and credentials are sent to it. Default application/x-www-form-urlencoded. */
  policy_remote_content_type: Type.Union(
    [Type.Literal('application/x-www-form-urlencoded'), Type.Literal('application/json')],
    { default: 'application/x-www-form-urlencoded' },
  ),
  /** Refuse tokens that are not of a project, system-scoped ones among them, whatever their roles. Default true. */
  enforce_scope: On,
  /** Answer `/healthcheck`, without a token. Default false. */
  healthcheck_enabled: Off,
  /** Seconds for which the outcome of a health check is kept. Default 5. */
  healthcheck_refresh_interval: Seconds(5),
  /** Seconds a client has for the headers of a request; who is slower gets 408. Default 20. */
  header_timeout_seconds: Seconds(20),
  /** Seconds for a whole request, headers and body; at least those for the headers. Default 60. */
  request_timeout_seconds: Seconds(60),
  /** Seconds a connection is kept between two requests. Default 72. */
  idle_timeout_seconds: Seconds(72),
  /** Origins of browser pages that may use the API, such as `https://horizon.example.org`; `*`: any. Default none. */
  cors_allowed_origins: Type.Array(Type.String(), { default: [] }),
});

/** What load balancers may be, and what they are where a client says nothing. */
export const LoadBalancingSettings = Table({
  /** Providers clients may name, with what is said of them; Livia has drivers for `amphora` and its alias `octavia`. */
  enabled_provider_drivers: Type.Record(Type.String(), Type.String(), {
    default: {
      amphora: 'Load balancers of HAProxy in amphorae.',
      octavia: 'Deprecated alias of the amphora provider.',
    },
  }),
  /** The provider of who names none. Default amphora. */
  default_provider_driver: Type.String({ default: 'amphora' }),
  /** `SINGLE` or `ACTIVE_STANDBY`, where no flavor says it. Default SINGLE. */
  loadbalancer_topology: Type.Union([Type.Literal('SINGLE'), Type.Literal('ACTIVE_STANDBY')], {
    default: 'SINGLE',
  }),
  /** Listeners that speak TLS. Default true. */
  allow_tls_terminated_listeners: On,
  /** Health monitors of type PING. Default true. */
  allow_ping_health_monitors: On,
  /** Listeners of protocol PROMETHEUS. Default true. */
  allow_prometheus_listeners: On,
  /** Seconds of delay a UDP-CONNECT health monitor needs at least; negative: none. Default 3. */
  udp_connect_min_interval_health_monitor: Type.Integer({ default: 3 }),
  /** OpenSSL names, joined by colons. Default: those of Octavia since May 2025. */
  default_listener_ciphers: Ciphers,
  /** As of listeners, for pools that speak TLS to their members. */
  default_pool_ciphers: Ciphers,
  /** OpenSSL names nobody may ask for, joined by colons. Default none. */
  tls_cipher_prohibit_list: Type.String({ default: '' }),
  /** Default TLSv1.2 and TLSv1.3. */
  default_listener_tls_versions: TlsVersions,
  /** Default TLSv1.2 and TLSv1.3. */
  default_pool_tls_versions: TlsVersions,
  /** Nobody may ask for less, such as `TLSv1.2`. None by default. */
  minimum_tls_version: Type.Optional(TlsVersion),
  /** In the order of preference. Default h2, http/1.1, http/1.0. */
  default_listener_alpn_protocols: AlpnProtocols,
  /** In the order of preference. Default h2, http/1.1, http/1.0. */
  default_pool_alpn_protocols: AlpnProtocols,
  /** Connections of a listener that says -1; what memory does not allow is capped all the same. Default 50000. */
  default_connection_limit: Type.Integer({ minimum: 1, default: 50_000 }),
  /**
   * Entries of the table in which a pool remembers clients (session persistence by address or the application's
   * cookie), as HAProxy writes it: `k` is 1024, `m` 1024 of those. 256 bytes each in the memory budget. Default 10k.
   */
  haproxy_stick_size: Type.String({ pattern: '^[1-9][0-9]{0,8}[kKmM]?$', default: '10k' }),
  /** Milliseconds a client may be silent. Default 50000. */
  timeout_client_data: Milliseconds(50_000),
  /** Milliseconds to connect to a member. Default 5000. */
  timeout_member_connect: Milliseconds(5_000),
  /** Milliseconds a member may be silent. Default 50000. */
  timeout_member_data: Milliseconds(50_000),
  /** Milliseconds to wait for more of a TCP client's first words. Default 0. */
  timeout_tcp_inspect: Milliseconds(0),
});

/** Where VIPs and members may be. */
export const NetworkingSettings = Table({
  /** May clients send `vip_network_id`? Default true. */
  allow_vip_network_id: On,
  /** May clients send `vip_subnet_id`? Default true. */
  allow_vip_subnet_id: On,
  /** May clients send `vip_port_id`? Default true. */
  allow_vip_port_id: On,
  /** Ids of the networks a VIP may be on, unless its availability zone says so; empty: any. Default empty. */
  valid_vip_networks: Type.Array(Type.String(), { default: [] }),
  /** Ids of the networks no VIP may be on. Default empty. */
  denylist_vip_networks: Type.Array(Type.String(), { default: [] }),
  /** Addresses no member may have. Default the metadata service, 169.254.169.254. */
  reserved_ips: Type.Array(Type.String(), { default: ['169.254.169.254'] }),
  /** Look networks, subnets and ports up with Livia's rights instead of the client's. Default false. */
  allow_invisible_resource_usage: Off,
});

/** How many of each a project may have that has no quota of its own; -1, the default of all: any number. */
export const QuotaSettings = Table({
  default_load_balancer_quota: Limit,
  default_listener_quota: Limit,
  default_pool_quota: Limit,
  default_member_quota: Limit,
  default_health_monitor_quota: Limit,
  default_l7policy_quota: Limit,
  default_l7rule_quota: Limit,
});

export type ApiSettings = Static<typeof ApiSettings>;
export type LoadBalancingSettings = Static<typeof LoadBalancingSettings>;
export type NetworkingSettings = Static<typeof NetworkingSettings>;
export type QuotaSettings = Static<typeof QuotaSettings>;
