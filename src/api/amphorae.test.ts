import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Amphora } from '../lb/amphora.ts';
import type { AgentStatus } from '../wire/report.ts';
import { active, activeLoadBalancer, startApi, type TestApi } from './client.fixture.ts';

let api: TestApi;
let amphora: Amphora;
beforeAll(async () => {
  api = await startApi();
  amphora = {
    id: randomUUID(),
    loadBalancerId: await activeLoadBalancer(api),
    status: 'ALLOCATED',
    role: 'STANDALONE',
    computeId: randomUUID(),
    lbNetworkIp: '198.51.100.5',
    vrrpIp: '192.0.2.91',
    haIp: '192.0.2.90',
    vrrpPortId: randomUUID(),
    haPortId: randomUUID(),
    certExpiration: new Date('2026-03-04T22:16:05.123Z'),
    certBusy: false,
    vrrpInterface: 'eth1',
    vrrpId: 1,
    vrrpPriority: null,
    cachedZone: 'nova',
    imageId: randomUUID(),
    computeFlavor: '10',
    appliedGeneration: 1,
    outgoing: false,
    lastHeartbeatAt: null,
    createdAt: new Date(),
    updatedAt: null,
  };
  await api.store.amphorae.save(amphora);
});
afterAll(() => api.close());

const anAgent = (changes: Partial<AgentStatus>): AgentStatus => ({
  wire: 1,
  agentVersion: '1',
  haproxyVersion: '2.6.12',
  report: { amphoraId: amphora.id, generation: 1, listeners: {}, pools: {} },
  memory: { limitBytes: 1, usedBytes: 1, maxconn: 1, haproxy: [] },
  ...changes,
});

const path = '/v2/octavia/amphorae';
const columns =
  'id, loadbalancer_id, compute_id, lb_network_ip, vrrp_ip, ha_ip, vrrp_port_id, ha_port_id, cert_expiration, cert_busy, role, status, vrrp_interface, vrrp_id, vrrp_priority, cached_zone, created_at, updated_at, image_id, compute_flavor'.split(
    ', ',
  );

describe('An amphora', () => {
  it('is shown to operators', async () => {
    const shown = (await api.admin.get(`${path}/${amphora.id}`)).body.amphora;
    expect(Object.keys(shown).toSorted()).toEqual(columns.toSorted());
    expect(shown).toMatchObject({
      status: 'ALLOCATED',
      cert_expiration: '2026-03-04T22:16:05',
      compute_flavor: '10',
    });
    expect((await api.member.get(`${path}/${amphora.id}`)).status).toBe(403);
    expect((await api.member.get(`${path}/${randomUUID()}`)).status).toBe(404);
  });

  it('is found by its load balancer, its project and its status', async () => {
    const count = async (query: string) => (await api.admin.get(`${path}?${query}`)).body.amphorae.length;
    expect(await count(`loadbalancer_id=${amphora.loadBalancerId}`)).toBe(1);
    expect(await count(`project_id=${api.member.projectId}&status=ALLOCATED`)).toBe(1);
    expect(await count('status=BOOTING')).toBe(0);
    expect((await api.admin.get(`${path}?sort=project_id`)).status).toBe(400);
  });

  it('has statistics once it reported some', async () => {
    expect((await api.admin.get(`${path}/${amphora.id}/stats`)).status).toBe(404);
    const listenerId = await active(api, amphora.loadBalancerId, '/v2/lbaas/listeners', 'listener', {
      ...{ loadbalancer_id: amphora.loadBalancerId, protocol: 'HTTP', protocol_port: 80 },
    });
    await api.store.statistics.record(amphora.id, amphora.loadBalancerId, [
      { listenerId, activeConnections: 1, bytesIn: 2, bytesOut: 3, totalConnections: 4, requestErrors: 5 },
    ]);
    const counters = {
      active_connections: 1,
      bytes_in: 2,
      bytes_out: 3,
      total_connections: 4,
      request_errors: 5,
    };
    expect((await api.admin.get(`${path}/${amphora.id}/stats`)).body).toEqual({
      amphora_stats: [
        { id: amphora.id, listener_id: listenerId, loadbalancer_id: amphora.loadBalancerId, ...counters },
      ],
    });
    for (const owner of [`listeners/${listenerId}`, `loadbalancers/${amphora.loadBalancerId}`]) {
      expect((await api.member.get(`/v2/lbaas/${owner}/stats`)).body).toEqual({ stats: counters });
    }
  });

  describe('says of itself, to operators', () => {
    const livia = () => `/livia/v1/amphorae/${amphora.id}`;
    const miB = 1024 ** 2;

    it('what has become of its changes', async () => {
      const change = {
        generation: 3,
        at: '2026-01-02T03:04:05.678Z',
        change: 'reload',
        why: 'a timeout',
      } as const;
      const told = { ...change, durationMs: 210, refused: 0, warnings: [] };
      api.cloud.agents.set(amphora.id, anAgent({ changes: [told] }));
      const { durationMs, ...shown } = told;
      expect((await api.admin.get(`${livia()}/changes`)).body).toEqual({
        changes: [{ ...shown, duration_ms: durationMs }],
      });
      expect((await api.member.get(`${livia()}/changes`)).status).toBe(403);
    });

    it('each term of its memory budget, what is in use, and what a reload would cost', async () => {
      const terms = {
        workerBytes: 10 * miB,
        cacheBytes: 5 * miB,
        connectionBytes: 20_480,
        tcpBytes: 80 * miB,
      };
      const rest = { reservedBytes: 96 * miB, limitBytes: 1024 * miB, worstCaseBytes: 900 * miB };
      const bounds = { maxReloads: 2, hardStopAfterSeconds: 1800, maxconn: 8000 };
      api.cloud.agents.set(
        amphora.id,
        anAgent({
          memory: {
            ...{ limitBytes: 1024 * miB, usedBytes: 60 * miB, maxconn: 8000, haproxy: [], peakBytes: null },
            tcpLimitBytes: 80 * miB,
            budget: { ...terms, ...rest, ...bounds },
          },
        }),
      );
      const { memory } = (await api.admin.get(`${livia()}/memory`)).body;
      expect(memory).toMatchObject({
        budget: {
          max_reloads: 2,
          worker_bytes: 10 * miB,
          worst_case_bytes: 900 * miB,
          limit_bytes: 1024 * miB,
        },
        measured: {
          ...{ used_bytes: 60 * miB, peak_bytes: null, tcp_bytes: null },
          tcp_limit_bytes: 80 * miB,
        },
        next_reload: { cost_bytes: 15 * miB, used_then_bytes: 75 * miB },
      });
      expect((await api.member.get(`${livia()}/memory`)).status).toBe(403);
    });

    it('and to users, of their load balancer, what is done otherwise than they wished', async () => {
      const view = async () =>
        (await api.member.get(`/livia/v1/loadbalancers/${amphora.loadBalancerId}`)).body.warnings;
      const warnings = [{ id: randomUUID(), text: 'connection limit 900000 capped to 8000' }];
      api.cloud.agents.set(amphora.id, anAgent({ warnings }));
      expect(await view()).toEqual(warnings);
      api.cloud.agents.clear();
      expect(await view()).toEqual([{ id: amphora.id, text: expect.stringContaining('does not answer') }]);
    });

    it('nothing when its agent does not answer, or there is none yet', async () => {
      expect((await api.admin.get(`${livia()}/memory`)).status).toBe(503);
      const booting = { ...amphora, id: randomUUID(), status: 'BOOTING' as const, lbNetworkIp: null };
      await api.store.amphorae.save(booting);
      expect((await api.admin.get(`/livia/v1/amphorae/${booting.id}/memory`)).status).toBe(409);
      await api.store.amphorae.save({ ...booting, status: 'DELETED' });
    });
  });

  it('is given up by an operator when it is in ERROR', async () => {
    const lost = { ...amphora, id: randomUUID(), createdAt: new Date() };
    await api.store.amphorae.save(lost);
    const remove = (client: TestApi['admin']) => client.delete(`${path}/${lost.id}`);
    expect((await remove(api.member)).status).toBe(403);
    const alive = await remove(api.admin);
    expect([alive.status, alive.body.faultstring]).toMatchObject([409, /^Amphora .* is immutable/]);
    await api.store.amphorae.save({ ...lost, status: 'ERROR' });
    expect((await remove(api.admin)).status).toBe(204);
    expect((await api.admin.get(`${path}/${lost.id}`)).body.amphora.status).toBe('PENDING_DELETE');
    const claims = await api.store.work.claim('test', 10, 1000);
    expect(claims.map(({ key }) => key)).toContain(lost.loadBalancerId);
    expect((await remove(api.admin)).status).toBe(409);
    await api.store.amphorae.save({ ...lost, status: 'DELETED' });
    expect((await remove(api.admin)).status).toBe(404);
  });
});
