import ipaddr from 'ipaddr.js';
import { invalidInput, isProblem, type Problem, problem } from '../lb/problems.ts';

/** The kinds of values Octavia's JSON holds, and how forgiving each is read. */

/** Where a value stands, for the fault's text. */
export interface At {
  readonly attribute: string;
  /** Path of the object it stands in, such as `listener_.listener`. */
  readonly argument: string;
}

export type Schema = Readonly<Record<string, unknown>>;

export interface Type<T> {
  /** JSON Schema of what is sent and shown. */
  readonly schema: Schema;
  /** Of what is shown, where that is another. */
  readonly shown?: Schema;
  readonly read: (raw: unknown, at: At) => T | Problem;
  /** What the text of a filter means; undefined: no object has it. Absent: not to be filtered or sorted by. */
  readonly parse?: (text: string) => string | number | boolean | undefined;
}

const refuse = (at: At, raw: unknown, reason: string): Problem =>
  invalidInput(at.attribute, quoted(raw), reason);

/** A rejected value as clients are used to see it. */
function quoted(raw: unknown): string {
  if (typeof raw === 'string') return raw;
  if (raw === null) return 'None';
  if (typeof raw === 'boolean') return raw ? 'True' : 'False';
  return JSON.stringify(raw);
}

/** A NUL cannot be stored. */
const storable = (text: string): boolean => !text.includes('\u0000');

export function text(
  options: { min?: number; max?: number; pattern?: RegExp; meaning?: string } = {},
): Type<string> {
  const { min, max, pattern, meaning } = options;
  return {
    schema: {
      type: 'string',
      ...(min !== undefined && { minLength: min }),
      ...(max !== undefined && { maxLength: max }),
      ...(pattern && { pattern: pattern.source }),
    },
    read: (raw, at) => {
      if (typeof raw !== 'string') return refuse(at, raw, 'Value should be a string');
      const length = [...raw].length;
      if (min !== undefined && length < min)
        return refuse(at, raw, `Value should have a minimum length of ${min}`);
      if (max !== undefined && length > max)
        return refuse(at, raw, `Value should have a maximum length of ${max}`);
      if (!storable(raw)) return refuse(at, raw, 'Value should not contain a NUL character');
      if (pattern && !pattern.test(raw))
        return refuse(at, raw, meaning ?? `Value should match ${pattern.source}`);
      return raw;
    },
    parse: (filter) => (storable(filter) ? filter : undefined),
  };
}

/** JSON numbers, numeric strings and booleans; a fraction is cut off. */
export function integer(options: { min?: number; max?: number } = {}): Type<number> {
  const { min, max } = options;
  return {
    schema: {
      type: 'integer',
      ...(min !== undefined && { minimum: min }),
      ...(max !== undefined && { maximum: max }),
    },
    read: (raw, at) => {
      const value = wholeNumber(raw);
      if (value === undefined) return refuse(at, raw, 'Value should be an integer');
      if (min !== undefined && value < min)
        return refuse(at, raw, `Value should be greater or equal to ${min}`);
      if (max !== undefined && value > max)
        return refuse(at, raw, `Value should be lower or equal to ${max}`);
      return Number.isSafeInteger(value) ? value : refuse(at, raw, 'Value is too large');
    },
    parse: (filter) => {
      const value = wholeNumber(filter);
      return Number.isSafeInteger(value) ? value : undefined;
    },
  };
}

function wholeNumber(raw: unknown): number | undefined {
  if (typeof raw === 'boolean') return raw ? 1 : 0;
  if (typeof raw === 'number') return Math.trunc(raw);
  return typeof raw === 'string' && /^\s*[+-]?\d+\s*$/.test(raw) ? Number(raw) : undefined;
}

/** A number out of a few. */
export function oneNumberOf<const T extends number>(...values: readonly T[]): Type<T> {
  const find = (number: number): T | undefined => values.find((value) => value === number);
  return {
    schema: { type: 'number', enum: values },
    read: (raw, at) => {
      const number = typeof raw === 'string' && raw.trim() !== '' ? Number(raw) : raw;
      const value = typeof number === 'number' ? find(number) : undefined;
      return value ?? refuse(at, raw, `Value should be one of: ${values.join(', ')}`);
    },
    parse: (filter) => (filter.trim() === '' ? undefined : find(Number(filter))),
  };
}

const trueWords = ['true', 't', 'yes', 'y', 'on', '1'];
const falseWords = ['false', 'f', 'no', 'n', 'off', '0'];

export function boolean(): Type<boolean> {
  return {
    schema: { type: 'boolean' },
    read: (raw, at) => {
      if (typeof raw === 'boolean') return raw;
      if (typeof raw === 'number' && Number.isInteger(raw)) return raw !== 0;
      if (typeof raw === 'string' && trueWords.includes(raw)) return true;
      if (typeof raw === 'string' && falseWords.includes(raw)) return false;
      return refuse(at, raw, `Value should be a boolean: ${[...trueWords, ...falseWords].join(', ')}`);
    },
    parse: isTrue,
  };
}

/** The words that mean yes in a query, in any case. */
export function isTrue(text: string): boolean {
  return trueWords.includes(text.toLowerCase());
}

export function oneOf<const T extends string>(...values: readonly T[]): Type<T> {
  return {
    schema: { type: 'string', enum: values },
    read: (raw, at) =>
      values.find((value) => value === raw) ??
      refuse(at, raw, `Value should be one of: ${values.join(', ')}`),
    parse: (filter) => values.find((value) => value === filter),
  };
}

const dashed = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The id in dashed lower case, or undefined. */
export function uuidOf(raw: unknown): string | undefined {
  if (typeof raw !== 'string') return undefined;
  const hex = raw.toLowerCase();
  if (dashed.test(hex)) return hex;
  return /^[0-9a-f]{32}$/.test(hex)
    ? hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    : undefined;
}

export function uuid(): Type<string> {
  return {
    schema: { type: 'string', format: 'uuid' },
    read: (raw, at) => uuidOf(raw) ?? refuse(at, raw, 'Value should be UUID format'),
    parse: uuidOf,
  };
}

/** An absolute http or https URL. */
export function httpUrl(options: { max: number }): Type<string> {
  const base = text(options);
  return {
    ...base,
    schema: { ...base.schema, format: 'uri' },
    read: (raw, at) => {
      const value = base.read(raw, at);
      if (isProblem(value)) return value;
      return isHttpUrl(value) ? value : refuse(at, raw, 'Value should be an http or https URL with a host');
    },
  };
}

function isHttpUrl(value: string): boolean {
  // oxlint-disable-next-line no-control-regex
  return /^https?:\/\/[^/?#\s]/i.test(value) && !/[\s\u0000-\u001f\u007f]/.test(value) && URL.canParse(value);
}

/** Kept exactly as sent. */
export function ipAddress(): Type<string> {
  return {
    schema: { type: 'string', anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] },
    read: (raw, at) => {
      const legal =
        typeof raw === 'string' &&
        !raw.includes('%') &&
        (ipaddr.IPv4.isValidFourPartDecimal(raw) || ipaddr.IPv6.isValid(raw));
      return legal ? raw : refuse(at, raw, 'Value should be IPv4 or IPv6 format');
    },
    parse: (filter) => (storable(filter) ? filter : undefined),
  };
}

/** Host bits are masked off; an address alone is a network of its own. */
export function cidr(): Type<string> {
  return {
    schema: { type: 'string', format: 'cidr' },
    read: (raw, at) => networkOf(raw) ?? refuse(at, raw, 'Value should be IPv4 or IPv6 CIDR format'),
  };
}

function networkOf(raw: unknown): string | undefined {
  if (typeof raw !== 'string') return undefined;
  const [address = '', length, ...rest] = raw.split('/');
  const version4 = ipaddr.IPv4.isValidFourPartDecimal(address);
  if (rest.length > 0 || address.includes('%') || !(version4 || ipaddr.IPv6.isValid(address)))
    return undefined;
  const bits = version4 ? 32 : 128;
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return undefined;
  const prefix = length === undefined ? bits : Number(length);
  if (prefix > bits) return undefined;
  const whole = `${address}/${prefix}`;
  const network = version4
    ? ipaddr.IPv4.networkAddressFromCIDR(whole)
    : ipaddr.IPv6.networkAddressFromCIDR(whole);
  return `${network.toString()}/${prefix}`;
}

export function list<T>(items: Type<T>, options: { unique?: boolean } = {}): Type<readonly T[]> {
  return {
    schema: { type: 'array', items: items.schema, ...(options.unique && { uniqueItems: true }) },
    ...(items.shown && { shown: { type: 'array', items: items.shown } }),
    read: (raw, at) => {
      if (!Array.isArray(raw)) return refuse(at, raw, 'Value should be a list');
      const values: T[] = [];
      for (const item of raw) {
        const value = items.read(item, at);
        if (isProblem(value)) return value;
        if (options.unique === true && values.includes(value))
          return refuse(at, item, 'Value is listed twice');
        values.push(value);
      }
      return values;
    },
  };
}

/** An object of texts under any keys. */
export function texts(values: Type<string>): Type<Readonly<Record<string, string>>> {
  return {
    schema: { type: 'object', additionalProperties: values.schema },
    read: (raw, at) => {
      if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
        return refuse(at, raw, 'Value should be an object');
      }
      for (const [key, item] of Object.entries(raw)) {
        const value = values.read(item, { ...at, attribute: `${at.attribute}.${key}` });
        if (isProblem(value)) return value;
        if (!storable(key)) return refuse(at, key, 'A key should not contain a NUL character');
      }
      return raw as Record<string, string>;
    },
  };
}

/** Seconds are what clients see: `2026-02-02T22:16:05`, UTC without saying so. */
export function instant(): Type<Date> {
  return {
    schema: { type: 'string', pattern: String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$` },
    read: (raw, at) => refuse(at, raw, 'Value is set by the service'),
    parse: (filter) => {
      const milliseconds = Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(filter) ? filter : `${filter}Z`);
      if (Number.isNaN(milliseconds)) return undefined;
      const time = new Date(milliseconds);
      // The database knows fewer years than a Date.
      const year = time.getUTCFullYear();
      return year >= 1 && year <= 9999 ? time.toISOString() : undefined;
    },
  };
}

/** `[{"id": …}]`; where a tree is answered whole, with the rest of the objects. */
export const idList: Schema = {
  type: 'array',
  items: { type: 'object', properties: { id: { type: 'string', format: 'uuid' } }, required: ['id'] },
};

/** Ids of other objects, as `[{"id": …}]`; only the service says them. `sent`: the answer to a client that tries. */
export function references(sent: string): Type<readonly never[]> {
  return {
    schema: { type: 'array', maxItems: 0 },
    shown: idList,
    read: (raw, at) => {
      if (!Array.isArray(raw)) return refuse(at, raw, 'Value should be a list');
      return raw.length === 0 ? [] : problem(400, sent);
    },
  };
}

/** An object only a single-call create may hold. */
export function nothing(sent: string): Type<never> {
  return { schema: { type: 'null' }, read: () => problem(400, sent) };
}
