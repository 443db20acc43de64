import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leastConnections, type Load } from './least-connections.ts';

const anyMembers = fc.array(fc.record({ weight: fc.integer({ min: 1, max: 256 }), flows: fc.nat(100_000) }), {
  minLength: 1,
  maxLength: 40,
});

describe('the parts of new flows by least connections', () => {
  it('follow the weights while there are no flows, or as many as the weights say', () => {
    expect(leastConnections([1, 1, 2].map((weight) => ({ weight, flows: 0 })))).toEqual([8, 8, 16]);
    expect(leastConnections([1, 1, 2].map((weight) => ({ weight, flows: 500 * weight })))).toEqual([
      8, 8, 16,
    ]);
  });

  it('leave out who has more than its share, until the others have come level', () => {
    expect(leastConnections([40, 0, 0].map((flows) => ({ weight: 1, flows })))).toEqual([0, 16, 16]);
    expect(leastConnections([40, 30, 10].map((flows) => ({ weight: 1, flows })))).toEqual([0, 0, 32]);
  });

  it('bring any load nearer to the level: the most loaded never gets more than its weight says', () => {
    fc.assert(
      fc.property(anyMembers, (members) => {
        const shares = leastConnections(members);
        const sum = shares.reduce((all, share) => all + share, 0);
        expect(sum).toBeGreaterThan(0);
        const load = ({ flows, weight }: Load): number => flows / weight;
        const most = members.reduce((a, b) => (load(a) >= load(b) ? a : b));
        const own = shares[members.indexOf(most)] ?? NaN;
        const weights = members.reduce((all, { weight }) => all + weight, 0);
        // Parts are whole: one may be rounded up.
        expect(own).toBeLessThanOrEqual((most.weight / weights) * Math.max(32, 4 * members.length) + 1);
      }),
    );
  });
});
