import { describe, expect, it } from 'vitest';
import { aListener, anL7Policy, anL7Rule, aTree, uuid } from '../../test/trees.ts';
import { standardDeployment } from './defaults.ts';
import { createL7Rule, deleteL7Rule, type L7RuleValues, ruleProblem, updateL7Rule } from './l7-rule-rules.ts';
import type { L7Rule } from './l7-rule.ts';
import { isProblem } from './problems.ts';

let last = 0;
const circumstances = {
  now: new Date('2026-02-02T22:17:03Z'),
  newId: () => uuid(++last + 5000),
  deployment: standardDeployment,
};

const values = (changes: Partial<L7RuleValues> = {}): L7RuleValues => ({
  adminStateUp: true,
  type: 'PATH',
  compareType: 'STARTS_WITH',
  key: null,
  value: '/images',
  invert: false,
  tags: [],
  ...changes,
});

const legal = (changes: Partial<L7Rule>): boolean => ruleProblem(values(changes)) === undefined;

describe('An L7 rule', () => {
  it('compares as its type can', () => {
    const all = ['CONTAINS', 'ENDS_WITH', 'EQUAL_TO', 'REGEX', 'STARTS_WITH'] as const;
    const allowed = (type: L7Rule['type'], key: string | null, value: string) =>
      all.filter((compareType) => legal({ type, compareType, key, value }));
    expect(allowed('HOST_NAME', null, 'www.example.com')).toEqual(all);
    expect(allowed('HEADER', 'X-Some', 'a')).toEqual(all);
    expect(allowed('COOKIE', 'sid', 'a')).toEqual(all);
    expect(allowed('SSL_DN_FIELD', 'CN', 'a b')).toEqual(all);
    expect(allowed('FILE_TYPE', null, 'jpg')).toEqual(['EQUAL_TO', 'REGEX']);
    expect(allowed('SSL_CONN_HAS_CERT', null, 'True')).toEqual(['EQUAL_TO']);
    expect(allowed('SSL_VERIFY_RESULT', null, '10')).toEqual(['EQUAL_TO']);
  });

  it('has a key where there is something to name', () => {
    for (const type of ['HEADER', 'COOKIE', 'SSL_DN_FIELD'] as const) {
      expect(legal({ type, key: null })).toBe(false);
      expect(legal({ type, key: '' })).toBe(false);
      expect(legal({ type, key: 'a b' })).toBe(false);
      expect(legal({ type, key: 'X-Key' })).toBe(true);
    }
    expect(legal({ type: 'COOKIE', key: 'a"b' })).toBe(false);
    expect(legal({ type: 'SSL_DN_FIELD', key: '1a' })).toBe(false);
    expect(legal({ type: 'SSL_CONN_HAS_CERT', compareType: 'EQUAL_TO', value: 'true', key: 'a' })).toBe(
      false,
    );
    expect(legal({ key: 'ignored' })).toBe(true);
  });

  it('holds a value its type can have', () => {
    for (const value of ['', '/a b', '/ä', 'a\u0000']) expect(legal({ value }), value).toBe(false);
    for (const value of ['/a', '"/a b\tc"', '"', '#$%']) expect(legal({ value }), value).toBe(true);
    const cookie = (value: string) => legal({ type: 'COOKIE', compareType: 'EQUAL_TO', key: 'sid', value });
    for (const value of ['a b', 'a,b', 'a;b', 'a"b', 'a\\b']) expect(cookie(value), value).toBe(false);
    expect(cookie("a!#$%&'()*+-./:<=>?@[]^_`{|}~")).toBe(true);
    const verify = (value: string) => legal({ type: 'SSL_VERIFY_RESULT', compareType: 'EQUAL_TO', value });
    expect([verify('0'), verify('-1'), verify('x')]).toEqual([true, false, false]);
    expect(legal({ type: 'SSL_CONN_HAS_CERT', compareType: 'EQUAL_TO', value: 'false' })).toBe(false);
  });

  it('takes the regular expressions of PCRE', () => {
    const regex = (value: string) => legal({ compareType: 'REGEX', value });
    for (const value of [
      '^/(a|b)+\\.html$',
      '(?i)^/images',
      '/(?P<name>a+)/(?P=name)',
      'a*+b?+c{1,2}+',
      '(?>a|b)(?i:c)(?#why)',
      '[[:alpha:]]+[]x][^]y]',
      '(?<a>x)\\1',
      '\\(\\[(?=x)',
      'with blank',
      '\\Qa(b\\E+',
      '\\\\i',
      '(?P<n>a)\\k<n>',
    ])
      expect(regex(value), value).toBe(true);
    for (const value of [
      '(',
      '[a',
      'a{2,1}',
      '*a',
      '(?<x',
      '\\2(a)',
      'a\\',
      '[z-a]',
      '(?P=none)(?<a>)',
      '\\i',
      '\\\\\\u',
      '\\k<n>',
      '(a)\\1',
      '[:alpha:]',
    ])
      expect(regex(value), value).toBe(false);
  });

  const tree = aTree({ listeners: [aListener()], l7Policies: [anL7Policy()], l7Rules: [anL7Rule()] });

  it('makes its policy, its listener and the load balancer wait', () => {
    const decision = createL7Rule(tree, uuid(6), values(), circumstances);
    if (isProblem(decision)) throw new Error(decision.text);
    const { loadBalancer, listeners, l7Policies } = decision.tree;
    for (const object of [loadBalancer, ...listeners, ...l7Policies]) {
      expect(object.provisioningStatus).toBe('PENDING_UPDATE');
    }
    const again = createL7Rule(decision.tree, uuid(6), values(), circumstances);
    expect(again).toMatchObject({ status: 409, text: expect.stringMatching(/^L7Policy .* immutable/) });
  });

  it('is judged as a whole when a part changes', () => {
    const change = (changes: Partial<L7RuleValues>) =>
      updateL7Rule(tree, uuid(6), uuid(7), changes, circumstances);
    expect(change({ type: 'HEADER' })).toMatchObject({ status: 400 });
    expect(change({ type: 'HEADER', key: 'X' })).toMatchObject({ answer: { key: 'X', value: '/images' } });
    expect(change({ key: 'X' })).toMatchObject({ answer: { key: null } });
  });

  it('belongs to its policy', () => {
    const two = { ...tree, l7Policies: [...tree.l7Policies, anL7Policy({ id: uuid(61), position: 2 })] };
    expect(updateL7Rule(two, uuid(61), uuid(7), {}, circumstances)).toMatchObject({ status: 404 });
    expect(deleteL7Rule(two, uuid(61), uuid(7))).toMatchObject({ status: 404 });
    expect(deleteL7Rule(two, uuid(6), uuid(7))).not.toHaveProperty('problem');
  });

  it('is the fiftieth of its policy at most', () => {
    const l7Rules = Array.from({ length: 50 }, (_, n) => anL7Rule({ id: uuid(700 + n) }));
    const full = { ...tree, l7Rules };
    expect(createL7Rule(full, uuid(6), values(), circumstances)).toMatchObject({ status: 409 });
    const almost = { ...tree, l7Rules: l7Rules.slice(1) };
    expect(createL7Rule(almost, uuid(6), values(), circumstances)).not.toHaveProperty('problem');
  });
});
