import { randomBytes, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claimedAmphoraId, decodeHeartbeat, encodeHeartbeat } from './heartbeat.ts';
import type { Report } from './report.ts';

const key = randomBytes(32);
const report: Report = { amphoraId: randomUUID(), generation: 7, listeners: {}, pools: {} };
const datagram = encodeHeartbeat(report, 1_700_000_000_123, key);

describe('a heartbeat', () => {
  it('is read back as it was sent, and names its amphora', () => {
    expect(decodeHeartbeat(datagram, key)).toEqual({ report, sequence: 1_700_000_000_123 });
    expect(claimedAmphoraId(datagram)).toBe(report.amphoraId);
  });

  it('signed with the key of another is refused', () => {
    expect(decodeHeartbeat(encodeHeartbeat(report, 1, randomBytes(32)), key)).toBeUndefined();
  });

  it('changed in any one bit is refused', () => {
    fc.assert(
      fc.property(fc.nat(datagram.length * 8 - 1), (bit) => {
        const forged = Buffer.from(datagram);
        forged.writeUInt8(forged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        expect(decodeHeartbeat(forged, key)).toBeUndefined();
      }),
    );
  });

  it('of any bytes, or cut short, is refused and never thrown at', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(datagram.length - 1), (bytes, length) => {
        expect(decodeHeartbeat(Buffer.from(bytes), key)).toBeUndefined();
        expect(decodeHeartbeat(datagram.subarray(0, length), key)).toBeUndefined();
      }),
    );
  });
});
