import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { crc32c, decodeSctp, encodeSctp, sctpInit } from './sctp.ts';

/** A raw socket of SCTP at 127.0.0.1: packets as lines of hexadecimal, heard on its output, sent from its input. */
const relay = `
import select, socket, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
raw.bind(('127.0.0.1', 0))
print('bound', flush=True)
while True:
    ready, _, _ = select.select([raw, sys.stdin], [], [])
    if raw in ready:
        packet = raw.recv(2048)
        print(packet[(packet[0] & 15) * 4:].hex(), flush=True)
    if sys.stdin in ready:
        line = sys.stdin.readline()
        if not line: break
        raw.sendto(bytes.fromhex(line), ('127.0.0.1', 0))
`;

let member: ChildProcess | undefined;
afterEach(() => {
  member?.kill('SIGKILL');
  member = undefined;
});

/** A member that answers every INIT to its port with this chunk. */
async function memberThatAnswers(port: number, chunk: number): Promise<void> {
  const child = spawn('python3', ['-c', relay], { stdio: ['pipe', 'pipe', 'inherit'] });
  member = child;
  await once(child.stdout, 'data');
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    for (const line of text.trim().split('\n')) {
      const heard = decodeSctp(Buffer.from(line, 'hex'));
      if (heard?.chunk !== 1 || heard.destination !== port) continue;
      const answer = encodeSctp({
        ...{ source: port, destination: heard.source, verificationTag: heard.initiateTag },
        ...{ chunk, initiateTag: 1 },
      });
      child.stdin.write(`${answer.toString('hex')}\n`);
    }
  });
}

describe('a check by SCTP', () => {
  it('passes when the member takes up the association', async () => {
    await memberThatAnswers(7001, 2);
    expect(await sctpInit({ address: '127.0.0.1', port: 7001 }, 20_000)).toBe(true);
  });

  it('fails when the member refuses, is another port, or is silent', async () => {
    await memberThatAnswers(7001, 6);
    expect(await sctpInit({ address: '127.0.0.1', port: 7001 }, 20_000)).toBe(false);
    expect(await sctpInit({ address: '127.0.0.1', port: 7002 }, 500)).toBe(false);
  });
});

describe('a packet of SCTP', () => {
  it('carries the checksum of its RFC, and is not read when it was damaged', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    const packet = { source: 1, destination: 2, verificationTag: 3, chunk: 1, initiateTag: 4 };
    const bytes = encodeSctp(packet);
    expect(decodeSctp(bytes)).toEqual(packet);
    for (let at = 0; at < bytes.length; at += 1) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      expect(decodeSctp(damaged)).toBeUndefined();
    }
    expect(decodeSctp(bytes.subarray(0, 10))).toBeUndefined();
  });
});
