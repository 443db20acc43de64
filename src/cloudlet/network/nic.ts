import type { Nic } from '../host/host.ts';
import type { Net, Port } from './records.ts';

/** The port as the machine plugs it. */
export function nicOf(net: Net, port: Port): Nic {
  const subnets = port.fixed_ips.map((fixed) => ({ fixed, subnet: net.subnets.get(fixed.subnet_id) }));
  return {
    portId: port.id,
    networkId: port.network_id,
    macAddress: port.mac_address,
    addresses: subnets.map(({ fixed, subnet }) => `${fixed.ip_address}/${subnet?.cidr.split('/')[1]}`),
    gateways: [...new Set(subnets.flatMap(({ subnet }) => subnet?.gateway_ip ?? []))],
  };
}
