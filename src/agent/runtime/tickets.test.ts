import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ticketKeys } from '../../pki/ticket-keys.ts';
import { aCertificate, aListener, aTls, aWanted } from '../../plan/haproxy/wanted.fixture.ts';
import type { WantedAmphora, WantedTicketKeys } from '../../wire/wanted.ts';
import { AgentUnderTest, freePort } from '../agent.fixture.ts';

const certificate = aCertificate('www.example.com');
const secretKey = randomBytes(32);
const keysOf = (period: number, key = secretKey): WantedTicketKeys => {
  const { keys } = ticketKeys(key, 'lb', period);
  return { period, keys: [...keys] };
};

let agent: AgentUnderTest;
let port: number;
let folder: string;
let generation: number;

beforeEach(async () => {
  [agent, port, folder] = await Promise.all([
    AgentUnderTest.start(),
    freePort(),
    mkdtemp(join(tmpdir(), 'tickets-')),
  ]);
  generation = 0;
});
afterEach(async () => {
  await agent.remove();
  await rm(folder, { recursive: true });
});

/** Every call is another wish; `timeoutClientData` is nothing that HAProxy takes without a reload. */
function wish(keys: WantedTicketKeys | undefined, onPort = port, timeoutClientData = 50_000): WantedAmphora {
  generation += 1;
  const tls = aTls([certificate], { alpn: [] });
  return aWanted({
    generation,
    listeners: [
      aListener(1, {
        protocol: 'TERMINATED_HTTPS',
        port: onPort,
        tls,
        connectionLimit: 100,
        timeoutClientData,
      }),
    ],
    ...(keys && { ticketKeys: keys }),
  });
}

/** A TLS handshake and one request, by the openssl command: whether the session was taken up again. */
function handshake(onPort: number, version: string, session: '-sess_out' | '-sess_in'): Promise<string> {
  return new Promise((resolve) => {
    const file = join(folder, `session-${version}`);
    const asked = execFile(
      'openssl',
      ['s_client', '-connect', `127.0.0.1:${onPort}`, `-${version}`, '-ign_eof', session, file],
      (_, said) => resolve(/^(New|Reused), TLS/m.exec(said)?.[1] ?? 'no TLS'),
    );
    asked.stdin?.end('GET / HTTP/1.0\r\n\r\n');
  });
}

const versions = ['tls1_2', 'tls1_3'] as const;
const open = async () => Promise.all(versions.map((version) => handshake(port, version, '-sess_out')));
const resume = async (onPort = port) =>
  Promise.all(versions.map((version) => handshake(onPort, version, '-sess_in')));

describe('a TLS session', () => {
  it('goes on by its ticket over three reloads, and on another amphora of the load balancer', async () => {
    await agent.put(wish(keysOf(5)));
    expect(await open()).toEqual(['New', 'New']);
    for (const timeout of [1, 2, 3]) {
      expect((await agent.put(wish(keysOf(5), port, 50_000 + timeout))).change).toBe('reload');
      expect(await resume(), `after reload ${timeout}`).toEqual(['Reused', 'Reused']);
    }
    const other = await AgentUnderTest.start();
    try {
      const otherPort = await freePort();
      await other.put(wish(keysOf(5), otherPort));
      expect(await resume(otherPort)).toEqual(['Reused', 'Reused']);
    } finally {
      await other.remove();
    }
  });

  it('is not taken up by an amphora with the keys of a stranger, nor after a reload without any keys', async () => {
    await agent.put(wish(keysOf(5)));
    await open();
    const stranger = await AgentUnderTest.start();
    try {
      const otherPort = await freePort();
      await stranger.put(wish(keysOf(5, randomBytes(32)), otherPort));
      expect(await resume(otherPort)).toEqual(['New', 'New']);
    } finally {
      await stranger.remove();
    }
    await agent.put(wish(undefined, port, 50_001));
    expect(await resume()).toEqual(['New', 'New']);
  });

  it('outlives one rotation of the keys, and not three, and no rotation takes a reload', async () => {
    await agent.put(wish(keysOf(5)));
    await open();
    expect(await agent.put(wish(keysOf(6)))).toMatchObject({ change: 'runtime', why: 'ticket keys' });
    expect(await resume()).toEqual(['Reused', 'Reused']);
    expect(await agent.put(wish(keysOf(8)))).toMatchObject({ change: 'runtime' });
    expect(await resume()).toEqual(['New', 'New']);
  });
});

describe('the ticket keys', () => {
  it('are readable by root alone, are in no log, and the agent says of which period they are', async () => {
    await agent.put(wish(keysOf(5)));
    expect((await stat(join(agent.run, 'haproxy/current/ticket-keys'))).mode & 0o077).toBe(0);
    expect(keysOf(5).keys.filter((key) => agent.said.includes(key))).toEqual([]);
    expect((await agent.status()).ticketPeriod).toBe(5);
  });
});
