import { connect } from 'node:net';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeLog } from './log.ts';
import { gauge, inTime, type MetricsServer, type MetricsSource, serveMetrics } from './metrics.ts';

const log = makeLog('test', 'silent');

describe('The metrics of a process', () => {
  let server: MetricsServer;
  let broken = false;
  const counted = async function* () {
    yield 'one 1\n';
    if (broken) throw new Error('it is gone');
    yield 'two 2\n';
  };
  const others: MetricsSource = async function* () {
    yield 'three 3\n';
  };
  const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${server.port}${path}`, { method });

  beforeEach(async () => {
    broken = false;
    server = await serveMetrics({ host: '127.0.0.1', port: 0, sources: [counted, others], log });
  });
  afterEach(() => server.close());

  it('are told at /metrics, all sources one after the other', async () => {
    const answer = await ask('/metrics?from=somebody');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await answer.text()).toBe('one 1\ntwo 2\nthree 3\n');
  });

  it.each(['/', '/metrics/', '/v2/lbaas/loadbalancers', '/metrics2'])('are not at %s', async (path) => {
    expect((await ask(path)).status).toBe(404);
  });

  it.each(['POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS'])('take no %s', async (method) => {
    const answer = await ask('/metrics', method);
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET']);
  });

  it('that break off in the middle are no whole answer, and the next one is', async () => {
    broken = true;
    await expect(ask('/metrics').then((answer) => answer.text())).rejects.toThrow();
    broken = false;
    expect(await (await ask('/metrics')).text()).toContain('three 3');
  });

  it('let others have their turn, however long they are', async () => {
    let turns = 0;
    let telling = true;
    const long = async function* () {
      for (let line = 0; line < 500; line += 1) yield `line ${line}\n`;
      telling = false;
    };
    const other = await serveMetrics({ host: '127.0.0.1', port: 0, sources: [long], log });
    const answer = fetch(`http://127.0.0.1:${other.port}/metrics`);
    while (telling) {
      await new Promise((turn) => setImmediate(turn));
      turns += 1;
    }
    expect(await (await answer).text()).toContain('line 499');
    expect(turns).toBeGreaterThanOrEqual(500);
    await other.close();
  });

  it('outlive those who ask and go, or speak no HTTP', async () => {
    for (const said of ['GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n', 'nonsense\r\n\r\n']) {
      const socket = connect(server.port, '127.0.0.1', () => socket.write(said, () => socket.destroy()));
      await new Promise((closed) => socket.once('close', closed));
    }
    expect((await ask('/metrics')).status).toBe(200);
  });

  it('cannot be told where somebody else listens', async () => {
    const again = serveMetrics({ host: '127.0.0.1', port: server.port, sources: [], log });
    await expect(again).rejects.toThrow('EADDRINUSE');
  });
});

describe('What is asked at a scrape', () => {
  it('is asked once for all who want to know it, and again the next time', async () => {
    let times = 0;
    const ask = inTime(async () => (times += 1));
    expect(await Promise.all([ask(), ask()])).toEqual([1, 1]);
    expect(await ask()).toBe(2);
  });

  it('is not told when it fails or does not come', async () => {
    expect(await inTime(() => Promise.reject(new Error('no')))()).toBeUndefined();
    expect(await inTime(() => new Promise(() => {}), 1)()).toBeUndefined();
  });

  it('is told no more once nobody knows it', async () => {
    const registry = new Registry();
    let value: number | undefined = 4;
    gauge(registry, 'depth', 'How deep.', () => value);
    expect(await registry.metrics()).toContain('\ndepth 4\n');
    value = undefined;
    expect(await registry.metrics()).not.toContain('\ndepth ');
  });
});
