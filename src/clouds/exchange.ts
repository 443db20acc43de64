import { type Dispatcher, request } from 'undici';
import { DriverError } from './errors.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly bytes: Buffer;
}

export interface Exchange {
  readonly dispatcher: Dispatcher;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** For the whole exchange, connecting included. */
  readonly timeoutMs: number;
  /** Who is spoken to, for messages: `Neutron`, `the agent of amphora …`. */
  readonly who: string;
}

/** One HTTP request to its whole answer, whatever the status. Without an answer: `DriverError` later. */
export async function exchange(asked: Exchange): Promise<Answer> {
  try {
    return await send(asked);
  } catch (error) {
    // A kept connection may be closed by the other side just when it is used; reading again costs nothing.
    if (asked.method === 'GET' && isReset(error)) return send(asked).catch((again) => silence(asked, again));
    return silence(asked, error);
  }
}

async function send(asked: Exchange): Promise<Answer> {
  const answer = await request(asked.url, {
    dispatcher: asked.dispatcher,
    method: asked.method,
    headers: { ...asked.headers, ...(asked.body !== undefined && { 'content-type': 'application/json' }) },
    body: asked.body === undefined ? null : JSON.stringify(asked.body),
    signal: AbortSignal.timeout(asked.timeoutMs),
  });
  const bytes = Buffer.from(await answer.body.arrayBuffer());
  return { status: answer.statusCode, headers: answer.headers, bytes };
}

function silence(asked: Exchange, error: unknown): never {
  const timedOut = error instanceof Error && error.name === 'TimeoutError';
  const reason = timedOut ? `nothing within ${asked.timeoutMs / 1000} s` : wordsOf(error);
  throw new DriverError(`${asked.who} does not answer: ${reason}`, { retry: 'later', cause: error });
}

const isReset = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  (error.code === 'UND_ERR_SOCKET' || error.code === 'ECONNRESET');

/** Node says nothing of its own when several addresses of one host failed. */
function wordsOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(wordsOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}
