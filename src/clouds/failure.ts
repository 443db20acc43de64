import { DriverError } from './errors.ts';
import type { Answer } from './exchange.ts';

const longestMessage = 500;

/** What an answer of failure means. `whose` token it was: Livia's own being refused is no fault of the wish. */
export function failure(who: string, answer: Answer, whose: 'own' | 'caller'): DriverError {
  const { status, bytes } = answer;
  const wishRefused = status >= 400 && status < 500 && ![408, 425, 429].includes(status);
  const retry = wishRefused && !(status === 401 && whose === 'own') ? 'never' : 'later';
  return new DriverError(`${who} answered ${status}: ${messageOf(bytes)}`, { retry, status });
}

/**
 * The sentence in an error body. Keystone, Nova and Neutron wrap it in an object (`error`, `itemNotFound`,
 * `NeutronError` …) as `message`, Barbican says `description`, Livia's agent `message`, and Glance writes HTML.
 */
export function messageOf(bytes: Buffer): string {
  const text = bytes.toString();
  const message = sentenceIn(text) ?? text.replaceAll(/<(title|style)>.*?<\/\1>|<[^>]*>/gs, ' ');
  return message.replaceAll(/\s+/g, ' ').trim().slice(0, longestMessage) || 'no reason given';
}

function sentenceIn(text: string): string | undefined {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return undefined;
  }
  const inside = isObject(body) ? Object.values(body) : [];
  for (const candidate of [body, ...inside]) {
    if (!isObject(candidate)) continue;
    const said = candidate['message'] ?? candidate['description'];
    if (typeof said === 'string') return said;
  }
  return inside.find((value) => typeof value === 'string');
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
