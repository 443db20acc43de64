import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Body, openTestCloud, type TestCloud } from '../cloudlet.fixture.ts';

let cloud: TestCloud;
let now: Date;
beforeEach(async () => {
  now = new Date('2026-03-01T12:00:00Z');
  cloud = await openTestCloud({ now: () => now, config: { token_seconds: 1_000_000 } });
});
afterEach(() => cloud.destroy());

const v1 = '/key-manager/v1';
const pathOf = (ref: string) => new URL(ref).pathname;

async function store(secret: object, as?: string): Promise<string> {
  const answer = await cloud.ask('POST', `${v1}/secrets/`, secret, as === undefined ? {} : { as });
  if (answer.status !== 201) throw new Error(answer.text);
  return pathOf(answer.body.secret_ref);
}
const text = (payload: string) => ({ payload, payload_content_type: 'text/plain' });
const binary = (bytes: Buffer) => ({
  payload: bytes.toString('base64'),
  payload_content_type: 'application/octet-stream',
  payload_content_encoding: 'base64',
});
const payload = (path: string, accept: string, as?: string) =>
  cloud.ask('GET', `${path}/payload`, undefined, { headers: { accept }, ...(as !== undefined && { as }) });

describe('a secret', () => {
  it('gives back the bytes it was given, and describes itself', async () => {
    const bytes = randomBytes(3000);
    const path = await store({
      ...binary(bytes),
      name: 'a.p12',
      algorithm: 'aes',
      bit_length: 256,
      mode: 'cbc',
    });
    expect((await payload(path, 'application/octet-stream')).bytes.equals(bytes)).toBe(true);
    const whole = await cloud.ask('GET', path, undefined, {
      headers: { accept: 'application/octet-stream' },
    });
    expect(whole.bytes.equals(bytes)).toBe(true);
    expect((await cloud.ask('GET', path)).body).toMatchObject({
      secret_ref: `http://cloud.test:9877${path}`,
      name: 'a.p12',
      status: 'ACTIVE',
      secret_type: 'opaque',
      algorithm: 'aes',
      bit_length: 256,
      mode: 'cbc',
      expiration: null,
      content_types: { default: 'application/octet-stream' },
    });
  });

  it('can be stored in two steps, once', async () => {
    const path = await store({ name: 'later' });
    expect((await payload(path, 'text/plain')).status).toBe(404);
    const put = (body: string, headers: Record<string, string>) => cloud.ask('PUT', path, body, { headers });
    expect(
      (await put('!', { 'content-type': 'application/octet-stream', 'content-encoding': 'base64' })).status,
    ).toBe(400);
    const encoded = { 'content-type': 'application/octet-stream', 'content-encoding': 'base64' };
    expect((await put(Buffer.from('héllo').toString('base64'), encoded)).status).toBe(204);
    expect((await payload(path, '*/*')).text).toBe('héllo');
    expect((await put('other', { 'content-type': 'text/plain' })).status).toBe(409);
  });

  it('is never on the disk in clear', async () => {
    const marker = `marker-${randomBytes(16).toString('hex')}`;
    await store(text(marker));
    await store(binary(Buffer.from(marker)));
    const names = (await readdir(cloud.config.state_dir)).filter((name) => name.startsWith('records'));
    expect(names.toSorted()).toEqual(['records.sqlite', 'records.sqlite-wal']);
    for (const name of names) {
      const bytes = await readFile(join(cloud.config.state_dir, name));
      expect(bytes.includes(marker)).toBe(false);
      expect(bytes.includes(Buffer.from(marker).toString('base64'))).toBe(false);
    }
    const [path] = (await cloud.ask('GET', `${v1}/secrets`)).body.secrets.map((each: Body) =>
      pathOf(each.secret_ref),
    );
    cloud = await cloud.again();
    expect((await payload(path, 'text/plain')).text).toBe(marker);
  });

  it('is gone when deleted or expired', async () => {
    const path = await store(text('x'));
    const brief = await store({ ...text('x'), expiration: '2026-03-01T12:30:00' });
    expect((await cloud.ask('DELETE', path)).status).toBe(204);
    expect((await cloud.ask('GET', path)).body).toEqual({
      code: 404,
      title: 'Not Found',
      description: 'Secret not found.',
    });
    expect((await payload(brief, 'text/plain')).text).toBe('x');
    now = new Date('2026-03-01T12:30:00Z');
    expect((await payload(brief, 'text/plain')).status).toBe(404);
    expect((await cloud.ask('GET', `${v1}/secrets`)).body.total).toBe(0);
  });

  it('is refused when it cannot be what it says', async () => {
    const wrong = [
      { payload: 'x' },
      { payload_content_type: 'text/plain' },
      { payload: '', payload_content_type: 'text/plain' },
      { payload: 'x', payload_content_type: 'application/octet-stream' },
      { ...binary(Buffer.from('x')), payload: '!!!!' },
      { ...text('x'), payload_content_encoding: 'base64' },
      { ...text('x'), expiration: '2026-03-01T11:00:00' },
      { ...text('x'), secret_type: 'rumour' },
      { ...text('x'), bit_length: 'long' },
    ];
    for (const secret of wrong) {
      const answer = await cloud.ask('POST', `${v1}/secrets`, secret);
      expect([secret, answer.status, answer.body.title]).toEqual([secret, 400, 'Bad Request']);
    }
    expect((await cloud.ask('POST', `${v1}/secrets`, text('x'.repeat(70_000)))).status).toBe(413);
  });

  it('is given in its own type only', async () => {
    expect((await payload(await store(text('x')), 'application/octet-stream')).status).toBe(406);
    expect((await payload(await store(binary(Buffer.from('x'))), 'text/plain')).status).toBe(406);
  });

  it('is listed in pages, by name', async () => {
    for (let index = 0; index < 12; index += 1) await store({ ...text('x'), name: `s${index}` });
    const { body } = await cloud.ask('GET', `${v1}/secrets?limit=10&offset=0`);
    expect([body.secrets.length, body.total, body.next]).toEqual([
      10,
      12,
      'http://cloud.test:9877/key-manager/v1/secrets?limit=10&offset=10',
    ]);
    expect((await cloud.ask('GET', `${v1}/secrets?name=s11`)).body.secrets).toHaveLength(1);
  });
});

describe('the metadata of a secret', () => {
  it('are noted all together or one by one, their keys in small letters', async () => {
    const { secret_ref } = (await cloud.ask('POST', `${v1}/secrets`, text('x'))).body;
    const path = `${pathOf(secret_ref)}/metadata`;
    expect((await cloud.ask('GET', path)).body).toEqual({ metadata: {} });
    const put = await cloud.ask('PUT', path, { metadata: { Colour: 'red', shape: 'round' } });
    expect([put.status, put.body]).toEqual([201, { metadata_ref: `${secret_ref}/metadata` }]);
    expect((await cloud.ask('GET', path)).body).toEqual({ metadata: { colour: 'red', shape: 'round' } });
    expect((await cloud.ask('POST', path, { key: 'Size', value: '9' })).status).toBe(201);
    expect((await cloud.ask('POST', path, { key: 'size', value: '9' })).status).toBe(409);
    expect((await cloud.ask('PUT', `${path}/size`, { key: 'size', value: '8' })).status).toBe(200);
    expect((await cloud.ask('GET', `${path}/SIZE`)).body).toEqual({ key: 'size', value: '8' });
    expect((await cloud.ask('DELETE', `${path}/size`)).status).toBe(204);
    expect((await cloud.ask('GET', `${path}/size`)).status).toBe(404);
    const { token } = await cloud.someone('alice');
    expect((await cloud.ask('GET', path, undefined, { as: token })).status).toBe(403);
  });
});

describe('who may read a secret', () => {
  it('is its project and admins, not other projects and not mere readers', async () => {
    const alice = await cloud.someone('alice');
    const bob = await cloud.someone('bob');
    const eve = await cloud.someone('eve', 'reader');
    const path = await store(text('x'), alice.token);
    expect((await payload(path, 'text/plain', alice.token)).status).toBe(200);
    expect((await payload(path, 'text/plain')).status).toBe(200);
    expect((await payload(path, 'text/plain', bob.token)).status).toBe(403);
    expect((await cloud.ask('DELETE', path, undefined, { as: bob.token })).status).toBe(403);
    expect((await cloud.ask('GET', path, undefined, { as: null })).status).toBe(401);
    expect((await cloud.ask('POST', `${v1}/secrets`, text('x'), { as: eve.token })).status).toBe(403);
  });

  it('can be widened to a user and narrowed to its creator by its access list', async () => {
    const alice = await cloud.someone('alice');
    const bob = await cloud.someone('bob');
    const path = await store(text('x'), alice.token);
    const acl = (method: 'GET' | 'PUT' | 'PATCH' | 'DELETE', body?: object) =>
      cloud.ask(method, `${path}/acl`, body, { as: alice.token });
    expect((await acl('GET')).body).toEqual({ read: { 'project-access': true } });
    expect((await acl('PUT', { read: { users: [bob.userId] } })).body).toEqual({
      acl_ref: `http://cloud.test:9877${path}/acl`,
    });
    expect((await payload(path, 'text/plain', bob.token)).text).toBe('x');
    await acl('PATCH', { read: { 'project-access': false } });
    expect((await acl('GET')).body.read).toMatchObject({ users: [bob.userId], 'project-access': false });
    expect((await payload(path, 'text/plain', alice.token)).status).toBe(200);
    await acl('DELETE');
    expect((await payload(path, 'text/plain', bob.token)).status).toBe(403);
  });
});

describe('a container', () => {
  it('holds secrets by name, and knows who uses it', async () => {
    const certificate = `http://cloud.test:9877${await store(text('cert'))}`;
    const secret_refs = [{ name: 'certificate', secret_ref: certificate }];
    const made = await cloud.ask('POST', `${v1}/containers/`, {
      name: 'tls',
      type: 'certificate',
      secret_refs,
    });
    expect(made.status).toBe(201);
    const path = pathOf(made.body.container_ref);
    expect((await cloud.ask('GET', path)).body).toMatchObject({
      name: 'tls',
      type: 'certificate',
      secret_refs,
      consumers: [],
    });
    const consumer = { name: 'octavia', URL: 'http://lb/1' };
    const registered = await cloud.ask('POST', `${path}/consumers/`, consumer);
    expect(registered.body.consumers).toMatchObject([consumer]);
    await cloud.ask('POST', `${path}/consumers`, consumer);
    expect((await cloud.ask('GET', `${path}/consumers`)).body.total).toBe(1);
    expect((await cloud.ask('DELETE', `${path}/consumers`, consumer)).body.consumers).toEqual([]);
    expect((await cloud.ask('DELETE', path)).status).toBe(204);
    expect((await cloud.ask('GET', path)).status).toBe(404);
    expect((await cloud.ask('GET', pathOf(certificate))).status).toBe(200);
  });

  it('that is generic takes secrets in and gives them out', async () => {
    const secret = (await cloud.ask('POST', `${v1}/secrets`, text('x'))).body.secret_ref;
    const made = async (wish: object) =>
      pathOf((await cloud.ask('POST', `${v1}/containers`, wish)).body.container_ref);
    const bag = await made({ type: 'generic' });
    const member = { name: 'it', secret_ref: secret };
    expect((await cloud.ask('POST', `${bag}/secrets`, member)).status).toBe(201);
    expect((await cloud.ask('POST', `${bag}/secrets`, member)).status).toBe(409);
    expect((await cloud.ask('GET', bag)).body.secret_refs).toEqual([member]);
    expect((await cloud.ask('DELETE', `${bag}/secrets`, member)).status).toBe(204);
    expect((await cloud.ask('DELETE', `${bag}/secrets`, member)).status).toBe(404);
    const typed = await made({
      type: 'certificate',
      secret_refs: [{ name: 'certificate', secret_ref: secret }],
    });
    expect((await cloud.ask('POST', `${typed}/secrets`, member)).status).toBe(400);
  });

  it('is refused without what its type needs, or with a secret that is not there', async () => {
    const ref = `http://cloud.test:9877${await store(text('x'))}`;
    const make = async (type: string, secret_refs: object[]) =>
      (await cloud.ask('POST', `${v1}/containers`, { type, secret_refs })).status;
    expect(await make('certificate', [])).toBe(400);
    expect(
      await make('certificate', [
        { name: 'certificate', secret_ref: ref },
        { name: 'odd', secret_ref: ref },
      ]),
    ).toBe(400);
    expect(await make('rsa', [{ name: 'private_key', secret_ref: ref }])).toBe(400);
    expect(await make('generic', [{ name: 'a', secret_ref: `${ref}0` }])).toBe(404);
    expect(await make('bucket', [])).toBe(400);
  });
});

describe('consumers of a secret', () => {
  it('are kept, and shown to clients that know of them', async () => {
    const path = await store(text('x'));
    const consumer = { service: 'octavia', resource_type: 'listener', resource_id: '1' };
    await cloud.ask('POST', `${path}/consumers`, consumer);
    expect((await cloud.ask('GET', path)).body.consumers).toBeUndefined();
    const newer = await cloud.ask('GET', path, undefined, {
      headers: { 'openstack-api-version': 'key-manager 1.1' },
    });
    expect(newer.body.consumers).toMatchObject([consumer]);
    await cloud.ask('DELETE', `${path}/consumers`, consumer);
    expect((await cloud.ask('GET', `${path}/consumers`)).body.total).toBe(0);
  });
});
