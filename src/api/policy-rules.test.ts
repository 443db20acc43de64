import { describe, expect, it } from 'vitest';
import { type Credentials, PolicyRules, type Target } from './policy-rules.ts';

const ann: Credentials = { roles: ['Member', 'auditor'], attributes: { project_id: 'p1', user_id: 'ann' } };

const holds = (rule: string, target: Target = { project_id: 'p1' }, others: Record<string, string> = {}) =>
  new PolicyRules({ context_is_admin: 'role:admin', ...others, asked: rule }).allows('asked', ann, target);

describe('A policy rule', () => {
  it.each([
    ['', true],
    ['@', true],
    ['!', false],
    ['role:member', true],
    ['role:MEMBER', true],
    ['role:admin', false],
    ['not role:admin', true],
    ['project_id:%(project_id)s', true],
    ['project_id:%(other)s', false],
    ['user_id:ann', true],
    ['tenant:p1', false],
    ['is_admin:True', false],
    ['is_admin:False', true],
    ["'p1':%(project_id)s", true],
    ['True:%(flag)s', false],
    ['role:admin or role:member', true],
    ['role:admin and role:member or role:auditor', true],
    ['role:auditor or role:member and role:admin', true],
    ['(role:auditor or role:member) and role:admin', false],
    ['not role:admin AND (role:x OR (project_id:%(project_id)s))', true],
    ['not (role:member and role:auditor)', false],
  ])('%s is %s for a member of the project', (rule, expected) => {
    expect(holds(rule)).toBe(expected);
  });

  it('asks other rules, and is refused when it was never defined', () => {
    expect(holds('rule:a:b', {}, { 'a:b': 'role:member' })).toBe(true);
    expect(new PolicyRules({}).allows('nothing', ann, {})).toBe(false);
  });

  it('knows no project where there is none', () => {
    expect(holds('project_id:%(project_id)s', { project_id: null })).toBe(false);
    const nobody = { roles: [], attributes: { project_id: null } };
    const rules = new PolicyRules({ a: 'project_id:%(project_id)s' });
    expect(rules.allows('a', nobody, { project_id: null })).toBe(false);
  });

  it.each([
    'role:a role:b',
    'role:a and',
    'and role:a',
    '(role:a',
    'role:a)',
    'role',
    'role:',
    'not',
    'http:',
    'https://',
    'http://[::1',
    'rule:unknown',
    'rule:asked',
    "'open:a",
  ])('%s is no rule, and says which', (rule) => {
    expect(() => holds(rule)).toThrow('policy asked');
  });
});
