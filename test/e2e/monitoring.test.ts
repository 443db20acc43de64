import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { externalSubnet } from './https-load-balancer.ts';
import { webMember, type WebMember } from './members.ts';
import { curl, discard, eventually, makeService } from './service.ts';
import { parseMetrics, valueOf } from '../prometheus.ts';

const service = makeService(21_180);
let member: WebMember;
let subnet: { id: string; gateway: string };

const flowLog = join(service.stateDir, 'flows.log');

beforeAll(async () => {
  writeFileSync(join(service.stateDir, 'livia.toml'), `[flow_logs]\nfile = ${JSON.stringify(flowLog)}\n`);
  await service.start();
  subnet = await externalSubnet(service);
  member = await webMember('here', subnet.gateway);
});
afterAll(async () => {
  await member?.close();
  await discard(service);
});

it('a health monitor of type PING finds out who answers, and only they get requests', async () => {
  const { loadbalancer } = await service.call('POST', '/v2/lbaas/loadbalancers', {
    loadbalancer: {
      vip_subnet_id: subnet.id,
      listeners: [
        {
          ...{ protocol: 'HTTP', protocol_port: 80 },
          default_pool: {
            ...{ name: 'pool', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
            healthmonitor: { type: 'PING', delay: 1, timeout: 2, max_retries: 1, max_retries_down: 1 },
            members: [
              { name: 'here', address: member.address, protocol_port: member.port },
              // Of the documentation's networks: nobody is there.
              { name: 'nowhere', address: '192.0.2.1', protocol_port: 80 },
            ],
          },
        },
      ],
    },
  });
  const { vip_address: vip } = await service.active(loadbalancer.id);
  const poolId: string = loadbalancer.pools[0].id;
  await eventually('the checks have told them apart', async () => {
    const { members } = await service.call('GET', `/v2/lbaas/pools/${poolId}/members`);
    const states = Object.fromEntries(
      members.map((row: Record<string, string>) => [row['name'], row['operating_status']]),
    );
    return states['here'] === 'ONLINE' && states['nowhere'] === 'ERROR' ? true : undefined;
  });
  const { pool } = await service.call('GET', `/v2/lbaas/pools/${poolId}`);
  expect(pool.operating_status).toBe('DEGRADED');
  for (let n = 0; n < 4; n += 1) expect(await curl(`http://${vip}/`)).toBe('here');
});

it('every request and every connection is a line of the flow log, in the format of Octavia', async () => {
  const { loadbalancer } = await service.call('POST', '/v2/lbaas/loadbalancers', {
    loadbalancer: {
      vip_subnet_id: subnet.id,
      listeners: ['HTTP', 'TCP'].map((protocol, n) => ({
        ...{ protocol, protocol_port: 80 + n },
        default_pool: {
          ...{ name: `pool ${protocol}`, protocol, lb_algorithm: 'ROUND_ROBIN' },
          members: [{ address: member.address, protocol_port: member.port }],
        },
      })),
    },
  });
  const { vip_address: vip, project_id: project, id } = await service.active(loadbalancer.id);
  expect(await curl(`http://${vip}/some%20path`)).toBe('here');
  expect(await curl(`http://${vip}:81/`)).toBe('here');
  const lines = await eventually('both are written down', async () => {
    const all = existsSync(flowLog) ? readFileSync(flowLog, 'utf8').trim().split('\n') : [];
    const ours = all.filter((line) => line.includes(id));
    return ours.length >= 2 ? ours : undefined;
  });
  const rest = (n: number): string => (lines[n] ?? '').replace(/^.*?haproxy\[\d+\]: /, '');
  const [http = '', tcp = ''] = loadbalancer.listeners.map((listener: { id: string }) => listener.id);
  const when = String.raw`\d+ \d\d/\w+/\d{4}:[0-9:.]+`;
  expect(rest(0)).toMatch(
    new RegExp(
      `^${project} ${id} ${http} [0-9.]+ ${when} "GET /some%20path HTTP/1.1" 200 \\d+ \\d+ - "" \\S+:${http} \\S+ \\d+ `,
    ),
  );
  expect(rest(1)).toMatch(
    new RegExp(`^${project} ${id} ${tcp} [0-9.]+ ${when} - - \\d+ \\d+ - "" \\S+:${tcp} \\S+ \\d+ `),
  );
});

/** One connection on which all of `sent` goes out; everything that came back until it was closed. */
const exchange = (host: string, port: number, sent: string): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ host, port }, () => socket.write(sent));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', reject).on('close', () => resolve(Buffer.concat(chunks)));
  });

it('the statistics count every flow, TCP byte for byte and HTTP as HAProxy counts it, over reloads too', async () => {
  const { loadbalancer } = await service.call('POST', '/v2/lbaas/loadbalancers', {
    loadbalancer: {
      vip_subnet_id: subnet.id,
      listeners: ['HTTP', 'TCP'].map((protocol, n) => ({
        ...{ protocol, protocol_port: 80 + n },
        default_pool: {
          ...{ name: `pool ${protocol}`, protocol, lb_algorithm: 'ROUND_ROBIN' },
          members: [{ address: member.address, protocol_port: member.port }],
        },
      })),
    },
  });
  const { vip_address: vip, id } = await service.active(loadbalancer.id);
  const [http, tcp] = loadbalancer.listeners;
  const request = 'GET /counted HTTP/1.1\r\nHost: counted\r\nConnection: close\r\n\r\n';
  const statsOf = async (of: string): Promise<Record<string, number>> =>
    (await service.call('GET', `/v2/lbaas/${of}/stats`)).stats;
  const [flows, rounds] = [5, 3];
  let [answered, ofOneRound]: [number, Record<string, number>] = [0, {}];
  for (let round = 1; round <= rounds; round += 1) {
    for (let flow = 0; flow < flows; flow += 1) {
      await exchange(vip, 80, request);
      answered += (await exchange(vip, 81, request)).length;
    }
    expect((await exchange(vip, 80, 'no request\r\n\r\n')).toString()).toContain('400 Bad request');
    const all = await eventually('all is counted', async () => {
      const stats = await statsOf(`loadbalancers/${id}`);
      return stats['total_connections'] === round * (2 * flows + 1) ? stats : undefined;
    });
    const [ofHttp, ofTcp] = [await statsOf(`listeners/${http.id}`), await statsOf(`listeners/${tcp.id}`)];
    expect(ofTcp).toEqual({
      ...{ bytes_in: round * flows * request.length, bytes_out: answered },
      ...{ total_connections: round * flows, active_connections: 0, request_errors: 0 },
    });
    expect(ofHttp).toMatchObject({ total_connections: round * (flows + 1), request_errors: round });
    if (round === 1) ofOneRound = ofHttp;
    // HAProxy counts the parts of a request and not its blanks; but the same for the same request, and nothing twice.
    for (const key of ['bytes_in', 'bytes_out']) expect(ofHttp[key]).toBe(round * (ofOneRound[key] ?? NaN));
    for (const [key, value] of Object.entries(all))
      expect(value).toBe((ofHttp[key] ?? 0) + (ofTcp[key] ?? 0));
    // A client timeout is configuration in HAProxy: this forces a reload.
    await service.call('PUT', `/v2/lbaas/listeners/${http.id}`, {
      listener: { timeout_client_data: 50_000 + round },
    });
    await service.active(id);
  }
});

it('the control plane tells Prometheus of all load balancers and of its own work', async () => {
  const metrics = `http://127.0.0.1:${service.portBase + 3}/metrics`;
  const told = async () => parseMetrics(await (await fetch(metrics)).text());
  const before = await told();
  const { loadbalancer } = await service.call('POST', '/v2/lbaas/loadbalancers', {
    loadbalancer: {
      ...{ name: 'watched "one"', vip_subnet_id: subnet.id },
      listeners: [
        {
          ...{ protocol: 'TCP', protocol_port: 80 },
          default_pool: {
            ...{ name: 'pool', protocol: 'TCP', lb_algorithm: 'ROUND_ROBIN' },
            members: [{ address: member.address, protocol_port: member.port }],
          },
        },
      ],
    },
  });
  const { vip_address: vip, project_id: project, id } = await service.active(loadbalancer.id);
  const request = 'GET /counted HTTP/1.1\r\nHost: counted\r\nConnection: close\r\n\r\n';
  for (let flow = 0; flow < 3; flow += 1) await exchange(vip, 80, request);
  const [listener] = loadbalancer.listeners;
  const labels = { project_id: project, loadbalancer_id: id, listener: listener.id };
  const after = await eventually('all is counted', async () => {
    const samples = await told();
    return valueOf(samples, 'octavia_listener_sessions_total', labels) === 3 ? samples : undefined;
  });
  expect(valueOf(after, 'octavia_listener_bytes_in_total', labels)).toBe(3 * request.length);
  const status = 'openstack_loadbalancer_loadbalancer_status';
  expect(after.find(({ name, labels: of }) => name === status && of['id'] === id)).toMatchObject({
    labels: {
      name: 'watched "one"',
      vip_address: vip,
      provisioning_status: 'ACTIVE',
      operating_status: 'ONLINE',
    },
    value: 0,
  });
  expect(valueOf(after, 'openstack_loadbalancer_amphora_status', { loadbalancer_id: id })).toBe(1);
  // An exporter that makes the same out of the API's answers finds there what it needs.
  const { loadbalancers } = await service.call('GET', '/v2.0/lbaas/loadbalancers');
  const { amphorae } = await service.call('GET', '/v2.0/octavia/amphorae');
  const { pools } = await service.call('GET', '/v2.0/lbaas/pools');
  const labelsOf = (kind: string, of: string) =>
    after.find(
      (sample) => sample.name === `openstack_loadbalancer_${kind}_status` && sample.labels['id'] === of,
    )?.labels;
  const asLabels = (row: Record<string, unknown>, keys: string): Record<string, unknown> =>
    Object.fromEntries(keys.split(' ').map((key) => [key, row[key] ?? '']));
  const [lb] = loadbalancers.filter((row: { id: string }) => row.id === id);
  const [amphora] = amphorae.filter((row: { loadbalancer_id: string }) => row.loadbalancer_id === id);
  const [pool] = pools.filter((row: { loadbalancers: { id: string }[] }) => row.loadbalancers[0]?.id === id);
  expect(labelsOf('loadbalancer', id)).toEqual(
    asLabels(lb, 'id name project_id operating_status provisioning_status provider vip_address'),
  );
  expect(labelsOf('amphora', amphora.id)).toEqual({
    ...asLabels(amphora, 'id loadbalancer_id compute_id status role lb_network_ip ha_ip'),
    cert_expiration: `${amphora.cert_expiration}Z`,
  });
  expect(labelsOf('pool', pool.id)).toEqual({
    ...asLabels(pool, 'id provisioning_status name protocol lb_algorithm operating_status project_id'),
    loadbalancers: id,
  });
  expect(valueOf(after, 'openstack_loadbalancer_total_loadbalancers')).toBe(loadbalancers.length);
  expect(valueOf(after, 'openstack_loadbalancer_total_amphorae')).toBe(amphorae.length);
  expect(valueOf(after, 'openstack_loadbalancer_total_pools')).toBe(pools.length);

  const more = (name: string, of: Record<string, string> = {}): number =>
    (valueOf(after, name, of) ?? 0) - (valueOf(before, name, of) ?? 0);
  const route = '/v2/lbaas/loadbalancers';
  expect(more('livia_api_requests_total', { method: 'POST', route, status: '201' })).toBe(1);
  expect(more('livia_step_seconds_count', { step: 'boot-server', outcome: 'done' })).toBe(1);
  expect(more('livia_amphora_change_seconds_count', { change: 'start' })).toBe(1);
  expect(more('livia_heartbeats_total', { outcome: 'recorded' })).toBeGreaterThan(0);
  expect(valueOf(after, 'livia_amphorae_silent')).toBe(0);
  expect(valueOf(after, 'livia_database_up')).toBe(1);
  expect(valueOf(after, 'process_resident_memory_bytes')).toBeGreaterThan(0);

  expect((await fetch(metrics, { method: 'POST' })).status).toBe(405);
  expect((await fetch(`${metrics}/more`)).status).toBe(404);
  expect((await service.request('GET', '/metrics')).status).toBe(404);
});
