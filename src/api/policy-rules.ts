/**
 * The language of oslo.policy: `role:x`, `rule:y`, `project_id:%(project_id)s`, `'text':%(key)s`, `@`, `!`, joined by
 * `not`, `and`, `or` and parentheses. An empty rule lets everybody. `http://server/%(project_id)s` and `https:` ask
 * another server.
 */

/** Who asks, by the names rules use. */
export interface Credentials {
  readonly roles: readonly string[];
  readonly attributes: Readonly<Record<string, string | null>>;
}
/** What is asked about, by the names rules use; null: not said. */
export type Target = Readonly<Record<string, string | null>>;

/** A question to another server. */
export interface RemoteCheck {
  /** The same for the same question. */
  readonly key: string;
  readonly url: string;
  /** The name of the rule it stands in. */
  readonly rule: string;
  readonly target: Target;
  readonly credentials: Readonly<Record<string, unknown>>;
}
/** `none`: nobody could be asked. */
export type Verdict = 'allowed' | 'refused' | 'none';

/** Thrown when a rule cannot be judged before that server was asked. */
export class Undecided extends Error {
  readonly check: RemoteCheck;
  constructor(check: RemoteCheck) {
    super(`${check.rule} waits for a verdict`);
    this.check = check;
  }
}
/** Thrown when a rule needs the verdict of a server that gave none: not even `not` makes that a yes. */
export class NoVerdict extends Error {}

/** Rules by name, ready to be asked. Throws an `Error` that names the rule which cannot be read. */
export class PolicyRules {
  readonly #checks: ReadonlyMap<string, Check>;

  constructor(texts: Readonly<Record<string, string>>) {
    this.#checks = new Map(
      Object.entries(texts).map(([name, text]) => [name, within(name, () => new Parser(text).whole())]),
    );
    for (const name of this.#checks.keys()) within(name, () => this.#follow(name, []));
  }

  /**
   * `verdicts`: of the servers asked so far, by the key of the check. Throws `Undecided` when one is missing,
   * `NoVerdict` when it could not be had.
   */
  allows(
    name: string,
    credentials: Credentials,
    target: Target,
    verdicts: ReadonlyMap<string, Verdict> = new Map(),
  ): boolean {
    const check = this.#checks.get(name);
    return check !== undefined && this.#holds(check, { name, credentials, target, verdicts });
  }

  #holds(check: Check, asked: Asked): boolean {
    const { credentials, target } = asked;
    switch (check.kind) {
      case 'remote':
        return remoteVerdict(check.url, asked);
      case 'always':
        return check.value;
      case 'role': {
        const role = filled(check.match, target)?.toLowerCase();
        return credentials.roles.some((own) => own.toLowerCase() === role);
      }
      case 'rule':
        return this.allows(check.name, credentials, target, asked.verdicts);
      case 'attribute': {
        const own = check.literal ?? this.#attribute(check.name, asked);
        return own !== null && own === filled(check.match, target);
      }
      case 'not':
        return !this.#holds(check.check, asked);
      case 'and':
        return check.checks.every((each) => this.#holds(each, asked));
      case 'or':
        return check.checks.some((each) => this.#holds(each, asked));
    }
  }

  #attribute(name: string, { credentials, target, verdicts }: Asked): string | null {
    if (name !== 'is_admin') return credentials.attributes[name] ?? null;
    return this.allows(adminRule, credentials, target, verdicts) ? 'True' : 'False';
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

interface Asked {
  /** Of the rule that is judged. */
  readonly name: string;
  readonly credentials: Credentials;
  readonly target: Target;
  readonly verdicts: ReadonlyMap<string, Verdict>;
}

type Check =
  | { readonly kind: 'remote'; readonly url: string }
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
    case 'remote':
      return [];
  }
}

/** What the target does not say cannot be asked about. */
function remoteVerdict(template: string, { name: rule, credentials, target, verdicts }: Asked): boolean {
  const url = filled(template, target, encodeURIComponent);
  if (url === undefined) return false;
  const { roles, attributes } = credentials;
  const question = { url, rule, target, credentials: { ...attributes, roles } };
  const key = JSON.stringify(question);
  const verdict = verdicts.get(key);
  if (verdict === undefined) throw new Undecided({ ...question, key });
  if (verdict === 'none') throw new NoVerdict(rule);
  return verdict === 'allowed';
}

/** The text with what it takes from the target; undefined when the target does not say it. */
function filled(
  match: string,
  target: Target,
  written: (value: string) => string = (value) => value,
): string | undefined {
  let known = true;
  const text = match.replaceAll(/%\(([^)]*)\)s/g, (_, key: string) => {
    const value = Object.hasOwn(target, key) ? target[key] : undefined;
    known &&= value != null;
    return written(value ?? '');
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
  if (name === 'http' || name === 'https') {
    if (!URL.canParse(word)) throw new Error(`'${word}' is no URL`);
    return { kind: 'remote', url: word };
  }
  const quoted = /^['"]/.test(name) ? name.slice(1, -1) : undefined;
  // Constants stand for themselves.
  const literal = quoted ?? (/^(True|False|None|\d+)$/.test(name) ? name : undefined);
  return { kind: 'attribute', name, literal, match };
}
