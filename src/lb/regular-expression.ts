/**
 * What speaks against a pattern as a regular expression of HAProxy, which is PCRE's; undefined: nothing. What PCRE has
 * beyond ECMAScript is put into ECMAScript's words, whose compiler then judges.
 */
export function patternFault(pattern: string): string | undefined {
  const translated = translate(pattern);
  try {
    const { source } = new RegExp(translated);
    // The empty alternative matches at once and tells which groups have names: HAProxy lets no others be referred to.
    const groups = Object.keys(new RegExp(`${source}|`).exec('')?.groups ?? {}).length;
    const fault = escapeFault(translated, groups) ?? classFault(translated);
    return fault && `the value is no regular expression: ${fault}.`;
  } catch (error) {
    return `the value is no regular expression: ${(error as Error).message}`;
  }
}

/** What ECMAScript takes for the letter itself. */
function escapeFault(pattern: string, groups: number): string | undefined {
  const escaped = [...pattern.matchAll(/\\(.)/gs)].map(([, character = '']) => character);
  const missing = escaped.find((digit) => Number(digit) > groups);
  if (missing !== undefined) return `there is no group ${missing} with a name`;
  const unknown = escaped.find((letter) => 'FIJLMOTUYijlmquy'.includes(letter));
  if (unknown !== undefined) return `nothing is called \\${unknown}`;
  return escaped.includes('k') && !/\(\?<\w/.test(pattern) ? 'there is no group with a name' : undefined;
}

function classFault(pattern: string): string | undefined {
  const classes = pattern.match(new RegExp(literal, 'gs')) ?? [];
  const bare = classes.find((part) => /^\[:\^?\w+:\]$/.test(part));
  return bare && `${bare} stands outside a class`;
}

/** An escape or a class stays as it is, whatever it holds. */
const literal = /\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]/;
const quoted = /\\Q.*?(?:\\E|$)/;
const comment = /\(\?#[^)]*\)/;
const flags = /\(\?[a-zA-Z-]+\)/;
const named = /\(\?P(?=<[A-Za-z_]\w*>)/;
const reference = /\(\?P=\w+\)/;
const atomic = /\(\?(?:[a-zA-Z-]+:|>|\|)/;
const possessive = /[*+?}]\+/;
const token = new RegExp(
  [quoted, literal, comment, flags, named, reference, atomic, possessive]
    .map(({ source }) => source)
    .join('|'),
  'gs',
);

function translate(pattern: string): string {
  return pattern.replaceAll(token, (part) => {
    if (part.startsWith('\\Q')) return '(?:)';
    if (part.startsWith('\\')) return part;
    if (part.startsWith('[')) return part.replace(/^(\[\^?)\]/, '$1\\]');
    if (part === '(?P') return '(?';
    if (part.startsWith('(?P=')) return `\\k<${part.slice(4, -1)}>`;
    if (possessive.test(part)) return part.slice(0, 1);
    return part.endsWith(')') ? '(?:)' : '(?:';
  });
}
