import { randomBytes, randomInt } from 'node:crypto';
import { tryRun } from '../../platform/run.ts';

/**
 * The beginning of an SCTP association (RFC 9260), to see whether somebody answers: an INIT, which leaves nothing
 * behind at the other end. Over a raw socket, since few kernels have sockets for SCTP; Node has no raw sockets, perl
 * has, and is part of every Debian.
 */

const init = 1;
const initAck = 2;
const headerBytes = 12;

const table = Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (value & 1 ? 0x82f63b78 : 0);
  return value >>> 0;
});

/** CRC32c (RFC 3720, appendix B.4). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (table[(crc ^ byte) & 255] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function checksum(packet: Buffer): number {
  const zeroed = Buffer.from(packet);
  zeroed.fill(0, 8, headerBytes);
  return crc32c(zeroed);
}

export interface SctpPacket {
  readonly source: number;
  readonly destination: number;
  readonly verificationTag: number;
  /** Type of the first chunk. */
  readonly chunk: number;
  /** Of an INIT or INIT ACK: the tag that its sender wants to see. */
  readonly initiateTag: number;
}

/** An INIT, or what looks like it: one stream each way, the smallest window that is allowed and enough. */
export function encodeSctp(packet: SctpPacket): Buffer {
  const bytes = Buffer.alloc(headerBytes + 20);
  bytes.writeUInt16BE(packet.source, 0);
  bytes.writeUInt16BE(packet.destination, 2);
  bytes.writeUInt32BE(packet.verificationTag, 4);
  bytes.writeUInt8(packet.chunk, headerBytes);
  bytes.writeUInt16BE(20, headerBytes + 2);
  bytes.writeUInt32BE(packet.initiateTag, headerBytes + 4);
  bytes.writeUInt32BE(65_536, headerBytes + 8);
  bytes.writeUInt16BE(1, headerBytes + 12);
  bytes.writeUInt16BE(1, headerBytes + 14);
  bytes.writeUInt32BE(1, headerBytes + 16);
  bytes.writeUInt32LE(checksum(bytes), 8);
  return bytes;
}

/** Undefined: it is none, or was damaged on its way. */
export function decodeSctp(bytes: Buffer): SctpPacket | undefined {
  if (bytes.length < headerBytes + 8 || bytes.readUInt32LE(8) !== checksum(bytes)) return undefined;
  return {
    source: bytes.readUInt16BE(0),
    destination: bytes.readUInt16BE(2),
    verificationTag: bytes.readUInt32BE(4),
    chunk: bytes.readUInt8(headerBytes),
    initiateTag: bytes.readUInt32BE(headerBytes + 4),
  };
}

/** Sends a packet, and says the first answer that begins as it must; both hexadecimal. */
const exchange = `
  use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6);
  my ($address, $packet, $beginning) = @ARGV;
  my $six = $address =~ /:/;
  socket(my $raw, $six ? AF_INET6 : AF_INET, SOCK_RAW, 132) or die "socket: $!";
  my $there = inet_pton($six ? AF_INET6 : AF_INET, $address);
  connect($raw, $six ? pack_sockaddr_in6(0, $there) : pack_sockaddr_in(0, $there)) or die "connect: $!";
  defined send($raw, pack('H*', $packet), 0) or die "send: $!";
  while (defined recv($raw, my $heard, 2048, 0)) {
    # With IPv4 the header of IP stands before it.
    my $answer = unpack('H*', $six ? $heard : substr($heard, 4 * (ord($heard) & 15)));
    next if index($answer, $beginning);
    print $answer;
    last;
  }`;

/** Whether the other end takes up an association; false when it refuses, or is silent for so long. */
export async function sctpInit(
  { address, port }: { readonly address: string; readonly port: number },
  timeoutMs: number,
): Promise<boolean> {
  const tag = randomBytes(4).readUInt32BE() || 1;
  const source = randomInt(49_152, 65_536);
  const ask = { source, destination: port, verificationTag: 0, chunk: init, initiateTag: tag };
  const answer = encodeSctp({
    source: port,
    destination: source,
    verificationTag: tag,
    chunk: 0,
    initiateTag: 0,
  });
  const { stdout } = await tryRun(
    ['perl', '-e', exchange, address, encodeSctp(ask).toString('hex'), answer.toString('hex', 0, 8)],
    { timeoutMs },
  );
  return decodeSctp(Buffer.from(stdout, 'hex'))?.chunk === initAck;
}
