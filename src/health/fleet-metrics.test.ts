import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshStore } from '../../test/database.ts';
import { parseMetrics, valueOf } from '../../test/prometheus.ts';
import { aListener, aLoadBalancer, anAmphora, aPool, aTree, projectId, uuid } from '../../test/trees.ts';
import type { Store } from '../store/store.ts';
import { fleetMetrics } from './fleet-metrics.ts';

const hostile = 'a "name"\\ with\nlines, {braces} and \u2028';
let store: Store;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ store, drop } = await freshStore());
  await store.trees.create(
    aTree({
      loadBalancer: aLoadBalancer({ name: hostile, operatingStatus: 'ERROR' }),
      listeners: [aListener({}), aListener({ id: uuid(12), protocolPort: 81 })],
      pools: [aPool({ name: 'web', provisioningStatus: 'PENDING_UPDATE' })],
    }),
  );
  await store.trees.create(
    aTree({ loadBalancer: aLoadBalancer({ id: uuid(2000), operatingStatus: 'DEGRADED' }) }),
  );
  await store.trees.create(
    aTree({ loadBalancer: aLoadBalancer({ id: uuid(3000), provisioningStatus: 'DELETED' }) }),
  );
  const certExpiration = new Date('2027-01-02T03:04:05.678Z');
  await store.amphorae.save(anAmphora({ certExpiration }));
  await store.amphorae.save(anAmphora({ id: uuid(9), status: 'BOOTING', computeId: null }));
  await store.amphorae.save(anAmphora({ id: uuid(10), status: 'DELETED' }));
  const sample = { listenerId: uuid(2), activeConnections: 3, bytesIn: 10, bytesOut: 2 ** 52 };
  await store.statistics.record(uuid(8), uuid(1), [{ ...sample, totalConnections: 5, requestErrors: 1 }]);
  // Of one that is gone, what it counted is left.
  await store.statistics.record(uuid(10), uuid(1), [
    { ...sample, bytesOut: 0, totalConnections: 20, requestErrors: 0 },
  ]);
});
afterAll(() => drop());

async function textOf(of: Pick<Store, 'fleet'>): Promise<string> {
  let text = '';
  for await (const piece of fleetMetrics(of)()) text += piece;
  return text;
}

describe('All load balancers', () => {
  it('are told as the OpenStack exporter tells them: names, labels and numbers', async () => {
    const samples = parseMetrics(await textOf(store)).filter(({ name }) => name.startsWith('openstack_'));
    const found = (name: string, id: string) =>
      samples.find(
        (sample) => sample.name === `openstack_loadbalancer_${name}` && sample.labels['id'] === id,
      );
    expect(found('loadbalancer_status', uuid(1))).toMatchObject({
      labels: {
        ...{ id: uuid(1), name: hostile, project_id: projectId, vip_address: '192.0.2.90' },
        ...{ operating_status: 'ERROR', provisioning_status: 'ACTIVE', provider: 'amphora' },
      },
      value: 3,
    });
    expect(found('loadbalancer_status', uuid(2000))?.value).toBe(-1);
    expect(found('amphora_status', uuid(8))).toMatchObject({
      labels: {
        ...{ id: uuid(8), loadbalancer_id: uuid(1), compute_id: uuid(1011), status: 'ALLOCATED' },
        ...{ role: 'STANDALONE', lb_network_ip: '10.0.0.5', ha_ip: '192.0.2.90' },
        cert_expiration: '2027-01-02T03:04:05Z',
      },
      value: 1,
    });
    expect(found('amphora_status', uuid(9))).toMatchObject({
      labels: { compute_id: '', cert_expiration: '0001-01-01T00:00:00Z' },
      value: 0,
    });
    expect(found('pool_status', aPool().id)).toMatchObject({
      labels: {
        ...{ name: 'web', loadbalancers: uuid(1), protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
        ...{ provisioning_status: 'PENDING_UPDATE', operating_status: 'ONLINE', project_id: projectId },
      },
      value: 4,
    });
    const totals = { loadbalancers: 2, amphorae: 2, pools: 1 };
    for (const [name, count] of Object.entries(totals))
      expect([name, valueOf(samples, `openstack_loadbalancer_total_${name}`)]).toEqual([name, count]);
    expect(valueOf(samples, 'openstack_loadbalancer_up')).toBe(1);
  });

  it('have the traffic of their listeners told as PROMETHEUS listeners tell it', async () => {
    const samples = parseMetrics(await textOf(store));
    const of = (listener: string) => {
      const labels = { project_id: projectId, loadbalancer_id: uuid(1), listener };
      return Object.fromEntries(
        [
          'current_sessions',
          'sessions_total',
          'bytes_in_total',
          'bytes_out_total',
          'request_errors_total',
        ].map((name) => [name, valueOf(samples, `octavia_listener_${name}`, labels)]),
      );
    };
    expect(of(uuid(2))).toEqual({
      ...{ current_sessions: 3, sessions_total: 25, request_errors_total: 1 },
      ...{ bytes_in_total: 20, bytes_out_total: 2 ** 52 },
    });
    expect(Object.values(of(uuid(12)))).toEqual([0, 0, 0, 0, 0]);
  });

  it('have a metric in one place each, however many they are', async () => {
    const listeners = Array.from({ length: 10_000 }, (_, n) => ({
      ...{ id: uuid(n), projectId, loadBalancerId: uuid(1), activeConnections: n },
      ...{ bytesIn: n, bytesOut: n, totalConnections: n, requestErrors: n },
    }));
    const fleet = { loadBalancers: [], amphorae: [], pools: [], listeners };
    const samples = parseMetrics(await textOf({ fleet: async () => fleet }));
    expect(samples.filter(({ name }) => name === 'octavia_listener_bytes_in_total').length).toBe(10_000);
    expect(valueOf(samples, 'octavia_listener_sessions_total', { listener: uuid(9999) })).toBe(9999);
  });

  it('are down when the database does not say, and nothing else is', async () => {
    const samples = parseMetrics(await textOf({ fleet: () => Promise.reject(new Error('away')) }));
    expect(samples).toEqual([{ name: 'openstack_loadbalancer_up', labels: {}, value: 0 }]);
  });
});
