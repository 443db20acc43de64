import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Client, Reply } from '../../src/api/client.fixture.ts';
import { setStage, type Stage } from './stage.ts';

/** Of several things wrong with a request, which one is told; and of several requests at once, which one is carried out. */

let stage: Stage;
let stranger: Client;
beforeAll(async () => {
  stage = await setStage();
  stranger = stage.api.client(['member', 'reader']);
});
afterAll(() => stage.close());

const path = (text: string): string => `/v2/lbaas${stage.told(text)}`;
const said = ({ status, body }: Reply): string =>
  `${status} ${body.faultstring ?? body.description ?? body.error?.message ?? ''}`;
const unknown = '00000000-0000-4000-8000-00000000000e';

describe('Of several mistakes', () => {
  it('a missing token is told before a path that does not exist', async () => {
    expect((await stage.api.send('GET', '/v2/lbaas/nonsense')).status).toBe(401);
  });

  it('an unknown pool or policy in the path comes before what is wrong with the body or the query', async () => {
    for (const place of [`/pools/${unknown}/members`, `/l7policies/${unknown}/rules`]) {
      for (const reply of [
        await stage.member.post(path(place), { nonsense: 1 }),
        await stage.member.get(path(`${place}?limit=many`)),
        await stranger.post(path(place), { nonsense: 1 }),
      ]) {
        expect([reply.status, reply.body.title]).toEqual([404, 'Bad Request']);
      }
    }
  });

  it('what is no legal body comes before what is not there', async () => {
    for (const place of ['/loadbalancers', '/listeners', '/pools', '/healthmonitors', '/l7policies']) {
      expect(said(await stage.member.put(path(`${place}/${unknown}`), { nonsense: 1 }))).toMatch(
        /^400 .*nonsense/,
      );
    }
    const listener = { loadbalancer_id: unknown, protocol: 'X', protocol_port: 1 };
    expect(said(await stage.member.post(path('/listeners'), { listener }))).toMatch(/^400 .*protocol/);
  });

  it('what is not there comes before who may not have it, and that before what makes no sense', async () => {
    const listener = {
      loadbalancer_id: ':balancer',
      protocol: 'TCP',
      protocol_port: 9,
      insert_headers: { X: 'true' },
    };
    const post = (client: Client, values: object) =>
      client.post(path('/listeners'), { listener: stage.told(values) });
    expect(said(await post(stranger, { ...listener, loadbalancer_id: unknown }))).toBe(
      `404 Load Balancer ${unknown} not found.`,
    );
    expect(said(await post(stranger, listener))).toMatch(/^403 /);
    expect(said(await post(stage.member, listener))).toMatch(/^400 .*insert_headers/);
  });

  it('in a list a page that cannot be comes before who may not ask, and that before filters that cannot be', async () => {
    const foreign = `project_id=${stage.member.projectId}`;
    for (const place of ['/pools', '/pools/:pool/members']) {
      const list = (query: string) => stranger.get(path(place) + query);
      expect(said(await list(`?${foreign}&limit=many&nonsense=1`))).toMatch(/^400 .*many/);
      expect(said(await list(`?${foreign}&nonsense=1`))).toMatch(/^403 /);
      expect(said(await list(`?${foreign}&sort=nonsense`))).toMatch(/^403 /);
    }
    expect(said(await stage.member.get(path('/flavorprofiles?nonsense=1')))).toMatch(/^403 /);
  });

  it('a quota that is met comes before a lock, a duplicate, and what the provider cannot do', async () => {
    const wishes: readonly [string, string, object][] = [
      ['/listeners', 'listener', { loadbalancer_id: ':balancer', protocol: 'HTTP', protocol_port: 81 }],
      ['/pools', 'pool', { loadbalancer_id: ':balancer', protocol: 'TCP', lb_algorithm: 'SOURCE_IP_PORT' }],
      ['/pools/:pool/members', 'member', { address: '198.51.100.9', protocol_port: 80 }],
      [
        '/healthmonitors',
        'healthmonitor',
        { pool_id: ':pool', type: 'TCP', delay: 1, timeout: 1, max_retries: 1 },
      ],
      ['/l7policies', 'l7policy', { listener_id: ':listener', action: 'REJECT' }],
      ['/l7policies/:policy/rules', 'rule', { type: 'PATH', compare_type: 'EQUAL_TO', value: '/b' }],
    ];
    const send = async ([place, key, values]: (typeof wishes)[number]) =>
      said(await stage.member.post(path(place), { [key]: stage.told(values) }));
    const rest = await stage.tree();
    const busy = {
      ...rest,
      loadBalancer: { ...rest.loadBalancer, provisioningStatus: 'PENDING_UPDATE' } as const,
    };
    const limits = {
      loadbalancer: 0,
      listener: 0,
      pool: 0,
      member: 0,
      healthmonitor: 0,
      l7policy: 0,
      l7rule: 0,
    };
    const quota = path(`/quotas/${stage.member.projectId}`);
    for (const tree of [rest, busy]) {
      await stage.restore(tree);
      await stage.admin.put(quota, { quota: limits });
      for (const wish of wishes)
        expect([wish[0], await send(wish)]).toEqual([wish[0], expect.stringMatching(/^403 Quota/)]);
      await stage.admin.delete(quota);
      if (tree === busy)
        for (const wish of wishes)
          expect([wish[0], await send(wish)]).toEqual([wish[0], expect.stringMatching(/^409 .*immutable/)]);
    }
    await stage.restore(rest);
    await stage.admin.put(quota, { quota: limits });
    const taken = { vip_subnet_id: ':subnet', vip_address: rest.loadBalancer.vipAddress };
    for (const values of [taken, { vip_subnet_id: ':subnet', pools: [{ name: 'p' }] }]) {
      const reply = await stage.member.post(path('/loadbalancers'), { loadbalancer: stage.told(values) });
      expect(said(reply)).toBe('403 Quota has been met for resources: Load Balancer');
    }
    await stage.admin.delete(quota);
    expect(
      (await stage.member.post(path('/loadbalancers'), { loadbalancer: stage.told(taken) })).status,
    ).toBe(409);
  });
});

describe('Of several requests at once', () => {
  it('one wins, and the others find the load balancer immutable', async () => {
    const rest = await stage.tree();
    for (const [place, key, values] of [
      ['/loadbalancers/:balancer', 'loadbalancer', { name: 'n' }],
      ['/listeners/:listener', 'listener', { name: 'n' }],
      ['/pools/:pool/members/:member', 'member', { weight: 9 }],
      ['/l7policies/:policy/rules/:rule', 'rule', { invert: true }],
    ] as const) {
      const replies = await Promise.all(
        Array.from({ length: 8 }, () => stage.member.put(path(place), { [key]: values })),
      );
      const statuses = replies.map(({ status }) => status).toSorted((a, b) => a - b);
      expect([place, statuses]).toEqual([place, [200, 409, 409, 409, 409, 409, 409, 409]]);
      await stage.restore(rest);
    }
  });

  it('a quota lets through as many as it has room for', async () => {
    const limited = stage.api.client(['member']);
    await stage.admin.put(path(`/quotas/${limited.projectId}`), { quota: { loadbalancer: 3 } });
    const replies = await Promise.all(
      Array.from({ length: 8 }, () =>
        limited.post(path('/loadbalancers'), { loadbalancer: stage.told({ vip_subnet_id: ':subnet' }) }),
      ),
    );
    expect(replies.map(({ status }) => status).filter((status) => status === 201)).toHaveLength(3);
    expect(replies.filter(({ status }) => status !== 201).map(said)).toEqual(
      Array.from({ length: 5 }, () => '403 Quota has been met for resources: Load Balancer'),
    );
  });
});

describe('The project of a load balancer', () => {
  it('is the one that was written last, under its new name or its old one', async () => {
    for (const [first, last] of [
      ['project_id', 'tenant_id'],
      ['tenant_id', 'project_id'],
    ] as const) {
      const loadbalancer = { ...{ [first]: 'first', [last]: 'last' }, vip_subnet_id: stage.told(':subnet') };
      const reply = await stage.admin.post(path('/loadbalancers'), { loadbalancer });
      expect(reply.body.loadbalancer).toMatchObject({ project_id: 'last', tenant_id: 'last' });
    }
  });
});

describe('An id in a path', () => {
  it('means the same thing however it is written', async () => {
    const rest = await stage.tree();
    for (const written of ['', '!upper', '!bare']) {
      const place = path(
        `/pools/${stage.told(`:pool${written}`)}/members/${stage.told(`:member${written}`)}`,
      );
      expect((await stage.member.get(place)).status).toBe(200);
      for (const reply of [
        await stage.member.put(place, { member: { weight: 5 } }).finally(() => stage.restore(rest)),
        await stage.member.put(path(`/listeners/${stage.told(`:listener${written}`)}`), {
          listener: { name: 'n' },
        }),
      ]) {
        expect([written, reply.status]).toEqual([written, 200]);
        await stage.restore(rest);
      }
    }
  });
});

describe('A VIP on a network that is full', () => {
  it('is refused as a mistake, on a subnet that is full as a conflict', async () => {
    const subnet = stage.api.cloud.addSubnet('203.0.113.0/24');
    for (let n = 0; n < 250; n++) {
      const fixedIps = [{ subnetId: subnet.id, ipAddress: `203.0.113.${n + 10}` }];
      stage.api.cloud.addPort({ networkId: subnet.networkId, fixedIps });
    }
    const post = async (loadbalancer: object) =>
      said(await stage.member.post(path('/loadbalancers'), { loadbalancer }));
    expect(await post({ vip_network_id: subnet.networkId })).toMatch(/^400 .*no subnet/);
    expect(await post({ vip_subnet_id: subnet.id })).toMatch(/^409 /);
  });
});

describe('A service beside the caller', () => {
  const get = (serviceToken: string) =>
    stage.member.get(path('/loadbalancers'), { 'x-service-token': serviceToken });

  it('needs a good token too', async () => {
    expect((await get(stage.api.cloud.login(['service'], 'services'))).status).toBe(200);
    expect((await get(randomUUID())).status).toBe(401);
  });
});
