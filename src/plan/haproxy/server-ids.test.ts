import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { serverIds } from './server-ids.ts';

const members = fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 300 });

describe('the ids of servers', () => {
  it('are each there once, within what counts for HAProxy, in whatever order the members come', () => {
    fc.assert(
      fc.property(members, (ids) => {
        const made = serverIds(ids);
        expect(new Set(made.values()).size).toBe(ids.length);
        for (const one of made.values()) expect(one > 0 && one < 2 ** 20).toBe(true);
        expect(serverIds(ids.toReversed())).toEqual(made);
      }),
    );
  });

  it('stay when other members come and go, but for one in a thousand', () => {
    const all = fc.sample(fc.uuid(), { numRuns: 2000, seed: 1 });
    const [before, after] = [serverIds(all), serverIds(all.slice(1000))];
    const moved = [...after].filter(([member, made]) => before.get(member) !== made);
    expect(moved.length).toBeLessThanOrEqual(2);
  });

  it('are found for ten thousand members of which many wish for the same', () => {
    const ids = Array.from(
      { length: 10_000 },
      (_, n) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
    );
    expect(new Set(serverIds(ids).values()).size).toBe(10_000);
  });
});
