import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request } from 'node:https';
import { connect } from 'node:tls';
import { textOf } from '../agent.fixture.ts';
import type { Holder } from './authority.fixture.ts';
import {
  authorities,
  certificates,
  expectedOf,
  isServed,
  isTls,
  type Question,
  questions,
  shownTo,
  stayersOf,
  type Wish,
} from './wishes.fixture.ts';

/** Where a listener is heard. */
interface Door {
  readonly host: string;
  readonly port: number;
  /** Of a server. */
  readonly cookieOf: (backend: string, server: string) => string;
}

/** What a client hears: the body of an answer, its status when that is another than 200, with where it leads. */
async function hear(
  { host, port }: Omit<Door, 'cookieOf'>,
  tls: boolean,
  { path, kind, cookie }: Question,
  client?: Holder,
): Promise<string> {
  const headers = { ...(kind !== undefined && { 'x-kind': kind }), ...(cookie !== undefined && { cookie }) };
  const options = { host, port, path, headers, agent: false, rejectUnauthorized: false, ...client };
  const asked = (tls ? request(options) : httpRequest(options)).end();
  try {
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    const text = await textOf(answer);
    const { location } = answer.headers;
    return answer.statusCode === 200 ? text : [answer.statusCode, location].filter(Boolean).join(' ');
  } catch {
    return 'refused';
  }
}

const fingerprints = certificates.map(
  ({ pem }) => new X509Certificate(pem.slice(pem.indexOf('-----BEGIN CERT'))).fingerprint256,
);

/** Which of the certificates a client is shown who asks for this name. */
async function shown({ host, port }: Door, servername: string | undefined): Promise<number> {
  const name = servername === undefined ? {} : { servername };
  const socket = connect({ host, port, ...name, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprints.indexOf(fingerprint256);
}

const clients = [0, 1].flatMap((authority) => [
  { authority, revoked: false },
  { authority, revoked: true },
]);

/** What clients hear of one listener, each beside what they are to hear. `same`: gets what stays the same. */
export async function* heardOf(
  wish: Wish,
  n: number,
  door: Door,
  same: Map<string, string>,
): AsyncGenerator<[string, unknown, unknown]> {
  const tls = isTls(n);
  const open = isServed(wish, n, undefined);
  const seen = new Set<string>();
  for (const question of n === 4 ? questions.slice(0, 1) : questions) {
    const expected = expectedOf(wish, n, question);
    if (expected === undefined) {
      yield [`${n} closed`, await hear(door, tls, question), 'refused'];
      return;
    }
    const known = seen.has(expected.answers.join());
    // Nobody to ask takes HAProxy some tries.
    if (!open || (known && expected.answers.join() === '503')) continue;
    seen.add(expected.answers.join());
    const what = `${n} ${JSON.stringify(question)}`;
    const answers = new Set<string>();
    const goal = expected.often === 'all' && !known ? expected.answers.length : 1;
    for (let tries = 0; answers.size < goal && tries < 40; tries += 1) {
      answers.add(await hear(door, tls, question));
    }
    if (expected.often === 'same') same.set(what, [...answers].join());
    const wrong = [...answers].filter((answer) => !expected.answers.includes(answer));
    yield [what, { wrong, heard: answers.size }, { wrong: [], heard: goal }];
  }
  for (const { backend, server, answer } of open ? stayersOf(wish, n) : []) {
    const cookie = `SRV=${door.cookieOf(backend, server)}`;
    yield [`${n} with the cookie of ${server}`, await hear(door, tls, { path: '/', cookie }), answer];
  }
  if (!tls) return;
  for (const name of [undefined, 'www.example.com', 'api.example.com', 'new.example.com']) {
    yield [`${n} shows ${name}`, await shown(door, name), shownTo(wish, n, name)];
  }
  for (const client of [undefined, ...clients]) {
    const { client: good, revoked } = authorities[client?.authority ?? 0] ?? authorities[0];
    const holder = client === undefined ? undefined : client.revoked ? revoked : good;
    const heard = await hear(door, true, { path: '/' }, holder);
    yield [`${n} serves ${JSON.stringify(client)}`, heard !== 'refused', isServed(wish, n, client)];
  }
}
