import { createSocket } from 'node:dgram';
import { request } from 'node:http';
import { connect, isIPv6 } from 'node:net';
import { isExpected } from '../../plan/udp/health.ts';
import type { WantedHealthMonitor, WantedMember } from '../../wire/wanted.ts';
import { sctpInit } from './sctp.ts';

interface Place {
  readonly address: string;
  readonly port: number;
}

/** One check of a member: whether it passed. Takes no longer than the monitor's timeout. */
export function probe(monitor: WantedHealthMonitor, member: WantedMember): Promise<boolean> {
  const place = { address: member.monitorAddress ?? member.address, port: member.monitorPort ?? member.port };
  const timeoutMs = Math.max(1, monitor.timeout) * 1000;
  switch (monitor.type) {
    case 'UDP-CONNECT':
      return udpConnect(place, timeoutMs);
    case 'TCP':
      return tcpConnect(place, timeoutMs);
    case 'SCTP':
      return sctpInit(place, timeoutMs);
    case 'HTTP':
      return httpRequest(place, monitor, timeoutMs);
    default:
      throw new Error(`a member cannot be asked by ${monitor.type}`);
  }
}

/** An empty datagram: only that nobody listens is ever heard, as ICMP; silence is health. */
function udpConnect({ address, port }: Place, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const done = (passed: boolean) => () => {
      clearTimeout(timer);
      socket.removeAllListeners().on('error', () => {}); // one that comes while it closes
      socket.close();
      resolve(passed);
    };
    const timer = setTimeout(done(true), timeoutMs);
    socket.once('error', done(false));
    socket.once('message', done(true));
    socket.connect(port, address, () => {
      socket.send(Buffer.alloc(0), (error) => {
        if (error) socket.emit('error', error);
      });
    });
  });
}

function tcpConnect({ address, port }: Place, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const done = (passed: boolean) => () => {
      clearTimeout(timer);
      socket.removeAllListeners().on('error', () => {});
      socket.destroy();
      resolve(passed);
    };
    const timer = setTimeout(done(false), timeoutMs);
    socket.once('connect', done(true));
    socket.once('error', done(false));
  });
}

function httpRequest(
  { address, port }: Place,
  monitor: WantedHealthMonitor,
  timeoutMs: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({
      host: address,
      port,
      method: monitor.httpMethod ?? 'GET',
      path: monitor.urlPath ?? '/',
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
      ...(monitor.domainName !== null && { headers: { host: monitor.domainName } }),
    });
    asked.on('response', (answer) => {
      resolve(isExpected(answer.statusCode ?? 0, monitor.expectedCodes));
      asked.destroy();
    });
    asked.on('error', () => resolve(false));
    asked.end();
  });
}
