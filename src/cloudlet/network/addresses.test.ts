import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  contains,
  defaultPools,
  formatAddress,
  lowestFree,
  parseAddress,
  parseCidr,
  usable,
} from './addresses.ts';

const address = fc.oneof(
  fc.ipV4().map((text) => ({ version: 4 as const, text })),
  fc.ipV6().map((text) => ({ version: 6 as const, text })),
);

describe('addresses', () => {
  it('are the same number after being written and read again', () => {
    fc.assert(
      fc.property(address, ({ version, text }) => {
        const parsed = parseAddress(text);
        expect(parsed?.version).toBe(version);
        expect(parsed && parseAddress(formatAddress(parsed))).toEqual(parsed);
      }),
    );
  });

  it('are refused when they are shorthand or have a zone', () => {
    for (const text of ['10.1', '0x7f000001', '::1%eth0', '', '1.2.3.4.5', '256.1.1.1']) {
      expect(parseAddress(text)).toBeUndefined();
    }
  });

  it('of a network lie between its ends, whose prefix they share', () => {
    fc.assert(
      fc.property(address, fc.nat(32), ({ version, text }, prefix) => {
        const cidr = parseCidr(`${text}/${prefix}`);
        const value = parseAddress(text)?.value ?? -1n;
        expect(cidr !== undefined && contains(cidr, value)).toBe(true);
        expect(cidr && cidr.last - cidr.first + 1n).toBe(1n << BigInt((version === 4 ? 32 : 128) - prefix));
        expect(cidr && parseCidr(cidr.text)).toEqual(cidr);
      }),
    );
  });
});

describe('pools', () => {
  it('are all that is usable but the gateway', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 20, max: 30 }), fc.nat(5000), (text, prefix, offset) => {
        const cidr = parseCidr(`${text}/${prefix}`);
        if (cidr === undefined) throw new Error('not a network');
        const all = usable(cidr);
        const gateway = all.first + (BigInt(offset) % (all.last - all.first + 1n));
        const pools = defaultPools(cidr, gateway);
        const sizes = pools.reduce((sum, pool) => sum + pool.last - pool.first + 1n, 0n);
        expect(sizes).toBe(all.last - all.first);
        expect(pools.some((pool) => contains(pool, gateway))).toBe(false);
      }),
    );
  });

  it('give every address once, the lowest first, and then none', () => {
    const cidr = parseCidr('10.0.0.0/29');
    if (cidr === undefined) throw new Error('not a network');
    const pools = defaultPools(cidr, cidr.first + 1n);
    const taken = new Set<bigint>();
    const given: string[] = [];
    for (let next = lowestFree(pools, taken); next !== undefined; next = lowestFree(pools, taken)) {
      taken.add(next);
      given.push(formatAddress({ version: 4, value: next }));
    }
    expect(given).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6']);
  });
});
