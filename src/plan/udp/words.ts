import { address, cidr, Unwritable } from '../haproxy/quote.ts';

/**
 * The gate between a tree and nftables' language: nothing of a user's reaches it but addresses that were parsed and
 * numbers. The functions throw `Unwritable`.
 */

/** nftables' word for an IP version. */
export type Family = 'ip' | 'ip6';

export function familyOf(value: string): Family {
  return value.includes(':') ? 'ip6' : 'ip';
}

/** An IP address, IPv6 in its shortest form. */
export function ip(value: string): string {
  const checked = address(value);
  return checked.startsWith('[') ? new URL(`http://${checked}`).hostname.slice(1, -1) : checked;
}

export function network(value: string): string {
  const [base = '', prefix] = cidr(value).split('/');
  return prefix === undefined ? ip(base) : `${ip(base)}/${Number(prefix)}`;
}

/** An id of ours, for names. */
export function uuid(value: string): string {
  if (!/^[0-9a-f-]{36}$/.test(value)) throw new Unwritable('an id is no UUID');
  return value;
}

export function whole(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0) throw new Unwritable('a value is not a whole number');
  return String(value);
}

export function hex(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, '0')}`;
}

/** `{ a, b }`: an anonymous set or map. */
export function braces(elements: readonly string[]): string {
  return `{ ${elements.join(', ')} }`;
}
