import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { active, activeLoadBalancer, startApi, type TestApi } from './client.fixture.ts';

let api: TestApi;
let loadBalancerId: string;
beforeAll(async () => {
  api = await startApi();
  loadBalancerId = await activeLoadBalancer(api);
});
afterAll(() => api.close());

const auth = () => ({ 'x-auth-token': api.member.token });

describe('Discovery', () => {
  it('needs no token at the root and under the mount point, and names the current version', async () => {
    const root = await api.send('GET', '/', { host: 'lb.example:9876' });
    expect(root.status).toBe(200);
    expect(root.body.versions).toHaveLength(31);
    expect(root.body.versions[0].id).toBe('v2.0');
    expect(root.body.versions.filter((version: { status: string }) => version.status === 'CURRENT')).toEqual([
      {
        id: 'v2.30',
        status: 'CURRENT',
        updated: '2025-02-26T00:00:00Z',
        links: [{ href: 'http://lb.example:9876/v2', rel: 'self' }],
      },
    ]);
    const mounted = await api.send('GET', '/load-balancer/', { host: 'lb.example' });
    expect(mounted.body.versions[0].links[0].href).toBe('http://lb.example/load-balancer/v2');
  });

  it('speaks of itself as the deployment wants it', async () => {
    const outside = await startApi({ config: { apiBaseUri: 'https://lb.example.org/balancers/' } });
    try {
      const reply = await outside.send('GET', '/load-balancer/', { host: 'inside' });
      expect(reply.body.versions[0].links[0].href).toBe('https://lb.example.org/balancers/v2');
    } finally {
      await outside.close();
    }
  });

  it('believes a proxy in front of it where it is told to', async () => {
    const headers = {
      host: 'inside:9876',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'lb.example.org',
      'x-forwarded-prefix': '/balancers/',
      'x-forwarded-port': '8443',
    };
    const link = async (of: TestApi): Promise<string> =>
      (await of.send('GET', '/', headers)).body.versions[0].links[0].href;
    expect(await link(api)).toBe('http://inside:9876/v2');
    const behind = await startApi({ config: { trustProxy: true } });
    try {
      expect(await link(behind)).toBe('https://lb.example.org:8443/balancers/v2');
    } finally {
      await behind.close();
    }
  });

  it('has four roots behind the token', async () => {
    for (const path of ['/v2', '/v2.0', '/v2/lbaas', '/v2/octavia', '/load-balancer/v2.0']) {
      expect((await api.send('GET', path)).status).toBe(401);
      expect((await api.member.get(path)).body).toBe('v2');
    }
  });

  it('finds the same under every spelling of a path', async () => {
    for (const path of [
      '/v2/lbaas/loadbalancers',
      '/v2.0/lbaas/loadbalancers',
      '/v2/loadbalancers/',
      '/load-balancer/v2.0/lbaas/loadbalancers.json',
    ]) {
      expect((await api.member.get(`${path}?name=lb1`)).body.loadbalancers).toHaveLength(1);
    }
  });
});

describe('A request without a good token', () => {
  it('is a 401 that says where tokens come from, even for unknown paths', async () => {
    for (const headers of [{}, { 'x-auth-token': 'stale' }, { 'x-auth-token': '' }] as Record<
      string,
      string
    >[]) {
      for (const path of ['/v2/lbaas/loadbalancers', '/nowhere']) {
        const reply = await api.send('GET', path, headers);
        expect(reply.status).toBe(401);
        expect(reply.headers['www-authenticate']).toBe('Keystone uri="http://keystone.example/v3"');
        expect(reply.body.error).toMatchObject({ code: 401, title: 'Unauthorized' });
      }
    }
  });

  it('cannot speak for itself by headers', async () => {
    const headers = { 'x-roles': 'admin', 'x-project-id': api.member.projectId, 'x-user-id': 'me' };
    expect((await api.send('GET', '/v2/lbaas/loadbalancers', headers)).status).toBe(401);
  });
});

describe('The routing', () => {
  it.each([
    ['GET', '/v2/lbaas/nothing', 404],
    ['PATCH', '/v2/lbaas/loadbalancers', 405],
    ['HEAD', '/v2/lbaas/loadbalancers', 405],
    ['DELETE', '/v2/lbaas/pools', 405],
    ['GET', '/v2/lbaas/loadbalancers/%zz', 400],
  ])('answers %s %s with %d and its own body', async (method, path, status) => {
    const reply = await api.send(method, path, auth());
    expect(reply.status).toBe(status);
    if (method !== 'HEAD') expect(reply.body).toMatchObject({ code: status, title: expect.any(String) });
  });

  it('gives JSON to all who can take it', async () => {
    const path = '/v2/lbaas/providers';
    for (const accept of ['', 'application/json', '*/*', 'text/html, application/*;q=0.1', 'nonsense']) {
      expect((await api.member.get(path, { accept })).status).toBe(200);
    }
    const reply = await api.member.get(path, { accept: 'text/xml' });
    expect(reply.status).toBe(406);
    expect(reply.body.title).toBe('Not Acceptable');
  });

  it('names every answer', async () => {
    const reply = await api.member.get('/v2/lbaas/nothing', {
      'x-openstack-request-id': `req-${randomUUID()}`,
    });
    expect(reply.headers['x-openstack-request-id']).toMatch(/^req-[0-9a-f-]{36}$/);
  });
});

describe('A body', () => {
  const post = (body: string | Buffer | undefined, type = 'application/json') =>
    api.send('POST', '/v2/lbaas/listeners', { ...auth(), 'content-type': type }, body);

  it.each([
    ['{', 'JSON'],
    ['', 'listener_'],
    ['[]', 'JSON'],
    ['{}', "field/attribute listener. Value: 'None'"],
    ['{"listener": null}', 'listener'],
    ['{"listener": 7}', 'listener'],
    ['{"listener": []}', 'listener'],
    ['{"listener": {}, "x": 1}', 'Unknown attribute for argument listener_: x'],
    ['{"listener": {"__proto__": 1}}', 'Unknown attribute for argument listener_.listener: __proto__'],
    ['{"listener": {"constructor": 1}}', 'Unknown attribute'],
    ['{"listener": {}}', 'Mandatory field missing'],
    [Buffer.from([0x22, 0xff, 0x22]), 'JSON'],
  ])('%s is a 400', async (body, text) => {
    const reply = await post(body);
    expect(reply.status).toBe(400);
    expect(reply.body.faultstring).toContain(text);
  });

  it('may be called JavaScript, a form counts as missing, and anything else is a 415', async () => {
    expect((await post('{}', 'application/javascript; charset=utf-8')).status).toBe(400);
    expect((await post('a=b', 'application/x-www-form-urlencoded')).body.faultstring).toContain(
      'Missing argument',
    );
    const reply = await post('<a/>', 'text/xml');
    expect(reply.status).toBe(415);
    expect(reply.body.title).toBe('Unsupported Media Type');
  });

  it('is too large beyond 114,688 bytes', async () => {
    expect((await post(' '.repeat(114_688))).status).toBe(400);
    expect((await post(' '.repeat(114_689))).status).toBe(413);
  });

  it('is never the reason of a 5xx', async () => {
    const values: unknown[] = [null, true, -1, 1e300, 1.5, '', '\u0000', '\ud800', [], [[]], {}, { a: {} }];
    const keys = [
      'name',
      'loadbalancer_id',
      'protocol',
      'protocol_port',
      'connection_limit',
      'insert_headers',
      'allowed_cidrs',
      'sni_container_refs',
      'tls_versions',
      'default_pool',
      'l7policies',
      'tags',
    ];
    const good = { loadbalancer_id: loadBalancerId, protocol: 'HTTP', protocol_port: 8080 };
    for (const key of keys) {
      for (const value of values) {
        const reply = await api.member.post('/v2/lbaas/listeners', { listener: { ...good, [key]: value } });
        expect(reply.status, JSON.stringify({ [key]: value, fault: reply.body })).toBeLessThan(500);
        await api.settle(loadBalancerId);
        if (reply.status === 201) {
          await api.member.delete(`/v2/lbaas/listeners/${reply.body.listener.id}`);
          await api.settle(loadBalancerId);
        }
      }
    }
  });

  it('keeps any Unicode', async () => {
    const name = 'Löwe 🦁 שלום';
    const id = await active(api, loadBalancerId, '/v2/lbaas/pools', 'pool', {
      loadbalancer_id: loadBalancerId,
      protocol: 'TCP',
      lb_algorithm: 'SOURCE_IP',
      name,
    });
    expect((await api.member.get(`/v2/lbaas/pools/${id}`)).body.pool.name).toBe(name);
    const found = await api.member.get(`/v2/lbaas/pools?name=${encodeURIComponent(name)}`);
    expect(found.body.pools).toHaveLength(1);
  });
});

describe('Who may do what', () => {
  const path = '/v2/lbaas/loadbalancers';
  const one = () => `${path}/${loadBalancerId}`;

  it('is decided by role and project', async () => {
    const reader = api.client(['reader'], api.member.projectId);
    const observer = api.client(['load-balancer_observer'], api.member.projectId);
    const stranger = api.client(['member']);
    const auditor = api.client(['load-balancer_global_observer']);
    const roleless = api.client(['heat_stack_owner'], api.member.projectId);
    const statuses = async (client: typeof reader) =>
      Promise.all([
        client.get(one()).then(({ status }) => status),
        client.put(one(), { loadbalancer: { colour: 'red' } }).then(({ status }) => status),
        client.delete(`${path}/${loadBalancerId}`).then(({ status }) => status),
        client.get('/v2/octavia/amphorae').then(({ status }) => status),
      ]);
    expect(await statuses(reader)).toEqual([200, 400, 403, 403]);
    expect(await statuses(observer)).toEqual([200, 400, 403, 403]);
    expect(await statuses(stranger)).toEqual([403, 400, 403, 403]);
    expect(await statuses(auditor)).toEqual([200, 400, 403, 403]);
    expect(await statuses(roleless)).toEqual([403, 400, 403, 403]);
    const reply = await stranger.get(one());
    expect(reply.body.faultstring).toMatch(/policy/i);
    expect((await api.admin.get(one())).status).toBe(200);
    expect((await api.admin.get('/v2/octavia/amphorae')).status).toBe(200);
  });

  it('lets only an admin make objects for other projects', async () => {
    const subnet = api.cloud.addSubnet('192.0.2.0/24');
    const values = { vip_subnet_id: subnet.id, project_id: 'other' };
    expect((await api.member.post(path, { loadbalancer: values })).status).toBe(403);
    const made = await api.admin.post(path, { loadbalancer: values });
    expect(made.body.loadbalancer).toMatchObject({ project_id: 'other', tenant_id: 'other' });
  });

  it('limits lists to the own project, and lets global readers see all', async () => {
    const ids = (reply: { body: any }): string[] =>
      reply.body.loadbalancers.map(({ id }: { id: string }) => id);
    const stranger = api.client(['member']);
    expect(ids(await stranger.get(path))).toEqual([]);
    expect(ids(await api.admin.get(path))).toContain(loadBalancerId);
    expect(ids(await api.admin.get(`${path}?project_id=${api.member.projectId}`))).toEqual([loadBalancerId]);
    expect((await stranger.get(`${path}?project_id=${api.member.projectId}`)).status).toBe(403);
    expect((await api.admin.get(`${path}?tenant_id=${api.member.projectId}`)).status).toBe(400);
  });
});
