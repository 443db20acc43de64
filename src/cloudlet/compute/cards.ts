import { changed, dropPort, type Net, type Port } from '../network/records.ts';
import type { Nova, Server } from './records.ts';

/** The server's ports that are still there, in the order of its cards. */
export function portsOf(net: Net, server: Server): Port[] {
  return server.cards
    .map((card) => net.ports.get(card.port_id))
    .filter((port) => port !== undefined && port.device_id === server.id)
    .filter((port) => port !== undefined);
}

/** Takes the port for the server; it is DOWN until the instance runs. */
export function bind(net: Net, port: Port, serverId: string, hostname: string): Port {
  return net.ports.put(
    changed<Port>(net, port, {
      device_id: serverId,
      device_owner: 'compute:nova',
      'binding:host_id': hostname,
      status: 'DOWN',
    }),
  );
}

/** Ports we made go away; those that were given to us are free again. */
export function release(net: Net, server: Server, portIds: readonly string[]): void {
  for (const { port_id, ours } of server.cards) {
    const port = net.ports.get(port_id);
    if (port === undefined || port.device_id !== server.id || !portIds.includes(port_id)) continue;
    if (ours) dropPort(net, port.id);
    else {
      const free = { device_id: '', device_owner: '', 'binding:host_id': '', status: 'DOWN' } as const;
      net.ports.put(changed<Port>(net, port, free));
    }
  }
}

export function setStatus(net: Net, server: Server, status: Port['status']): void {
  for (const port of portsOf(net, server)) {
    if (port.status !== status) net.ports.put(changed<Port>(net, port, { status }));
  }
}

/** The server a port is a card of. */
export function serverWith(nova: Nova, port: Port): Server | undefined {
  const server = nova.servers.get(port.device_id);
  return server?.cards.some((card) => card.port_id === port.id) === true ? server : undefined;
}
