import ipaddr from 'ipaddr.js';

/** An address as a number of its family, so that it can be counted with. */
export interface Address {
  readonly version: 4 | 6;
  readonly value: bigint;
}

export interface Cidr {
  readonly version: 4 | 6;
  readonly prefix: number;
  readonly first: bigint;
  readonly last: bigint;
  /** Canonical: no host bits. */
  readonly text: string;
}

/** Both ends belong to it. */
export interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** Undefined: not an address. No shorthand such as `10.1`. */
export function parseAddress(text: string): Address | undefined {
  const version = ipaddr.IPv4.isValidFourPartDecimal(text) ? 4 : ipaddr.IPv6.isValid(text) ? 6 : undefined;
  if (version === undefined || text.includes('%')) return undefined;
  const bytes = ipaddr.parse(text).toByteArray();
  return { version, value: bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n) };
}

export function formatAddress({ version, value }: Address): string {
  const length = version === 4 ? 4 : 16;
  const bytes = Array.from({ length }, (_, index) =>
    Number((value >> BigInt(8 * (length - 1 - index))) & 255n),
  );
  return ipaddr.fromByteArray(bytes).toString();
}

export function parseCidr(text: string): Cidr | undefined {
  const [addressText = '', prefixText = '', ...rest] = text.split('/');
  const address = parseAddress(addressText);
  if (address === undefined || rest.length > 0 || !/^[0-9]{1,3}$/.test(prefixText)) return undefined;
  const bits = address.version === 4 ? 32 : 128;
  const prefix = Number(prefixText);
  if (prefix > bits) return undefined;
  const size = 1n << BigInt(bits - prefix);
  const first = (address.value / size) * size;
  return {
    version: address.version,
    prefix,
    first,
    last: first + size - 1n,
    text: `${formatAddress({ version: address.version, value: first })}/${prefix}`,
  };
}

export function contains(range: Range, value: bigint): boolean {
  return range.first <= value && value <= range.last;
}

export function overlap(left: Range, right: Range): boolean {
  return left.first <= right.last && right.first <= left.last;
}

/** Addresses that a card may have: not the network's own, and in IPv4 not the broadcast address. */
export function usable(cidr: Cidr): Range {
  if (cidr.last - cidr.first < 2n) return cidr;
  return { first: cidr.first + 1n, last: cidr.version === 4 ? cidr.last - 1n : cidr.last };
}

/** All that is usable, around the gateway. */
export function defaultPools(cidr: Cidr, gateway: bigint | undefined): Range[] {
  const all = usable(cidr);
  if (gateway === undefined || !contains(all, gateway)) return [all];
  return [
    { first: all.first, last: gateway - 1n },
    { first: gateway + 1n, last: all.last },
  ].filter((range) => range.first <= range.last);
}

export function lowestFree(pools: readonly Range[], taken: ReadonlySet<bigint>): bigint | undefined {
  for (const pool of pools) {
    for (let value = pool.first; value <= pool.last; value += 1n) if (!taken.has(value)) return value;
  }
  return undefined;
}
