import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { barbicanSecrets, entityOf } from './barbican.ts';
import type { Secrets } from './clouds.ts';
import { type FakeCloud, startFakeCloud } from './fake-cloud.fixture.ts';
import { openSession, type Session } from './session.ts';

let cloud: FakeCloud;
let session: Session;
let secrets: Secrets;
beforeEach(async () => {
  cloud = await startFakeCloud();
  session = openSession(cloud.session);
  secrets = barbicanSecrets(session);
});
afterEach(async () => {
  await session.close();
  await cloud.close();
});

const pem = '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n';
function store(project = 'demo', text = pem): string {
  const id = randomUUID();
  cloud.state.secrets.set(id, { project, type: 'text/plain', bytes: Buffer.from(text) });
  return id;
}

describe('a reference to a secret', () => {
  it('is its last two segments, whatever stands before', () => {
    const id = '0c3b2a52-6ea6-4f43-9de8-7bb2a1a4d0a1';
    const entity = { kind: 'secrets', id };
    for (const ref of [
      `http://127.0.0.1:9311/v1/secrets/${id}`,
      `https://other.example/key-manager/v1/secrets/${id}/`,
      `/v1/secrets/${id.toUpperCase()}`,
      `secrets/${id}`,
    ]) {
      expect(entityOf(ref)).toEqual(entity);
    }
    expect(entityOf(`http://x/v1/containers/${id}`)).toEqual({ kind: 'containers', id });
    for (const ref of [
      '',
      id,
      `http://x/v1/secrets/${id}?x=y`,
      `http://x/v1/secrets/${id}/payload`,
      `http://x/v1/secrets/${id}/../../orders/x`,
      `http://x/v1/orders/${id}`,
      'http://x/v1/secrets/../acl',
      `http://x/v1/xsecrets/${id}`,
    ]) {
      expect(entityOf(ref)).toBeUndefined();
    }
  });

  it('never leads a token to the host it names', async () => {
    const visits: string[] = [];
    const trap = createServer((request, response) => {
      visits.push(`${request.url}`);
      response.end('{}');
    });
    await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve));
    const { port } = trap.address() as { port: number };
    const foreign = (kind: string, id: string): string => `http://127.0.0.1:${port}/v1/${kind}/${id}`;
    expect(await secrets.text(foreign('secrets', store()), cloud.token())).toBe(pem);
    const containerId = randomUUID();
    const secret_refs = [{ name: 'certificate', secret_ref: foreign('secrets', store()) }];
    cloud.state.containers.set(containerId, { project: 'demo', type: 'certificate', secret_refs });
    await expect(secrets.certificate(foreign('containers', containerId), cloud.token())).rejects.toThrow(
      'names no private key',
    );
    for (const ref of [`http://127.0.0.1:${port}/`, `http://127.0.0.1:${port}/v1/secrets/x`]) {
      await expect(secrets.text(ref, cloud.token())).rejects.toThrow('is no reference');
    }
    expect(visits).toEqual([]);
    trap.close();
  });
});

describe('sharing a secret with Livia', () => {
  it('keeps those who may read it already', async () => {
    const id = store();
    cloud.state.acls.set(id, { users: ['bob-id'], 'project-access': true });
    await secrets.text(`secrets/${id}`, cloud.token());
    expect(cloud.state.acls.get(id)).toEqual({ users: ['bob-id', 'livia-id'], 'project-access': true });
  });

  it('does not open a private secret to its project', async () => {
    const id = store();
    cloud.state.acls.set(id, { users: ['alice-id'], 'project-access': false });
    await secrets.text(`secrets/${id}`, cloud.token());
    expect(cloud.state.acls.get(id)).toEqual({ users: ['alice-id', 'livia-id'], 'project-access': false });
  });

  it('is not needed from a caller who may not, when Livia may read it anyhow', async () => {
    cloud.state.aliceMayShare = false;
    const id = store();
    cloud.state.acls.set(id, { users: ['livia-id'], 'project-access': true });
    expect(await secrets.text(`secrets/${id}`, cloud.token())).toBe(pem);
  });

  it('that is not allowed is said at once, not when the load balancer is built', async () => {
    cloud.state.aliceMayShare = false;
    const ref = `secrets/${store()}`;
    const asked = secrets.text(ref, cloud.token());
    await expect(asked).rejects.toThrow(`${ref} may be read by the caller but not by Livia`);
    await expect(asked).rejects.toMatchObject({ retry: 'never' });
  });
});

describe('a secret of another project', () => {
  it('is not read for a caller who may not, though Livia might', async () => {
    const id = store('other');
    cloud.state.acls.set(id, { users: ['livia-id'], 'project-access': true });
    const asked = secrets.text(`secrets/${id}`, cloud.token());
    await expect(asked).rejects.toMatchObject({ retry: 'never', status: 403 });
    await expect(asked).rejects.toThrow('may not be read');
  });
});

describe('a container', () => {
  it('of another type, without key, or naming no secret is refused with a sentence', async () => {
    const container = (type: string, refs: object[]): string => {
      const id = randomUUID();
      cloud.state.containers.set(id, { project: 'demo', type, secret_refs: refs });
      return `containers/${id}`;
    };
    const certificate = { name: 'certificate', secret_ref: `http://x/v1/secrets/${store()}` };
    const cases: [string, string][] = [
      [container('generic', []), 'is a container of type generic, not certificate'],
      [container('certificate', []), 'names no certificate'],
      [container('certificate', [certificate]), 'names no private key'],
      [container('certificate', [{ name: 'certificate', secret_ref: 'http://x/' }]), 'which is no secret'],
    ];
    for (const [ref, words] of cases) {
      const asked = secrets.certificate(ref, cloud.token());
      await expect(asked).rejects.toThrow(words);
      await expect(asked).rejects.toMatchObject({ retry: 'never' });
    }
    await expect(secrets.text(container('certificate', []), cloud.token())).rejects.toThrow('not a secret');
  });
});

it('a key manager that is down is no verdict on the secret', async () => {
  const ref = `secrets/${store()}`;
  cloud.fail('/key-manager', 503, { description: 'Restarting.' });
  await expect(secrets.text(ref, cloud.token())).rejects.toMatchObject({ retry: 'later', status: 503 });
  expect(await secrets.text(ref, cloud.token())).toBe(pem);
});
