import { createHmac, timingSafeEqual } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import Value from 'typebox/value';
import { Report } from './report.ts';

/**
 * The heartbeat datagram: 1 byte version, 16 bytes amphora id, 8 bytes sequence (big endian, milliseconds of the
 * sender's clock, so that an old one is known as old), the deflated JSON report, 32 bytes HMAC-SHA-256 over all
 * before it. At most 65,507 bytes.
 */
const version = 1;
const headerBytes = 25;
const macBytes = 32;
const maxReportBytes = 16 * 1024 * 1024;

export function encodeHeartbeat(report: Report, sequence: number, key: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt8(version, 0);
  Buffer.from(report.amphoraId.replaceAll('-', ''), 'hex').copy(header, 1);
  header.writeBigUInt64BE(BigInt(sequence), 17);
  const body = Buffer.concat([header, deflateRawSync(Buffer.from(JSON.stringify(report)))]);
  return Buffer.concat([body, createHmac('sha256', key).update(body).digest()]);
}

/** The amphora a datagram says it is from, unproven; undefined when it is no heartbeat. */
export function claimedAmphoraId(datagram: Buffer): string | undefined {
  if (datagram.length < headerBytes + macBytes || datagram.readUInt8(0) !== version) return undefined;
  const hex = datagram.subarray(1, 17).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** The proven report, or undefined when the signature or the shape is wrong. */
export function decodeHeartbeat(
  datagram: Buffer,
  key: Buffer,
): { report: Report; sequence: number } | undefined {
  const claimed = claimedAmphoraId(datagram);
  if (claimed === undefined) return undefined;
  const body = datagram.subarray(0, datagram.length - macBytes);
  const mac = datagram.subarray(datagram.length - macBytes);
  if (!timingSafeEqual(createHmac('sha256', key).update(body).digest(), mac)) return undefined;
  try {
    const text = inflateRawSync(body.subarray(headerBytes), { maxOutputLength: maxReportBytes }).toString();
    const report: unknown = JSON.parse(text);
    if (!Value.Check(Report, report) || report.amphoraId !== claimed) return undefined;
    return { report, sequence: Number(body.readBigUInt64BE(17)) };
  } catch {
    return undefined;
  }
}
