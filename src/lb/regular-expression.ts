/**
 * What speaks against a pattern as a regular expression of HAProxy, which is PCRE's; undefined: nothing. What PCRE has
 * beyond ECMAScript is put into ECMAScript's words, whose compiler then judges.
 */
export function patternFault(pattern: string): string | undefined {
  const translated = translate(pattern);
  try {
    const { source } = new RegExp(translated);
    // The empty alternative matches at once and tells how many groups there are.
    const groups = (new RegExp(`${source}|`).exec('')?.length ?? 1) - 1;
    const missing = [...translated.matchAll(/\\(.)/gs)].find(([, digit = '']) => Number(digit) > groups);
    return missing && `the value is no regular expression: there is no group ${missing[1]}.`;
  } catch (error) {
    return `the value is no regular expression: ${(error as Error).message}`;
  }
}

/** An escape or a class stays as it is, whatever it holds. */
const literal = /\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]/;
const comment = /\(\?#[^)]*\)/;
const flags = /\(\?[a-zA-Z-]+\)/;
const named = /\(\?P(?=<[A-Za-z_]\w*>)/;
const reference = /\(\?P=\w+\)/;
const atomic = /\(\?(?:[a-zA-Z-]+:|>|\|)/;
const possessive = /[*+?}]\+/;
const token = new RegExp(
  [literal, comment, flags, named, reference, atomic, possessive].map(({ source }) => source).join('|'),
  'gs',
);

function translate(pattern: string): string {
  return pattern.replaceAll(token, (part) => {
    if (part.startsWith('\\')) return part;
    if (part.startsWith('[')) return part.replace(/^(\[\^?)\]/, '$1\\]');
    if (part === '(?P') return '(?';
    if (part.startsWith('(?P=')) return `\\k<${part.slice(4, -1)}>`;
    if (possessive.test(part)) return part.slice(0, 1);
    return part.endsWith(')') ? '(?:)' : '(?:';
  });
}
