import { describe, expect, it } from 'vitest';
import { reasonOfDeath } from './death.ts';

const usage = (oomKills: number) => ({ oomKills, memoryBytes: 0, limitBytes: 512 * 2 ** 20 });

describe('the reason of a death', () => {
  it('is memory when the kernel killed the first process at its limit', () => {
    const sentence = 'out of memory: the kernel killed 2 processes at its limit of 512 MiB';
    expect(reasonOfDeath(137, usage(2))).toBe(sentence);
    expect(reasonOfDeath(undefined, usage(2))).toBe(sentence);
  });

  it('is the way of ending when memory was never short', () => {
    expect(reasonOfDeath(3, usage(0))).toBe('its first process ended (exit 3)');
    expect(reasonOfDeath(137, undefined)).toBe('its first process ended (SIGKILL)');
    expect(reasonOfDeath(undefined, undefined)).toBe('its first process ended (unseen)');
    expect(reasonOfDeath(143, usage(0))).toBe('its first process ended (SIGTERM)');
  });

  it('does not blame memory for an exit of its own will, but tells of both', () => {
    expect(reasonOfDeath(1, usage(1))).toBe(
      'its first process ended (exit 1), after the kernel killed 1 process at its limit of 512 MiB',
    );
  });
});
