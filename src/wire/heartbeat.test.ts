import { randomBytes, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claimedAmphoraId, encodeHeartbeat, HeartbeatReader } from './heartbeat.ts';
import type { Report } from './report.ts';

const key = randomBytes(32);
const report: Report = { amphoraId: randomUUID(), generation: 7, listeners: {}, pools: {} };
const [datagram = Buffer.alloc(0)] = encodeHeartbeat(report, 1_700_000_000_123, key);
const read = (bytes: Buffer) => new HeartbeatReader().read(bytes, key);

/** Of more members than fit a datagram. */
const large: Report = {
  ...report,
  pools: {
    [randomUUID()]: {
      up: true,
      members: Object.fromEntries(Array.from({ length: 12_000 }, () => [randomUUID(), 'UP' as const])),
    },
  },
};

describe('a heartbeat', () => {
  it('is read back as it was sent, and names its amphora', () => {
    expect(read(datagram)).toEqual({ report, sequence: 1_700_000_000_123 });
    expect(claimedAmphoraId(datagram)).toBe(report.amphoraId);
  });

  it('signed with the key of another is refused', () => {
    expect(read(encodeHeartbeat(report, 1, randomBytes(32))[0] ?? Buffer.alloc(0))).toBe('refused');
  });

  it('changed in any one bit is refused', () => {
    fc.assert(
      fc.property(fc.nat(datagram.length * 8 - 1), (bit) => {
        const forged = Buffer.from(datagram);
        forged.writeUInt8(forged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        expect(read(forged)).toBe('refused');
      }),
    );
  });

  it('of any bytes, or cut short, is refused and never thrown at', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(datagram.length - 1), (bytes, length) => {
        expect(read(Buffer.from(bytes))).toBe('refused');
        expect(read(datagram.subarray(0, length))).toBe('refused');
      }),
    );
  });

  describe('of twelve thousand members', () => {
    const parts = encodeHeartbeat(large, 5, key);

    it('goes in several datagrams and is read once all are there, in any order', () => {
      expect(parts.length).toBeGreaterThan(2);
      for (const part of parts) expect(part.length).toBeLessThanOrEqual(65_507);
      const reader = new HeartbeatReader();
      const [last, ...others] = parts.toReversed();
      for (const part of others) expect(reader.read(part, key)).toBe('incomplete');
      expect(reader.read(last as Buffer, key)).toEqual({ report: large, sequence: 5 });
    });

    it('of which a part is lost is given up for the next', () => {
      const reader = new HeartbeatReader();
      for (const part of parts.slice(1)) reader.read(part, key);
      const next = encodeHeartbeat(large, 6, key);
      expect(next.map((part) => reader.read(part, key)).at(-1)).toEqual({ report: large, sequence: 6 });
      expect(reader.read(parts[0] as Buffer, key)).toBe('incomplete');
    });

    it('and a part that is forged is none', () => {
      const reader = new HeartbeatReader();
      const strange = encodeHeartbeat(large, 7, randomBytes(32));
      for (const part of strange) expect(reader.read(part, key)).toBe('refused');
      expect(parts.map((part) => reader.read(part, key)).at(-1)).toEqual({ report: large, sequence: 5 });
    });
  });
});
