import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { active, activeLoadBalancer, startApi, type TestApi } from './client.fixture.ts';

let api: TestApi;
let poolId: string;
let path: string;

beforeAll(async () => {
  api = await startApi();
  const loadBalancerId = await activeLoadBalancer(api);
  poolId = await active(api, loadBalancerId, '/v2/lbaas/pools', 'pool', {
    loadbalancer_id: loadBalancerId,
    protocol: 'HTTP',
    lb_algorithm: 'ROUND_ROBIN',
    name: 'p',
  });
  path = `/v2/lbaas/pools/${poolId}/members`;
  const tags = [['red'], ['red', 'blue'], ['blue'], []];
  await api.member.put(path, {
    members: [1, 2, 3, 4].map((n) => ({
      name: `m${n}`,
      address: `192.0.2.${n}`,
      protocol_port: 8000 + n,
      weight: 10 - n,
      backup: n === 4,
      tags: tags[n - 1],
    })),
  });
  await api.settle(loadBalancerId);
});
afterAll(() => api.close());

const list = async (query = '') => (await api.member.get(`${path}${query}`)).body;
const names = async (query: string): Promise<string[]> =>
  (await list(query.includes('sort') || query.includes('marker') ? query : `${query}&sort=name`)).members.map(
    ({ name }: { name: string }) => name,
  );

describe('A list', () => {
  it('always says its links', async () => {
    expect(await list()).toMatchObject({ members_links: [] });
  });

  it('sorts by one or more keys, then by age', async () => {
    expect(await names('?sort=weight')).toEqual(['m4', 'm3', 'm2', 'm1']);
    expect(await names('?sort=backup:desc,name:asc')).toEqual(['m4', 'm1', 'm2', 'm3']);
    expect(await names('?sort_key=name&sort_dir=desc')).toEqual(['m4', 'm3', 'm2', 'm1']);
    expect(await names('?sort=name:desc&sort_key=weight')).toEqual(['m4', 'm3', 'm2', 'm1']);
  });

  it('comes in pages that lead to each other', async () => {
    const first = await list('?limit=3&sort=name');
    expect(first.members).toHaveLength(3);
    const [next] = first.members_links;
    expect(next.rel).toBe('next');
    const url = new URL(next.href);
    expect(url.pathname).toBe(path);
    expect(url.search).toBe(`?limit=3&sort=name&marker=${first.members[2].id}`);
    const second = (await api.member.get(`${url.pathname}${url.search}`)).body;
    expect(second.members.map(({ name }: { name: string }) => name)).toEqual(['m4']);
    expect(second.members_links.map(({ rel }: { rel: string }) => rel)).toEqual(['previous']);
    const back = new URL(second.members_links[0].href);
    expect(back.searchParams.get('page_reverse')).toBe('True');
    expect(await names(back.search)).toEqual(['m1', 'm2', 'm3']);
  });

  it('keeps the mount point in its links, and has no limit when asked so', async () => {
    const reply = await api.member.get(`/load-balancer/v2.0/lbaas/pools?limit=1`, { host: 'lb.example' });
    expect(reply.body.pools_links[0].href).toMatch(
      /^http:\/\/lb\.example\/load-balancer\/v2\.0\/lbaas\/pools\?limit=1/,
    );
    for (const limit of ['0', '-1', 'infinite']) {
      const all = await list(`?limit=${limit}`);
      expect(all.members).toHaveLength(4);
      expect(all.members_links[0].href).toContain('limit=None');
    }
  });

  it('filters by any stored attribute', async () => {
    expect(await names('?weight=8')).toEqual(['m2']);
    expect(await names('?backup=TRUE')).toEqual(['m4']);
    expect(await names('?backup=no')).toEqual(['m1', 'm2', 'm3']);
    expect(await names('?address=192.0.2.3&protocol_port=8003')).toEqual(['m3']);
    expect(await names('?id=nonsense')).toEqual([]);
    expect(await names('?weight=heavy')).toEqual([]);
    expect(await names('?name=%00')).toEqual([]);
    expect(await names('?provisioning_status=ACTIVE&name=m1')).toEqual(['m1']);
  });

  it('filters by tags', async () => {
    expect(await names('?tags=red,blue')).toEqual(['m2']);
    expect(await names('?tags-any=red&tags-any=blue')).toEqual(['m1', 'm2', 'm3']);
    expect(await names('?not-tags=red,blue')).toEqual(['m1', 'm3', 'm4']);
    expect(await names('?not-tags-any=red,blue')).toEqual(['m4']);
  });

  it('shows the wanted fields', async () => {
    expect((await list('?fields=name&fields=weight&name=m1')).members).toEqual([{ name: 'm1', weight: 9 }]);
    expect((await list('?fields=nonsense&name=m1')).members).toEqual([{}]);
    const pool = `/v2/lbaas/pools/${poolId}`;
    expect((await api.member.get(`${pool}?fields=name`)).body.pool).toEqual({ name: 'p' });
    expect((await api.member.get(`${pool}?fields=tenant_id`)).body.pool).toEqual({});
    expect(Object.keys((await api.member.get(`${pool}?fields=project_id`)).body.pool)).toEqual([
      'project_id',
    ]);
    expect((await api.member.get(`${pool}?colour=red`)).status).toBe(200);
  });

  it.each([
    ['?limit=many', 'many'],
    ['?sort=colour', 'colour'],
    ['?sort=name:up', 'up'],
    ['?sort=name:asc:desc', 'name:asc:desc'],
    ['?marker=00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000001'],
    ['?marker=nonsense', 'nonsense'],
    ['?colour=red', 'invalid or duplicate'],
    ['?name=a&name=b', 'invalid or duplicate'],
  ])('is a 400 for %s', async (query, text) => {
    const reply = await api.member.get(`${path}${query}`);
    expect(reply.status).toBe(400);
    expect(reply.body.faultstring ?? reply.body.description).toContain(text);
  });
});
