import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';

/** A server that answers every datagram with its name, but is silent to empty ones, as health checks are. */
export interface DatagramMember {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

export async function datagramMember(name: string, address: string, port = 0): Promise<DatagramMember> {
  const socket = socketTo(address);
  socket.on('message', (said, { address, port }) => {
    if (said.length > 0) socket.send(name, port, address);
  });
  socket.bind(port, address);
  await once(socket, 'listening');
  return { name, address, port: socket.address().port, close: () => closed(socket) };
}

/**
 * A client with one source port: to the balancer one flow. One that is closed frees its port, and the next client
 * that gets it goes on with the old flow for as long as the kernel remembers it.
 */
export interface DatagramClient {
  /** What is answered to one datagram; `silence` when nothing is. */
  ask(): Promise<string>;
  close(): Promise<void>;
}

export const question = 'who are you?';

export function datagramClient(address: string, port: number, patienceMs = 1000): DatagramClient {
  const socket = socketTo(address);
  socket.on('error', () => {}); // a port that is closed is silent as well
  return {
    ask: () =>
      new Promise((resolve) => {
        const done = (said: string) => {
          clearTimeout(timer);
          socket.off('message', heard);
          resolve(said);
        };
        const heard = (said: Buffer) => done(said.toString());
        const timer = setTimeout(() => done('silence'), patienceMs);
        socket.on('message', heard);
        socket.send(question, port, address);
      }),
    close: () => closed(socket),
  };
}

const socketTo = (address: string): Socket => createSocket(isIPv6(address) ? 'udp6' : 'udp4');

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}
