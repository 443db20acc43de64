/** Answers are always JSON. Absent or unreadable wishes are no objection. */
export function acceptsJson(accept: string | undefined): boolean {
  const ranges = (accept ?? '')
    .split(',')
    .map((range) =>
      range
        .trim()
        .toLowerCase()
        .split(/\s*;\s*/),
    )
    .filter(([type = '']) => /^[^\s/]+\/[^\s/]+$/.test(type));
  return (
    ranges.length === 0 ||
    ranges.some(
      ([type = '', ...parameters]) =>
        ['*/*', 'application/*', 'application/json'].includes(type) &&
        !parameters.some((parameter) => /^q\s*=\s*0(\.0*)?$/.test(parameter)),
    )
  );
}

/** A form's body counts as missing. */
export function bodyKind(contentType: string | undefined): 'json' | 'form' | 'other' {
  const type = contentType?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (['', 'application/json', 'text/javascript', 'application/javascript'].includes(type)) return 'json';
  return type === 'application/x-www-form-urlencoded' || type === 'multipart/form-data' ? 'form' : 'other';
}
