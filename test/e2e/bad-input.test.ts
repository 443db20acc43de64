import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeTestAuthority, type TestAuthority } from './certificates.ts';
import {
  externalSubnet,
  makeHttpsLoadBalancer,
  storeSecret,
  type HttpsLoadBalancer,
} from './https-load-balancer.ts';
import { webMember, type WebMember } from './members.ts';
import { discard, eventually, makeService, scratch } from './service.ts';

// What is logged then is all that ever is.
process.env['LIVIA_LOG_LEVEL'] = 'trace';
const service = makeService(21_200);
delete process.env['LIVIA_LOG_LEVEL'];
const folder = scratch('bad-input');
let authority: TestAuthority;
let balancer: HttpsLoadBalancer;
let member: WebMember;

beforeAll(async () => {
  authority = await makeTestAuthority(join(folder, 'pki'));
  await service.start();
  member = await webMember('steady', (await externalSubnet(service)).gateway);
  balancer = await makeHttpsLoadBalancer(service, authority, 'steady.example', [member]);
});
afterAll(async () => {
  await member.close();
  await discard(service);
  rmSync(folder, { recursive: true, force: true });
});

const newListener = (ref: string, port: number) =>
  service.request('POST', '/v2/lbaas/listeners', {
    listener: {
      loadbalancer_id: balancer.id,
      protocol: 'TERMINATED_HTTPS',
      protocol_port: port,
      default_tls_container_ref: ref,
    },
  });

const stillServes = async (): Promise<void> => {
  await service.active(balancer.id);
  expect(await balancer.ask()).toBe('steady');
};

it('refuses a bundle that is no PKCS#12, naming the reference', async () => {
  const ref = await storeSecret(service, Buffer.from('this is no bundle'));
  const answer = await newListener(ref, 444);
  expect(answer.status).toBe(400);
  expect(answer.body).toMatchObject({
    faultcode: 'Client',
    faultstring: expect.any(String),
    debuginfo: null,
  });
  await stillServes();
});

it('refuses a bundle that needs a passphrase', async () => {
  const { bundle } = await authority.issue('locked.example', 'secret-words');
  const answer = await newListener(await storeSecret(service, bundle), 444);
  expect(answer.status).toBe(400);
  expect(answer.body.faultstring).toMatch(/passphrase|PKCS/i);
  await stillServes();
});

it('refuses a certificate whose key belongs to another', async () => {
  const one = await authority.issue('one.example');
  const other = await authority.issue('other.example');
  const part = async (file: string, type: string): Promise<string> =>
    (
      await service.call('POST', 'cloud:/key-manager/v1/secrets', {
        name: type,
        secret_type: type,
        payload: readFileSync(file, 'utf8'),
        payload_content_type: 'text/plain',
      })
    ).secret_ref;
  const { container_ref } = await service.call('POST', 'cloud:/key-manager/v1/containers', {
    type: 'certificate',
    name: 'mismatch',
    secret_refs: [
      { name: 'certificate', secret_ref: await part(one.certificate, 'certificate') },
      { name: 'private_key', secret_ref: await part(other.key, 'private') },
    ],
  });
  const answer = await newListener(container_ref, 444);
  expect(answer.status).toBe(400);
  expect(answer.body.faultstring).toContain(container_ref);
  await stillServes();
});

it('refuses a token that expired or never was', async () => {
  const answer = await service.request('GET', '/v2/lbaas/loadbalancers', undefined, 'gAAAA-no-such-token');
  expect(answer.status).toBe(401);
  expect(answer.body.error).toMatchObject({ code: 401, title: 'Unauthorized' });
  const token = await service.token();
  const other =
    (
      await fetch(`http://127.0.0.1:${service.portBase + 1}/identity/v3/auth/tokens`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          auth: {
            identity: { methods: ['token'], token: { id: token } },
            scope: { project: { name: 'admin', domain: { name: 'Default' } } },
          },
        }),
      })
    ).headers.get('x-subject-token') ?? '';
  expect((await service.request('GET', '/v2/lbaas/loadbalancers', undefined, other)).status).toBe(200);
  await fetch(`http://127.0.0.1:${service.portBase + 1}/identity/v3/auth/tokens`, {
    method: 'DELETE',
    headers: { 'x-auth-token': token, 'x-subject-token': other },
  });
  await eventually('the revoked token is refused', async () => {
    const { status } = await service.request('GET', '/v2/lbaas/loadbalancers', undefined, other);
    return status === 401 ? true : undefined;
  });
});

it('refuses an unknown subnet, naming it, and leaves no port behind', async () => {
  const ports = async (): Promise<number> =>
    (await service.call('GET', 'cloud:/network/v2.0/ports')).ports.length;
  const before = await ports();
  const unknown = '11111111-2222-4333-8444-555555555555';
  const answer = await service.request('POST', '/v2/lbaas/loadbalancers', {
    loadbalancer: { vip_subnet_id: unknown },
  });
  expect(answer.status).toBe(400);
  expect(answer.body.faultstring).toContain(unknown);
  expect(await ports()).toBe(before);
});

it('refuses a port that a listener of the same load balancer has', async () => {
  const answer = await newListener(balancer.secretHref, 443);
  expect(answer.status).toBe(409);
  expect(answer.body.faultstring).toContain('443');
  await stillServes();
});

it('goes on serving when the secret is deleted meanwhile, and says why it cannot take a change', async () => {
  const id = balancer.secretHref.split('/').at(-1);
  await service.call('DELETE', `cloud:/key-manager/v1/secrets/${id}`);
  await service.call('PUT', `/v2/lbaas/pools/${balancer.poolId}`, { pool: { name: 'renamed' } });
  await stillServes();
  const { listener } = await service.call('GET', `/v2/lbaas/listeners/${balancer.listenerId}`);
  expect(listener.provisioning_status).toBe('ERROR');
  const reasons = await service.call('GET', `/livia/v1/loadbalancers/${balancer.id}`);
  expect(JSON.stringify(reasons)).toContain(id);
  // A good secret heals it.
  const good = await storeSecret(service, (await authority.issue('steady.example')).bundle);
  await service.call('PUT', `/v2/lbaas/listeners/${balancer.listenerId}`, {
    listener: { default_tls_container_ref: good },
  });
  await stillServes();
  const healed = await service.call('GET', `/v2/lbaas/listeners/${balancer.listenerId}`);
  expect(healed.listener.provisioning_status).toBe('ACTIVE');
});

it('has written down none of the secrets that it was sent, made or was set up with', async () => {
  const { users } = await service.call('GET', 'cloud:/identity/v3/users?name=admin');
  const { application_credential: made } = await service.call(
    'POST',
    `cloud:/identity/v3/users/${users[0].id}/application_credentials`,
    { application_credential: { name: 'machine' } },
  );
  const login = await fetch(`http://127.0.0.1:${service.portBase + 1}/identity/v3/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      auth: {
        identity: {
          methods: ['application_credential'],
          application_credential: { id: made.id, secret: made.secret },
        },
      },
    }),
  });
  const ofCredential = login.headers.get('x-subject-token') ?? '';
  expect((await service.request('GET', '/v2/lbaas/pools', undefined, ofCredential)).status).toBe(200);
  const { bundle, key } = await authority.issue('last.example', 'secret-words');
  await newListener(await storeSecret(service, bundle), 445);

  const setUp = readFileSync(join(service.stateDir, 'cloudlet.toml'), 'utf8');
  const passwords = [...setUp.matchAll(/_password = ['"]([^'"]+)/g)].map(([, password = '']) => password);
  const keyLines = readFileSync(key, 'utf8').match(/^[\w+/]{40,}$/gm) ?? [];
  const encoded = (typeof bundle === 'string' ? readFileSync(bundle) : bundle).toString('base64');
  const secrets = {
    ...{ passwords, keyLines, bundle: [encoded.slice(200, 260)], passphrase: ['secret-words'] },
    tokens: [await service.token(), ofCredential],
    credential: [made.secret as string],
  };
  const folder = join(service.stateDir, 'log');
  const logs = readdirSync(folder).map((file) => [file, readFileSync(join(folder, file), 'utf8')] as const);
  expect(logs.map(([, text]) => text).join('')).toContain('/v2/lbaas/pools');
  for (const [kind, texts] of Object.entries(secrets)) {
    expect(texts.filter((text) => text.length > 10).length, kind).toBeGreaterThan(0);
    for (const [file, log] of logs) {
      expect(texts.filter((text) => log.includes(text)).length, `${kind} in ${file}`).toBe(0);
    }
  }
});
