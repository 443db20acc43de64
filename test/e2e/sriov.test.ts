import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { externalSubnet } from './https-load-balancer.ts';
import { discard, eventually, makeService } from './service.ts';

/** This machine has no SR-IOV cards: what asks for one is seen to say so, and to leave nothing behind. */
const service = makeService(21_170);

beforeAll(async () => {
  writeFileSync(join(service.stateDir, 'livia.toml'), '[worker]\nbuild_deadline_seconds = 3\n');
  await service.start();
});
afterAll(() => discard(service));

async function flavor(name: string, data: object): Promise<string> {
  const { flavorprofile } = await service.call('POST', '/v2/lbaas/flavorprofiles', {
    flavorprofile: { name, provider_name: 'amphora', flavor_data: JSON.stringify(data) },
  });
  const made = await service.call('POST', '/v2/lbaas/flavors', {
    flavor: { name, flavor_profile_id: flavorprofile.id },
  });
  return made.flavor.id;
}

/** The reasons of the objects in ERROR, once there are any. */
const reasons = (id: string): Promise<string> =>
  eventually('ERROR', async () => {
    const { loadbalancer } = await service.call('GET', `/v2/lbaas/loadbalancers/${id}`);
    if (loadbalancer.provisioning_status !== 'ERROR') return undefined;
    return JSON.stringify(await service.call('GET', `/livia/v1/loadbalancers/${id}`));
  });

async function remove(id: string): Promise<void> {
  await service.call('DELETE', `/v2/lbaas/loadbalancers/${id}?cascade=true`);
  await eventually('gone', async () =>
    (await service.request('GET', `/v2/lbaas/loadbalancers/${id}`)).status === 404 ? true : undefined,
  );
}

const portsLeft = async (): Promise<string[]> => {
  const { ports } = await service.call('GET', 'cloud:/network/v2.0/ports');
  return ports.map(({ name }: { name: string }) => name).filter((name: string) => name !== '');
};

it('a load balancer whose VIP is to be a virtual function is ERROR with the reason of Nova, and goes', async () => {
  const subnet = await externalSubnet(service);
  const { loadbalancer } = await service.call('POST', '/v2/lbaas/loadbalancers', {
    loadbalancer: {
      vip_subnet_id: subnet.id,
      flavor_id: await flavor('direct', { sriov_vip: true }),
    },
  });
  expect(loadbalancer.vip_vnic_type).toBe('direct');
  await eventually('a direct port', async () => {
    const { ports } = await service.call('GET', 'cloud:/network/v2.0/ports');
    return ports.find((port: Record<string, unknown>) => port['binding:vnic_type'] === 'direct');
  });
  expect(await reasons(loadbalancer.id)).toContain('No valid host was found');
  await remove(loadbalancer.id);
  await eventually('no port', async () => ((await portsLeft()).length === 0 ? true : undefined));
});

it('a member that asks for one on a subnet of its own is ERROR with the reason of Nova, the others go on', async () => {
  const subnet = await externalSubnet(service);
  const { loadbalancer } = await service.call('POST', '/v2/lbaas/loadbalancers', {
    loadbalancer: {
      vip_subnet_id: subnet.id,
      flavor_id: await flavor('members', { allow_member_sriov: true }),
      listeners: [
        {
          ...{ protocol: 'HTTP', protocol_port: 80 },
          default_pool: { name: 'pool', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
        },
      ],
    },
  });
  await service.active(loadbalancer.id);
  const answers = async (): Promise<number> => (await fetch(`http://${loadbalancer.vip_address}/`)).status;
  expect(await answers()).toBe(503);
  const { network } = await service.call('POST', 'cloud:/network/v2.0/networks', {
    network: { name: 'backend' },
  });
  const backend = await service.call('POST', 'cloud:/network/v2.0/subnets', {
    subnet: { network_id: network.id, ip_version: 4, cidr: '172.30.8.0/24', gateway_ip: null },
  });
  const members = `/v2/lbaas/pools/${loadbalancer.pools[0].id}/members`;
  const { member } = await service.call('POST', members, {
    member: {
      ...{ address: '172.30.8.9', protocol_port: 80, subnet_id: backend.subnet.id },
      request_sriov: true,
    },
  });
  expect(member.vnic_type).toBe('direct');
  expect(await reasons(loadbalancer.id)).toContain('Failed to claim PCI device');
  expect(await answers()).toBe(503);
  await remove(loadbalancer.id);
  await eventually('no port', async () => ((await portsLeft()).length === 0 ? true : undefined));
});
