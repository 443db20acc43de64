import type { Log } from '../platform/log.ts';
import type { ApiCaller } from './policy.ts';
import { type RemoteCheck, Undecided, type Verdict } from './policy-rules.ts';

/** `http:` and `https:` checks of a policy: another server decides, as oslo.policy asks it. */

export interface RemoteSettings {
  /** For a whole answer. */
  readonly timeoutMs: number;
  readonly contentType: 'application/x-www-form-urlencoded' | 'application/json';
}

/** More than `"True"` and white space is no verdict. */
const longestAnswer = 64;

/**
 * Does the work, and does it anew whenever a verdict was missing that now is there. So no server is waited for while
 * rows are locked: what was begun is rolled back, and policy comes before every effect.
 */
export async function withVerdicts<T>(
  caller: ApiCaller,
  { settings, log }: { readonly settings: RemoteSettings; readonly log: Log },
  work: (caller: ApiCaller) => Promise<T>,
): Promise<T> {
  const verdicts = new Map<string, Verdict>();
  for (;;) {
    try {
      return await work({ ...caller, verdicts });
    } catch (error) {
      if (!(error instanceof Undecided)) throw error;
      verdicts.set(error.check.key, await ask(error.check, settings, log));
    }
  }
}

/** `True`, with or without quotes, allows; all else of an answer refuses; without an answer there is no verdict. */
async function ask(
  check: RemoteCheck,
  { timeoutMs, contentType }: RemoteSettings,
  log: Log,
): Promise<Verdict> {
  const { url, rule, target, credentials } = check;
  const question = { rule, target, credentials };
  try {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': contentType },
      body: contentType === 'application/json' ? JSON.stringify(question) : form(question),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await beginningOf(answer);
    if (!answer.ok) throw new Error(`it answers ${answer.status}`);
    return text.replaceAll(/^"+|"+$/g, '') === 'True' ? 'allowed' : 'refused';
  } catch (error) {
    const { message, cause } = error as Error;
    const reason = cause instanceof Error && cause.message !== '' ? cause.message : message;
    log.warn({ rule, server: originOf(url), reason }, 'the server of a policy check gave no verdict');
    return 'none';
  }
}

const form = (question: object): string =>
  new URLSearchParams(
    Object.entries(question).map(([name, value]) => [name, JSON.stringify(value)] as [string, string]),
  ).toString();

async function beginningOf({ body }: Response): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > longestAnswer) break;
  }
  return text;
}

/** What may be logged of a URL: names and passwords in it may not. */
const originOf = (url: string): string => (URL.canParse(url) ? new URL(url).origin : 'no URL');
