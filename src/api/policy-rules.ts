/**
 * The language of oslo.policy: `role:x`, `rule:y`, `project_id:%(project_id)s`, `'text':%(key)s`, `@`, `!`, joined by
 * `not`, `and`, `or` and parentheses. An empty rule lets everybody.
 */

/** Who asks, by the names rules use. */
export interface Credentials {
  readonly roles: readonly string[];
  readonly attributes: Readonly<Record<string, string | null>>;
}
/** What is asked about, by the names rules use; null: not said. */
export type Target = Readonly<Record<string, string | null>>;

/** Rules by name, ready to be asked. Throws an `Error` that names the rule which cannot be read. */
export class PolicyRules {
  readonly #checks: ReadonlyMap<string, Check>;

  constructor(texts: Readonly<Record<string, string>>) {
    this.#checks = new Map(
      Object.entries(texts).map(([name, text]) => [name, within(name, () => new Parser(text).whole())]),
    );
    for (const name of this.#checks.keys()) within(name, () => this.#follow(name, []));
  }

  allows(name: string, credentials: Credentials, target: Target): boolean {
    const check = this.#checks.get(name);
    return check !== undefined && this.#holds(check, credentials, target);
  }

  #holds(check: Check, credentials: Credentials, target: Target): boolean {
    switch (check.kind) {
      case 'always':
        return check.value;
      case 'role': {
        const role = filled(check.match, target)?.toLowerCase();
        return credentials.roles.some((own) => own.toLowerCase() === role);
      }
      case 'rule':
        return this.allows(check.name, credentials, target);
      case 'attribute': {
        const own = check.literal ?? this.#attribute(check.name, credentials, target);
        return own !== null && own === filled(check.match, target);
      }
      case 'not':
        return !this.#holds(check.check, credentials, target);
      case 'and':
        return check.checks.every((each) => this.#holds(each, credentials, target));
      case 'or':
        return check.checks.some((each) => this.#holds(each, credentials, target));
    }
  }

  #attribute(name: string, credentials: Credentials, target: Target): string | null {
    if (name !== 'is_admin') return credentials.attributes[name] ?? null;
    return this.allows(adminRule, credentials, target) ? 'True' : 'False';
  }

  /** Every rule that is referred to is there, and none leads back to itself. */
  #follow(name: string, path: readonly string[]): void {
    const check = this.#checks.get(name);
    if (check === undefined) throw new Error(`the rule ${name} is not defined`);
    if (path.includes(name)) throw new Error(`the rule ${name} leads back to itself`);
    for (const next of referred(check)) this.#follow(next, [...path, name]);
  }
}

/** Who it lets is an admin: `is_admin:True`. */
const adminRule = 'context_is_admin';

type Check =
  | { readonly kind: 'always'; readonly value: boolean }
  | { readonly kind: 'role'; readonly match: string }
  | { readonly kind: 'rule'; readonly name: string }
  | {
      readonly kind: 'attribute';
      readonly name: string;
      /** What stands in quotes instead of a name. */
      readonly literal: string | undefined;
      readonly match: string;
    }
  | { readonly kind: 'not'; readonly check: Check }
  | { readonly kind: 'and' | 'or'; readonly checks: readonly Check[] };

function referred(check: Check): readonly string[] {
  switch (check.kind) {
    case 'rule':
      return [check.name];
    case 'attribute':
      return check.name === 'is_admin' ? [adminRule] : [];
    case 'not':
      return referred(check.check);
    case 'and':
    case 'or':
      return check.checks.flatMap(referred);
    case 'always':
    case 'role':
      return [];
  }
}

/** The text with what it takes from the target; undefined when the target does not say it. */
function filled(match: string, target: Target): string | undefined {
  let known = true;
  const text = match.replaceAll(/%\(([^)]*)\)s/g, (_, key: string) => {
    const value = Object.hasOwn(target, key) ? target[key] : undefined;
    known &&= value != null;
    return value ?? '';
  });
  return known ? text : undefined;
}

function within<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Error(`policy ${name}: ${(error as Error).message}`, { cause: error });
  }
}

const tokens = /\(|\)|(?:'[^']*'|"[^"]*"|%\([^)]*\)s|[^\s()'"])+|\S/g;

class Parser {
  readonly #words: string[];
  constructor(text: string) {
    this.#words = text.match(tokens) ?? [];
  }

  whole(): Check {
    if (this.#words.length === 0) return { kind: 'always', value: true };
    const check = this.#either();
    const [rest] = this.#words;
    if (rest !== undefined) throw new Error(`'${rest}' is not expected`);
    return check;
  }

  #either(): Check {
    return this.#joined('or', () => this.#joined('and', () => this.#single()));
  }

  #joined(kind: 'and' | 'or', next: () => Check): Check {
    const first = next();
    const checks = [first];
    while (this.#words[0]?.toLowerCase() === kind) {
      this.#words.shift();
      checks.push(next());
    }
    return checks.length === 1 ? first : { kind, checks };
  }

  #single(): Check {
    const word = this.#words.shift();
    if (word === undefined) throw new Error('something is missing at the end');
    if (word.toLowerCase() === 'not') return { kind: 'not', check: this.#single() };
    if (word !== '(') return simple(word);
    const check = this.#either();
    if (this.#words.shift() !== ')') throw new Error('a parenthesis is not closed');
    return check;
  }
}

function simple(word: string): Check {
  if (word === '@' || word === '!') return { kind: 'always', value: word === '@' };
  const parts = /^('[^']*'|"[^"]*"|[^:'"]+):(.*)$/.exec(word);
  const [, name = '', match = ''] = parts ?? [];
  if (parts === null || match === '') throw new Error(`'${word}' is no check`);
  if (name === 'role') return { kind: 'role', match };
  if (name === 'rule') return { kind: 'rule', name: match };
  if (name === 'http' || name === 'https') throw new Error(`checks of kind ${name} are not supported`);
  const quoted = /^['"]/.test(name) ? name.slice(1, -1) : undefined;
  // Constants stand for themselves.
  const literal = quoted ?? (/^(True|False|None|\d+)$/.test(name) ? name : undefined);
  return { kind: 'attribute', name, literal, match };
}
