import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseMetrics } from '../../test/prometheus.ts';
import { aListener, aMember, aPool, aWanted, id } from '../plan/haproxy/wanted.fixture.ts';
import {
  AgentUnderTest,
  eventually,
  freePort,
  get,
  textOf,
  testMember,
  type TestMember,
} from './agent.fixture.ts';
import { ask } from './haproxy/socket.ts';
import { translated } from './metrics.ts';
import { parseServers } from './haproxy/servers.ts';

describe('a metric of HAProxy', () => {
  it.each([
    [
      'haproxy_frontend_status{proxy="l1",state="UP"} 1',
      'octavia_listener_status{listener="l1",state="UP"} 1',
    ],
    ['haproxy_backend_bytes_in_total{proxy="p1:l1"} 7', 'octavia_pool_bytes_in_total{pool="p1:l1"} 7'],
    [
      'haproxy_server_current_sessions{proxy="p1:l1",server="m1"} 2',
      'octavia_member_current_sessions{pool="p1:l1",member="m1"} 2',
    ],
    [
      'haproxy_server_status{proxy="p1:l1",server="m1:backup",state="UP"} 1',
      'octavia_member_status{pool="p1:l1",member="m1",state="UP"} 1',
    ],
    ['haproxy_process_requests_total 5', 'octavia_loadbalancer_requests_total 5'],
    ['haproxy_process_pool_used_bytes 5', 'octavia_memory_pool_used_bytes 5'],
    ['# TYPE haproxy_server_weight gauge', '# TYPE octavia_member_weight gauge'],
  ])('%s has the name that Octavia gives it', (own, wanted) => {
    expect(translated(own, () => false)).toBe(wanted);
  });

  it.each([
    'haproxy_process_nbthread 2',
    'haproxy_frontend_status{proxy="prometheus-exporter",state="UP"} 1',
    'haproxy_server_status{proxy="prometheus-metrics",server="agent",state="UP"} 1',
    'haproxy_server_status{proxy="p1:l1",server="m2",state="MAINT"} 1',
    '',
  ])('%s is not told', (line) => {
    expect(translated(line, (_, server) => server === 'm2')).toBeUndefined();
  });
});

describe('a PROMETHEUS listener', () => {
  let agent: AgentUnderTest;
  let member: TestMember;
  beforeEach(async () => {
    [agent, member] = [await AgentUnderTest.start(), await testMember('one')];
  });
  afterEach(async () => {
    await agent.remove();
    member.close();
  });

  it('counts what clients have asked by the ids of listener, pool and member, and is itself in no statistics', async () => {
    const [port, metricsPort] = [await freePort(), await freePort()];
    const members = [aMember(1, { address: '127.0.0.1', port: member.port })];
    await agent.put(
      aWanted({
        listeners: [
          aListener(1, { port, defaultPoolId: id('p', 1), connectionLimit: 100 }),
          aListener(2, { port: metricsPort, protocol: 'PROMETHEUS', connectionLimit: 100 }),
        ],
        pools: [aPool(1, { members })],
      }),
    );
    for (let n = 0; n < 3; n += 1) expect(await get(port)).toBe('one');
    expect(await get(metricsPort, '/other')).toBe('404');
    const text = await get(metricsPort, '/metrics');
    const pool = `${id('p', 1)}:${id('l', 1)}`;
    expect(text).toContain(`octavia_listener_http_requests_total{listener="${id('l', 1)}"} 3\n`);
    expect(text).toContain(`octavia_pool_http_requests_total{pool="${pool}"} 3\n`);
    expect(text).toContain(`octavia_member_sessions_total{pool="${pool}",member="${id('m', 1)}"} 3\n`);
    expect(text).toMatch(/^octavia_loadbalancer_memory \d+\.\d$/m);
    expect(text).toMatch(/^octavia_loadbalancer_cpu \d+\.\d$/m);
    expect(text.split('\n').filter((line) => /haproxy_|prometheus-/.test(line))).toEqual([]);
    const { report } = await agent.status();
    expect(Object.keys(report.listeners).toSorted()).toEqual([id('l', 1), id('l', 2)].toSorted());
    expect(Object.keys(report.pools)).toEqual([id('p', 1)]);
  });

  it('tells of a member once while its former server serves its last, also when the agent was killed', async () => {
    const [port, metricsPort] = [await freePort(), await freePort()];
    const wanted = (generation: number, backup: boolean) =>
      aWanted({
        generation,
        listeners: [
          aListener(1, { port, defaultPoolId: id('p', 1), connectionLimit: 100 }),
          aListener(2, { port: metricsPort, protocol: 'PROMETHEUS', connectionLimit: 100 }),
        ],
        pools: [aPool(1, { members: [aMember(1, { address: '127.0.0.1', port: member.port, backup })] })],
      });
    await agent.put(wanted(1, false));
    const asked = request({ host: '127.0.0.1', port, path: '/slow', agent: false }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    expect(await agent.put(wanted(2, true))).toMatchObject({ change: 'runtime' });
    const told = async () => (await get(metricsPort, '/metrics')).match(/^octavia_member_weight\{.*/gm);
    const pool = `${id('p', 1)}:${id('l', 1)}`;
    const servers = async () =>
      parseServers(await ask(join(agent.run, 'haproxy/stats.sock'), `show servers state ${pool}`));
    expect(await told()).toHaveLength(1);
    await agent.kill();
    await agent.spawn();
    expect(await servers()).toHaveLength(2);
    expect(await told()).toHaveLength(1);
    member.finish();
    expect(await textOf(answer)).toBe('begun, ended');
    await eventually(async () => ((await servers()).length === 1 ? true : undefined));
    // Its name is free again.
    expect(await agent.put(wanted(3, false))).toMatchObject({ change: 'runtime' });
  });

  it('tells text that Prometheus takes', async () => {
    const port = await freePort();
    await agent.put(
      aWanted({ listeners: [aListener(1, { port, protocol: 'PROMETHEUS', connectionLimit: 100 })] }),
    );
    const names = parseMetrics(await get(port, '/metrics')).map(({ name }) => name);
    expect(new Set(names).size).toBeGreaterThan(50);
  });
});
