/**
 * The one gate between a user's text and HAProxy's configuration. HAProxy reads a word up to three times: the
 * tokenizer (blanks, quotes, `#`, backslash, `$` within double quotes), the argument parser of `fetch(argument)`,
 * and the log-format compiler (`%`). Whatever a user can write goes through the function of the place it goes to.
 */

const longestValue = 4096;
// Everything below a blank and DEL, but the tab, which strong quotes carry.
// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u0008\u000a-\u001f\u007f]/;
const plain = /^[A-Za-z0-9_.:/@+=,~*-]+$/;

/** A value that no quoting can carry. `message` is a sentence without the value, which may be a secret. */
export class Unwritable extends Error {}

export function gate(value: string): string {
  if (value === '') throw new Unwritable('an empty value cannot be written');
  if (value.length > longestValue) throw new Unwritable(`a value is longer than ${longestValue} characters`);
  if (control.test(value)) throw new Unwritable('a value holds a control character');
  return value;
}

/** One word of a line, taken literally: strong quotes, within which HAProxy interprets nothing. */
export function word(value: string): string {
  gate(value);
  return plain.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}

/** `name(value)` as one word: the argument in double quotes for the inner parser, all of it quoted for the outer. */
export function call(name: string, value: string): string {
  gate(value);
  return word(
    /^[A-Za-z0-9_.-]+$/.test(value) ? `${name}(${value})` : `${name}("${value.replace(/["\\]/g, '\\$&')}")`,
  );
}

/** One word that HAProxy evaluates as a log-format, standing for the value itself. */
export function format(value: string): string {
  return word(gate(value).replaceAll('%', '%%'));
}

/** An IP address and nothing that HAProxy might take for something else (`unix@`, `fd@`, a name, a zone). */
export function address(value: string): string {
  if (!isIpv4(value) && !isIpv6(value)) throw new Unwritable('an address is not an IP address');
  return isIpv6(value) ? `[${value}]` : value;
}

/** `address/prefix`, or an address alone. */
export function cidr(value: string): string {
  const [base = '', prefix, ...rest] = value.split('/');
  const bits = isIpv4(base) ? 32 : isIpv6(base) ? 128 : -1;
  const fine = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
  if (bits < 0 || !fine || rest.length > 0) throw new Unwritable('an allowed CIDR is no CIDR');
  return value;
}

/** A number as it stands, for places where HAProxy reads one. */
export function integer(value: string): string {
  if (!/^\d{1,9}$/.test(value)) throw new Unwritable('a value is not a number');
  return value;
}

function isIpv4(value: string): boolean {
  const parts = value.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function isIpv6(value: string): boolean {
  if (!/^[0-9A-Fa-f:.]{2,45}$/.test(value) || !value.includes(':')) return false;
  const halves = value.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const last = groups.at(-1);
  const embedded = last?.includes('.') === true;
  if (embedded && !isIpv4(last)) return false;
  const plainGroups = embedded ? groups.slice(0, -1) : groups;
  if (!plainGroups.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))) return false;
  const count = plainGroups.length + (embedded ? 2 : 0);
  return halves.length === 2 ? count <= 7 : count === 8;
}
