import { type Kysely, sql } from 'kysely';

/** Columns that every object of a load balancer's tree has. */
const resource = `
  id uuid primary key,
  project_id text not null,
  admin_state_up boolean not null,
  provisioning_status text not null,
  operating_status text not null,
  status_reason text,
  tags text[] not null,
  created_at timestamptz not null,
  updated_at timestamptz`;

/**
 * References are checked at commit: the difference between two trees is written list by list, and what refers to
 * each other meets only at the end.
 */
const references = (table: string): string =>
  `uuid not null references ${table} deferrable initially deferred`;

const listing = (table: string): string => `
  create index on ${table} (project_id, created_at, id);
  create index on ${table} (created_at, id);`;

const statements = `
create table load_balancers (${resource},
  name text,
  description text,
  vip_address text not null,
  vip_subnet_id text,
  vip_network_id text not null,
  vip_port_id text not null,
  vip_port_owned boolean not null,
  vip_qos_policy_id text,
  vip_vnic_type text not null,
  vip_sg_ids text[] not null,
  additional_vips jsonb not null,
  provider text not null,
  flavor_id uuid,
  availability_zone text,
  topology text not null,
  generation bigint not null
);
${listing('load_balancers')}
create index on load_balancers (name);
create index on load_balancers (flavor_id);

create table pools (${resource},
  load_balancer_id ${references('load_balancers')},
  name text,
  description text,
  protocol text not null,
  lb_algorithm text not null,
  session_persistence jsonb,
  tls_enabled boolean not null,
  tls_container_ref text,
  ca_tls_container_ref text,
  crl_container_ref text,
  tls_ciphers text,
  tls_versions text[],
  alpn_protocols text[]
);
${listing('pools')}
create index on pools (load_balancer_id);
create index on pools (name);

create table listeners (${resource},
  load_balancer_id ${references('load_balancers')},
  name text,
  description text,
  protocol text not null,
  protocol_port integer not null,
  connection_limit bigint,
  default_pool_id uuid references pools deferrable initially deferred,
  insert_headers jsonb not null,
  timeout_client_data bigint not null,
  timeout_member_connect bigint not null,
  timeout_member_data bigint not null,
  timeout_tcp_inspect bigint not null,
  default_tls_container_ref text,
  sni_container_refs text[] not null,
  client_authentication text not null,
  client_ca_tls_container_ref text,
  client_crl_container_ref text,
  allowed_cidrs text[],
  tls_ciphers text,
  tls_versions text[],
  alpn_protocols text[],
  hsts_max_age bigint,
  hsts_include_subdomains boolean not null,
  hsts_preload boolean not null
);
${listing('listeners')}
create index on listeners (name);
create index on listeners (default_pool_id);
create unique index listeners_port on listeners
  (load_balancer_id, protocol_port, (case when protocol in ('UDP', 'SCTP') then protocol else 'TCP' end));

create table members (${resource},
  load_balancer_id uuid not null,
  pool_id ${references('pools')},
  name text,
  address text not null,
  protocol_port integer not null,
  weight integer not null,
  backup boolean not null,
  subnet_id text,
  monitor_address text,
  monitor_port integer,
  vnic_type text not null
);
${listing('members')}
create index on members (load_balancer_id);
create unique index members_address on members (pool_id, address, protocol_port);

create table health_monitors (${resource},
  load_balancer_id uuid not null,
  pool_id ${references('pools')},
  name text,
  type text not null,
  delay bigint not null,
  timeout bigint not null,
  max_retries integer not null,
  max_retries_down integer not null,
  http_method text,
  url_path text,
  expected_codes text,
  http_version double precision,
  domain_name text
);
${listing('health_monitors')}
create index on health_monitors (load_balancer_id);
create index on health_monitors (name);
create unique index health_monitors_pool on health_monitors (pool_id);

create table l7_policies (${resource},
  load_balancer_id uuid not null,
  listener_id ${references('listeners')},
  name text,
  description text,
  action text not null,
  redirect_pool_id uuid references pools deferrable initially deferred,
  redirect_url text,
  redirect_prefix text,
  redirect_http_code integer,
  position integer not null
);
${listing('l7_policies')}
create index on l7_policies (load_balancer_id);
create index on l7_policies (listener_id);
create index on l7_policies (redirect_pool_id);
create index on l7_policies (name);

create table l7_rules (${resource},
  load_balancer_id uuid not null,
  l7_policy_id ${references('l7_policies')},
  type text not null,
  compare_type text not null,
  key text,
  value text not null,
  invert boolean not null
);
${listing('l7_rules')}
create index on l7_rules (load_balancer_id);
create index on l7_rules (l7_policy_id);

create table amphorae (
  id uuid primary key,
  load_balancer_id uuid not null references load_balancers,
  status text not null,
  role text not null,
  compute_id text,
  lb_network_ip text,
  vrrp_ip text,
  ha_ip text,
  vrrp_port_id text,
  ha_port_id text,
  cert_expiration timestamptz,
  cert_busy boolean not null,
  vrrp_interface text,
  vrrp_id integer,
  vrrp_priority integer,
  cached_zone text,
  image_id text,
  compute_flavor text,
  applied_generation bigint not null,
  last_heartbeat_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz
) with (fillfactor = 70);
create index on amphorae (load_balancer_id);
create index on amphorae (created_at, id);

create table flavor_profiles (
  id uuid primary key,
  name text not null,
  provider_name text not null,
  flavor_data text not null
);

create table flavors (
  id uuid primary key,
  name text not null,
  description text,
  enabled boolean not null,
  flavor_profile_id uuid not null constraint flavors_profile references flavor_profiles
);
create unique index flavors_name on flavors (name);
create index on flavors (flavor_profile_id);

create table quotas (
  project_id text primary key,
  load_balancer integer,
  listener integer,
  pool integer,
  member integer,
  health_monitor integer,
  l7_policy integer,
  l7_rule integer
);

-- What each amphora said last. Rows outlive their amphora, so that counters survive a failover.
create table traffic (
  amphora_id uuid,
  listener_id uuid references listeners on delete cascade,
  load_balancer_id uuid not null,
  active_connections bigint not null,
  bytes_in bigint not null,
  bytes_out bigint not null,
  total_connections bigint not null,
  request_errors bigint not null,
  primary key (amphora_id, listener_id)
) with (fillfactor = 70);
create index on traffic (listener_id);
create index on traffic (load_balancer_id);

-- due_at is 'infinity' while a key is worked on and was not marked again.
create table work (
  key text primary key,
  due_at timestamptz not null default now(),
  attempt integer not null default 0,
  owner text,
  lease_until timestamptz
);
create index on work (due_at);
`;

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(statements).execute(db);
}
