import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeCloud, startFakeCloud } from './fake-cloud.fixture.ts';
import { novaCompute } from './nova.ts';
import { openSession, type Session } from './session.ts';

let cloud: FakeCloud;
let session: Session;
beforeEach(async () => {
  cloud = await startFakeCloud();
  session = openSession(cloud.session);
});
afterEach(async () => {
  await session.close();
  await cloud.close();
});

const wish = (name: string) => ({
  name,
  imageId: 'image',
  flavorId: '10',
  keyName: 'key',
  userData: '#cloud-config\n# Grüße\n',
  portIds: [],
  availabilityZone: 'zone',
});

describe('a server', () => {
  it('is asked for with its boot data on a config drive', async () => {
    const made = await novaCompute(session).ensureServer(wish('amphora-a'));
    const asked = cloud.state.servers.get(made.id);
    expect(asked).toMatchObject({
      imageRef: 'image',
      flavorRef: '10',
      key_name: 'key',
      availability_zone: 'zone',
      config_drive: true,
    });
    expect(Buffer.from(String(asked?.['user_data']), 'base64').toString()).toBe('#cloud-config\n# Grüße\n');
  });

  it('that Nova could not build says why', async () => {
    const id = randomUUID();
    const fault = { code: 500, message: 'No valid host was found.' };
    cloud.state.servers.set(id, { id, name: 'a', status: 'ERROR', fault, networks: [] });
    expect(await novaCompute(session).observeServer(id)).toMatchObject({
      status: 'ERROR',
      fault: 'No valid host was found.',
      availabilityZone: null,
    });
  });

  it('is found by its whole name only, and not when it is deleted', async () => {
    const compute = novaCompute(session);
    for (const [name, status] of [
      ['amphora-a2', 'ACTIVE'],
      ['amphora-a', 'DELETED'],
      ['xamphora-a', 'ACTIVE'],
    ] as const) {
      const id = randomUUID();
      cloud.state.servers.set(id, { id, name, status, networks: [] });
    }
    expect(await compute.findServer('amphora-a')).toBeUndefined();
    expect(await compute.findServer('amphora-a.')).toBeUndefined();
    const made = await compute.ensureServer(wish('amphora-a'));
    expect(made.status).toBe('ACTIVE');
  });

  it('that is busy is removed later', async () => {
    cloud.fail('/servers/', 409, { conflictingRequest: { code: 409, message: 'It is being built.' } });
    await expect(novaCompute(session).removeServer(randomUUID())).rejects.toMatchObject({
      retry: 'later',
      message: 'Nova answered 409: It is being built.',
    });
  });

  it('beyond the quota is never made, in the words of Nova', async () => {
    const message = 'Quota exceeded for cores: Requested 1, but already used 20 of 20 cores';
    cloud.fail('/servers', 200, { servers: [] });
    cloud.fail('/servers', 403, { forbidden: { code: 403, message } });
    await expect(novaCompute(session).ensureServer(wish('amphora-a'))).rejects.toMatchObject({
      retry: 'never',
      status: 403,
      message: `Nova answered 403: ${message}`,
    });
  });
});
