import { afterAll, beforeAll, expect, it } from 'vitest';
import { externalSubnet } from './https-load-balancer.ts';
import { discard, eventually, makeService, type Service } from './service.ts';

const service = makeService(21_190);

beforeAll(() => service.start());
afterAll(() => discard(service));

async function network(name: string, cidr: string): Promise<string> {
  const made = await service.call('POST', 'cloud:/network/v2.0/networks', { network: { name } });
  const { subnet } = await service.call('POST', 'cloud:/network/v2.0/subnets', {
    subnet: { network_id: made.network.id, ip_version: 4, cidr, gateway_ip: null },
  });
  return subnet.id;
}

const cards = async (loadBalancerId: string): Promise<string[]> => {
  const { amphorae } = await service.call('GET', `/v2/octavia/amphorae?loadbalancer_id=${loadBalancerId}`);
  const shell = await service.livia('amphora', 'shell', amphorae[0].id, '--', 'ip', '-o', '-4', 'addr');
  return [...new Set(shell.stdout.match(/\beth\d+/g))];
};

async function loadBalancer(of: Service, wish: Record<string, unknown>) {
  const { loadbalancer } = await of.call('POST', '/v2/lbaas/loadbalancers', { loadbalancer: wish });
  return { ...loadbalancer, ...(await of.active(loadbalancer.id)) };
}

it('a member on a network that no router joins with the VIP is reached by a card on its subnet', async () => {
  const backend = await network('backend', '172.30.9.0/24');
  // The member is a load balancer itself: it answers every request by sending the client elsewhere.
  const member = await loadBalancer(service, {
    vip_subnet_id: backend,
    listeners: [
      {
        ...{ protocol: 'HTTP', protocol_port: 80 },
        l7policies: [
          {
            ...{ action: 'REDIRECT_TO_URL', redirect_url: 'http://was.here/' },
            rules: [{ type: 'PATH', compare_type: 'STARTS_WITH', value: '/' }],
          },
        ],
      },
    ],
  });
  const front = await loadBalancer(service, {
    vip_subnet_id: (await externalSubnet(service)).id,
    listeners: [
      {
        ...{ protocol: 'HTTP', protocol_port: 80 },
        default_pool: { name: 'pool', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
      },
    ],
  });
  const pool = `/v2/lbaas/pools/${front.pools[0].id}/members`;
  const ask = async (): Promise<string> => {
    const answer = await fetch(`http://${front.vip_address}/`, { redirect: 'manual' });
    return answer.headers.get('location') ?? String(answer.status);
  };
  expect(await ask()).toBe('503');
  const made = await service.call('POST', pool, {
    member: { address: member.vip_address, protocol_port: 80, subnet_id: backend },
  });
  await service.active(front.id);
  expect(await ask()).toBe('http://was.here/');
  expect(await cards(front.id)).toHaveLength(3);

  await service.call('DELETE', `${pool}/${made.member.id}`);
  await service.active(front.id);
  await eventually('the card is gone', async () => ((await cards(front.id)).length === 2 ? true : undefined));
  expect(await ask()).toBe('503');
});
