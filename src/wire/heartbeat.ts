import { createHmac, timingSafeEqual } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import Value from 'typebox/value';
import { Report } from './report.ts';

/**
 * The heartbeat datagram: 1 byte version, 16 bytes amphora id, 8 bytes sequence (big endian, milliseconds of the
 * sender's clock, so that an old one is known as old), the deflated JSON report, 32 bytes HMAC-SHA-256 over all
 * before it. A report too long for a datagram goes in several of version 2, with the number of the part and how many
 * there are (2 bytes each) before its piece of the deflated report; each is signed.
 */
const whole = 1;
const inParts = 2;
const headerBytes = 25;
const partBytes = 4;
const macBytes = 32;
const maxReportBytes = 16 * 1024 * 1024;
/** UDP takes 65,507 bytes. */
const longestBody = 60_000;

export interface Heartbeat {
  readonly report: Report;
  readonly sequence: number;
}

/** The datagrams of one heartbeat; nearly always one. */
export function encodeHeartbeat(report: Report, sequence: number, key: Buffer): readonly Buffer[] {
  const body = deflateRawSync(Buffer.from(JSON.stringify(report)));
  const parts = Math.ceil(body.length / longestBody);
  return Array.from({ length: parts }, (_, part) => {
    const header = Buffer.alloc(parts === 1 ? headerBytes : headerBytes + partBytes);
    header.writeUInt8(parts === 1 ? whole : inParts, 0);
    Buffer.from(report.amphoraId.replaceAll('-', ''), 'hex').copy(header, 1);
    header.writeBigUInt64BE(BigInt(sequence), 17);
    if (parts > 1) {
      header.writeUInt16BE(part, headerBytes);
      header.writeUInt16BE(parts, headerBytes + 2);
    }
    const signed = Buffer.concat([header, body.subarray(part * longestBody, (part + 1) * longestBody)]);
    return Buffer.concat([signed, createHmac('sha256', key).update(signed).digest()]);
  });
}

/** The amphora a datagram says it is from, unproven; undefined when it is no heartbeat. */
export function claimedAmphoraId(datagram: Buffer): string | undefined {
  const version = datagram.at(0);
  const bytes = headerBytes + (version === inParts ? partBytes : 0) + macBytes;
  if ((version !== whole && version !== inParts) || datagram.length < bytes) return undefined;
  const hex = datagram.subarray(1, 17).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

interface Waiting {
  readonly sequence: number;
  readonly pieces: (Buffer | undefined)[];
}

/** Reads datagrams, and puts parts together: of each amphora those of its newest heartbeat. */
export class HeartbeatReader {
  /** By amphora id; only what is signed gets here. */
  readonly #waiting = new Map<string, Waiting>();

  /** The proven report once all of it is there. Refused: not signed with the key, or not of its shape. */
  read(datagram: Buffer, key: Buffer): Heartbeat | 'incomplete' | 'refused' {
    const amphoraId = claimedAmphoraId(datagram);
    if (amphoraId === undefined) return 'refused';
    const signed = datagram.subarray(0, datagram.length - macBytes);
    const mac = datagram.subarray(datagram.length - macBytes);
    if (!timingSafeEqual(createHmac('sha256', key).update(signed).digest(), mac)) return 'refused';
    const sequence = Number(signed.readBigUInt64BE(17));
    const body =
      signed.at(0) === whole ? signed.subarray(headerBytes) : this.#joined(amphoraId, signed, sequence);
    return body === undefined ? 'incomplete' : (understood(amphoraId, body, sequence) ?? 'refused');
  }

  #joined(amphoraId: string, signed: Buffer, sequence: number): Buffer | undefined {
    const [part, parts] = [signed.readUInt16BE(headerBytes), signed.readUInt16BE(headerBytes + 2)];
    let waiting = this.#waiting.get(amphoraId);
    if (waiting === undefined || waiting.sequence < sequence) {
      waiting = { sequence, pieces: Array.from({ length: parts }, () => undefined) };
      this.#waiting.set(amphoraId, waiting);
    }
    if (waiting.sequence > sequence || part >= waiting.pieces.length) return undefined;
    waiting.pieces[part] = signed.subarray(headerBytes + partBytes);
    const pieces = waiting.pieces.flatMap((piece) => piece ?? []);
    if (pieces.length < waiting.pieces.length) return undefined;
    this.#waiting.delete(amphoraId);
    return Buffer.concat(pieces);
  }
}

function understood(amphoraId: string, deflated: Buffer, sequence: number): Heartbeat | undefined {
  try {
    const text = inflateRawSync(deflated, { maxOutputLength: maxReportBytes }).toString();
    const report: unknown = JSON.parse(text);
    if (!Value.Check(Report, report) || report.amphoraId !== amphoraId) return undefined;
    return { report, sequence };
  } catch {
    return undefined;
  }
}
