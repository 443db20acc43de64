import fc from 'fast-check';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join, relative } from 'node:path';
import { connect } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { id } from '../../plan/haproxy/wanted.fixture.ts';
import { ticketKeys } from '../../pki/ticket-keys.ts';
import { AgentUnderTest, freePort, testMember, type TestMember, textOf } from '../agent.fixture.ts';
import type { Holder } from './authority.fixture.ts';
import { freshHaproxy, type Portrait, portraitOf } from './portrait.fixture.ts';
import {
  anyEdit,
  authorities,
  certificates,
  cookiesOf,
  edited,
  expectedOf,
  firstWish,
  isServed,
  isTls,
  type Places,
  type Question,
  questions,
  secretKey,
  shownTo,
  wantedOf,
  type Wish,
} from './wishes.fixture.ts';

let members: readonly TestMember[];
let places: Places;
const encrypted = createServer(authorities[0].server, (_, answer) => answer.end('encrypted'));

beforeAll(async () => {
  members = await Promise.all(['0', '1', '2', '3'].map(testMember));
  encrypted.listen(0, '127.0.0.1');
  await once(encrypted, 'listening');
  places = {
    listeners: [],
    servers: [...members.map(({ port }) => port), await freePort()],
    encrypted: (encrypted.address() as AddressInfo).port,
  };
});
afterAll(() => {
  members.forEach((member) => member.close());
  encrypted.close();
  encrypted.closeAllConnections();
});

/** The same series each time; others, and more of them, when somebody asks for it. */
const numRuns = Number(process.env['SERIES_RUNS'] ?? 4);
const seed = Number(process.env['SERIES_SEED'] ?? 1);

/** Where a listener is heard. */
interface Door {
  readonly host: string;
  readonly port: number;
}

/** What a client hears: the body of an answer, its status when that is another than 200, with where it leads. */
async function hear(
  door: Door,
  tls: boolean,
  { path, kind, cookie }: Question,
  client?: Holder,
): Promise<string> {
  const headers = { ...(kind !== undefined && { 'x-kind': kind }), ...(cookie !== undefined && { cookie }) };
  const options = { ...door, path, headers, agent: false, rejectUnauthorized: false, ...client };
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
async function shown(door: Door, servername: string | undefined): Promise<number> {
  const name = servername === undefined ? {} : { servername };
  const socket = connect({ ...door, ...name, rejectUnauthorized: false });
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
async function* heardOf(
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
  for (const { cookie, answer } of open ? cookiesOf(wish, n) : []) {
    yield [`${n} with ${cookie}`, await hear(door, tls, { path: '/', cookie }), answer];
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

/** What HAProxy keeps until it reloads, of what is no longer wished: it must be at rest. */
function withoutKept(running: Portrait, fresh: Portrait): Portrait {
  const backends: Record<string, Portrait['backends'][string]> = {};
  for (const [name, { own, servers }] of Object.entries(running.backends)) {
    const wished = fresh.backends[name]?.servers ?? {};
    const kept = Object.entries(servers).filter(([server]) => wished[server] === undefined);
    for (const [server, { maint }] of kept) expect([name, server, maint]).toEqual([name, server, 'true']);
    if (fresh.backends[name] === undefined) continue;
    backends[name] = {
      own,
      servers: Object.fromEntries(Object.entries(servers).filter(([server]) => wished[server] !== undefined)),
    };
  }
  return { ...running, backends };
}

const withoutLists = ({ files, ...portrait }: Portrait): Portrait => ({
  ...portrait,
  files: Object.fromEntries(Object.entries(files).filter(([path]) => !path.startsWith('all of '))),
});

/** Paths of the files of the version that is current, relative to it. */
async function filesOf(agent: AgentUnderTest): Promise<string[]> {
  const folder = join(agent.run, 'haproxy/current');
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return found
    .filter((one) => one.isFile())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
}

/** Throws unless running process, files and wish agree. `kept`: certificates of what is closed may still be there. */
async function compare(agent: AgentUnderTest, wish: Wish, kept: boolean): Promise<void> {
  const fresh = await freshHaproxy(agent.run);
  try {
    const paths = await filesOf(agent);
    const written = await portraitOf(fresh.socket, paths);
    const running = withoutKept(await portraitOf(join(agent.run, 'haproxy/stats.sock'), paths), written);
    for (const [path, list] of Object.entries(kept ? written.files : {})) {
      if (path.startsWith('all of ')) expect(running.files[path]).toEqual(expect.arrayContaining([...list]));
    }
    if (kept) expect(withoutLists(running)).toEqual(withoutLists(written));
    else expect(running).toEqual(written);

    const open = wish.listeners.flatMap(({ there }, n) => (there && wish.enabled ? [n] : []));
    const limits = open.map((n) => [id('l', n), String(wish.listeners[n]?.limit)]);
    expect(Object.entries(written.frontends).map(([name, row]) => [name, row['slim']])).toEqual(limits);
    if (open.some(isTls)) {
      expect(written.files['ticket-keys']).toEqual(ticketKeys(secretKey, 'lb', wish.hour).keys);
    }
    const steady = [];
    for (const [whose, host] of Object.entries({ running: '127.0.0.1', fresh: fresh.address })) {
      const same = new Map<string, string>();
      for (const [n, port] of places.listeners.entries()) {
        for await (const [what, heard, wished] of heardOf(wish, n, { host, port }, same)) {
          expect({ whose, what, heard }).toEqual({ whose, what, heard: wished });
        }
      }
      steady.push(same);
    }
    expect(steady[0]).toEqual(steady[1]);
  } finally {
    await fresh.remove();
  }
}

describe('after each of any series of changes', () => {
  it('HAProxy is what one started from its files would be, and what is wished', async () => {
    const anySeries = fc.array(fc.array(anyEdit, { minLength: 1, maxLength: 3 }), {
      minLength: 10,
      maxLength: 14,
    });
    await fc.assert(
      fc.asyncProperty(anySeries, async (series) => {
        const agent = await AgentUnderTest.start();
        try {
          places = { ...places, listeners: await Promise.all(firstWish.listeners.map(() => freePort())) };
          let [wish, generation, kept] = [firstWish, 1, false];
          await agent.put(wantedOf(wish, places, generation));
          await compare(agent, wish, kept);
          for (const edits of series) {
            const next = edited(wish, edits);
            const wanted = wantedOf(next, places, (generation += 1));
            if (isDeepStrictEqual(wanted, wantedOf(wish, places, generation))) continue;
            wish = next;
            const { change, refused } = await agent.put(wanted);
            expect(refused).toEqual([]);
            kept = change === 'runtime' || (kept && change === 'none');
            await compare(agent, wish, kept);
          }
        } finally {
          await agent.remove();
        }
      }),
      { numRuns, seed, endOnFailure: true },
    );
  }, 600_000);
});
