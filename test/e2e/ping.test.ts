import { afterAll, beforeAll, expect, it } from 'vitest';
import { externalSubnet } from './https-load-balancer.ts';
import { webMember, type WebMember } from './members.ts';
import { curl, discard, eventually, makeService } from './service.ts';

const service = makeService(21_180);
let member: WebMember;
let subnet: { id: string; gateway: string };

beforeAll(async () => {
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
