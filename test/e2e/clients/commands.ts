/**
 * The 82 commands `openstack loadbalancer …`: the columns each prints, in order, and the options each takes. A name that
 * ends in `?` came with a release younger than Debian 12's; a client that knows it must print it, or is asked with it.
 */

export interface Command {
  /** Columns; commands that change something print nothing; `status show` prints a document. */
  readonly prints: readonly string[] | 'nothing' | 'document';
  /** Whether a row for each object is printed, or one row for each column. */
  readonly many: boolean;
  readonly options: readonly string[];
}

const words = (...texts: string[]): string[] => texts.join(' ').split(/\s+/).filter(Boolean);

const loadBalancer = words(
  'admin_state_up availability_zone created_at description flavor_id id listeners name operating_status pools',
  'project_id provider provisioning_status updated_at vip_address vip_network_id vip_port_id vip_qos_policy_id',
  'vip_subnet_id vip_vnic_type? vip_sg_ids? tags additional_vips',
);
const listener = words(
  'admin_state_up connection_limit created_at default_pool_id default_tls_container_ref description id',
  'insert_headers l7policies loadbalancers name operating_status project_id protocol protocol_port',
  'provisioning_status sni_container_refs timeout_client_data timeout_member_connect timeout_member_data',
  'timeout_tcp_inspect updated_at client_ca_tls_container_ref client_authentication client_crl_container_ref',
  'allowed_cidrs tls_ciphers tls_versions alpn_protocols tags hsts_max_age? hsts_include_subdomains? hsts_preload?',
);
const pool = words(
  'admin_state_up created_at description healthmonitor_id id lb_algorithm listeners loadbalancers members name',
  'operating_status project_id protocol provisioning_status session_persistence updated_at tls_container_ref',
  'ca_tls_container_ref crl_container_ref tls_enabled tls_ciphers tls_versions tags alpn_protocols',
);
const member = words(
  'address admin_state_up created_at id name operating_status project_id protocol_port provisioning_status subnet_id',
  'updated_at weight monitor_port monitor_address backup tags vnic_type?',
);
const healthMonitor = words(
  'project_id name admin_state_up pools created_at provisioning_status updated_at delay expected_codes max_retries',
  'http_method timeout max_retries_down url_path type id operating_status http_version domain_name tags',
);
const l7Policy = words(
  'listener_id description admin_state_up rules project_id created_at provisioning_status updated_at redirect_pool_id',
  'redirect_url redirect_prefix action position id operating_status name redirect_http_code tags',
);
const l7Rule = words(
  'created_at compare_type provisioning_status invert admin_state_up updated_at value key project_id type id',
  'operating_status tags',
);
const quota = words('load_balancer listener pool health_monitor member l7policy l7rule');
const amphora = words(
  'id loadbalancer_id compute_id lb_network_ip vrrp_ip ha_ip vrrp_port_id ha_port_id cert_expiration cert_busy role',
  'status vrrp_interface vrrp_id vrrp_priority cached_zone created_at updated_at image_id compute_flavor',
);
const statistics = words('active_connections bytes_in bytes_out request_errors total_connections');
const flavor = words('id name flavor_profile_id enabled description');
const flavorProfile = words('id name provider_name flavor_data');
const zone = words('name availability_zone_profile_id enabled description');
const zoneProfile = words('id name provider_name availability_zone_data');

/** Of `amphora list --long`. */
export const longAmphora = words(
  'id loadbalancer_id status role lb_network_ip ha_ip compute_id cached_zone image_id',
);

const tagsOf = {
  create: 'tag no-tag',
  list: 'tags any-tags not-tags not-any-tags',
  set: 'tag no-tag',
  unset: 'tag all-tag',
};
const state = 'enable disable';

const shows = (columns: readonly string[], ...options: string[]): Command => ({
  prints: columns,
  many: false,
  options: words(...options),
});
const lists = (columns: string, ...options: string[]): Command => ({
  prints: words(columns),
  many: true,
  options: words(...options),
});
const does = (...options: string[]): Command => ({
  prints: 'nothing',
  many: false,
  options: words(...options),
});

const listenerSettings = words(
  'name description connection-limit default-pool default-tls-container-ref sni-container-refs insert-headers',
  'timeout-client-data timeout-member-connect timeout-member-data timeout-tcp-inspect client-ca-tls-container-ref',
  'client-authentication client-crl-container-ref tls-ciphers hsts-max-age? hsts-include-subdomains? hsts-preload? wait',
).join(' ');
const poolSettings = words(
  'name description session-persistence lb-algorithm tls-container-ref ca-tls-container-ref crl-container-ref',
  'enable-tls disable-tls tls-ciphers tls-version alpn-protocol wait',
).join(' ');
const memberSettings = 'name enable-backup disable-backup weight monitor-port monitor-address wait';
const monitorSettings = words(
  'name delay timeout max-retries domain-name expected-codes http-method http-version url-path max-retries-down wait',
).join(' ');
const policySettings = words(
  'action redirect-pool redirect-url redirect-prefix redirect-http-code name description position wait',
).join(' ');
const ruleSettings = 'compare-type value type invert key wait';
const limits = 'loadbalancer listener pool member healthmonitor l7policy l7rule';

const table = {
  create: shows(
    loadBalancer,
    'name description vip-address vip-port-id vip-subnet-id vip-network-id vip-qos-policy-id additional-vip vip-sg-id?',
    'project provider availability-zone flavor wait',
    state,
    tagsOf.create,
  ),
  list: lists(
    'id name project_id vip_address provisioning_status operating_status provider',
    'name project vip-network-id vip-subnet-id vip-qos-policy-id vip-port-id provisioning-status operating-status',
    'provider flavor availability-zone',
    state,
    tagsOf.list,
  ),
  show: shows(loadBalancer),
  set: does('name description vip-qos-policy-id vip-sg-id? wait', state, tagsOf.set),
  unset: does('name description vip-qos-policy-id vip-sg-id? wait', tagsOf.unset),
  delete: does('cascade wait'),
  failover: does('wait'),
  'stats show': shows(statistics),
  'status show': { prints: 'document', many: false, options: [] },

  'listener create': shows(
    listener,
    'protocol protocol-port',
    listenerSettings,
    'allowed-cidr tls-version alpn-protocol',
    state,
    tagsOf.create,
  ),
  'listener list': lists(
    'id default_pool_id name project_id protocol protocol_port admin_state_up',
    'name loadbalancer project',
    state,
    tagsOf.list,
  ),
  'listener show': shows(listener),
  'listener set': does(listenerSettings, 'allowed-cidr tls-version alpn-protocol', state, tagsOf.set),
  'listener unset': does(listenerSettings, 'allowed-cidrs tls-versions alpn-protocols', tagsOf.unset),
  'listener delete': does('wait'),
  'listener stats show': shows(statistics),

  'pool create': shows(pool, 'protocol listener loadbalancer', poolSettings, state, tagsOf.create),
  'pool list': lists(
    'id name project_id provisioning_status protocol lb_algorithm admin_state_up',
    'loadbalancer',
    tagsOf.list,
  ),
  'pool show': shows(pool),
  'pool set': does(poolSettings, state, tagsOf.set),
  'pool unset': does(
    'name description ca-tls-container-ref crl-container-ref session-persistence tls-container-ref tls-versions',
    'tls-ciphers alpn-protocols wait',
    tagsOf.unset,
  ),
  'pool delete': does('wait'),

  'member create': shows(
    member,
    'address protocol-port subnet-id request-sriov?',
    memberSettings,
    state,
    tagsOf.create,
  ),
  'member list': lists(
    'id name project_id provisioning_status address protocol_port operating_status weight',
    tagsOf.list,
  ),
  'member show': shows(member),
  'member set': does(memberSettings, state, tagsOf.set),
  'member unset': does('backup monitor-address monitor-port name weight wait', tagsOf.unset),
  'member delete': does('wait'),

  'healthmonitor create': shows(healthMonitor, 'type', monitorSettings, state, tagsOf.create),
  'healthmonitor list': lists('id name project_id type admin_state_up', tagsOf.list),
  'healthmonitor show': shows(healthMonitor),
  'healthmonitor set': does(monitorSettings, state, tagsOf.set),
  'healthmonitor unset': does(
    'domain-name expected-codes http-method http-version max-retries-down name url-path wait',
    tagsOf.unset,
  ),
  'healthmonitor delete': does('wait'),

  'l7policy create': shows(l7Policy, policySettings, state, tagsOf.create),
  'l7policy list': lists(
    'id name project_id provisioning_status action position admin_state_up',
    'listener',
    tagsOf.list,
  ),
  'l7policy show': shows(l7Policy),
  'l7policy set': does(policySettings, state, tagsOf.set),
  'l7policy unset': does('description name redirect-http-code wait', tagsOf.unset),
  'l7policy delete': does('wait'),

  'l7rule create': shows(l7Rule, ruleSettings, state, tagsOf.create),
  'l7rule list': lists(
    'id project_id provisioning_status compare_type type key value invert admin_state_up',
    tagsOf.list,
  ),
  'l7rule show': shows(l7Rule),
  'l7rule set': does(ruleSettings, state, tagsOf.set),
  'l7rule unset': does('invert key wait', tagsOf.unset),
  'l7rule delete': does('wait'),

  'quota list': lists(
    'project_id load_balancer listener pool health_monitor member l7policy l7rule',
    'project',
  ),
  'quota show': shows(quota),
  'quota defaults show': shows(quota),
  'quota set': shows(quota, limits),
  'quota unset': does(limits),
  'quota reset': does(),

  'amphora list': lists(
    'id loadbalancer_id status role lb_network_ip ha_ip',
    'loadbalancer compute-id role status image-id? long',
  ),
  'amphora show': shows(amphora),
  'amphora configure': does('wait'),
  'amphora failover': does('wait'),
  'amphora delete': does('wait'),
  'amphora stats show': shows(statistics, 'listener'),

  'provider list': lists('name description'),
  'provider capability list': lists('type name description', 'flavor availability-zone'),

  'flavorprofile create': shows(flavorProfile, 'name provider flavor-data'),
  'flavorprofile list': lists('id name provider_name', 'name provider'),
  'flavorprofile show': shows(flavorProfile),
  'flavorprofile set': does('name provider flavor-data'),
  'flavorprofile delete': does(),

  'flavor create': shows(flavor, 'name flavorprofile description', state),
  'flavor list': lists('id name flavor_profile_id enabled', 'name flavorprofile', state),
  'flavor show': shows(flavor),
  'flavor set': does('name description?', state),
  'flavor unset': does('description'),
  'flavor delete': does(),

  'availabilityzoneprofile create': shows(zoneProfile, 'name provider availability-zone-data'),
  'availabilityzoneprofile list': lists('id name provider_name', 'name provider'),
  'availabilityzoneprofile show': shows(zoneProfile),
  'availabilityzoneprofile set': does('name provider availability-zone-data?'),
  'availabilityzoneprofile delete': does(),

  'availabilityzone create': shows(zone, 'name availabilityzoneprofile description', state),
  'availabilityzone list': lists(
    'name availability_zone_profile_id enabled',
    'name availabilityzoneprofile',
    state,
  ),
  'availabilityzone show': shows(zone),
  'availabilityzone set': does('description', state),
  'availabilityzone unset': does('description'),
  'availabilityzone delete': does(),
} satisfies Record<string, Command>;

export type CommandName = keyof typeof table;

export const commands: Readonly<Record<CommandName, Command>> = table;
