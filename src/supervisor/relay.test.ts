import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Open, openRelay, parseTarget, publish } from './relay.ts';

const folder = mkdtempSync(join(tmpdir(), 'livia-relay-'));
const socket = join(folder, 'relay.sock');
const port = 21_690;
const open: Open[] = [];

/** Reads all, then answers with as many bytes: needs both directions, one closed before the other. */
const echo = createServer({ allowHalfOpen: true }, (client) => {
  const chunks: Buffer[] = [];
  client.on('data', (chunk: Buffer) => chunks.push(chunk));
  client.on('end', () => client.end(Buffer.concat(chunks)));
});

beforeAll(async () => {
  await new Promise<void>((resolve) => echo.listen(port + 1, '127.0.0.1', resolve));
  open.push(await openRelay(socket));
  open.push(await publish(socket, port, () => `127.0.0.1:${port + 1}`));
  open.push(await publish(socket, port + 2, () => undefined));
});
afterAll(async () => {
  for (const one of open) await one.close();
  echo.close();
  rmSync(folder, { recursive: true });
});

function ask(to: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const client = createConnection({ port: to, host: '127.0.0.1', allowHalfOpen: true });
    let answer = '';
    client.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
    client.on('error', reject);
    client.on('close', () => resolve(answer));
    client.end(text);
  });
}

it('carries both directions whole', async () => {
  const text = 'x'.repeat(3_000_000);
  expect(await ask(port, text)).toBe(text);
  expect(await ask(port, 'short\nwith lines\n')).toBe('short\nwith lines\n');
});

it('closes at once what has no target yet', async () => {
  expect(await ask(port + 2, 'hello').catch(() => '')).toBe('');
});

it('reads targets of both families and nothing else', () => {
  expect(parseTarget('10.1.2.3:443')).toEqual({ host: '10.1.2.3', port: 443 });
  expect(parseTarget('[fd00::1]:80')).toEqual({ host: 'fd00::1', port: 80 });
  for (const text of ['', '10.1.2.3', '10.1.2.3:99999', 'a b:1', '10.1.2.3:80 x']) {
    expect(parseTarget(text)).toBeUndefined();
  }
});
