import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { address, call, cidr, format, integer, Unwritable, word } from './quote.ts';
import { aListener, aPolicy, aRule, aWanted, render } from './wanted.fixture.ts';

describe('the gate between a user and the configuration', () => {
  it('refuses what would end a line, and what is empty or endless, at every door', () => {
    for (const door of [word, format, (value: string) => call('req.hdr', value)]) {
      for (const value of ['a\nb', 'a\rb', 'a\0b', 'a\u001bb', 'a\u007fb', '', 'x'.repeat(5000)]) {
        expect(() => door(value)).toThrow(Unwritable);
      }
    }
  });

  it('does not repeat the value in what it says', () => {
    expect(() => word('secret\n')).toThrow(/^a value holds a control character$/);
  });

  it('takes for an address nothing but an address', () => {
    expect(address('10.0.0.1')).toBe('10.0.0.1');
    expect(address('2001:db8::1')).toBe('[2001:db8::1]');
    expect(address('::ffff:10.0.0.1')).toBe('[::ffff:10.0.0.1]');
    for (const value of [
      'unix@/run/livia/haproxy/stats.sock',
      'fd@3',
      'abns@x',
      'localhost',
      '10.0.0.1:80',
      '10.0.0.1 ssl',
      '10.0.0.256',
      '010.0.0.1',
      '0x7f.1',
      'fe80::1%eth0',
      '::1::2',
      '1:2:3:4:5:6:7:8:9',
      '12345::',
      '${HOST}',
      '',
    ]) {
      expect(() => address(value), value).toThrow(Unwritable);
    }
  });

  it('takes for a CIDR and a number nothing else either', () => {
    expect(cidr('10.0.0.0/8')).toBe('10.0.0.0/8');
    expect(cidr('2001:db8::/32')).toBe('2001:db8::/32');
    for (const value of ['10.0.0.0/33', '10.0.0.0/8/8', '-f', '10.0.0.0/8 or TRUE', '::/129', '/8']) {
      expect(() => cidr(value), value).toThrow(Unwritable);
    }
    expect(integer('19')).toBe('19');
    expect(() => integer('1 or TRUE')).toThrow(Unwritable);
  });

  it('gives HAProxy exactly the text that the user wrote', async () => {
    const values = [
      "it's",
      'two words',
      'say "hi"',
      'back\\slash\\',
      '%[src]',
      '%{+Q}o %% 100%',
      '${HOME} $HOME "${HOME}"',
      '#comment',
      '{ } ( ) ; || or',
      '-f',
      'é日',
      "'; deny '",
    ];
    const answers = await locations(values);
    expect(answers).toEqual(values.map((value) => `http://example.com/${value}`));
  });
});

/** What a client is redirected to by policies whose header rules and targets hold the values. */
async function locations(values: readonly string[]): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'quote-'));
  const port = await freePort();
  const rendered = render(
    aWanted({
      listeners: [
        aListener(1, {
          port,
          connectionLimit: 100,
          l7Policies: values.map((value, n) =>
            aPolicy(n, {
              action: 'REDIRECT_TO_URL',
              redirectUrl: `http://example.com/${value}`,
              rules: [aRule(n, { type: 'HEADER', key: "X-It's", compareType: 'EQUAL_TO', value })],
            }),
          ),
        }),
      ],
    }),
    folder,
  );
  for (const [path, content] of [...rendered.files, ['haproxy.cfg', rendered.text] as const]) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  await writeFile(join(folder, 'server-state'), '1\n');
  const haproxy = spawn('haproxy', ['-db', '-C', folder, '-f', 'haproxy.cfg'], { stdio: 'ignore' });
  try {
    const found: string[] = [];
    for (const value of values) found.push(await location(port, value));
    return found;
  } finally {
    haproxy.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
}

async function location(port: number, value: string): Promise<string> {
  for (;;) {
    try {
      // Node writes headers as latin1; a user's UTF-8 arrives as bytes.
      const header = Buffer.from(value).toString('latin1');
      const asked = request({ host: '127.0.0.1', port, headers: { "X-It's": header } }).end();
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      answer.resume();
      return Buffer.from(answer.headers.location ?? `${answer.statusCode}`, 'latin1').toString();
    } catch {
      await sleep(20);
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
