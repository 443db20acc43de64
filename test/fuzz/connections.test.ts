import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { activeLoadBalancer, startApi, type TestApi } from '../../src/api/client.fixture.ts';

/** Clients that are slow, silent, or gone in the middle: they lose their own connection and nobody else's. */

let api: TestApi;
let port: number;
let balancerId: string;
const open: Socket[] = [];
beforeAll(async () => {
  const patience = { headersMs: 1500, requestMs: 1500, idleMs: 1000, lookMs: 100 };
  api = await startApi({ config: { patience } });
  port = await api.listen();
  balancerId = await activeLoadBalancer(api);
});
afterAll(async () => {
  for (const socket of open) socket.destroy();
  await api.close();
});

interface Line {
  readonly socket: Socket;
  /** All the server said, once it has closed the connection. */
  readonly end: Promise<string>;
  /** Once the server said so much that the pattern fits. */
  said(pattern: RegExp): Promise<string>;
}

function dial(): Line {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1');
  open.push(socket);
  let answer = '';
  socket.on('data', (text) => (answer += text.toString()));
  socket.on('error', () => {});
  return {
    socket,
    end: new Promise((resolve) => socket.on('close', () => resolve(answer))),
    async said(pattern) {
      while (!pattern.test(answer)) await pause(10);
      return answer;
    },
  };
}

const post = (length: number): string =>
  [
    'POST /v2/lbaas/listeners HTTP/1.1',
    'Host: a',
    `X-Auth-Token: ${api.member.token}`,
    'Content-Type: application/json',
    `Content-Length: ${length}`,
    '',
    '',
  ].join('\r\n');
const listener = (name: string, protocolPort: number): string =>
  JSON.stringify({
    listener: { name, loadbalancer_id: balancerId, protocol: 'TCP', protocol_port: protocolPort },
  });
const named = async (name: string): Promise<unknown[]> =>
  (await api.member.get(`/v2/lbaas/listeners?name=${name}`)).body.listeners;

/** A text a byte at a time, for as long as anybody listens. */
async function trickle(socket: Socket, text: string): Promise<void> {
  for (const byte of text) {
    if (socket.destroyed) return;
    socket.write(byte);
    await pause(50);
  }
}

/** A 408 in the usual shape. */
function expectTimeout(answer: string): void {
  expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({
    code: 408,
    title: 'Request Timeout',
  });
}

describe('A request that takes too long', () => {
  it('to say its headers is given up', async () => {
    const line = dial();
    void trickle(line.socket, `GET /v2 HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(600)}`);
    expectTimeout(await line.end);
  });

  it('to send its body is given up, and nothing of it is done', async () => {
    const line = dial();
    const body = listener('slow', 4001);
    line.socket.write(post(600));
    void trickle(line.socket, body.padEnd(600));
    expectTimeout(await line.end);
    expect(await named('slow')).toEqual([]);
  });

  it('to begin is given up', async () => {
    expectTimeout(await dial().end);
  });

  it('to be followed by another has its connection closed', async () => {
    const line = dial();
    line.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await line.end).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('Many half-open connections', () => {
  it('stop nobody else, and end', async () => {
    const lines = Array.from({ length: 500 }, dial);
    for (const { socket } of lines) socket.write(`${post(5000)}{"listener"`);
    const reply = await fetch(`http://127.0.0.1:${port}/v2/lbaas/loadbalancers/${balancerId}`, {
      headers: { 'x-auth-token': api.member.token },
    });
    expect(reply.status).toBe(200);
    for (const { end } of lines) expectTimeout(await end);
  });
});

describe('A client that goes', () => {
  it('in the middle of its body has asked for nothing', async () => {
    const body = listener('half', 4002);
    const line = dial();
    line.socket.write(post(body.length) + body.slice(0, -5));
    await pause(50);
    line.socket.destroy();
    await line.end;
    expect(await named('half')).toEqual([]);
    expect((await api.member.get(`/v2/lbaas/loadbalancers/${balancerId}`)).body.loadbalancer).toMatchObject({
      provisioning_status: 'ACTIVE',
    });
  });

  it('before the answer leaves all of its wish, or none', async () => {
    for (let n = 0; n < 20; n++) {
      const body = listener(`gone-${n}`, 5000 + n);
      const line = dial();
      line.socket.write(post(body.length) + body);
      await pause(n);
      line.socket.destroy();
      await line.end;
      // Whatever became of it is over when another wish for the same load balancer has its turn.
      const put = await api.member.put(`/v2/lbaas/loadbalancers/${balancerId}`, { loadbalancer: {} });
      const tree = await api.store.trees.read(balancerId);
      const made = tree?.listeners.find(({ name }) => name === `gone-${n}`);
      if (made !== undefined) expect(made.provisioningStatus).toMatch(/PENDING_CREATE|ACTIVE/);
      expect([200, 409]).toContain(put.status);
      await api.settle(balancerId);
    }
    const left = (await api.store.trees.read(balancerId))?.listeners.map(
      ({ provisioningStatus }) => provisioningStatus,
    );
    expect(new Set(left)).toEqual(new Set(left?.length ? ['ACTIVE'] : []));
  });

  it('half, saying nothing more, still has its answer', async () => {
    const line = dial();
    line.socket.end('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(await line.end).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('A body that is too big', () => {
  it('is refused before it has been sent', async () => {
    const line = dial();
    line.socket.write(post(10_000_000));
    expect(await line.said(/\r\n\r\n\{.*\}$/)).toMatch(/^HTTP\/1\.1 413 [^]*"code":413/);
    line.socket.destroy();
  });

  it('is refused in chunks, too', async () => {
    const line = dial();
    line.socket.write(post(0).replace('Content-Length: 0', 'Transfer-Encoding: chunked'));
    for (let n = 0; n < 30 && !line.socket.destroyed; n++) {
      line.socket.write(`1000\r\n${' '.repeat(0x1000)}\r\n`);
      await pause(5);
    }
    expect(await line.said(/\r\n\r\n\{.*\}$/)).toMatch(/^HTTP\/1\.1 413 [^]*"code":413/);
    line.socket.destroy();
  });
});
