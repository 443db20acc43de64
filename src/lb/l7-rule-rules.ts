import type { L7Policy } from './l7-policy.ts';
import type { L7CompareType, L7Rule, L7RuleType } from './l7-rule.ts';
import { conflict, immutable, isProblem, notFound, type Problem, problem } from './problems.ts';
import { patternFault } from './regular-expression.ts';
import { blockedTree, find } from './rules.ts';
import { type Circumstances, type Decision, pendingUpdate, replace, type Tree } from './tree.ts';

export type L7RuleValues = Pick<
  L7Rule,
  'adminStateUp' | 'type' | 'compareType' | 'key' | 'value' | 'invert' | 'tags'
>;

const maxRules = 50;

export function createL7Rule(
  tree: Tree,
  policyId: string,
  values: L7RuleValues,
  { now, newId }: Circumstances,
): Decision<L7Rule> | Problem {
  const policy = policyOf(tree, policyId);
  if (isProblem(policy)) return policy;
  const wrong = ruleProblem(values) ?? tooManyProblem(tree, policyId) ?? blockedPolicy(tree, policy);
  if (wrong !== undefined) return wrong;
  const rule: L7Rule = {
    ...values,
    id: newId(),
    projectId: tree.loadBalancer.projectId,
    l7PolicyId: policyId,
    provisioningStatus: 'PENDING_CREATE',
    operatingStatus: 'OFFLINE',
    statusReason: null,
    createdAt: now,
    updatedAt: null,
  };
  const pending = pendingPolicy(tree, policy);
  return { tree: { ...pending, l7Rules: [...pending.l7Rules, rule] }, answer: rule };
}

export function updateL7Rule(
  tree: Tree,
  policyId: string,
  id: string,
  changes: Partial<L7RuleValues>,
  { now }: Circumstances,
): Decision<L7Rule> | Problem {
  const policy = policyOf(tree, policyId);
  if (isProblem(policy)) return policy;
  const before = ruleOf(tree, policyId, id);
  if (isProblem(before)) return before;
  const merged: L7Rule = { ...before, ...changes, provisioningStatus: 'PENDING_UPDATE', updatedAt: now };
  const rule = keyless.includes(merged.type) ? { ...merged, key: null } : merged;
  const wrong = ruleProblem(rule) ?? blockedPolicy(tree, policy);
  if (wrong !== undefined) return wrong;
  return { tree: replace(pendingPolicy(tree, policy), 'l7Rules', id, rule), answer: rule };
}

export function deleteL7Rule(tree: Tree, policyId: string, id: string): Decision<undefined> | Problem {
  const policy = policyOf(tree, policyId);
  if (isProblem(policy)) return policy;
  const rule = ruleOf(tree, policyId, id);
  const wrong = isProblem(rule) ? rule : blockedPolicy(tree, policy);
  if (wrong !== undefined) return wrong;
  return {
    tree: replace(pendingPolicy(tree, policy), 'l7Rules', id, { provisioningStatus: 'PENDING_DELETE' }),
    answer: undefined,
  };
}

function tooManyProblem(tree: Tree, policyId: string): Problem | undefined {
  return tree.l7Rules.filter(({ l7PolicyId }) => l7PolicyId === policyId).length >= maxRules
    ? conflict(`L7 policy ${policyId} cannot have more than ${maxRules} rules.`)
    : undefined;
}

function policyOf(tree: Tree, id: string): L7Policy | Problem {
  return find(tree.l7Policies, id) ?? notFound('L7 Policy', id);
}

function ruleOf(tree: Tree, policyId: string, id: string): L7Rule | Problem {
  const rule = find(tree.l7Rules, id);
  return rule?.l7PolicyId === policyId ? rule : notFound('L7 Rule', id);
}

/** Rules change only while their policy and load balancer are ACTIVE. */
function blockedPolicy(tree: Tree, policy: L7Policy): Problem | undefined {
  return policy.provisioningStatus === 'ACTIVE' ? blockedTree(tree) : immutable('L7Policy', policy.id);
}

function pendingPolicy(tree: Tree, policy: L7Policy): Tree {
  return pendingUpdate(tree, { l7Policies: [policy.id], listeners: [policy.listenerId] });
}

const keyed: readonly L7RuleType[] = ['HEADER', 'COOKIE', 'SSL_DN_FIELD'];
const keyless: readonly L7RuleType[] = ['HOST_NAME', 'PATH', 'FILE_TYPE'];

/** Types that cannot be compared in every way. */
const compareTypes: Partial<Record<L7RuleType, readonly L7CompareType[]>> = {
  FILE_TYPE: ['REGEX', 'EQUAL_TO'],
  SSL_CONN_HAS_CERT: ['EQUAL_TO'],
  SSL_VERIFY_RESULT: ['EQUAL_TO'],
};

type Matcher = Pick<L7Rule, 'type' | 'compareType' | 'key' | 'value'>;

/** The first thing that makes a rule match nothing sensible. */
export function ruleProblem(rule: Matcher): Problem | undefined {
  const fault = keyFault(rule) ?? compareFault(rule) ?? valueFault(rule);
  return fault === undefined ? undefined : problem(400, `Invalid L7Rule: ${fault}`);
}

function keyFault({ type, key }: Matcher): string | undefined {
  if (!keyed.includes(type)) {
    return keyless.includes(type) || key === null ? undefined : `a rule of type ${type} takes no key.`;
  }
  if (key === null || key === '') return `a rule of type ${type} needs a key.`;
  const legal = type === 'SSL_DN_FIELD' ? /^[a-zA-Z][A-Za-z0-9-]*$/ : /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
  return legal.test(key) ? undefined : `the key of type ${type} holds characters it cannot have.`;
}

function compareFault({ type, compareType }: Matcher): string | undefined {
  const allowed = compareTypes[type];
  return allowed === undefined || allowed.includes(compareType)
    ? undefined
    : `a rule of type ${type} can only be compared by ${allowed.join(' or ')}.`;
}

const visible = /^[\x21-\x7e]+$/;
const quoted = /^"[\x20-\x7e\t]*"$/;
const cookieValue = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+$/;
// Beside a tab nothing below a blank can stand in a line of HAProxy's configuration.
// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u0008\u000a-\u001f\u007f]/;

function valueFault({ type, compareType, value }: Matcher): string | undefined {
  if (value === '') return 'the value is empty.';
  if (control.test(value)) return 'the value holds control characters.';
  if (compareType === 'REGEX') return patternFault(value);
  switch (type) {
    case 'HOST_NAME':
    case 'PATH':
    case 'FILE_TYPE':
    case 'HEADER':
      return visible.test(value) || quoted.test(value)
        ? undefined
        : 'the value should be visible ASCII without blanks, or in double quotes.';
    case 'COOKIE':
      return cookieValue.test(value) ? undefined : 'the value holds characters that a cookie cannot have.';
    case 'SSL_CONN_HAS_CERT':
      return value.toLowerCase() === 'true' ? undefined : 'the value should be true.';
    case 'SSL_VERIFY_RESULT':
      return /^\d{1,9}$/.test(value) ? undefined : 'the value should be a non-negative number.';
    case 'SSL_DN_FIELD':
      return undefined;
  }
}
