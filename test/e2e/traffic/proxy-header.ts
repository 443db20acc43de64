/** A PROXY header at the start of a connection: its length, and what it says in words. */
export function proxyHeader(bytes: Buffer): { readonly length: number; readonly words: string } | undefined {
  if (bytes.subarray(0, 6).toString() === 'PROXY ') {
    const end = bytes.indexOf('\r\n');
    const [, family, source, target, , port] = bytes.subarray(0, end).toString().split(' ');
    return { length: end + 2, words: `v1 ${family} ${source} to ${target} ${port}` };
  }
  const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
  if (!bytes.subarray(0, 12).equals(signature)) return undefined;
  const length = 16 + bytes.readUInt16BE(14);
  if ((bytes.readUInt8(12) & 0xf) === 0) return { length, words: 'v2 LOCAL' };
  if (bytes.readUInt8(13) !== 0x11) return { length, words: `v2 family ${bytes.readUInt8(13)}` };
  const ip = (at: number) => [...bytes.subarray(at, at + 4)].join('.');
  const common = commonName(bytes.subarray(28, length));
  const words = `v2 TCP4 ${ip(16)} to ${ip(20)} ${bytes.readUInt16BE(26)}`;
  return { length, words: common === undefined ? words : `${words} client ${common}` };
}

/** Of the client's certificate: a TLV 0x22 within the TLV 0x20. */
function commonName(tlvs: Buffer): string | undefined {
  for (let at = 0; at + 3 <= tlvs.length; ) {
    const [type, length] = [tlvs.readUInt8(at), tlvs.readUInt16BE(at + 1)];
    const value = tlvs.subarray(at + 3, at + 3 + length);
    if (type === 0x22) return value.toString();
    if (type === 0x20) return commonName(value.subarray(5));
    at += 3 + length;
  }
  return undefined;
}
