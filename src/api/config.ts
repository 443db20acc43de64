import type { ApiSettings, LoadBalancingSettings, NetworkingSettings } from '../platform/api-settings.ts';
import type { Log } from '../platform/log.ts';
import { type Deployment, standardDeployment } from '../lb/defaults.ts';
import { tlsVersionsAscending } from '../lb/rules.ts';
import { standardPatience } from './connections.ts';
import { policyFile } from './policy-file.ts';
import { policy } from './policy.ts';
import type { ApiConfig } from './request.ts';

interface OperatorSettings {
  readonly api: ApiSettings;
  readonly load_balancing: LoadBalancingSettings;
  readonly networking: NetworkingSettings;
}

/** What the operator's settings say of the API. Throws an `Error` in one line when they contradict each other, or when
 * the policy file cannot be used. */
export async function apiConfig(
  { api, load_balancing: balancing, networking }: OperatorSettings,
  log: Log,
): Promise<Partial<ApiConfig>> {
  const { enforce_scope: enforceScope } = api;
  return {
    authStrategy: api.auth_strategy,
    paginationMaxLimit:
      typeof api.pagination_max_limit === 'number' && api.pagination_max_limit > 0
        ? api.pagination_max_limit
        : null,
    apiBaseUri: api.api_base_uri ?? null,
    follows: {
      pagination: api.allow_pagination,
      sorting: api.allow_sorting,
      filtering: api.allow_filtering,
      fieldSelection: api.allow_field_selection,
    },
    trustProxy: api.trust_proxy,
    healthcheckEnabled: api.healthcheck_enabled,
    healthcheckRefreshMs: api.healthcheck_refresh_interval * 1000,
    patience: {
      ...standardPatience,
      headersMs: api.header_timeout_seconds * 1000,
      requestMs: api.request_timeout_seconds * 1000,
      idleMs: api.idle_timeout_seconds * 1000,
    },
    corsAllowedOrigins: api.cors_allowed_origins,
    policy:
      api.policy_file === undefined
        ? policy({}, { enforceScope })
        : await policyFile(api.policy_file, { enforceScope }, log),
    remoteChecks: {
      timeoutMs: api.policy_remote_timeout * 1000,
      contentType: api.policy_remote_content_type,
    },
    ...providersOf(balancing),
    deployment: deploymentOf(balancing, networking),
    vips: {
      bySubnet: networking.allow_vip_subnet_id,
      byNetwork: networking.allow_vip_network_id,
      byPort: networking.allow_vip_port_id,
      validNetworks: networking.valid_vip_networks,
      deniedNetworks: networking.denylist_vip_networks,
    },
    invisibleResources: networking.allow_invisible_resource_usage,
  };
}

/** What Livia can drive, by the names clients know. */
const drivers = ['amphora', 'octavia'];

function providersOf(settings: LoadBalancingSettings): Pick<ApiConfig, 'providers' | 'defaultProvider'> {
  const { enabled_provider_drivers: enabled, default_provider_driver: defaultProvider } = settings;
  const unknown = Object.keys(enabled).filter((name) => !drivers.includes(name));
  if (unknown.length > 0) {
    throw new Error(
      `load_balancing.enabled_provider_drivers: there is no driver ${unknown.join(', ')}, only ${drivers.join(' and ')}.`,
    );
  }
  if (!Object.hasOwn(enabled, defaultProvider)) {
    throw new Error(
      `load_balancing.default_provider_driver: ${defaultProvider} is not among the enabled_provider_drivers.`,
    );
  }
  return {
    defaultProvider,
    providers: Object.entries(enabled).map(([name, description]) => ({ name, description })),
  };
}

function deploymentOf(
  settings: LoadBalancingSettings,
  { reserved_ips: reservedIps }: NetworkingSettings,
): Deployment {
  const deployment: Deployment = {
    listenerCiphers: settings.default_listener_ciphers ?? standardDeployment.listenerCiphers,
    poolCiphers: settings.default_pool_ciphers ?? standardDeployment.poolCiphers,
    listenerTlsVersions: settings.default_listener_tls_versions,
    poolTlsVersions: settings.default_pool_tls_versions,
    listenerAlpnProtocols: settings.default_listener_alpn_protocols,
    poolAlpnProtocols: settings.default_pool_alpn_protocols,
    timeoutClientData: settings.timeout_client_data,
    timeoutMemberConnect: settings.timeout_member_connect,
    timeoutMemberData: settings.timeout_member_data,
    timeoutTcpInspect: settings.timeout_tcp_inspect,
    cipherProhibitList: settings.tls_cipher_prohibit_list.split(':').filter((cipher) => cipher !== ''),
    minimumTlsVersion: settings.minimum_tls_version ?? null,
    allowTlsTerminatedListeners: settings.allow_tls_terminated_listeners,
    allowPingHealthMonitors: settings.allow_ping_health_monitors,
    allowPrometheusListeners: settings.allow_prometheus_listeners,
    udpConnectMinInterval: settings.udp_connect_min_interval_health_monitor,
    reservedIps,
    topology: settings.loadbalancer_topology,
  };
  refuseContradictions(deployment);
  return deployment;
}

/** What a client gets who says nothing may not be what nobody may have. */
function refuseContradictions({ cipherProhibitList, minimumTlsVersion, ...deployment }: Deployment): void {
  const lowest = minimumTlsVersion === null ? 0 : tlsVersionsAscending.indexOf(minimumTlsVersion);
  for (const kind of ['listener', 'pool'] as const) {
    const prohibited = deployment[`${kind}Ciphers`]
      .split(':')
      .filter((cipher) => cipherProhibitList.includes(cipher));
    if (prohibited.length > 0) {
      throw new Error(
        `load_balancing.default_${kind}_ciphers: ${prohibited.join(', ')} is in the tls_cipher_prohibit_list.`,
      );
    }
    const low = deployment[`${kind}TlsVersions`].filter(
      (version) => tlsVersionsAscending.indexOf(version) < lowest,
    );
    if (low.length > 0) {
      throw new Error(
        `load_balancing.default_${kind}_tls_versions: ${low.join(', ')} is below the minimum_tls_version ${minimumTlsVersion}.`,
      );
    }
  }
}
