/** How tools other than Python's speak to the API: the requests they make, in the order they make them, over plain HTTP. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { externalSubnet } from '../https-load-balancer.ts';
import { discard, eventually, makeService, pause } from '../service.ts';

const service = makeService(21_480);
let subnet: string;

beforeAll(async () => {
  await service.start();
  subnet = (await externalSubnet(service)).id;
});
afterAll(() => discard(service));

const base = '/v2.0/lbaas';

/** As Terraform's provider writes: again while the load balancer is busy. */
async function patiently(
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: any }> {
  for (;;) {
    const answer = await service.request(method, `${base}${path}`, body);
    if (answer.status !== 409) return answer;
    await pause(50);
  }
}

async function gone(path: string): Promise<void> {
  await eventually(`${path} is gone`, async () =>
    (await service.request('GET', `${base}${path}`)).status === 404 ? true : undefined,
  );
}

describe('Terraform and gophercloud', () => {
  const ids: Record<string, string> = {};

  it('find the version by the root of the endpoint', async () => {
    const root = await service.request('GET', '/');
    expect(root.status).toBe(200);
    expect(root.body.versions.map((version: { id: string }) => version.id)).toContain('v2.0');
    expect(root.body.versions.at(-1)).toMatchObject({
      status: 'CURRENT',
      id: expect.stringMatching(/^v2\.\d+$/),
    });
  });

  it('make a load balancer piece by piece, each as soon as the last one lets them', async () => {
    const make = async (collection: string, key: string, body: object): Promise<any> => {
      const answer = await patiently('POST', `/${collection}`, { [key]: body });
      expect(answer.status).toBe(201);
      expect(answer.body[key].provisioning_status).toBe('PENDING_CREATE');
      return answer.body[key];
    };
    ids['balancer'] = (
      await make('loadbalancers', 'loadbalancer', { name: 'tf', vip_subnet_id: subnet, admin_state_up: true })
    ).id;
    ids['listener'] = (
      await make('listeners', 'listener', {
        loadbalancer_id: ids['balancer'],
        protocol: 'HTTP',
        protocol_port: 80,
        admin_state_up: true,
      })
    ).id;
    ids['pool'] = (
      await make('pools', 'pool', {
        listener_id: ids['listener'],
        protocol: 'HTTP',
        lb_algorithm: 'ROUND_ROBIN',
      })
    ).id;
    ids['monitor'] = (
      await make('healthmonitors', 'healthmonitor', {
        pool_id: ids['pool'],
        type: 'TCP',
        ...{ delay: 20, timeout: 10, max_retries: 5 },
      })
    ).id;
    ids['policy'] = (
      await make('l7policies', 'l7policy', {
        listener_id: ids['listener'],
        action: 'REDIRECT_TO_POOL',
        redirect_pool_id: ids['pool'],
        position: 1,
      })
    ).id;
    ids['rule'] = (
      await make(`l7policies/${ids['policy']}/rules`, 'rule', {
        type: 'PATH',
        compare_type: 'EQUAL_TO',
        value: '/api',
      })
    ).id;
    await service.active(ids['balancer'] ?? '');
  });

  it('replace the members of a pool at once', async () => {
    const members = [1, 2, 3].map((n) => ({
      address: `192.0.2.${n}`,
      protocol_port: 80,
      weight: n,
      name: `m${n}`,
    }));
    const batch = await patiently('PUT', `/pools/${ids['pool']}/members`, { members });
    expect(batch).toEqual({ status: 202, body: undefined });
    await service.active(ids['balancer'] ?? '');
    await patiently('PUT', `/pools/${ids['pool']}/members`, { members: members.slice(1) });
    await service.active(ids['balancer'] ?? '');
    const listed = await service.call('GET', `${base}/pools/${ids['pool']}/members?sort_key=address`);
    expect(listed.members.map((member: { name: string }) => member.name)).toEqual(['m2', 'm3']);
    const member = listed.members[0];
    const changed = await patiently('PUT', `/pools/${ids['pool']}/members/${member.id}`, {
      member: { weight: 0 },
    });
    expect(changed).toMatchObject({ status: 200, body: { member: { weight: 0, name: 'm2' } } });
    await service.active(ids['balancer'] ?? '');
  });

  it('send an update that changes nothing, and one that clears a text', async () => {
    const path = `/loadbalancers/${ids['balancer']}`;
    const same = await patiently('PUT', path, { loadbalancer: { name: 'tf', admin_state_up: true } });
    expect(same).toMatchObject({ status: 200, body: { loadbalancer: { name: 'tf' } } });
    const cleared = await patiently('PUT', path, { loadbalancer: { description: '' } });
    expect(cleared).toMatchObject({ status: 200, body: { loadbalancer: { description: '' } } });
    await service.active(ids['balancer'] ?? '');
  });

  it('meet a busy load balancer: of several at once exactly one wins, the others are told 409', async () => {
    const ports = [8001, 8002, 8003, 8004];
    const answers = await Promise.all(
      ports.map((port) =>
        service.request('POST', `${base}/listeners`, {
          listener: { loadbalancer_id: ids['balancer'], protocol: 'TCP', protocol_port: port },
        }),
      ),
    );
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409, 409, 409]);
    const refused = answers.find(({ status }) => status === 409);
    expect(refused?.body).toMatchObject({
      faultcode: 'Client',
      faultstring: expect.stringContaining('immutable'),
    });
    await service.active(ids['balancer'] ?? '');
  });

  it('walk through pages by the links', async () => {
    const all = await service.call('GET', `${base}/listeners?loadbalancer_id=${ids['balancer']}`);
    const seen: string[] = [];
    let next: string | undefined = `${base}/listeners?limit=1`;
    while (next !== undefined && seen.length < 10) {
      const page: any = await service.call('GET', next);
      seen.push(...page.listeners.map((listener: { id: string }) => listener.id));
      const link = page.listeners_links.find((one: { rel: string }) => one.rel === 'next');
      const url = link && new URL(link.href);
      next = url && `${url.pathname}${url.search}`;
    }
    expect(seen.toSorted()).toEqual(all.listeners.map((one: { id: string }) => one.id).toSorted());
  });

  it('take it down again from the top, each until it is not found', async () => {
    for (const path of [
      `/l7policies/${ids['policy']}/rules/${ids['rule']}`,
      `/l7policies/${ids['policy']}`,
      `/healthmonitors/${ids['monitor']}`,
      `/pools/${ids['pool']}`,
      `/listeners/${ids['listener']}`,
    ]) {
      expect((await patiently('DELETE', path)).status).toBe(204);
      await gone(path);
    }
    const whole = `/loadbalancers/${ids['balancer']}`;
    expect((await patiently('DELETE', whole)).status).toBe(400); // a listener is left
    expect((await patiently('DELETE', `${whole}?cascade=true`)).status).toBe(204);
    await gone(whole);
    expect((await service.request('DELETE', `${base}${whole}`)).status).toBe(404);
  });
});

describe('Kubernetes’ cloud provider', () => {
  const name = 'kube_service_cluster_default_web';
  let balancer: any;

  it('makes the whole load balancer of a service in one request', async () => {
    const member = (n: number) => ({ name: `node-${n}`, address: `192.0.2.${n}`, protocol_port: 30_080 });
    const pool = (port: number) => ({
      name: `pool_${port}_${name}`,
      protocol: 'TCP',
      lb_algorithm: 'ROUND_ROBIN',
      members: [member(1), member(2)],
      healthmonitor: {
        type: 'TCP',
        name: `monitor_${port}`,
        delay: 5,
        timeout: 3,
        max_retries: 1,
        max_retries_down: 3,
      },
    });
    const answer = await service.request('POST', `${base}/loadbalancers`, {
      loadbalancer: {
        name,
        description: 'Kubernetes external service default/web from cluster cluster',
        provider: 'amphora',
        vip_subnet_id: subnet,
        tags: [name],
        listeners: [80, 443].map((port) => ({
          name: `listener_${port}_${name}`,
          protocol: 'TCP',
          protocol_port: port,
          timeout_client_data: 60_000,
          allowed_cidrs: ['0.0.0.0/0'],
          tags: [name],
          default_pool: pool(port),
        })),
      },
    });
    expect(answer.status).toBe(201);
    balancer = answer.body.loadbalancer;
    expect(balancer.listeners).toHaveLength(2);
    expect(balancer.pools).toHaveLength(2);
    await service.active(balancer.id);
  });

  it('finds it by name and tags, with its parts', async () => {
    const byName = await service.call('GET', `${base}/loadbalancers?name=${name}`);
    expect(byName.loadbalancers.map((one: { id: string }) => one.id)).toEqual([balancer.id]);
    const byTag = await service.call(
      'GET',
      `${base}/loadbalancers?tags=${name}&vip_address=${balancer.vip_address}`,
    );
    expect(byTag.loadbalancers).toHaveLength(1);
    const listeners = await service.call('GET', `${base}/listeners?loadbalancer_id=${balancer.id}`);
    expect(
      listeners.listeners
        .map((one: { protocol_port: number }) => one.protocol_port)
        .toSorted((a: number, b: number) => a - b),
    ).toEqual([80, 443]);
    const pools = await service.call('GET', `${base}/pools?loadbalancer_id=${balancer.id}`);
    expect(
      pools.pools.every((one: { healthmonitor_id?: string }) => one.healthmonitor_id !== undefined),
    ).toBe(true);
  });

  it('shares it with another service by a tag more', async () => {
    const answer = await patiently('PUT', `/loadbalancers/${balancer.id}`, {
      loadbalancer: { tags: [name, 'kube_service_cluster_default_other'] },
    });
    expect(answer.body.loadbalancer.tags).toHaveLength(2);
    const found = await service.call(
      'GET',
      `${base}/loadbalancers?tags-any=kube_service_cluster_default_other`,
    );
    expect(found.loadbalancers).toHaveLength(1);
    await service.active(balancer.id);
  });

  it('follows the nodes of the cluster, many requests at once', async () => {
    const { pools } = await service.call('GET', `${base}/pools?loadbalancer_id=${balancer.id}`);
    const members = [2, 3, 4].map((n) => ({
      name: `node-${n}`,
      address: `192.0.2.${n}`,
      protocol_port: 30_080,
    }));
    await Promise.all(
      pools.map(async ({ id }: { id: string }) => {
        expect((await patiently('PUT', `/pools/${id}/members`, { members })).status).toBe(202);
      }),
    );
    await service.active(balancer.id);
    for (const { id } of pools) {
      const listed = await service.call('GET', `${base}/pools/${id}/members`);
      expect(listed.members.map((one: { name: string }) => one.name).toSorted()).toEqual([
        'node-2',
        'node-3',
        'node-4',
      ]);
    }
  });

  it('deletes it with all below it', async () => {
    expect((await patiently('DELETE', `/loadbalancers/${balancer.id}?cascade=true`)).status).toBe(204);
    await gone(`/loadbalancers/${balancer.id}`);
    for (const collection of ['listeners', 'pools', 'healthmonitors'])
      expect((await service.call('GET', `${base}/${collection}`))[collection]).toEqual([]);
  });
});

describe('Heat and Horizon', () => {
  it('read the statuses by both names of the path', async () => {
    const { loadbalancer } = await service.call('POST', `${base}/loadbalancers`, {
      loadbalancer: {
        name: 'stack',
        vip_subnet_id: subnet,
        listeners: [{ protocol: 'TCP', protocol_port: 25 }],
      },
    });
    await service.active(loadbalancer.id);
    const status = await service.call('GET', `${base}/loadbalancers/${loadbalancer.id}/status`);
    const statuses = await service.call('GET', `${base}/loadbalancers/${loadbalancer.id}/statuses`);
    expect(statuses).toEqual(status);
    expect(status.statuses.loadbalancer).toMatchObject({
      id: loadbalancer.id,
      provisioning_status: 'ACTIVE',
      listeners: [{ provisioning_status: 'ACTIVE', pools: [] }],
    });
    const whole = await service.call('GET', `${base}/loadbalancers?fields=id&fields=name&fields=listeners`);
    expect(whole.loadbalancers).toEqual([
      { id: loadbalancer.id, name: 'stack', listeners: [{ id: expect.any(String) }] },
    ]);
  });
});
