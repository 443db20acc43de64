import { hkdfSync } from 'node:crypto';

/** How long one key encrypts: longer than a session lives (`tune.ssl.lifetime`, 300 s), so that no ticket is lost. */
export const ticketPeriodMs = 3_600_000;
/** HAProxy's size for AES-256: name, MAC key, cipher key. */
const keyBytes = 80;

/** The number of the period that encrypts now. */
export const ticketPeriod = (now: Date): number => Math.floor(now.getTime() / ticketPeriodMs);

export interface TicketKeys {
  readonly period: number;
  /** Base64, in HAProxy's order: previous, current, next. The last but one encrypts, all three decrypt. */
  readonly keys: readonly [string, string, string];
}

/**
 * The keys of a load balancer's TLS tickets in a period, derived (HKDF-SHA-256) from the secret key: nothing is
 * stored, and every amphora of it has the same. The next key is known to all before anyone encrypts by it.
 */
export function ticketKeys(secretKey: Buffer, loadBalancerId: string, period: number): TicketKeys {
  const key = (of: number): string =>
    Buffer.from(hkdfSync('sha256', secretKey, '', `tickets ${loadBalancerId} ${of}`, keyBytes)).toString(
      'base64',
    );
  return { period, keys: [key(period - 1), key(period), key(period + 1)] };
}
