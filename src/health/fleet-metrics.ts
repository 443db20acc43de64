import type { AmphoraStatus, OperatingStatus, ProvisioningStatus } from '../lb/status.ts';
import { inTime, type MetricsSource } from '../platform/metrics.ts';
import type { Fleet, Store } from '../store/store.ts';

/**
 * All load balancers under the names that dashboards have for them already: their state as the OpenStack exporter for
 * Prometheus tells it (names, labels and numbers), their listeners' traffic as PROMETHEUS listeners do, with the ids of
 * project and load balancer beside it.
 */

type Labels = Readonly<Record<string, string | null>>;

interface Metric<Row> {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly labels?: (row: Row) => Labels;
  readonly value: (row: Row) => number;
}

/** A status is told as its place in the exporter's list. */
const place =
  <S extends string>(...known: readonly string[]) =>
  (status: S): number =>
    known.indexOf(status);
const operating = place<OperatingStatus>('ONLINE', 'DRAINING', 'OFFLINE', 'ERROR', 'NO_MONITOR');
const provisioning = place<ProvisioningStatus>(
  ...['ACTIVE', 'DELETED', 'ERROR', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE'],
);
const amphora = place<AmphoraStatus>(
  ...['BOOTING', 'ALLOCATED', 'READY', 'PENDING_CREATE', 'PENDING_DELETE', 'DELETED', 'ERROR'],
);

/** To the second; what the exporter's language makes of no time at all. */
const time = (date: Date | null): string =>
  date === null ? '0001-01-01T00:00:00Z' : date.toISOString().replace(/\.\d+/, '');

const total = (name: string): Metric<number> => ({
  name: `openstack_loadbalancer_total_${name}`,
  type: 'gauge',
  help: `How many ${name} there are.`,
  value: (count) => count,
});

const up: Metric<0 | 1> = {
  name: 'openstack_loadbalancer_up',
  type: 'gauge',
  help: 'Whether the state of load balancers is known.',
  value: (is) => is,
};

const loadBalancerStatus: Metric<Fleet['loadBalancers'][number]> = {
  name: 'openstack_loadbalancer_loadbalancer_status',
  type: 'gauge',
  help: 'Operating status: 0 ONLINE, 1 DRAINING, 2 OFFLINE, 3 ERROR, 4 NO_MONITOR, -1 another.',
  labels: (row) => ({
    id: row.id,
    name: row.name,
    project_id: row.projectId,
    operating_status: row.operatingStatus,
    provisioning_status: row.provisioningStatus,
    provider: row.provider,
    vip_address: row.vipAddress,
  }),
  value: (row) => operating(row.operatingStatus),
};

const amphoraStatus: Metric<Fleet['amphorae'][number]> = {
  name: 'openstack_loadbalancer_amphora_status',
  type: 'gauge',
  help: 'Status: 0 BOOTING, 1 ALLOCATED, 2 READY, 3 PENDING_CREATE, 4 PENDING_DELETE, 5 DELETED, 6 ERROR, -1 another.',
  labels: (row) => ({
    id: row.id,
    loadbalancer_id: row.loadBalancerId,
    compute_id: row.computeId,
    status: row.status,
    role: row.role,
    lb_network_ip: row.lbNetworkIp,
    ha_ip: row.haIp,
    cert_expiration: time(row.certExpiration),
  }),
  value: (row) => amphora(row.status),
};

const poolStatus: Metric<Fleet['pools'][number]> = {
  name: 'openstack_loadbalancer_pool_status',
  type: 'gauge',
  help: 'Provisioning status: 0 ACTIVE, 1 DELETED, 2 ERROR, 3 PENDING_CREATE, 4 PENDING_UPDATE, 5 PENDING_DELETE.',
  labels: (row) => ({
    id: row.id,
    provisioning_status: row.provisioningStatus,
    name: row.name,
    loadbalancers: row.loadBalancerId,
    protocol: row.protocol,
    lb_algorithm: row.lbAlgorithm,
    operating_status: row.operatingStatus,
    project_id: row.projectId,
  }),
  value: (row) => provisioning(row.provisioningStatus),
};

const ofListener = (
  name: string,
  type: 'gauge' | 'counter',
  help: string,
  value: (row: Fleet['listeners'][number]) => number,
): Metric<Fleet['listeners'][number]> => ({
  name: `octavia_listener_${name}`,
  ...{ type, help, value },
  labels: ({ id, loadBalancerId, projectId }) => ({
    project_id: projectId,
    loadbalancer_id: loadBalancerId,
    listener: id,
  }),
});

const traffic = [
  ofListener('current_sessions', 'gauge', 'Sessions now.', (row) => row.activeConnections),
  ofListener('sessions_total', 'counter', 'Sessions ever.', (row) => row.totalConnections),
  ofListener('bytes_in_total', 'counter', 'Bytes from clients.', (row) => row.bytesIn),
  ofListener('bytes_out_total', 'counter', 'Bytes to clients.', (row) => row.bytesOut),
  ofListener('request_errors_total', 'counter', 'Requests that were none.', (row) => row.requestErrors),
];

/** When the database does not answer, that is told and nothing else. */
export function fleetMetrics(store: Pick<Store, 'fleet'>): MetricsSource {
  const ask = inTime(() => store.fleet());
  return async function* () {
    const fleet = await ask();
    yield* lines(up, [fleet === undefined ? 0 : 1]);
    if (fleet === undefined) return;
    const { loadBalancers, amphorae, pools, listeners } = fleet;
    yield* lines(total('loadbalancers'), [loadBalancers.length]);
    yield* lines(loadBalancerStatus, loadBalancers);
    yield* lines(total('amphorae'), [amphorae.length]);
    yield* lines(amphoraStatus, amphorae);
    yield* lines(total('pools'), [pools.length]);
    yield* lines(poolStatus, pools);
    for (const metric of traffic) yield* lines(metric, listeners);
  };
}

/** Rows of one piece; others have their turn between two. */
const pieceRows = 250;

function* lines<Row>(metric: Metric<Row>, rows: readonly Row[]): Generator<string> {
  yield `# HELP ${metric.name} ${metric.help}\n# TYPE ${metric.name} ${metric.type}\n`;
  for (let at = 0; at < rows.length; at += pieceRows) {
    const piece = rows.slice(at, at + pieceRows);
    yield piece.map((row) => `${metric.name}${labelsOf(metric, row)} ${metric.value(row)}\n`).join('');
  }
}

function labelsOf<Row>({ labels }: Metric<Row>, row: Row): string {
  if (labels === undefined) return '';
  return `{${Object.entries(labels(row))
    .map(([name, value]) => `${name}="${escaped(value ?? '')}"`)
    .join(',')}}`;
}

/** Names are their users' own words. */
function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (sign) => (sign === '\n' ? '\\n' : `\\${sign}`));
}
