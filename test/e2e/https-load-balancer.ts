import { readFileSync } from 'node:fs';
import type { TestAuthority } from './certificates.ts';
import { curl, eventually, type Service } from './service.ts';

/** A TERMINATED_HTTPS load balancer with one pool, made over the API; what the tests do to it is theirs. */
export interface HttpsLoadBalancer {
  readonly id: string;
  readonly vip: string;
  readonly listenerId: string;
  readonly poolId: string;
  readonly secretHref: string;
  /** One HTTPS request through the VIP, the certificate checked against the authority. */
  ask(): Promise<string>;
}

export async function storeSecret(service: Service, file: string | Buffer): Promise<string> {
  const { secret_ref } = await service.call('POST', 'cloud:/key-manager/v1/secrets', {
    name: 'bundle.p12',
    payload: (typeof file === 'string' ? readFileSync(file) : file).toString('base64'),
    payload_content_type: 'application/octet-stream',
    payload_content_encoding: 'base64',
  });
  return secret_ref;
}

export async function externalSubnet(service: Service): Promise<{ id: string; gateway: string }> {
  const { subnets } = await service.call('GET', 'cloud:/network/v2.0/subnets?name=ext_net_subnet');
  return { id: subnets[0].id, gateway: subnets[0].gateway_ip };
}

/** A subnet of IPv6 made on the same network; the machine has its first address. */
export async function externalSubnet6(service: Service): Promise<{ id: string; gateway: string }> {
  const range = 'fd5a:11ca:0:7::';
  const { networks } = await service.call('GET', 'cloud:/network/v2.0/networks?name=ext_net');
  const { subnet } = await service.call('POST', 'cloud:/network/v2.0/subnets', {
    subnet: {
      network_id: networks[0].id,
      name: 'ext_net_subnet6',
      ip_version: 6,
      cidr: `${range}/64`,
      gateway_ip: `${range}1`,
    },
  });
  return { id: subnet.id, gateway: `${range}1` };
}

export async function makeHttpsLoadBalancer(
  service: Service,
  authority: TestAuthority,
  name: string,
  members: readonly { address: string; port: number }[],
  values: object = {},
): Promise<HttpsLoadBalancer> {
  const subnet = await externalSubnet(service);
  const secretHref = await storeSecret(service, (await authority.issue(name)).bundle);
  const { loadbalancer } = await service.call('POST', '/v2/lbaas/loadbalancers', {
    loadbalancer: { name, vip_subnet_id: subnet.id, ...values },
  });
  await service.active(loadbalancer.id);
  const { listener } = await service.call('POST', '/v2/lbaas/listeners', {
    listener: {
      loadbalancer_id: loadbalancer.id,
      protocol: 'TERMINATED_HTTPS',
      protocol_port: 443,
      default_tls_container_ref: secretHref,
    },
  });
  await service.active(loadbalancer.id);
  const { pool } = await service.call('POST', '/v2/lbaas/pools', {
    pool: { listener_id: listener.id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
  });
  await service.active(loadbalancer.id);
  for (const { address, port } of members) {
    await service.call('POST', `/v2/lbaas/pools/${pool.id}/members`, {
      member: { address, protocol_port: port },
    });
    await service.active(loadbalancer.id);
  }
  const vip: string = loadbalancer.vip_address;
  const balancer: HttpsLoadBalancer = {
    id: loadbalancer.id,
    vip,
    listenerId: listener.id,
    poolId: pool.id,
    secretHref,
    ask: () => curl('--cacert', authority.rootPem, '--resolve', `${name}:443:${vip}`, `https://${name}/`),
  };
  await eventually('the first answer through the VIP', () => balancer.ask());
  return balancer;
}
