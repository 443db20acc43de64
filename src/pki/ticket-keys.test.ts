import { describe, expect, it } from 'vitest';
import { ticketKeys, ticketPeriod, ticketPeriodMs } from './ticket-keys.ts';

const secretKey = Buffer.alloc(32, 7);

describe('the ticket keys of a load balancer', () => {
  it('move up by one from period to period, so that the newest never encrypts at once', () => {
    const [, current, next] = ticketKeys(secretKey, 'lb', 5).keys;
    expect(ticketKeys(secretKey, 'lb', 6).keys.slice(0, 2)).toEqual([current, next]);
  });

  it('have the 80 bytes that HAProxy wants for AES-256', () => {
    for (const key of ticketKeys(secretKey, 'lb', 5).keys)
      expect(Buffer.from(key, 'base64')).toHaveLength(80);
  });

  it('are of this load balancer and this control plane alone', () => {
    const keys = [
      ...ticketKeys(secretKey, 'lb', 5).keys,
      ...ticketKeys(secretKey, 'other', 5).keys,
      ...ticketKeys(Buffer.alloc(32, 8), 'lb', 5).keys,
    ];
    expect(new Set(keys).size).toBe(9);
  });

  it('change once in an hour', () => {
    const now = new Date('2026-01-01T10:20:00Z');
    const later = (ms: number) => ticketPeriod(new Date(now.getTime() + ms));
    expect(later(1_000_000)).toBe(later(0));
    expect(later(ticketPeriodMs)).toBe(later(0) + 1);
  });
});
