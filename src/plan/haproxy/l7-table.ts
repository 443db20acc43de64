import type { WantedL7Policy, WantedL7Rule } from '../../wire/wanted.ts';
import { unquoted } from './l7-acls.ts';
import { gate, Unwritable } from './quote.ts';
import { confined, type Field, literal } from './regex.ts';

/**
 * L7 policies as data: a map of HAProxy, looked up by the head of the request. Its lines are tried in order, the first
 * that matches gives the action; a policy is one regular expression, each of its rules a look-ahead. So policies and
 * rules of any kind come, go and change at run time, and only the lookup is configuration.
 *
 * What is looked up: the path, if there is one, then of a listener that asks for client certificates
 * `used verify-result` and the subject's fields, each on a line; then the headers as `name: value`, lines ending in
 * CR LF, names in lower case.
 */
export interface Table {
  /**
   * `pattern action`, each without a line break. The first is for a lookup of nothing, and says whether there are any
   * policies, which is much cheaper to ask than looking up a request, and perhaps the default backend. The last matches all: that none was found means
   * a failed lookup.
   */
  readonly entries: readonly string[];
}

/** What of a client certificate is looked up. */
export interface ClientFacts {
  /** Fields of the subject, in the order of their lines. */
  readonly subjectFields: readonly string[];
}

/** HAProxy reads lines of 16 KiB, from a file and from its socket. */
const longestEntry = 8000;
/** A rule that is never true. */
const never = '(?!)';
const blanks = '[\\x20\\t]*';

/** Undefined when a policy is beyond a table. Throws `Unwritable`. */
export function policyTable(
  policies: readonly WantedL7Policy[],
  client: ClientFacts | null,
  backendOf: (poolId: string) => string | undefined,
  otherwise?: string,
): Table | undefined {
  const entries: string[] = [];
  for (const policy of policies) {
    const action = actionOf(policy, backendOf);
    if (action === undefined) continue;
    let pattern = '^';
    for (const rule of policy.rules) {
      const seen = condition(rule, client);
      if (seen === undefined) return undefined;
      pattern += `(?${rule.invert ? '!' : '='}${seen})`;
    }
    const entry = `${pattern} ${action}`;
    if (new TextEncoder().encode(entry).length > longestEntry) return undefined;
    entries.push(entry);
  }
  const first = [entries.length > 0 ? 'some' : 'none', otherwise].join(' ').trim();
  return { entries: [`^\\z ${first}`, ...entries, '^ none'] };
}

/** Undefined for a pool that is not served: such a policy does not match. */
function actionOf(
  policy: WantedL7Policy,
  backendOf: (poolId: string) => string | undefined,
): string | undefined {
  switch (policy.action) {
    case 'REJECT':
      return 'reject';
    case 'REDIRECT_TO_URL':
      return `${policy.redirectHttpCode ?? 302} url ${target(policy.redirectUrl)}`;
    case 'REDIRECT_PREFIX':
      return `${policy.redirectHttpCode ?? 302} prefix ${target(policy.redirectPrefix)}`;
    case 'REDIRECT_TO_POOL': {
      const backend = policy.redirectPoolId === null ? undefined : backendOf(policy.redirectPoolId);
      return backend && `pool ${backend}`;
    }
  }
}

function target(url: string | null): string {
  if (url === null) throw new Unwritable('a redirect has no target');
  return gate(url);
}

/** A look-ahead from the very begin of what is looked up; undefined for an expression that cannot be confined. */
function condition(rule: WantedL7Rule, client: ClientFacts | null): string | undefined {
  const name = literal((rule.key ?? '').toLowerCase());
  switch (rule.type) {
    case 'PATH':
    case 'FILE_TYPE': {
      const compareType =
        rule.type === 'PATH' || rule.compareType === 'REGEX' ? rule.compareType : 'ENDS_WITH';
      return comparison({ ...rule, compareType }, { begin: '^', end: '(?=\\n)', outside: '\\r\\n' }, '\\n');
    }
    case 'HOST_NAME': {
      const body = header(rule, 'host');
      // There is one: when it is another, the rest of the head is not searched for a second.
      return body && `(?>${lineOf(client, 'host')})(?i)${body}`;
    }
    case 'HEADER': {
      const body = header(rule, name);
      return body && `${lineOf(client, name)}${body}`;
    }
    case 'COOKIE': {
      const cookie = literal(rule.key ?? '');
      const body = comparison(
        rule,
        {
          begin: `(?<=[;,\\x20\\t]${cookie}=)`,
          end: `(?=${blanks}[;,\\r])`,
          outside: ';,\\r\\n',
        },
        `${blanks}[;,\\r]`,
      );
      // HAProxy sees no cookie that is empty and the last of its header, or before a comma, unless it follows `; `.
      const seen = `(?!${cookie}=${blanks}[\\r,])`;
      const place = `(?:(?:[^\\r\\n]*,${blanks})?${seen}|[^\\r\\n]*;(?:[\\x20\\t]+|${seen}))`;
      return body && `${lineOf(client, 'cookie')}${place}${cookie}=${body}`;
    }
    case 'SSL_CONN_HAS_CERT':
      return client === null ? never : '[^\\n]*\\n1\\x20';
    case 'SSL_VERIFY_RESULT':
      return client === null ? never : `[^\\n]*\\n\\d\\x20${literal(gate(rule.value))}\\n`;
    case 'SSL_DN_FIELD': {
      const line = client?.subjectFields.indexOf(rule.key ?? '') ?? -1;
      if (line < 0) return never;
      const body = comparison(rule, { begin: '(?<=\\n)', end: '(?=\\n)', outside: '\\r\\n' }, '\\n');
      return body && `(?:[^\\n]*\\n){${line + 2}}(?=[^\\n])${body}`;
    }
  }
}

/** Up to the value of any header of that name: line by line, and none that says what a client's certificate does. */
const lineOf = (client: ClientFacts | null, name: string): string =>
  `(?:[^\\n]*\\n){${client === null ? 1 : 2 + client.subjectFields.length}}(?:[^\\n]*\\n)*?${name}:\\x20`;

/** The value of a header, whole or one of those that commas part. */
function header(rule: WantedL7Rule, name: string): string | undefined {
  const body = comparison(
    rule,
    { begin: `(?<=\\n${name}:\\x20|,|,\\x20)`, end: `(?=${blanks}[,\\r])`, outside: '\\r\\n' },
    `${blanks}[,\\r]`,
  );
  // The others look over what is before them anyway: both would try every pair of places, and a client could send a
  // header of thousands of commas.
  const first = rule.compareType === 'EQUAL_TO' || rule.compareType === 'STARTS_WITH';
  return body && `${first ? `(?:[^\\r\\n]*,${blanks})?` : ''}${body}`;
}

/** From the begin of a field; `end` is what follows it. */
function comparison(
  { compareType, value }: Pick<WantedL7Rule, 'compareType' | 'value'>,
  field: Field,
  end: string,
): string | undefined {
  const within = `[^${field.outside}]*`;
  if (compareType === 'REGEX') {
    const expression = confined(gate(value), field);
    return expression && `${within}?(?:${expression})`;
  }
  const text = literal(gate(unquoted(value)));
  switch (compareType) {
    case 'EQUAL_TO':
      return `${text}${end}`;
    case 'STARTS_WITH':
      return text;
    case 'ENDS_WITH':
      return `${within}${text}${end}`;
    case 'CONTAINS':
      return `${within}${text}`;
  }
}
