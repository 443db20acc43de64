/** A part of a longer text that a regular expression is to see as if it were all there is. */
export interface Field {
  /** Asserts its begin and its end, as `^` and `$` would. */
  readonly begin: string;
  readonly end: string;
  /** Characters that it never holds, as they are written in a class. */
  readonly outside: string;
}

/** Escapes that match a character, or a place, that a field can hold. */
const harmless = /^[dwBb]$/;
const classLike = /^[sSDWhHN]$/;
const groups = /^\?(?::|=|!|<=|<!|i\)|i:|-i\)|-i:)/;

/**
 * A user's regular expression, written so that it cannot look beyond one field of a longer text. Undefined for what is
 * not understood (back references, comments, other flags …) or does not close its own parentheses.
 */
export function confined(expression: string, { begin, end, outside }: Field): string | undefined {
  const inside = (one: string): string => `(?:(?![${outside}])${one})`;
  let depth = 0;
  let made = '';
  let at = 0;
  while (at < expression.length) {
    const character = expression.charAt(at);
    const rest = expression.slice(at + 1);
    at += 1;
    switch (character) {
      case '\\': {
        const escaped = rest.charAt(0);
        at += 1;
        if (harmless.test(escaped)) made += `\\${escaped}`;
        else if (classLike.test(escaped)) made += inside(`\\${escaped}`);
        else if (escaped === 'A') made += begin;
        else if (escaped === 'z' || escaped === 'Z') made += end;
        else if (/^[a-zA-Z0-9]?$/.test(escaped)) return undefined;
        else made += literal(escaped);
        break;
      }
      case '[': {
        const body = /^\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^\]\\])*\]/.exec(rest)?.[0];
        if (body === undefined || /\\[^sSdDwWhHtnr\W]/.test(body)) return undefined;
        made += inside(`[${body.replaceAll(' ', '\\x20').replaceAll('\t', '\\t')}`);
        at += body.length;
        break;
      }
      case '(': {
        const special = groups.exec(rest)?.[0] ?? '';
        if (special === '' && /^[?*]/.test(rest)) return undefined;
        made += `(${special}`;
        at += special.length;
        if (!special.endsWith(')')) depth += 1;
        break;
      }
      case ')':
        depth -= 1;
        if (depth < 0) return undefined;
        made += ')';
        break;
      case '.':
        made += `[^${outside}]`;
        break;
      case '^':
        made += begin;
        break;
      case '$':
        made += end;
        break;
      case '|':
      case '?':
      case '*':
      case '+':
        made += character;
        break;
      case '{': {
        // A brace that begins no count stands for itself.
        const count = /^\d+(,\d*)?\}/.exec(rest)?.[0];
        made += count === undefined ? '\\{' : `{${count}`;
        at += count?.length ?? 0;
        break;
      }
      case ';':
      case ',':
        made += inside(character);
        break;
      default:
        made += literal(character);
    }
  }
  return depth === 0 ? made : undefined;
}

/** A text as a regular expression that matches it and nothing else, without a blank in it. */
export const literal = (text: string): string =>
  text
    .replace(/[!-,./:-@[-^`{-~]/g, '\\$&')
    .replaceAll(' ', '\\x20')
    .replaceAll('\t', '\\x09');
