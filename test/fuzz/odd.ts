import fc from 'fast-check';

/** What nobody should send, and somebody does. */

/** How often and from which seed; a failure prints the seed, and these two repeat or widen a run. */
const times = Number(process.env['LIVIA_FUZZ_TIMES'] ?? 1);
const seed = Number(process.env['LIVIA_FUZZ_SEED'] ?? 20_260_202);
export const runs = (usual: number) => ({ numRuns: Math.ceil(usual * times), seed, endOnFailure: true });

export const oddTexts: readonly string[] = [
  ...[
    '',
    ' ',
    '\0',
    'a\0b',
    '\ud800',
    'x\udfff',
    '\n',
    '\r\nX-Injected: 1',
    '\u001b[2J',
    '\u202e',
    '🦁',
    'ﬁ',
    '\ufeff',
  ],
  ...[
    "'",
    "' or 1=1 --",
    "'; drop table listeners; --",
    "\\'; select pg_sleep(9)--",
    '$1',
    '$$',
    '%s%n',
    '\\',
  ],
  ...[
    '{"a":1}',
    '[]',
    'null',
    'None',
    'true',
    'NaN',
    'Infinity',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
  ],
  ...[
    '\n  server evil 10.0.0.1:80',
    '"\nglobal\n  stats socket /tmp/x',
    'a } if { always_true',
    '%[env(PATH)]',
    '${HOME}',
  ],
  ...[
    '../../etc/passwd',
    'file:///etc/passwd',
    'http://[::1',
    'http://a.example/\nhttp-request deny',
    '//',
    '%',
    '%zz',
    '%00',
  ],
  ...[
    '0',
    '-1',
    '+1',
    '1e400',
    '0x10',
    '1_000',
    '9007199254740993',
    '99999999999999999999999999',
    '1.5',
    '٣',
    ' 1 ',
  ],
  ...[
    '::ffff:127.0.0.1',
    'fe80::1%eth0',
    '0.0.0.0',
    '255.255.255.255',
    '010.1.1.1',
    '1.2.3.4/33',
    '::/129',
    '::/0',
  ],
  ...[
    '-271821-04-20T00:00:00Z',
    '+275760-09-13T00:00:00Z',
    '0000-00-00',
    '-100000-01-01T00:00:00Z',
    '2026-02-30T00:00:00',
  ],
  ...[
    '00000000-0000-0000-0000-000000000000',
    'urn:uuid:12345678-1234-1234-1234-123456789abc',
    'x'.repeat(300),
    'ü'.repeat(255),
  ],
  ...['(a+)+$', '[', '(?<x>', 'a{99999}', '(?=a)', '*'],
];

const depths = [1, 3, 40, 5000];
export const nested = (depth: number, open = '[', close = ']'): string =>
  `${open.repeat(depth)}${close.repeat(depth)}`;

/** A value of JSON, as its text: some have no other form. */
export const oddJson: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...oddTexts).map((text) => JSON.stringify(text)) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...['null', 'true', 'false', '0', '-0', '-1', '1', '1.5', '1e2', '1e400', '-1e400', '1e-400', '65536'],
      ...[
        '2147483648',
        '9007199254740993',
        '123456789012345678901234567890',
        '[]',
        '{}',
        '[null]',
        '[[]]',
        '[{}]',
      ],
      ...[
        '{"__proto__":{"a":1}}',
        '{"constructor":{"prototype":1}}',
        '{"a":1,"a":2}',
        '{"":""}',
        '[1,"1",true]',
      ],
      ...[
        '{"\\u0000":"a"}',
        '{"\\ud800":"a"}',
        '{"X-Forwarded-For":"\\u0000"}',
        '{"name":null,"protocol":7}',
      ],
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom(...depths).map((depth) => nested(depth)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...depths).map((depth) => nested(depth, '{"a":', '}').replace('}', '1}')),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }).map((text) => JSON.stringify(text)) },
  { weight: 1, arbitrary: fc.json({ maxDepth: 3 }) },
);
