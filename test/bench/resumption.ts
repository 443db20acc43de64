/**
 * How many TLS sessions are taken up again after a reload, after three, and by another amphora of the load balancer:
 * with Livia's shared ticket keys, and side by side with the policy of Octavia (a large cache, no keys of its own).
 *
 *   npm run bench:resumption [-- SESSIONS]
 */
import { constants, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type ConnectionOptions } from 'node:tls';
import { AgentUnderTest, freePort, testMember } from '../../src/agent/agent.fixture.ts';
import { ticketKeys } from '../../src/pki/ticket-keys.ts';
import {
  aCertificate,
  aListener,
  aMember,
  aPool,
  aTls,
  aWanted,
  id,
} from '../../src/plan/haproxy/wanted.fixture.ts';
import { memoryGroup } from '../memory/memory-group.ts';
import { upstreamAmphora } from '../memory/upstream.ts';

const sessions = Number(process.argv[2] ?? 50);
const certificate = aCertificate('www.example.com');

const kinds = {
  'TLS 1.2, session id': {
    maxVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_TICKET,
  },
  'TLS 1.2, ticket': { maxVersion: 'TLSv1.2' },
  'TLS 1.3': { minVersion: 'TLSv1.3' },
} as const satisfies Record<string, ConnectionOptions>;
type Kind = keyof typeof kinds;

/** One handshake and one request; and the sessions that it was given to take up later. */
async function visit(
  port: number,
  kind: Kind,
  session?: Buffer,
): Promise<{ given: readonly Buffer[]; reused: boolean }> {
  const socket = connect({
    ...{ host: '127.0.0.1', port, rejectUnauthorized: false },
    ...{ servername: 'www.example.com', ...kinds[kind] },
    ...(session && { session }),
  });
  const given: Buffer[] = [];
  socket.on('session', (latest: Buffer) => given.push(latest));
  socket.write('GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n');
  socket.resume();
  await once(socket, 'end');
  const reused = socket.isSessionReused();
  socket.destroy();
  return { given, reused };
}

async function gather(port: number): Promise<ReadonlyMap<Kind, readonly Buffer[]>> {
  const all = new Map<Kind, Buffer[]>();
  for (const kind of Object.keys(kinds) as Kind[]) {
    const mine: Buffer[] = [];
    for (let n = 0; n < sessions; n += 1) {
      const latest = (await visit(port, kind)).given.at(-1);
      if (latest === undefined) throw new Error(`${kind}: no session was given`);
      mine.push(latest);
    }
    all.set(kind, mine);
  }
  return all;
}

async function show(
  policy: string,
  when: string,
  port: number,
  gathered: ReadonlyMap<Kind, readonly Buffer[]>,
) {
  const cells: string[] = [];
  for (const [kind, mine] of gathered) {
    let reused = 0;
    for (const session of mine) if ((await visit(port, kind, session)).reused) reused += 1;
    cells.push(`${kind} ${String(Math.round((reused / mine.length) * 100)).padStart(3)} %`);
  }
  console.log(`${policy.padEnd(8)} ${when.padEnd(38)} ${cells.join('   ')}`);
}

/** A client of TLS 1.3 that takes each session up once only, as RFC 8446 (C.4) asks, and comes again and again. */
async function showOnce(policy: string, port: number): Promise<void> {
  const kept: Buffer[] = [];
  let reused = 0;
  for (let n = 0; n < sessions; n += 1) {
    const seen = await visit(port, 'TLS 1.3', kept.shift());
    kept.push(...seen.given);
    if (seen.reused) reused += 1;
  }
  const share = Math.round((reused / sessions) * 100);
  console.log(`${policy.padEnd(8)} ${'the same worker, each session once'.padEnd(38)} TLS 1.3 ${share} %`);
}

const member = await testMember('one');

async function livia(): Promise<void> {
  const keys = ticketKeys(randomBytes(32), 'load balancer', 5);
  const [first, second] = await Promise.all([AgentUnderTest.start(), AgentUnderTest.start()]);
  const [port, otherPort] = [await freePort(), await freePort()];
  let generation = 0;
  const wish = (onPort: number) => {
    generation += 1;
    return aWanted({
      generation,
      listeners: [
        aListener(1, {
          ...{ protocol: 'TERMINATED_HTTPS', port: onPort, tls: aTls([certificate], { alpn: [] }) },
          ...{ defaultPoolId: id('p', 1), connectionLimit: 1000, timeoutClientData: 50_000 + generation },
        }),
      ],
      pools: [aPool(1, { members: [aMember(1, { address: '127.0.0.1', port: member.port })] })],
      ticketKeys: { period: keys.period, keys: [...keys.keys] },
    });
  };
  try {
    await first.put(wish(port));
    const gathered = await gather(port);
    await show('Livia', 'the same worker', port, gathered);
    await showOnce('Livia', port);
    await first.put(wish(port));
    await show('Livia', 'after a reload', port, gathered);
    await first.put(wish(port));
    await first.put(wish(port));
    await show('Livia', 'after three reloads', port, gathered);
    await second.put(wish(otherPort));
    await show('Livia', 'another amphora (replacement, failover)', otherPort, gathered);
  } finally {
    await Promise.all([first.remove(), second.remove()]);
  }
}

async function octavia(): Promise<void> {
  const amphora = async (port: number) =>
    upstreamAmphora({
      ...{ group: await memoryGroup(2 * 1024 ** 3), policy: 'after its fix', port },
      ...{ memberPort: member.port, maxconn: 1000, certificatePem: certificate.pem },
    });
  const [port, otherPort] = await Promise.all([freePort(), freePort()]);
  const [first, second] = [await amphora(port), await amphora(otherPort)];
  try {
    const gathered = await gather(port);
    await show('Octavia', 'the same worker', port, gathered);
    await showOnce('Octavia', port);
    await first.change();
    await show('Octavia', 'after a reload', port, gathered);
    await first.change();
    await first.change();
    await show('Octavia', 'after three reloads', port, gathered);
    await show('Octavia', 'another amphora (replacement, failover)', otherPort, gathered);
  } finally {
    await first.remove();
    await second.remove();
  }
}

try {
  await livia();
  await octavia();
} finally {
  member.close();
}
