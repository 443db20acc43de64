import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { expect, it } from 'vitest';
import { chooseSubnets, rangesInUse } from './subnets.ts';

const octet = fc.integer({ min: 0, max: 255 });
const range = fc
  .tuple(octet, octet, fc.integer({ min: 16, max: 32 }))
  .map(([second, third, prefix]) => `10.${second}.${third}.0/${prefix}`);

it('two networks never overlap with what the machine uses, nor with each other', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 20 }), (inUse) => {
      const { management, external } = chooseSubnets([...inUse, '0.0.0.0/0'], Math.random);
      expect(management).not.toBe(external);
      for (const used of inUse) {
        for (const network of [management, external]) {
          const [address, length] = ipaddr.IPv4.parseCIDR(network);
          const [usedAddress, usedLength] = ipaddr.IPv4.parseCIDR(used);
          expect(address.match(usedAddress, Math.min(length, usedLength)), `${network} and ${used}`).toBe(
            false,
          );
        }
      }
    }),
  );
});

it('says so when the machine has routes to everything', () => {
  expect(() => chooseSubnets(['10.0.0.0/8'], Math.random)).toThrow('no network is left');
});

it('sees the addresses of this machine', async () => {
  expect(await rangesInUse()).toContain('127.0.0.1/8');
});
