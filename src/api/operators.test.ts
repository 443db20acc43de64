import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeLog } from '../platform/log.ts';
import { operatorSettings } from './settings.fixture.ts';
import { startApi, type TestApi } from './client.fixture.ts';
import { apiConfig } from './config.ts';

/** What operators switch. */

const log = makeLog('operators-test', 'silent');
const configOf = (values: object) => apiConfig(operatorSettings({ api: values }), log);

async function withApi(values: object, test: (api: TestApi) => Promise<void>): Promise<void> {
  const api = await startApi({ config: await configOf(values) });
  try {
    await test(api);
  } finally {
    await api.close();
  }
}

describe('The health check', () => {
  it('is not there unless switched on', async () => {
    await withApi({}, async (api) => {
      expect((await api.send('GET', '/healthcheck')).status).toBe(404);
    });
  });

  it('needs no token and answers in the form that is liked', async () => {
    await withApi({ healthcheck_enabled: true }, async (api) => {
      for (const path of ['/healthcheck', '/load-balancer/healthcheck']) {
        const plain = await api.send('GET', path);
        expect([plain.status, plain.text]).toEqual([200, 'OK']);
        expect(plain.headers['content-type']).toMatch(/^text\/plain/);
      }
      const json = await api.send('GET', '/healthcheck', { accept: 'application/json' });
      expect(json.body).toEqual({ detailed: false, reasons: ['OK'] });
      const html = await api.send('GET', '/healthcheck', { accept: 'text/html' });
      expect(html.text).toContain('<p>OK</p>');
      const head = await api.send('HEAD', '/healthcheck');
      expect([head.status, head.text]).toEqual([200, '']);
      const post = await api.send('POST', '/healthcheck');
      expect([post.status, post.headers['allow']]).toEqual([405, 'GET, HEAD']);
    });
  });

  it('says when the database is gone', async () => {
    await withApi({ healthcheck_enabled: true, healthcheck_refresh_interval: 0 }, async (api) => {
      expect((await api.send('GET', '/healthcheck')).status).toBe(200);
      await api.store.close();
      const gone = await api.send('GET', '/healthcheck');
      expect([gone.status, gone.text]).toEqual([503, 'The database does not answer.']);
    });
  });
});

describe('Pages of other origins', () => {
  const origin = 'https://horizon.example.org';
  const preflight = {
    origin,
    'access-control-request-method': 'PUT',
    'access-control-request-headers': 'x-auth-token, content-type',
  };

  it('may use the API when the operator lists them', async () => {
    await withApi({ cors_allowed_origins: [origin] }, async (api) => {
      const asked = await api.send('OPTIONS', '/v2/lbaas/pools', preflight);
      expect(asked.status).toBe(200);
      expect(asked.headers).toMatchObject({
        'access-control-allow-origin': origin,
        'access-control-allow-methods': 'PUT',
        'access-control-allow-headers': 'x-auth-token,content-type',
        vary: 'Origin',
      });
      const reply = await api.member.get('/v2/lbaas/pools', { origin });
      expect(reply.headers).toMatchObject({
        'access-control-allow-origin': origin,
        'access-control-expose-headers': 'X-Auth-Token,X-Openstack-Request-Id',
      });
      const refused = await api.send('GET', '/v2/lbaas/pools', { origin });
      expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([401, origin]);
      const odd = { ...preflight, 'access-control-request-headers': 'x-roles' };
      const answer = await api.send('OPTIONS', '/v2/lbaas/pools', odd);
      expect(answer.headers).not.toHaveProperty('access-control-allow-methods');
    });
  });

  it('may not otherwise', async () => {
    await withApi({}, async (api) => {
      const asked = await api.send('OPTIONS', '/v2/lbaas/pools', preflight);
      expect(asked.status).toBe(401);
      const withToken = { ...preflight, 'x-auth-token': api.member.token };
      expect((await api.send('OPTIONS', '/v2/lbaas/pools', withToken)).status).toBe(405);
      const reply = await api.member.get('/v2/lbaas/pools', { origin });
      expect(reply.headers).not.toHaveProperty('access-control-allow-origin');
    });
  });
});

describe('A policy file', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'livia-policy-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const file = async (text: string): Promise<string> => {
    const path = join(folder, 'policy.yaml');
    await writeFile(path, text);
    return path;
  };

  it('goes before the built-in rules', async () => {
    const policy_file = await file(`
# Any role of the project will do, and nobody sees providers.
"context_is_admin": "role:boss"
"load-balancer:read": "rule:load-balancer:owner or is_admin:True"
"load-balancer:read-global": "is_admin:True"
"os_load-balancer_api:provider:get_all": "!"
`);
    await withApi({ policy_file }, async (api) => {
      const guest = api.client(['guest']);
      const boss = api.client(['boss']);
      const list = async (client: typeof guest, query = '') =>
        (await client.get(`/v2/lbaas/pools${query}`)).status;
      expect(await list(guest)).toBe(200);
      expect(await list(guest, '?project_id=other')).toBe(403);
      expect(await list(boss, '?project_id=other')).toBe(200);
      expect(await list(api.admin, '?project_id=other')).toBe(403);
      expect((await boss.get('/v2/lbaas/providers')).status).toBe(403);
      expect((await boss.get('/v2/octavia/amphorae')).status).toBe(200);
    });
  });

  it('may be JSON, or empty', async () => {
    const policy_file = await file('{"os_load-balancer_api:provider:get_all": "@"}');
    await withApi({ policy_file }, async (api) => {
      expect((await api.client(['nothing']).get('/v2/lbaas/providers')).status).toBe(200);
    });
    await expect(configOf({ policy_file: await file('# nothing\n') })).resolves.toBeDefined();
  });

  it('is read again when it changes', async () => {
    const own = join(folder, 'changing.yaml');
    const rule = (text: string) => writeFile(own, `"os_load-balancer_api:provider:get_all": "${text}"`);
    await rule('!');
    await withApi({ policy_file: own }, async (api) => {
      const asked = async () => (await api.member.get('/v2/lbaas/providers')).status;
      expect(await asked()).toBe(403);
      await rule('@');
      await expect.poll(asked, { timeout: 20_000 }).toBe(200);
    });
  });

  it('is refused at the start when it cannot be read', async () => {
    for (const text of ['a: [b', '- a', 'a: 1', 'a: "role:b and"', 'a: "rule:b"']) {
      const policy_file = await file(text);
      await expect(configOf({ policy_file }), text).rejects.toThrow(policy_file);
    }
    const missing = join(folder, 'missing');
    await expect(configOf({ policy_file: missing })).rejects.toThrow(missing);
  });
});
