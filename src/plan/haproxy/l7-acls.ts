import type { WantedL7Policy, WantedL7Rule } from '../../wire/wanted.ts';
import { call, format, integer, Unwritable, word } from './quote.ts';

const matches = {
  CONTAINS: 'sub',
  ENDS_WITH: 'end',
  EQUAL_TO: 'str',
  REGEX: 'reg',
  STARTS_WITH: 'beg',
} as const;

/** A value in double quotes stands for what is between them (that is how blanks are written in the API). */
export const unquoted = (value: string): string => /^"(.+)"$/s.exec(value)?.[1] ?? value;

/** `--` ends the flags, so that a value such as `-f` stays a value. */
function condition(rule: WantedL7Rule): string {
  const literal = rule.compareType === 'REGEX' ? rule.value : unquoted(rule.value);
  const match = `-m ${matches[rule.compareType]} -- `;
  const key = rule.key ?? '';
  switch (rule.type) {
    case 'HOST_NAME':
      return `req.hdr(host) -i ${match}${word(literal)}`;
    case 'PATH':
      return `path ${match}${word(literal)}`;
    case 'FILE_TYPE':
      return `path -m ${rule.compareType === 'REGEX' ? 'reg' : 'end'} -- ${word(literal)}`;
    case 'HEADER':
      return `${call('req.hdr', key)} ${match}${word(literal)}`;
    case 'COOKIE':
      return `${call('req.cook', key)} ${match}${word(literal)}`;
    case 'SSL_CONN_HAS_CERT':
      return 'ssl_c_used';
    case 'SSL_VERIFY_RESULT':
      return `ssl_c_verify eq ${integer(rule.value)}`;
    case 'SSL_DN_FIELD':
      return `${call('ssl_c_s_dn', key)} ${match}${word(literal)}`;
  }
}

function redirect(kind: 'location' | 'prefix', target: string | null, code: number | null): string {
  if (target === null) throw new Unwritable('a redirect has no target');
  return `http-request redirect ${kind} ${format(target)} code ${code ?? 302}`;
}

/**
 * The policies of a frontend as a line for each, strictly by position: the first that matches decides. Denials and
 * redirects end the evaluation by themselves; a policy that sends to a pool marks the transaction, and no later one
 * looks at it. For what no table can hold (`l7-table.ts`): each change is a reload.
 */
export function policiesAsAcls(
  policies: readonly WantedL7Policy[],
  backendOf: (poolId: string) => string | undefined,
): string[] {
  const acls: string[] = [];
  const actions: string[] = [];
  let marked = false;
  for (const policy of policies) {
    const backend = policy.redirectPoolId === null ? undefined : backendOf(policy.redirectPoolId);
    if (policy.action === 'REDIRECT_TO_POOL' && backend === undefined) continue;
    for (const rule of policy.rules) acls.push(`acl ${word(rule.id)} ${condition(rule)}`);
    const rules = policy.rules.map((rule) => `${rule.invert ? '!' : ''}${word(rule.id)}`);
    const when = `if ${[...(marked ? ['!routed'] : []), ...rules].join(' ')}`;
    switch (policy.action) {
      case 'REJECT':
        actions.push(`http-request deny deny_status 403 ${when}`);
        break;
      case 'REDIRECT_TO_URL':
        actions.push(`${redirect('location', policy.redirectUrl, policy.redirectHttpCode)} ${when}`);
        break;
      case 'REDIRECT_PREFIX':
        actions.push(`${redirect('prefix', policy.redirectPrefix, policy.redirectHttpCode)} ${when}`);
        break;
      case 'REDIRECT_TO_POOL':
        actions.push(`http-request set-var(txn.backend) str(${backend}) ${when}`);
        marked = true;
        break;
    }
  }
  if (!marked) return [...acls, ...actions];
  return [
    'acl routed var(txn.backend) -m found',
    ...acls,
    ...actions,
    'use_backend %[var(txn.backend)] if routed',
  ];
}
