import { describe, expect, it } from 'vitest';
import { afterCheck, healthy, isExpected } from './health.ts';

const needed = { rise: 2, fall: 3 };
const history = (checks: string) =>
  [...checks].reduce((health, check) => afterCheck(health, check === '+', needed), healthy).up;

describe('a member under checks', () => {
  it('goes down after as many failures in a row as its monitor says, and comes back likewise', () => {
    expect(history('')).toBe(true);
    expect(history('--')).toBe(true);
    expect(history('--+--')).toBe(true);
    expect(history('---')).toBe(false);
    expect(history('---+')).toBe(false);
    expect(history('---+-+')).toBe(false);
    expect(history('---++')).toBe(true);
    expect(history('---++--')).toBe(true);
  });
});

describe('the status of an answer', () => {
  it('is expected when it is among the codes', () => {
    expect(isExpected(200, null)).toBe(true);
    expect(isExpected(201, '200')).toBe(false);
    expect(isExpected(202, '200, 202')).toBe(true);
    expect(isExpected(204, '200-204,301')).toBe(true);
    expect(isExpected(301, '200-204,301')).toBe(true);
    expect(isExpected(300, '200-204,301')).toBe(false);
  });
});
