import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { datagramClient, datagramMember, type DatagramMember } from './datagrams.ts';
import { externalSubnet } from './https-load-balancer.ts';
import { webMember, type WebMember } from './members.ts';
import { curl, discard, eventually, makeService } from './service.ts';

/** A load balancer on a network of the tenant's own, that a router joins with the outside: all of it made by names users know. */

const service = makeService(22_300);
let gateway: string;
let web: WebMember;
let echo: DatagramMember;
let router: string;
let vipPort: string;
let balancer: string;
let floating: string;

const openstack = async (...args: string[]): Promise<any> => service.openstack<any>(...args);
const silently = async (...args: string[]): Promise<void> => {
  const { code, stderr } = await service.tryOpenstack(...args);
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
};

async function serve(protocol: 'HTTP' | 'UDP', port: number, member: { address: string; port: number }) {
  const { listener } = await service.call('POST', '/v2/lbaas/listeners', {
    listener: { loadbalancer_id: balancer, protocol, protocol_port: port },
  });
  await service.active(balancer);
  const { pool } = await service.call('POST', '/v2/lbaas/pools', {
    pool: { listener_id: listener.id, protocol, lb_algorithm: 'ROUND_ROBIN' },
  });
  await service.active(balancer);
  await service.call('POST', `/v2/lbaas/pools/${pool.id}/members`, {
    member: { address: member.address, protocol_port: member.port },
  });
  await service.active(balancer);
}

beforeAll(async () => {
  await service.start();
  gateway = (await externalSubnet(service)).gateway;
  web = await webMember('web', gateway);
  echo = await datagramMember('echo', gateway);
  await silently('network', 'create', 'tenant');
  await silently(
    'subnet',
    'create',
    '--network',
    'tenant',
    '--subnet-range',
    '172.30.7.0/24',
    'tenant-subnet',
  );
  router = (await openstack('router', 'create', 'way-out')).id;
  await silently('router', 'set', '--external-gateway', 'ext_net', 'way-out');
  await silently('router', 'add', 'subnet', 'way-out', 'tenant-subnet');
  const made = await openstack(
    'loadbalancer',
    'create',
    '--wait',
    '--name',
    'inside',
    '--vip-subnet-id',
    'tenant-subnet',
  );
  [balancer, vipPort] = [made.id, made.vip_port_id];
  await serve('HTTP', 80, web);
  await serve('UDP', 53, echo);
  floating = (await openstack('floating', 'ip', 'create', 'ext_net', '--port', vipPort)).floating_ip_address;
});
afterAll(async () => {
  await web?.close();
  await echo?.close();
  await discard(service);
});

const answersByUdp = () =>
  eventually('an answer by UDP', async () => {
    const client = datagramClient(floating, 53);
    const said = await client.ask();
    await client.close();
    return said === 'silence' ? undefined : said;
  });

describe('a load balancer on a tenant network', () => {
  it('is reached from the machine by its floating IP, over TCP and UDP', async () => {
    expect(await eventually('an answer', () => curl(`http://${floating}/`))).toBe('web');
    expect(await answersByUdp()).toBe('echo');
  });

  it('is reached no more when the floating IP points elsewhere, and again when it comes back', async () => {
    await silently('floating', 'ip', 'unset', '--port', floating);
    await expect(curl('--max-time', '2', `http://${floating}/`)).rejects.toThrow();
    await silently('floating', 'ip', 'set', '--port', vipPort, floating);
    expect(await curl(`http://${floating}/`)).toBe('web');
  });

  it('serves its floating IP after a restart of everything', async () => {
    await service.stop();
    await service.start();
    expect(await eventually('an answer', () => curl(`http://${floating}/`))).toBe('web');
    expect(await answersByUdp()).toBe('echo');
    expect((await openstack('router', 'show', router)).interfaces_info).toHaveLength(1);
  });
});
