import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestCloud, passwordLogin, type Body, type TestCloud } from '../cloudlet.fixture.ts';

let cloud: TestCloud;
let now: Date;
beforeEach(async () => {
  now = new Date('2026-03-01T12:00:00Z');
  cloud = await openTestCloud({ now: () => now });
});
afterEach(() => cloud.destroy());

const v3 = '/identity/v3';
const logIn = (body: object) => cloud.ask('POST', `${v3}/auth/tokens`, body, { as: null });
const check = (subject: string, as?: string) =>
  cloud.ask('GET', `${v3}/auth/tokens`, undefined, {
    headers: { 'x-subject-token': subject },
    ...(as && { as }),
  });

describe('a token', () => {
  it('says who has it, where, with which roles, and what there is', async () => {
    const { status, body, headers } = await logIn(passwordLogin('admin', 'admin-secret', 'admin'));
    expect(status).toBe(201);
    expect(headers['x-subject-token']).toMatch(/^[\w-]{40,}$/);
    expect(body.token).toMatchObject({
      methods: ['password'],
      user: { name: 'admin', domain: { id: 'default', name: 'Default' }, password_expires_at: null },
      project: { name: 'admin', domain: { id: 'default', name: 'Default' } },
      is_domain: false,
      issued_at: '2026-03-01T12:00:00.000000Z',
      expires_at: '2026-03-01T13:00:00.000000Z',
    });
    expect(body.token.roles.map((role: Body) => role.name)).toEqual(['admin', 'member', 'reader']);
    const urls = body.token.catalog.map((each: Body) => [each.type, each.endpoints[0].url]);
    expect(Object.fromEntries(urls)).toEqual({
      identity: 'http://cloud.test:9877/identity',
      compute: 'http://cloud.test:9877/compute/v2.1',
      network: 'http://cloud.test:9877/network',
      image: 'http://cloud.test:9877/image',
      'key-manager': 'http://cloud.test:9877/key-manager',
      'load-balancer': 'http://cloud.test:9876/load-balancer',
    });
  });

  it('is not given for a wrong password, an unknown user, or a project the user has no part in', async () => {
    await cloud.someone('alice');
    const refused = [
      passwordLogin('admin', 'wrong', 'admin'),
      passwordLogin('nobody', 'admin-secret', 'admin'),
      passwordLogin('alice', 'alice', 'admin'),
      passwordLogin('alice', 'alice', 'nowhere'),
    ];
    for (const body of refused) {
      const answer = await logIn(body);
      expect([answer.status, answer.body.error]).toEqual([
        401,
        { code: 401, title: 'Unauthorized', message: 'The request you have made requires authentication.' },
      ]);
    }
    expect((await logIn({ auth: {} })).status).toBe(400);
  });

  it('ends after its time', async () => {
    const token = await cloud.token();
    now = new Date(now.getTime() + 3600_000);
    const answer = await cloud.ask('GET', `${v3}/projects`, undefined, { as: token });
    expect([answer.status, answer.headers['www-authenticate']]).toEqual([
      401,
      'Keystone uri="http://cloud.test:9877/identity"',
    ]);
    expect((await check(token, await cloud.token())).status).toBe(404);
  });

  it('is still good after a restart, and its text is nowhere on disk', async () => {
    const token = await cloud.token('livia', 'service-secret', 'service');
    cloud = await cloud.again();
    expect((await check(token, token)).body.token.user.name).toBe('livia');
    expect(await onDisk(cloud, token)).toBe(false);
  });

  it('can be checked by services and its owner, and revoked', async () => {
    const { token } = await cloud.someone('alice');
    const stranger = (await cloud.someone('bob')).token;
    const service = await cloud.token('livia', 'service-secret', 'service');
    expect((await check(token, token)).status).toBe(200);
    expect((await check(token, service)).body.token.project.name).toBe('alice');
    expect((await check(token, stranger)).status).toBe(403);
    expect((await check('unknown', service)).body.error.message).toBe('Failed to validate token');
    const head = await cloud.ask('HEAD', `${v3}/auth/tokens`, undefined, {
      headers: { 'x-subject-token': token },
    });
    expect([head.status, head.text]).toEqual([200, '']);
    const revoked = await cloud.ask('DELETE', `${v3}/auth/tokens`, undefined, {
      headers: { 'x-subject-token': token },
    });
    expect(revoked.status).toBe(204);
    expect((await check(token, service)).status).toBe(404);
  });

  it('ends with the password, the role, or the project it stands on', async () => {
    const alice = await cloud.someone('alice');
    await cloud.ask('PATCH', `${v3}/users/${alice.userId}`, { user: { password: 'new' } });
    expect((await check(alice.token)).status).toBe(404);
    const again = await cloud.token('alice', 'new', 'alice');
    await cloud.ask('PATCH', `${v3}/projects/${alice.projectId}`, { project: { enabled: false } });
    expect((await check(again)).status).toBe(404);
    const bob = await cloud.someone('bob');
    const { id } = (await cloud.ask('GET', `${v3}/roles?name=member`)).body.roles[0];
    await cloud.ask('DELETE', `${v3}/projects/${bob.projectId}/users/${bob.userId}/roles/${id}`);
    expect((await check(bob.token)).status).toBe(404);
  });

  it('can be for the system, a domain, or nothing, and be got with another one', async () => {
    const identity = {
      methods: ['password'],
      password: { user: { name: 'admin', domain: { name: 'Default' }, password: 'admin-secret' } },
    };
    const scoped = async (scope: unknown) => (await logIn({ auth: { identity, scope } })).body.token;
    expect(await scoped({ system: { all: true } })).toMatchObject({ system: { all: true } });
    expect(await scoped({ domain: { name: 'Default' } })).toMatchObject({ domain: { id: 'default' } });
    expect((await scoped('unscoped')).roles).toBeUndefined();
    now = new Date(now.getTime() + 600_000);
    const token = await cloud.token();
    now = new Date(now.getTime() + 600_000);
    const other = await logIn({
      auth: { identity: { methods: ['token'], token: { id: token } }, scope: { system: { all: true } } },
    });
    expect(other.body.token).toMatchObject({
      methods: ['password', 'token'].toSorted(),
      expires_at: '2026-03-01T13:10:00.000000Z',
    });
  });
});

describe('the directory', () => {
  it('is for admins; others see themselves', async () => {
    const alice = await cloud.someone('alice');
    const as = { as: alice.token };
    expect((await cloud.ask('GET', `${v3}/users`, undefined, as)).status).toBe(403);
    expect((await cloud.ask('POST', `${v3}/projects`, { project: { name: 'x' } }, as)).status).toBe(403);
    const self = (await cloud.ask('GET', `${v3}/users/${alice.userId}`, undefined, as)).body.user;
    expect([self.name, JSON.stringify(self).includes('hash')]).toEqual(['alice', false]);
    const own = (await cloud.ask('GET', `${v3}/auth/projects`, undefined, as)).body.projects;
    expect(own.map((each: Body) => each.name)).toEqual(['alice']);
  });

  it('refuses a second one of the same name, and what it does not know', async () => {
    const answer = await cloud.ask('POST', `${v3}/projects`, { project: { name: 'service' } });
    expect([answer.status, answer.body.error.title]).toEqual([409, 'Conflict']);
    const missing = await cloud.ask('GET', `${v3}/users/none`);
    expect(missing.body.error).toEqual({
      code: 404,
      message: 'Could not find user: none.',
      title: 'Not Found',
    });
    expect((await cloud.ask('POST', `${v3}/users`, { user: { name: '' } })).status).toBe(400);
    expect((await cloud.ask('GET', `${v3}/oauth`)).body.error.code).toBe(404);
  });

  it('shows who has which role where, with those implied when asked', async () => {
    const { userId } = await cloud.someone('alice');
    const names = async (query: string) =>
      (
        await cloud.ask('GET', `${v3}/role_assignments?user.id=${userId}&include_names${query}`)
      ).body.role_assignments.map((each: Body) => `${each.role.name} in ${each.scope.project.name}`);
    expect(await names('')).toEqual(['member in alice']);
    expect(await names('&effective')).toEqual(['member in alice', 'reader in alice']);
  });

  it('lets users change their own password, knowing the old one', async () => {
    const { userId, token } = await cloud.someone('alice');
    const change = (original_password: string) =>
      cloud.ask(
        'POST',
        `${v3}/users/${userId}/password`,
        { user: { password: 'new', original_password } },
        { as: token },
      );
    expect((await change('wrong')).status).toBe(401);
    expect((await change('alice')).status).toBe(204);
    expect(await cloud.token('alice', 'new', 'alice')).toBeTruthy();
  });
});

describe('an application credential', () => {
  it('logs in for its user with no more than its roles, until it is removed', async () => {
    const { userId, token } = await cloud.someone('alice');
    const path = `${v3}/users/${userId}/application_credentials`;
    const made = await cloud.ask(
      'POST',
      path,
      { application_credential: { name: 'robot', roles: [{ name: 'reader' }] } },
      { as: token },
    );
    expect(made.status).toBe(201);
    const { id, secret } = made.body.application_credential;
    const robot = () =>
      logIn({
        auth: { identity: { methods: ['application_credential'], application_credential: { id, secret } } },
      });
    const answer = await robot();
    expect(answer.body.token.roles.map((role: Body) => role.name)).toEqual(['reader']);
    const robotToken = String(answer.headers['x-subject-token']);
    expect(
      (await cloud.ask('POST', '/network/v2.0/networks', { network: {} }, { as: robotToken })).status,
    ).toBe(403);
    await cloud.ask('DELETE', `${path}/${id}`, undefined, { as: token });
    expect((await robot()).status).toBe(401);
    expect((await check(robotToken)).status).toBe(404);
  });

  it('has all roles of its user where none are named, however a client leaves them out', async () => {
    const { userId, token } = await cloud.someone('alice');
    for (const roles of [{}, { roles: [] }]) {
      const { body } = await cloud.ask(
        'POST',
        `${v3}/users/${userId}/application_credentials`,
        { application_credential: { name: `robot ${Object.keys(roles)}`, ...roles } },
        { as: token },
      );
      const { id, secret } = body.application_credential;
      const answer = await logIn({
        auth: { identity: { methods: ['application_credential'], application_credential: { id, secret } } },
      });
      expect(answer.status).toBe(201);
      expect(answer.body.token.roles.map((role: Body) => role.name)).toContain('member');
    }
  });
});

async function onDisk(of: TestCloud, text: string): Promise<boolean> {
  const { readdir, readFile } = await import('node:fs/promises');
  const { join } = await import('node:path');
  const names = (await readdir(of.config.state_dir)).filter((name) => name.startsWith('records'));
  const files = await Promise.all(names.map((name) => readFile(join(of.config.state_dir, name))));
  return files.some((bytes) => bytes.includes(text));
}
