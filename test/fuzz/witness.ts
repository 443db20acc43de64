import { Writable } from 'node:stream';
import { Client } from 'pg';
import { expect } from 'vitest';
import type { Reply } from '../../src/api/client.fixture.ts';
import { makeLog } from '../../src/platform/log.ts';
import { setStage, type Stage } from '../contract/stage.ts';

/** A stage that is watched: its rows, its ports and what it logs. */
export interface WatchedStage extends Stage {
  /** Everything in the database and every port of the cloud, as one short text. */
  digest(): Promise<string>;
  /** Every line logged so far, down to debug. */
  readonly logged: readonly string[];
  /** What no line may hold. */
  readonly secrets: readonly string[];
}

export async function setWatchedStage(): Promise<WatchedStage> {
  const logged: string[] = [];
  const lines = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logged.push(chunk.toString());
      done();
    },
  });
  const stage = await setStage({ log: makeLog('api-fuzz', 'trace', lines) });
  const { host, port, user, database } = stage.api.database;
  const rows = new Client({ host, port, user, database });
  await rows.connect();
  const statement = await digestStatement(rows);
  return {
    ...stage,
    logged,
    secrets: [
      ...[stage.member.token, stage.admin.token, 'PRIVATE KEY', 'hunter2'],
      ...(stage.privateKeyPem.match(/^[\w+/]{40,}/gm) ?? []),
    ],
    async digest() {
      const { rows: found } = await rows.query<{ digest: string }>(statement);
      const ports = [...stage.api.cloud.ports.keys()].toSorted().join(' ');
      return `${found[0]?.digest} ${ports}`;
    },
    async close() {
      await rows.end();
      await stage.close();
    },
  };
}

async function digestStatement(client: Client): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = 'public'`,
  );
  // The queue moves by itself: what is due is not what is wished.
  const tables = rows.map(({ name }) => name).filter((name) => name !== 'work');
  const each = tables.map(
    (name) =>
      `select '${name}' as name, md5(string_agg(t::text, '|' order by t::text)) as sum from "${name}" t`,
  );
  return `select md5(string_agg(name || sum, ',' order by name)) as digest from (${each.join(' union all ')}) d`;
}

/** What is wrong with an answer as such, whatever was asked; undefined: nothing. */
export function oddity({ status, body, text, headers }: Reply): string | undefined {
  if (status >= 500 && status !== 501 && status !== 503) return `${status} ${text.slice(0, 300)}`;
  if (status < 400) return undefined;
  const isFault =
    typeof body.faultstring === 'string' &&
    body.faultcode === (status < 500 ? 'Client' : 'Server') &&
    body.debuginfo === null;
  const isRefusal =
    body.code === status && typeof body.title === 'string' && typeof body.description === 'string';
  const isTokens = status === 401 && body.error?.code === 401 && typeof body.error.message === 'string';
  const isJson = String(headers['content-type']).startsWith('application/json');
  return isJson && (isFault || isRefusal || isTokens)
    ? undefined
    : `${status} is no fault: ${text.slice(0, 300)}`;
}

/** No line of the log holds a secret, and nothing was logged as our own mistake. */
export function expectQuietLog({ logged, secrets }: WatchedStage): void {
  expect(logged.filter((line) => secrets.some((secret) => line.includes(secret)))).toEqual([]);
  expect(logged.filter((line) => (JSON.parse(line) as { level: number }).level >= 50)).toEqual([]);
}
