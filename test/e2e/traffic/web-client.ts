import { connect } from 'node:net';
import { tryRun } from '../../../src/platform/run.ts';
import type { Received } from './echo-member.ts';

export interface Answer {
  /** 0: no HTTP answer; `said` has curl's words. */
  readonly status: number;
  readonly version: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly said: string;
  /** The body, when a member has echoed the request. */
  readonly echo: Received;
}

/** One request by curl. */
export async function ask(url: string, ...args: string[]): Promise<Answer> {
  const result = await tryRun(['curl', '-sS', '-i', '-g', '--max-time', '10', ...args, url]);
  const [head = '', ...rest] = result.stdout.split('\r\n\r\n');
  const [first = '', ...lines] = head.split('\r\n');
  const body = rest.join('\r\n\r\n');
  const found = /^HTTP\/([\d.]+) (\d+)/.exec(first);
  return {
    status: result.code === 0 || found !== null ? Number(found?.[2] ?? 0) : 0,
    version: found?.[1] ?? '',
    headers: Object.fromEntries(
      lines.map((line) => {
        const at = line.indexOf(':');
        return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()];
      }),
    ),
    body,
    said: result.stderr.trim(),
    get echo(): Received {
      if (!body.startsWith('{'))
        throw new Error(`no member answered ${url}: ${head} ${body} ${result.stderr}`);
      return JSON.parse(body) as Received;
    },
  };
}

/** The members that answer so many requests, in order. */
export async function whoAnswers(count: number, url: string, ...args: string[]): Promise<string[]> {
  const names: string[] = [];
  for (let n = 0; n < count; n += 1) names.push((await ask(url, ...args)).echo.member);
  return names;
}

/** What comes back for bytes sent over a TCP connection, until the other side closes or nothing came for a while. */
export function raw(address: string, port: number, send: string, quietMs = 2000): Promise<string> {
  return new Promise((done) => {
    let heard = '';
    const socket = connect(port, address, () => socket.write(send));
    const end = (why: string) => () => {
      socket.destroy();
      done(`${heard}${why}`);
    };
    socket.setTimeout(quietMs, end('<quiet>'));
    socket.on('data', (bytes) => (heard += bytes.toString('latin1')));
    socket.on('end', end('<closed>')).on('error', end('<reset>'));
  });
}
