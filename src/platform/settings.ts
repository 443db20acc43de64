import Type, { type Static } from 'typebox';
import { ApiSettings, LoadBalancingSettings, NetworkingSettings, QuotaSettings } from './api-settings.ts';
import { Port, Seconds, Strict, Table } from './schemas.ts';

/**
 * STATE/livia.toml, the configuration of livia-server: one table per part. Every key says its unit and its default;
 * a key without default must be there, an unknown key is refused.
 */

const Milliseconds = (fallback: number) => Type.Integer({ minimum: 1, default: fallback });

/** The PostgreSQL of this deployment. */
export const DatabaseSettings = Strict({
  /** Host name, or the folder of the unix socket when it begins with a slash. */
  host: Type.String(),
  /** Default 5432. */
  port: Port(5432),
  /** Database. Default livia. */
  name: Type.String({ default: 'livia' }),
  /** Default livia. */
  user: Type.String({ default: 'livia' }),
  /** Without it, as the server trusts the user (peer, `~/.pgpass`). */
  password: Type.Optional(Type.String()),
});

/** How Livia is known to Keystone: with these rights it uses the other services. */
export const KeystoneSettings = Strict({
  /** Version 3 endpoint, such as `http://127.0.0.1:9877/identity/v3`. */
  auth_url: Type.String(),
  username: Type.String(),
  password: Type.String(),
  /** The project that owns amphorae and their ports. */
  project_name: Type.String(),
  /** Default Default. */
  user_domain_name: Type.String({ default: 'Default' }),
  /** Default Default. */
  project_domain_name: Type.String({ default: 'Default' }),
  /** Region of the catalog. Default RegionOne. */
  region: Type.String({ default: 'RegionOne' }),
  /** Which endpoints of the catalog. Default public. */
  interface: Type.Union([Type.Literal('public'), Type.Literal('internal'), Type.Literal('admin')], {
    default: 'public',
  }),
});

/** Livia's own certificates. */
export const PkiSettings = Strict({
  /** Folder of the CA and the client certificate; made when missing. */
  dir: Type.String(),
  /** File of 32 bytes, from which the key of every amphora's heartbeat is derived; made when missing. */
  secret_key_file: Type.String(),
});

/** What an amphora is made of. A flavor's `flavor_data` goes before. */
export const AmphoraSettings = Table({
  /** Id of Nova's flavor. Default livia-amphora. */
  compute_flavor: Type.String({ default: 'livia-amphora' }),
  /** Tag of Glance's image, the newest wins. Default amphora. */
  image_tag: Type.String({ default: 'amphora' }),
  /** Nova's key pair to log in with; none by default. */
  key_name: Type.Optional(Type.String()),
  /** Nova's availability zone; none by default. */
  availability_zone: Type.Optional(Type.String()),
  /** Network of the management cards, by id or name. Default lb-mgmt-net. */
  management_network: Type.String({ default: 'lb-mgmt-net' }),
  /** Security groups of the management cards, by id. Default none: a group `livia-mgmt` is kept by Livia. */
  management_security_groups: Type.Array(Type.String(), { default: [] }),
  /** Whom the group `livia-mgmt` lets in to the agents: CIDRs. Default everyone on the management network. */
  controller_cidrs: Type.Array(Type.String(), { default: ['0.0.0.0/0'] }),
  /** Seconds between two signs of life of the amphora that has the VIP, of a pair. Default 1. */
  vrrp_advert_seconds: Seconds(1),
  /** TCP port of the agent. Default 9443. */
  agent_port: Port(9443),
});

/** The loop. */
export const WorkerSettings = Table({
  /** Load balancers worked on at once. Default 16. */
  parallel: Type.Integer({ minimum: 1, default: 16 }),
  /** Seconds after which the work of a dead controller is taken over. Default 6. */
  lease_seconds: Seconds(6),
  /** Seconds a wish may stay PENDING before ERROR is shown (and retried all the same). Default 600. */
  build_deadline_seconds: Seconds(600),
  /** Seconds an amphora may take from its request to an answering agent before another is made. Default 300. */
  boot_deadline_seconds: Seconds(300),
});

/** What is deleted is kept for a while, hidden, and then forgotten. */
export const HouseKeepingSettings = Table({
  /** Seconds a deleted load balancer stays in the database. Default 604800, a week. */
  load_balancer_expiry_age: Seconds(604_800),
  /** Seconds a deleted amphora stays in the database. Default 604800, a week. */
  amphora_expiry_age: Seconds(604_800),
});

/** Heartbeats. */
export const HealthSettings = Table({
  /** Address the receiver listens on. Default 0.0.0.0. */
  host: Type.String({ default: '0.0.0.0' }),
  /** UDP port; 0: any free one. Default 5555. */
  port: Port(5555),
  /** `address:port` of every receiver, as the amphorae reach them; at least one for statuses to be seen. */
  receivers: Type.Array(Type.String(), { default: [] }),
  /** Milliseconds between two heartbeats of an amphora. Default 1000. */
  heartbeat_interval_ms: Milliseconds(1000),
  /** Seconds of silence after which an amphora is looked at. Default 10. */
  heartbeat_timeout_seconds: Seconds(10),
  /** More than this share of the amphorae silent at once (and more than 2) is our fault: none is replaced. Default 0.3. */
  failover_threshold_share: Type.Number({ minimum: 0, maximum: 1, default: 0.3 }),
});

/** What amphorae log of every connection or request to a listener of HAProxy's. Off until there is a target or file. */
export const FlowLogSettings = Table({
  /** Syslog servers over UDP, `192.0.2.1:514` or `[2001:db8::1]:514`, as amphorae reach them; each gets every line. */
  targets: Type.Array(
    Type.String({ pattern: '^(\\d{1,3}(\\.\\d{1,3}){3}|\\[[0-9A-Fa-f:.]+\\]):\\d{1,5}$' }),
    {
      default: [],
    },
  ),
  /** A file that livia-server writes where it receives heartbeats; none by default. */
  file: Type.Optional(Type.String()),
  /** UDP port for it, beside that of heartbeats. Default 5514. */
  file_port: Port(5514),
  /** Megabytes of one file. Default 100. */
  file_megabytes: Type.Number({ exclusiveMinimum: 0, default: 100 }),
  /** Full files that are kept. Default 5. */
  files: Type.Integer({ minimum: 1, default: 5 }),
  /** Syslog's. Default local0. */
  facility: Type.String({ pattern: '^[a-z]+[0-7]?$', default: 'local0' }),
  /** HAProxy's log-format; `{{ project_id }}` and `{{ lb_id }}` are filled in. Default: Octavia's. */
  format: Type.String({
    minLength: 1,
    default:
      '{{ project_id }} {{ lb_id }} %f %ci %cp %t %{+Q}r %ST %B %U %[ssl_c_verify] %{+Q}[ssl_c_s_dn] %b %s %Tt %tsc',
  }),
});

/** What Prometheus may ask this process: `GET /metrics`, without a token. */
export const MetricsSettings = Table({
  /** Address it is asked at; empty: it is not. Default 127.0.0.1. */
  host: Type.String({ default: '127.0.0.1' }),
  /** TCP port; 0: any free one. Default 9879. */
  port: Port(9879),
  /** Tell the state and traffic of all load balancers too, where heartbeats are received. Default true. */
  fleet: Type.Boolean({ default: true }),
});

export const Settings = Strict({
  api: ApiSettings,
  load_balancing: LoadBalancingSettings,
  networking: NetworkingSettings,
  quotas: QuotaSettings,
  database: DatabaseSettings,
  keystone: KeystoneSettings,
  pki: PkiSettings,
  amphora: AmphoraSettings,
  worker: WorkerSettings,
  house_keeping: HouseKeepingSettings,
  health: HealthSettings,
  flow_logs: FlowLogSettings,
  metrics: MetricsSettings,
});

export type Settings = Static<typeof Settings>;
export type AmphoraSettings = Static<typeof AmphoraSettings>;
export type WorkerSettings = Static<typeof WorkerSettings>;
export type FlowLogSettings = Static<typeof FlowLogSettings>;
export type HouseKeepingSettings = Static<typeof HouseKeepingSettings>;
export type HealthSettings = Static<typeof HealthSettings>;
