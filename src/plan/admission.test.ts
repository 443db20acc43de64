import fc from 'fast-check';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { WantedListener } from '../wire/wanted.ts';
import { admissionOf, meanwhile, renderAdmission } from './admission.ts';
import { aListener, aWanted, id } from './haproxy/wanted.fixture.ts';
import { loadIntoKernel } from './udp/nft.fixture.ts';

const tree = (listeners: WantedListener[], vipAddresses = ['203.0.113.5', '2001:db8::5']) => {
  const wanted = aWanted({ listeners });
  return { ...wanted, loadBalancer: { ...wanted.loadBalancer, vipAddresses } };
};
const web = aListener(1, { port: 80, allowedCidrs: ['192.0.2.0/24', '198.51.100.7', '2001:db8:1::/48'] });
const open = aListener(2, { port: 443 });
const dns = aListener(3, { protocol: 'UDP', port: 53, allowedCidrs: ['192.0.2.0/24'] });
const closed = aListener(4, { protocol: 'SCTP', port: 53, allowedCidrs: [] });

describe('the rules for allowed CIDRs', () => {
  it('are the ones of the golden file, and the kernel takes them', () => {
    const path = join(import.meta.dirname, 'golden/admission.nft');
    const { text, refused } = renderAdmission(admissionOf(tree([web, open, dns, closed])));
    if (process.env['LIVIA_WRITE_GOLDEN'] === '1') writeFileSync(path, text);
    expect(text).toBe(readFileSync(path, 'utf8'));
    expect(refused).toEqual([]);
    expect(loadIntoKernel(text)).toBe('');
  });

  it('are none where everybody is let in', () => {
    const { text } = renderAdmission(admissionOf(tree([open])));
    expect(text).not.toContain('chain');
    expect(loadIntoKernel(text)).toBe('');
  });

  it('are taken by the kernel for any CIDRs, those that hold one another too', () => {
    const anyCidr = fc.oneof(
      fc.constantFrom('0.0.0.0/0', '::/0', '10.0.0.0/8', '10.1.0.0/16', '10.1.2.3'),
      fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([base, bits]) => `${base}/${bits}`),
      fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })).map(([base, bits]) => `${base}/${bits}`),
    );
    const vips = fc.uniqueArray(fc.oneof(fc.ipV4(), fc.ipV6()), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(
        vips,
        fc.array(fc.array(anyCidr, { maxLength: 5 }), { maxLength: 3 }),
        (addresses, lists) => {
          const listeners = lists.map((allowedCidrs, n) => aListener(n + 1, { allowedCidrs }));
          const { text, refused } = renderAdmission(admissionOf(tree(listeners, addresses)));
          expect(refused).toEqual([]);
          expect(loadIntoKernel(text)).toBe('');
        },
      ),
      { numRuns: 25 },
    );
  });

  it('let nobody in where a word is no CIDR, and say so', () => {
    for (const attack of [
      '10.0.0.1; flush ruleset',
      '10.0.0.0/8 }; delete table ip x',
      '@set',
      '::1%eth0',
      '',
    ]) {
      const bad = aListener(9, { allowedCidrs: ['10.0.0.0/8', attack] });
      const { text, refused } = renderAdmission(admissionOf(tree([web, bad])));
      expect(refused.map((one) => one.id)).toEqual([bad.id]);
      expect(text).toContain(`    chain listener-${bad.id} {\n        drop\n    }`);
      expect(text).toContain('ip saddr { 192.0.2.0/24, 198.51.100.7 } accept');
      expect(loadIntoKernel(text)).toBe('');
    }
  });
});

describe('while one tree becomes another', () => {
  it('a listener that goes stays guarded, at every VIP of before; one that is open now is open at once', () => {
    const before = admissionOf(tree([web, dns]));
    const after = tree([{ ...web, allowedCidrs: null }], ['203.0.113.6']);
    const { vipAddresses, listeners } = meanwhile(before, after);
    expect(vipAddresses).toEqual(['203.0.113.6', '203.0.113.5', '2001:db8::5']);
    expect(listeners.map((one) => one.id)).toEqual([dns.id]);
  });

  it('who has the port of one that goes lets in whom it names', () => {
    const next = aListener(5, { port: 80, allowedCidrs: ['10.0.0.0/8'] });
    const { listeners } = meanwhile(admissionOf(tree([web])), tree([next]));
    expect(listeners.map((one) => [one.id, one.allowedCidrs])).toEqual([[id('l', 5), ['10.0.0.0/8']]]);
  });
});
