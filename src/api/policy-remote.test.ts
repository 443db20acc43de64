import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { activeLoadBalancer, startApi, type TestApi } from './client.fixture.ts';
import { policy } from './policy.ts';
import type { RemoteSettings } from './policy-remote.ts';

/** A server that decides, as operators have one beside oslo.policy. */
interface Asked {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly type: string | undefined;
  readonly body: string;
}
const asked: Asked[] = [];
let answer: (response: ServerResponse) => void;
const says =
  (text: string, status = 200) =>
  (response: ServerResponse) =>
    response.writeHead(status).end(text);
const judge = createServer((request: IncomingMessage, response) => {
  let body = '';
  request.on('data', (chunk: Buffer) => (body += chunk.toString()));
  request.on('end', () => {
    asked.push({
      ...{ method: request.method, path: request.url, type: request.headers['content-type'], body },
    });
    answer(response);
  });
});
let url: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => judge.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(judge.address() as AddressInfo).port}`;
});
afterAll(() => {
  judge.closeAllConnections();
  judge.close();
});
beforeEach(() => {
  asked.length = 0;
  answer = says('True');
});

const providers = 'os_load-balancer_api:provider:get_all';
async function withRule(
  rules: Readonly<Record<string, string>>,
  use: (api: TestApi) => Promise<void>,
  settings: Partial<RemoteSettings> = {},
): Promise<void> {
  const remoteChecks = {
    ...{ timeoutMs: 5000, contentType: 'application/x-www-form-urlencoded' as const },
    ...settings,
  };
  const api = await startApi({ config: { policy: policy(rules), remoteChecks } });
  try {
    await use(api);
  } finally {
    await api.close();
  }
}
const status = async (api: TestApi) => (await api.member.get('/v2/lbaas/providers')).status;

describe('A rule that asks a server', () => {
  it('sends it rule, target and credentials, and no token', async () => {
    await withRule({ [providers]: 'rule:outside', outside: `${url}/may/%(project_id)s` }, async (api) => {
      expect(await status(api)).toBe(200);
      expect(asked).toHaveLength(1);
      const { projectId } = api.member;
      expect(asked[0]).toMatchObject({
        ...{ method: 'POST', path: `/may/${projectId}`, type: 'application/x-www-form-urlencoded' },
      });
      const form = new URLSearchParams(asked[0]?.body);
      const sent = Object.fromEntries([...form].map(([name, text]) => [name, JSON.parse(text) as unknown]));
      expect(sent).toMatchObject({
        rule: 'outside',
        target: { project_id: projectId },
        credentials: { project_id: projectId, roles: ['member', 'reader'] },
      });
      expect(asked[0]?.body).not.toContain(api.member.token);
    });
  });

  it('sends it as JSON where told', async () => {
    await withRule(
      { [providers]: `${url}/` },
      async (api) => {
        expect(await status(api)).toBe(200);
        expect(asked[0]?.type).toBe('application/json');
        expect(JSON.parse(asked[0]?.body ?? '')).toMatchObject({ rule: providers });
      },
      { contentType: 'application/json' },
    );
  });

  it('lets pass by True alone', async () => {
    await withRule({ [providers]: `${url}/` }, async (api) => {
      for (const text of ['True', '"True"']) {
        answer = says(text);
        expect(await status(api), text).toBe(200);
      }
      for (const text of ['False', 'true', '', 'TrueTrue', ' True', `True${' '.repeat(1e6)}`, '{"True":1}']) {
        answer = says(text);
        expect(await status(api), text.slice(0, 20)).toBe(403);
      }
    });
  });

  it('is refused when there is no verdict, whatever stands around it', async () => {
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    const silent = (): void => {};
    const elsewhere = (response: ServerResponse) => response.writeHead(302, { location: '/true' }).end();
    const broken = (response: ServerResponse) => response.destroy();
    for (const rule of [`${url}/`, `not ${url}/`, `not ${url}/ or role:nobody`]) {
      await withRule(
        { [providers]: rule },
        async (api) => {
          for (const bad of [says('True', 500), says('False', 404), elsewhere, broken, silent]) {
            answer = bad;
            expect(await status(api), rule).toBe(403);
          }
        },
        { timeoutMs: 300 },
      );
    }
    await withRule({ [providers]: `not http://127.0.0.1:${port}/` }, async (api) => {
      expect(await status(api)).toBe(403);
    });
  });

  it('goes with and, or and not', async () => {
    await withRule({ [providers]: `role:member or ${url}/` }, async (api) => {
      expect([await status(api), asked.length]).toEqual([200, 0]);
    });
    await withRule({ [providers]: `not ${url}/a and ${url}/b` }, async (api) => {
      answer = (response) => response.end(asked.at(-1)?.path === '/b' ? 'True' : 'False');
      expect([await status(api), asked.map(({ path }) => path)]).toEqual([200, ['/a', '/b']]);
    });
  });

  it('decides on changes, before anything is changed', async () => {
    const put = 'os_load-balancer_api:loadbalancer:put';
    await withRule({ [put]: `${url}/%(project_id)s` }, async (api) => {
      const id = await activeLoadBalancer(api);
      const path = `/v2/lbaas/loadbalancers/${id}`;
      const rename = (name: string) => api.member.put(path, { loadbalancer: { name } });
      answer = says('False');
      expect((await rename('refused')).status).toBe(403);
      expect((await api.member.get(path)).body.loadbalancer).toMatchObject({
        ...{ name: 'lb1', provisioning_status: 'ACTIVE' },
      });
      answer = says('True');
      asked.length = 0;
      expect((await rename('allowed')).body.loadbalancer).toMatchObject({ name: 'allowed' });
      expect(asked).toHaveLength(1);
      // It is asked for every request: what it said may not hold any more.
      await api.settle(id);
      answer = says('False');
      expect((await rename('again')).status).toBe(403);
    });
  });

  it('asks nothing where the target does not say what the URL names', async () => {
    await withRule({ [providers]: `${url}/%(color)s` }, async (api) => {
      expect([await status(api), asked.length]).toEqual([403, 0]);
    });
  });

  it('is told the project a client names as one part of the path', async () => {
    await withRule(
      {
        'os_load-balancer_api:pool:get_all': `${url}/p/%(project_id)s`,
        'os_load-balancer_api:pool:get_all-global': '!',
      },
      async (api) => {
        await api.member.get('/v2/lbaas/pools?project_id=../a%3Fb%23');
        expect(asked[0]?.path).toBe('/p/..%2Fa%3Fb%23');
      },
    );
  });
});
