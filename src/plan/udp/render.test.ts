import fc from 'fast-check';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Value from 'typebox/value';
import { describe, expect, it } from 'vitest';
import { WantedAmphora, type WantedListener } from '../../wire/wanted.ts';
import { id } from '../haproxy/wanted.fixture.ts';
import { memberMarks } from './choice.ts';
import { datagramPart, datagramWarnings, streamPart } from './datagrams.ts';
import {
  aDatagramListener,
  aDatagramMember,
  aDatagramMonitor,
  aDatagramPool,
  aDatagramTree,
  loadIntoKernel,
} from './nft.fixture.ts';
import { renderNftables } from './render.ts';

const golden = join(import.meta.dirname, 'golden');
const render = (wanted: WantedAmphora, down: readonly string[] = []) =>
  renderNftables(datagramPart(wanted), new Set(down));

describe('the rules of nftables', () => {
  for (const name of readdirSync(golden)) {
    it(`for ${name} are the ones of the golden pair, and the kernel takes them`, () => {
      const wanted: unknown = JSON.parse(readFileSync(join(golden, name, 'wanted.json'), 'utf8'));
      if (!Value.Check(WantedAmphora, wanted)) throw new Error(`${name}/wanted.json is no wanted tree`);
      const { text, refused } = render(wanted);
      const path = join(golden, name, 'rules.nft');
      if (process.env['LIVIA_WRITE_GOLDEN'] === '1') writeFileSync(path, text);
      expect(text).toBe(readFileSync(path, 'utf8'));
      expect(refused).toEqual([]);
      expect(loadIntoKernel(text)).toBe('');
    });
  }

  it('are taken by the kernel for any legal tree', () => {
    fc.assert(
      fc.property(anyTree, fc.subarray([1, 2, 3, 4].map((n) => id('m', n))), (wanted, down) => {
        expect(Value.Check(WantedAmphora, wanted)).toBe(true);
        const { text, refused } = render(wanted, down);
        expect(refused).toEqual([]);
        expect(loadIntoKernel(text)).toBe('');
      }),
      { numRuns: 25 },
    );
  });

  it('give new flows to no member that is down, disabled or of weight 0, but go on counting theirs', () => {
    const members = [
      aDatagramMember(1),
      aDatagramMember(2, { enabled: false }),
      aDatagramMember(3, { weight: 0 }),
      aDatagramMember(4),
    ];
    const { text } = render(aDatagramTree({ pools: [aDatagramPool(1, { members })] }), [id('m', 4)]);
    expect(text.match(/10\.0\.0\.\d+ \. \d+/g)).toEqual(['10.0.0.1 . 5353']);
    for (const { id } of members) expect(text).toContain(`"member-in-${id}"`);
  });

  it('give each member as many of the choices as its weight says', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 256 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(weights, (list) => {
        const members = list.map((weight, n) => aDatagramMember(n + 1, { weight }));
        const { text } = render(aDatagramTree({ pools: [aDatagramPool(1, { members })] }));
        const [, total, map = ''] = /numgen inc mod (\d+) map \{ (.*?) \}/.exec(text) ?? [];
        const shares = map.split(', ').map((entry) => {
          const [range = ''] = entry.split(' : ');
          const [from = 0, to = from] = range.split('-').map(Number);
          return to - from + 1;
        });
        const sum = list.reduce((a, b) => a + b);
        expect(shares.map((share) => (share / Number(total)) * sum)).toEqual(
          list.map((weight) => expect.closeTo(weight, 6)),
        );
      }),
    );
  });

  it('refuse the pool whose words are no addresses, and serve the rest', () => {
    const attacks = [
      '10.0.0.1; flush ruleset',
      '10.0.0.1 }',
      '$VAR',
      '10.0.0.1\nflush ruleset',
      'localhost',
      '"x"',
      '@set',
      '10.0.0.0/8 }; delete table ip x',
      '::1%eth0',
      '',
    ];
    for (const attack of attacks) {
      const { text, refused } = render(
        aDatagramTree({
          listeners: [aDatagramListener(1), aDatagramListener(2)],
          pools: [aDatagramPool(1), aDatagramPool(2, { members: [aDatagramMember(7, { address: attack })] })],
        }),
      );
      expect(refused.map((one) => one.id)).toEqual([id('p', 2)]);
      expect(text).not.toContain('ruleset');
      expect(text).toContain(`counter name flows-${id('l', 1)}`);
      expect(loadIntoKernel(text)).toBe('');
    }
  });

  it('never get a text that was not parsed, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('a:b', '::1;', '1')), (attack) => {
        const pool = aDatagramPool(1, {
          sessionPersistence: {
            type: 'SOURCE_IP',
            cookieName: attack,
            persistenceTimeout: 1,
            persistenceGranularity: attack,
          },
        });
        const { text, refused } = render(aDatagramTree({ pools: [pool] }));
        expect(refused.length === 1 || /^[0-9a-f.:]+$/i.test(attack)).toBe(true);
        expect(text).toMatch(/^[\w\s{}.,:;@"&!=/-]*$/);
      }),
    );
  });

  it('know every member by a number of its own, that stays when others come and go', () => {
    // Ids are random: that two have the same end, or zeros there, is one chance in four thousand million.
    const anyId = fc.uuid().filter((own) => !own.endsWith('00000000'));
    const ids = fc.uniqueArray(anyId, { minLength: 1, maxLength: 20, selector: (own) => own.slice(-8) });
    fc.assert(
      fc.property(ids, (list) => {
        const members = list.map((own) => aDatagramMember(1, { id: own }));
        const marks = memberMarks([aDatagramPool(1, { members })]);
        expect(new Set(marks.values()).size).toBe(list.length);
        const [first] = members;
        if (first === undefined) return;
        expect(memberMarks([aDatagramPool(1, { members: [first] })]).get(first.id)).toBe(marks.get(first.id));
      }),
    );
    const twins = ['a', 'b'].map((kind) => aDatagramMember(1, { id: id(kind, 5) }));
    expect(new Set(memberMarks([aDatagramPool(1, { members: twins })]).values()).size).toBe(2);
  });

  it('for five hundred members are made and taken', () => {
    const members = Array.from({ length: 500 }, (_, n) =>
      aDatagramMember(n + 1, { address: `10.0.${n >> 8}.${n & 255}` }),
    );
    expect(loadIntoKernel(render(aDatagramTree({ pools: [aDatagramPool(1, { members })] })).text)).toBe('');
  });
});

describe('a tree', () => {
  it('is parted between HAProxy and the kernel, and a disabled load balancer has no listener there', () => {
    const tcp: WantedListener = { ...aDatagramListener(2), protocol: 'TCP' };
    const tree = aDatagramTree({ listeners: [aDatagramListener(1), tcp] });
    expect(streamPart(tree)).toMatchObject({ listeners: [tcp], pools: [] });
    expect(datagramPart(tree)).toMatchObject({
      listeners: [aDatagramListener(1)],
      pools: [aDatagramPool(1)],
    });
    const disabled = { ...tree, loadBalancer: { ...tree.loadBalancer, enabled: false } };
    expect(datagramPart(disabled)).toMatchObject({ listeners: [], pools: [] });
  });

  it('says what is done otherwise than wished', () => {
    const pool = aDatagramPool(1, {
      members: [aDatagramMember(1, { backup: true })],
      healthMonitor: aDatagramMonitor({ type: 'PING' }),
    });
    expect(datagramWarnings(aDatagramTree({ pools: [pool] })).map(({ text }) => text)).toEqual([
      'backup members of a UDP pool serve like the others',
      'health monitors of type PING are not carried: its members are not checked',
    ]);
  });
});

const anyMember = fc
  .tuple(
    fc.integer({ min: 1, max: 4 }),
    fc.ipV4(),
    fc.ipV6(),
    fc.boolean(),
    fc.integer({ min: 1, max: 65535 }),
  )
  .map(([n, v4, v6, six, port]) => aDatagramMember(n, { address: six ? v6 : v4, port }))
  .chain((member) => fc.integer({ min: 0, max: 256 }).map((weight) => ({ ...member, weight })));
const anyTree = fc
  .record({
    vipAddresses: fc.uniqueArray(fc.oneof(fc.ipV4(), fc.ipV6()), { minLength: 1, maxLength: 3 }),
    protocols: fc.uniqueArray(fc.constantFrom('UDP' as const, 'SCTP' as const), { minLength: 1 }),
    members: fc.uniqueArray(anyMember, { maxLength: 4, selector: (member) => member.id }),
    algorithm: fc.constantFrom(
      'ROUND_ROBIN' as const,
      'LEAST_CONNECTIONS' as const,
      'SOURCE_IP' as const,
      'SOURCE_IP_PORT' as const,
    ),
    connectionLimit: fc.constantFrom(-1, 1, 70_000),
    granularity: fc.option(fc.constantFrom('255.255.255.0', 'ffff:ffff::', '0.0.0.0')),
    sticky: fc.boolean(),
  })
  .map(({ vipAddresses, protocols, sticky, ...random }) => {
    const tree = aDatagramTree({
      listeners: protocols.map((protocol, n) =>
        aDatagramListener(n + 1, {
          protocol,
          port: 9000,
          connectionLimit: random.connectionLimit,
        }),
      ),
      pools: protocols.map((protocol, n) =>
        aDatagramPool(n + 1, {
          protocol,
          algorithm: random.algorithm,
          members: random.members,
          sessionPersistence: sticky
            ? {
                type: 'SOURCE_IP',
                cookieName: null,
                persistenceTimeout: null,
                persistenceGranularity: random.granularity,
              }
            : null,
        }),
      ),
    });
    return { ...tree, loadBalancer: { ...tree.loadBalancer, vipAddresses } };
  });
