import type { Section } from '../../plan/haproxy/render.ts';

/** A configuration cannot be served. `said` are HAProxy's own lines, or a sentence when it was not even asked. */
export class HaproxyRefusal extends Error {
  readonly said: string;
  constructor(said: string) {
    super(firstReason(said));
    this.said = said;
  }
}

/**
 * The failure of a HAProxy that said this: a refusal when it gave a reason; else something befell it, such as a kill
 * for want of memory, and the same may well succeed later.
 */
export function failureOf(said: string, event: string): Error {
  return [...alerts(said)].length > 0
    ? new HaproxyRefusal(said)
    : new Error(`${event}: ${said.trim().slice(-300) || 'it said nothing'}`);
}

/** Lines that say only that there were others. */
const idle = /Error\(s\) found in configuration file|Fatal errors found|Loading failure|No enabled listener/;

function* alerts(said: string): Generator<string> {
  for (const [, text = ''] of said.matchAll(/^\[ALERT\]\s+\(\d+\) : (?:config : )?(.*)$/gm)) {
    if (!idle.test(text)) yield text;
  }
}

const tidy = (text: string): string =>
  text
    .replace(/^(parsing )?\[[^\]]*\.cfg:\d+\]\s*:?\s*/, '')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 500);

function firstReason(said: string): string {
  for (const text of alerts(said)) return `HAProxy: ${tidy(text)}`;
  return said;
}

/**
 * Whose lines HAProxy did not take: by the line it names, else by the frontend or backend it names. The pool for a
 * backend's line, the listener for a frontend's. Empty when it blames nobody.
 */
export function blame(said: string, sections: readonly Section[]): ReadonlyMap<string, string> {
  const blamed = new Map<string, string>();
  const ids = new Set(sections.flatMap(({ listenerId, poolId }) => [listenerId, poolId]));
  for (const text of alerts(said)) {
    const line = Number(/haproxy\.cfg:(\d+)\]/.exec(text)?.[1]);
    const section = sections.find(({ from, to }) => from <= line && line <= to);
    // A backend is named pool:listener, so its pool is the first id found.
    const named = text.match(/[0-9a-f]{8}-[0-9a-f-]{27}/g)?.find((id) => ids.has(id));
    const id = section === undefined ? named : (section.poolId ?? section.listenerId);
    if (id !== undefined && !blamed.has(id)) blamed.set(id, `HAProxy: ${tidy(text)}`);
  }
  return blamed;
}
