import { randomUUID } from 'node:crypto';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseMetrics, valueOf } from '../../test/prometheus.ts';
import { startApi, type TestApi } from './client.fixture.ts';

const registry = new Registry();
let api: TestApi;
beforeAll(async () => {
  api = await startApi({ registry });
});
afterAll(() => api.close());

it('requests are counted and timed by what was asked for, not by whose id or by what does not exist', async () => {
  for (let n = 0; n < 3; n += 1) await api.member.get(`/v2.0/lbaas/loadbalancers/${randomUUID()}`);
  await api.member.get('/v2/lbaas/loadbalancers?limit=1');
  await api.member.post('/v2/lbaas/loadbalancers', { loadbalancer: {} });
  await api.member.delete('/v2/lbaas/loadbalancers');
  await api.send('GET', '/v2/lbaas/pools');
  for (const path of ['/etc/passwd', '/v3', '/v2/lbaas/nothing']) await api.member.get(path);

  const samples = parseMetrics(await registry.metrics());
  const requests = Object.fromEntries(
    samples
      .filter(({ name }) => name === 'livia_api_requests_total')
      .map(({ labels: { method, route, status }, value }) => [`${method} ${route} ${status}`, value]),
  );
  expect(requests).toEqual({
    'GET /v2/lbaas/loadbalancers/:id 404': 3,
    'GET /v2/lbaas/loadbalancers 200': 1,
    'POST /v2/lbaas/loadbalancers 400': 1,
    'DELETE /v2/lbaas/loadbalancers 405': 1,
    'GET /v2/lbaas/pools 401': 1,
    'GET unknown 404': 3,
  });
  const shown = { method: 'GET', route: '/v2/lbaas/loadbalancers/:id' };
  expect(valueOf(samples, 'livia_api_request_seconds_count', shown)).toBe(3);
  expect(valueOf(samples, 'livia_api_request_seconds_sum', shown)).toBeGreaterThan(0);
});
