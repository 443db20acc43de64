import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { aDatagramMember, aDatagramMonitor } from '../../plan/udp/nft.fixture.ts';
import type { WantedHealthMonitor } from '../../wire/wanted.ts';
import { probe } from './probe.ts';

const open: { close(): unknown }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

async function datagramServer(answer: boolean): Promise<number> {
  const socket = createSocket('udp4');
  if (answer) socket.on('message', (_, from) => socket.send('here', from.port, from.address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  open.push(socket);
  return socket.address().port;
}

/** Answers what it is asked for: a status as path, with the Host header as text; `/never` keeps silent. */
async function webServer(): Promise<number> {
  const server = createServer((asked, answer) => {
    if (asked.url === '/never') return;
    answer.writeHead(asked.headers.host === 'www.example.com' ? 204 : Number(asked.url?.slice(1)));
    answer.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push({ close: () => (server.close(), server.closeAllConnections()) });
  return (server.address() as AddressInfo).port;
}

const passes = (port: number, monitor: Partial<WantedHealthMonitor>): Promise<boolean> =>
  probe(aDatagramMonitor({ timeout: 1, ...monitor }), aDatagramMember(1, { address: '127.0.0.1', port }));

/** A port that was free a moment ago. */
async function closedPort(): Promise<number> {
  const port = await datagramServer(false);
  open.pop()?.close();
  return port;
}

describe('a check by UDP-CONNECT', () => {
  it('passes when somebody answers, or listens in silence, and fails when nobody does', async () => {
    expect(await passes(await datagramServer(true), {})).toBe(true);
    expect(await passes(await datagramServer(false), {})).toBe(true);
    expect(await passes(await closedPort(), {})).toBe(false);
  });

  it('asks at the monitor address and port when there is one', async () => {
    const member = aDatagramMember(1, {
      address: '127.0.0.1',
      port: await closedPort(),
      monitorAddress: '127.0.0.1',
      monitorPort: await datagramServer(true),
    });
    expect(await probe(aDatagramMonitor(), member)).toBe(true);
  });
});

describe('a check by TCP', () => {
  it('passes when the connection is taken', async () => {
    expect(await passes(await webServer(), { type: 'TCP' })).toBe(true);
    expect(await passes(await closedPort(), { type: 'TCP' })).toBe(false);
  });
});

describe('a check by HTTP', () => {
  const http = (urlPath: string, changes: Partial<WantedHealthMonitor> = {}) => ({
    type: 'HTTP' as const,
    httpMethod: 'GET',
    urlPath,
    expectedCodes: '200-202',
    ...changes,
  });

  it('passes when the status is an expected one', async () => {
    const port = await webServer();
    expect(await passes(port, http('/200'))).toBe(true);
    expect(await passes(port, http('/202'))).toBe(true);
    expect(await passes(port, http('/503'))).toBe(false);
    expect(await passes(await closedPort(), http('/200'))).toBe(false);
  });

  it('fails when there is no answer in time', async () => {
    expect(await passes(await webServer(), http('/never'))).toBe(false);
  });

  it('names the domain of the monitor', async () => {
    const changes = { domainName: 'www.example.com', httpVersion: 1.1, expectedCodes: '204' };
    expect(await passes(await webServer(), http('/500', changes))).toBe(true);
  });
});
