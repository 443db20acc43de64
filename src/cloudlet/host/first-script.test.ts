import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { run } from '../../platform/run.ts';
import { fromCards, quote, untilCards } from './first-script.ts';
import type { InstanceSpec } from './host.ts';

const spec = (change: Partial<InstanceSpec>): InstanceSpec => ({
  id: 'a',
  name: 'amphora-a',
  memoryBytes: 2 ** 28,
  vcpus: 1,
  nics: [],
  files: [],
  bootScript: 'true',
  ...change,
});

describe('a text in a shell script', () => {
  it('comes out as it went in, whatever is in it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: fc.constantFrom(...Array.from('\'"\\$`\n\r\t #;&|<>(){}*?!~=-%aé')) }),
        async (text) => {
          expect(await run(['sh', '-s'], { input: `printf %s ${quote(text)}\n` })).toBe(text);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('may be long', async () => {
    const text = "certificate's line\n".repeat(50_000);
    expect(await run(['sh', '-s'], { input: `printf %s ${quote(text)}\n` })).toBe(text);
  });
});

describe('the first script', () => {
  it.each(['/etc/passwd', '/run', '/run/', '/run/../etc/passwd', 'run/a', '/tmp/a', '/run/a/'])(
    'refuses to write %s',
    (path) => {
      expect(() => untilCards(spec({ files: [{ path, content: '', mode: 0o600 }] }), [])).toThrow(
        'below /run only',
      );
    },
  );

  it('takes no more than an address for an address', () => {
    const card = { portId: 'p', networkId: 'n', macAddress: '02:00:00:00:00:01', gateways: [] };
    const nics = [{ ...card, addresses: ['10.0.0.1/24\nlink del eth0'] }];
    expect(() => fromCards(spec({ nics }))).toThrow('not an address');
  });
});
