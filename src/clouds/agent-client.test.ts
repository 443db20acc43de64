import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { IncomingMessage } from 'node:http';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Authority, createAuthority, issueAmphora, issueController } from '../pki/ca.ts';
import type { AgentStatus, Outcome } from '../wire/report.ts';
import type { WantedAmphora } from '../wire/wanted.ts';
import { amphoraAgents } from './agent-client.ts';

const id = '0c3b2a52-6ea6-4f43-9de8-7bb2a1a4d0a1';
const other = '11111111-2222-4333-8444-555555555555';
const report = { amphoraId: id, generation: 7, listeners: {}, pools: {} };
const outcome: Outcome = {
  wire: 1,
  generation: 7,
  change: 'reload',
  durationMs: 12,
  refused: [],
  warnings: [],
  report,
};
const status: AgentStatus = {
  wire: 1,
  agentVersion: '1',
  haproxyVersion: '2.6.12',
  report,
  memory: { limitBytes: 1, usedBytes: 1, maxconn: 1, haproxy: [] },
};
const wanted: WantedAmphora = {
  wire: 1,
  generation: 7,
  loadBalancer: { id, projectId: 'p', enabled: true, vipAddresses: ['10.0.0.2'] },
  interfaces: [],
  listeners: [],
  pools: [],
};

let authority: Authority;
beforeAll(async () => {
  authority = await createAuthority();
});
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

type Answer = [status: number, body: unknown] | 'silence' | 'cut';

/** An agent with the certificate of `amphoraId`, and the client of a controller that trusts its authority. */
async function agent(
  answer: (request: IncomingMessage, body: string) => Answer,
  { amphoraId = id, trusted = authority, timeoutMs = 5000, host = '127.0.0.1' } = {},
) {
  const [server, controller] = await Promise.all([
    issueAmphora(authority, amphoraId, { days: 1 }),
    issueController(trusted, { days: 1 }),
  ]);
  const listener = createServer(
    {
      ca: authority.certificatePem,
      cert: server.certificatePem,
      key: server.keyPem,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const said = answer(request, body);
        if (said === 'cut') request.socket.destroy();
        else if (said !== 'silence') response.writeHead(said[0]).end(JSON.stringify(said[1]));
      });
    },
  );
  await new Promise<void>((resolve) => listener.listen(0, host, resolve));
  const client = amphoraAgents({
    caPem: trusted.certificatePem,
    certificatePem: controller.certificatePem,
    keyPem: controller.keyPem,
    port: (listener.address() as AddressInfo).port,
    timeoutMs,
  });
  ends.push(() => closed(listener), client.close);
  return { client, amphora: { id, address: host }, listener };
}

const closed = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });

describe('the agent of an amphora', () => {
  it('is told what is wanted and says what came of it', async () => {
    let told: unknown;
    const { client, amphora } = await agent((request, body) => {
      if (request.method !== 'PUT' || request.url !== '/v1/wanted') return [404, {}];
      told = JSON.parse(body);
      return [200, outcome];
    });
    expect(await client.apply(amphora, wanted)).toEqual(outcome);
    expect(told).toEqual(wanted);
  });

  it('says how it is, also at an IPv6 address', async () => {
    const { client, amphora } = await agent((request) => [request.url === '/v1/status' ? 200 : 404, status], {
      host: '::1',
    });
    expect(await client.status(amphora)).toEqual(status);
  });

  it('that is another amphora at the same address by now is not taken for the one meant', async () => {
    const asked: unknown[] = [];
    const { client, amphora } = await agent((request) => (asked.push(request.url), [200, outcome]), {
      amphoraId: other,
    });
    await expect(client.apply(amphora, wanted)).rejects.toMatchObject({ retry: 'later' });
    expect(asked).toEqual([]);
    expect(await client.apply({ ...amphora, id: other }, wanted)).toEqual(outcome);
  });

  it('of a foreign authority is not spoken to, and does not speak to a foreign controller', async () => {
    const asked: unknown[] = [];
    const { client, amphora } = await agent((request) => (asked.push(request.url), [200, outcome]), {
      trusted: await createAuthority(),
    });
    await expect(client.apply(amphora, wanted)).rejects.toMatchObject({ retry: 'later' });
    expect(asked).toEqual([]);
  });

  it('that does not understand the wish makes it never, with its words', async () => {
    const { client, amphora } = await agent(() => [
      400,
      { statusCode: 400, error: 'Bad Request', message: 'body/pools must be array' },
    ]);
    const asked = client.apply(amphora, wanted);
    await expect(asked).rejects.toMatchObject({ retry: 'never', status: 400 });
    await expect(asked).rejects.toThrow(`The agent of amphora ${id} answered 400: body/pools must be array`);
  });

  it('in any other trouble makes it later', async () => {
    const troubles: Answer[] = [
      [500, { message: 'no space left' }],
      [503, {}],
      [401, {}],
      [404, {}],
      [200, 'nonsense'],
      [200, { ...outcome, change: 'explode' }],
      'cut',
      'silence',
    ];
    let next = 0;
    const { client, amphora, listener } = await agent(() => troubles[next] ?? 'cut', { timeoutMs: 300 });
    for (; next < troubles.length; next += 1) {
      await expect(client.apply(amphora, wanted)).rejects.toMatchObject({ retry: 'later' });
    }
    await closed(listener);
    await expect(client.apply(amphora, wanted)).rejects.toThrow(
      new RegExp(`The agent of amphora ${id} does not answer: `),
    );
    await expect(client.status(amphora)).rejects.toMatchObject({ retry: 'later' });
  });
});
