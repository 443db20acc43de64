/**
 * What the API's values are, told once more and in other words than the service has them: which values of a kind are
 * taken and how they are shown, and which are refused. It knows nothing of `src/`, so that it can disagree with it.
 */

/** A value that is sent, and what the answer shows of it. */
export interface Taken {
  readonly sent: unknown;
  readonly shown: unknown;
}

export interface Kind {
  readonly taken: readonly Taken[];
  readonly refused: readonly unknown[];
}

const asSent = (...values: readonly unknown[]): readonly Taken[] =>
  values.map((value) => ({ sent: value, shown: value }));
const as = (shown: unknown, ...values: readonly unknown[]): readonly Taken[] =>
  values.map((sent) => ({ sent, shown }));

/** Characters are counted, not bytes or surrogates. */
export function text(max: number): Kind {
  return {
    taken: asSent('', 'a', 'n'.repeat(max), '🙂'.repeat(max), 'Übung "quoted" \\ <b>'),
    refused: ['n'.repeat(max + 1), 1, 1.5, true, [], ['a'], {}],
  };
}

/** JSON numbers, their decimal texts, fractions cut off, and booleans as 1 and 0. */
export function integer(min: number, max?: number): Kind {
  const inside = (value: number): boolean => value >= min && (max === undefined || value <= max);
  return {
    taken: [
      ...asSent(min, min + 1),
      ...as(min, String(min)),
      ...as(min + 1, min + 1.9, ` ${min + 1} `),
      ...(inside(1) ? as(1, true) : []),
      ...(inside(0) ? as(0, false) : []),
      ...(max === undefined ? asSent(2_147_483_647) : [...asSent(max), ...as(max, String(max))]),
    ],
    refused: [
      min - 1,
      String(min - 1),
      ...(max === undefined ? [] : [max + 1, String(max + 1), 1e30]),
      ...(inside(0) ? [] : [false]),
      'one',
      '',
      '1.5',
      '0x10',
      [],
      [1],
      {},
    ],
  };
}

export const boolean: Kind = {
  taken: [
    ...as(true, true, 1, 7, -1, 'true', 't', 'yes', 'y', 'on', '1'),
    ...as(false, false, 0, 'false', 'f', 'no', 'n', 'off', '0'),
  ],
  refused: ['True', 'FALSE', 'maybe', '', '2', 0.5, [], {}],
};

/** Exactly one of the words. */
export function choice(...words: readonly string[]): Kind {
  return {
    taken: asSent(...words),
    refused: [
      ...words.map((word) => word.toLowerCase()).filter((word) => !words.includes(word)),
      '',
      'X',
      1,
      true,
      [],
      {},
    ],
  };
}

export function number(...values: readonly number[]): Kind {
  return {
    taken: values.flatMap((value) => [...asSent(value), ...as(value, String(value))]),
    refused: [0, -1, 2.5, 'one', '', [], {}],
  };
}

/** An id of something: `:pool` and the like are those of what is there. */
export function id(...known: readonly string[]): Kind {
  return {
    taken: known.flatMap((one) => as(one, one, `${one}!upper`, `${one}!bare`)),
    refused: ['x', '', `${'0'.repeat(8)}-0000-0000-0000`, 1, true, [], {}],
  };
}

/** Kept to the letter. */
export const address: Kind = {
  taken: asSent('198.51.100.7', '2001:DB8:0:0::1', '::ffff:198.51.100.8'),
  refused: ['198.51.100', '198.51.100.256', '198.51.100.1/24', '2001:db8::g', '', 'host', 1, true, [], {}],
};

export const networks: Kind = {
  taken: [
    { sent: [], shown: null },
    { sent: ['198.51.100.0/24'], shown: ['198.51.100.0/24'] },
    { sent: ['198.51.100.77/24'], shown: ['198.51.100.0/24'] },
    { sent: ['198.51.100.77'], shown: ['198.51.100.77/32'] },
    { sent: ['0.0.0.0/0', '0.0.0.0/0'], shown: ['0.0.0.0/0'] },
  ],
  refused: ['198.51.100.0/24', ['198.51.100.0/33'], ['x'], [''], [1], [null], {}, true, 1],
};

/** A list of words; empty only where `empty` says what is shown then. */
export function words(known: readonly string[], empty?: { readonly shown: unknown }): Kind {
  return {
    taken: [
      ...asSent(known, known.toReversed(), known.slice(0, 1)),
      ...(empty === undefined ? [] : [{ sent: [], shown: empty.shown }]),
    ],
    refused: [...(empty === undefined ? [[]] : []), known[0], ['X'], [1], [[]], [{}], {}, 1, true],
  };
}

export const tags: Kind = {
  taken: asSent([], ['a'], ['a b', 'ü', '']),
  refused: ['a', ['n'.repeat(256)], [1], [null], [{}], ['a', 'a'], {}, 1, true],
};

/** An absolute URL. */
export const url: Kind = {
  taken: asSent('http://a.example', 'https://a.example:8443/b?c=d#e', `http://a.example/${'n'.repeat(238)}`),
  refused: [
    'a.example/b',
    '/b',
    'ftp://a.example',
    'http://',
    'http://a.example/b c',
    `http://a.example/${'n'.repeat(239)}`,
    1,
    [],
    {},
  ],
};

export function only(values: {
  readonly taken: readonly unknown[];
  readonly refused: readonly unknown[];
}): Kind {
  return { taken: asSent(...values.taken), refused: values.refused };
}
