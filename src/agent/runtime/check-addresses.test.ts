import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  aBackendTls,
  aCertificate,
  aListener,
  aMember,
  aMonitor,
  aPool,
  aWanted,
  id,
} from '../../plan/haproxy/wanted.fixture.ts';
import { abilitiesOf } from '../../plan/runtime/abilities.ts';
import type { WantedMember, WantedPool } from '../../wire/wanted.ts';
import { AgentUnderTest, eventually, freePort } from '../agent.fixture.ts';
import { ask } from '../haproxy/socket.ts';
import { haproxyVersion } from '../haproxy/version.ts';

/** One who is asked how a member is, and counts how often. */
interface Doctor {
  readonly port: number;
  readonly server: Server;
  healthy: boolean;
  asked: number;
}

async function aDoctor(pem?: string): Promise<Doctor> {
  const server = pem === undefined ? createServer() : createTlsServer({ key: pem, cert: pem });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const doctor = { port: (server.address() as AddressInfo).port, server, healthy: true, asked: 0 };
  server.on('request', (_, answer) => {
    doctor.asked += 1;
    answer.writeHead(doctor.healthy ? 200 : 500).end();
  });
  return doctor;
}

const healthMonitor = aMonitor({ type: 'HTTP', delay: 1, timeout: 1, rise: 1, fall: 2 });
let doctors: Doctor[];
let agent: AgentUnderTest;
let port: number;
let generation: number;

beforeEach(async () => {
  doctors = [];
  [agent, port, generation] = [await AgentUnderTest.start(), await freePort(), 0];
});
afterEach(async () => {
  await agent.remove();
  for (const { server } of doctors) {
    server.close();
    server.closeAllConnections();
  }
});

async function doctor(pem?: string): Promise<Doctor> {
  const one = await aDoctor(pem);
  doctors.push(one);
  return one;
}

function put(
  members: readonly Partial<WantedMember>[],
  pool: Partial<WantedPool> = {},
  timeoutClientData = 50_000,
) {
  generation += 1;
  const listener = { port, defaultPoolId: id('p', 1), connectionLimit: 100, timeoutClientData };
  return agent.put(
    aWanted({
      generation,
      listeners: [aListener(1, listener)],
      pools: [
        aPool(1, {
          healthMonitor,
          ...pool,
          members: members.map((one, n) => aMember(n, { address: '127.0.0.1', ...one })),
        }),
      ],
    }),
  );
}

const becomes = (wanted: string, n = 0) =>
  eventually(async () => {
    const { report } = await agent.status();
    return report.pools[id('p', 1)]?.members[id('m', n)] === wanted ? true : undefined;
  });
/** Asked for some time, while nobody asks the others. */
async function alone(one: Doctor): Promise<void> {
  const already = one.asked;
  await eventually(() => (one.asked > already ? true : undefined)); // a check of before may have been under way
  const others = () => doctors.filter((other) => other !== one).map(({ asked }) => asked);
  const before = others();
  await eventually(() => (one.asked > already + 2 ? true : undefined));
  expect(others()).toEqual(before);
}
const { checkAddresses } = abilitiesOf(await haproxyVersion('haproxy'));
const taken = { change: 'runtime', why: 'monitor address changed', refused: [] };

describe('where a member is asked how it is', () => {
  it('changes without a reload: elsewhere, further, back to the member, and with it when it moves', async () => {
    const [own, first, second, moved] = [await doctor(), await doctor(), await doctor(), await doctor()];
    first.healthy = false;
    await put([{ port: own.port }]);
    await becomes('UP');
    expect(await put([{ port: own.port, monitorPort: first.port }])).toMatchObject(taken);
    await becomes('DOWN');
    await alone(first);
    const elsewhere = { port: own.port, monitorAddress: '127.0.0.1', monitorPort: second.port };
    const addressTaken = checkAddresses ? taken : { change: 'reload' };
    expect(await put([elsewhere])).toMatchObject(addressTaken);
    await becomes('UP');
    await alone(second);
    // A reload takes the state of before along, and must not take an address of before.
    expect(await put([elsewhere], {}, 50_001)).toMatchObject({ change: 'reload' });
    await alone(second);
    expect(await put([{ port: own.port }], {}, 50_001)).toMatchObject(addressTaken);
    await alone(own);
    expect(await put([{ port: own.port }], {}, 50_002)).toMatchObject({ change: 'reload' });
    await alone(own);
    const address = { change: 'runtime', why: 'address changed' };
    expect(await put([{ port: moved.port }], {}, 50_002)).toMatchObject(address);
    await alone(moved);
    moved.healthy = false;
    await becomes('DOWN');
  }, 120_000);

  it('moves with a member that moves when it was elsewhere for a while', async () => {
    const [own, other, moved] = [await doctor(), await doctor(), await doctor()];
    await put([{ port: own.port, monitorPort: other.port }]);
    await alone(other);
    expect(await put([{ port: own.port }])).toMatchObject(taken);
    expect(await put([{ port: moved.port }])).toMatchObject({ change: 'runtime', why: 'address changed' });
    await alone(moved);
    // Another moves back, of whom the reload knows more than the file says.
    expect(await put([{ port: own.port }], {}, 50_001)).toMatchObject({ change: 'reload' });
    await alone(own);
  }, 120_000);

  it('that HAProxy holds otherwise than it was told is seen, and becomes a reload', async () => {
    const [own, other, wrong] = [await doctor(), await doctor(), await doctor()];
    await put([{ port: own.port, monitorPort: other.port }]);
    const server = `${id('p', 1)}:${id('l', 1)}/${id('m', 0)}`;
    await ask(join(agent.run, 'haproxy/stats.sock'), `set server ${server} check-port ${wrong.port}`);
    await alone(wrong);
    expect(await put([{ port: own.port, monitorPort: other.port, weight: 2 }])).toMatchObject({
      change: 'reload',
      why: expect.stringContaining('is not as told'),
    });
    await alone(other);
  }, 120_000);
});

describe('a member that is added', () => {
  it('is asked through the TLS of its pool at its own port, and without it elsewhere', async () => {
    const { pem } = aCertificate('member.example.com');
    const [sealed, other, open] = [await doctor(pem), await doctor(pem), await doctor()];
    const tls = aBackendTls();
    await put([{ port: sealed.port }], { tls });
    await becomes('UP');
    const three = [{ port: sealed.port }, { port: other.port }, { port: other.port, monitorPort: open.port }];
    expect(await put(three, { tls })).toMatchObject({ change: 'runtime' });
    for (const one of doctors) {
      const already = one.asked;
      await eventually(() => (one.asked > already + 2 ? true : undefined));
    }
    for (const n of [0, 1, 2]) await becomes('UP', n);
  });
});
