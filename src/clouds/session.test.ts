import { createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FakeCloud, startFakeCloud } from './fake-cloud.fixture.ts';
import { keystoneIdentity } from './keystone.ts';
import { neutronNetworking } from './neutron.ts';
import { openSession, type Session, type SessionOptions } from './session.ts';

let cloud: FakeCloud;
const sessions: Session[] = [];
const open = (changes: Partial<SessionOptions> = {}): Session => {
  const session = openSession({ ...cloud.session, ...changes });
  sessions.push(session);
  return session;
};
const logins = (): number => cloud.seen().filter((line) => line.startsWith('POST /identity')).length;

beforeEach(async () => {
  cloud = await startFakeCloud();
});
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(sessions.splice(0).map((session) => session.close()));
  await cloud.close();
});

describe("Livia's own login", () => {
  it('is one for all that ask at once, and is kept', async () => {
    const networking = neutronNetworking(open());
    await Promise.all(Array.from({ length: 10 }, () => networking.subnet(cloud.subnetId)));
    await networking.subnet(cloud.subnetId);
    expect(logins()).toBe(1);
  });

  it('is renewed before its token ends', async () => {
    cloud.tokenLifeMs = 600_000;
    const networking = neutronNetworking(open());
    await networking.subnet(cloud.subnetId);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 590_000 });
    expect(await networking.subnet(cloud.subnetId)).toBeDefined();
    const asked = cloud.seen();
    expect(asked.filter((line) => line.startsWith('POST /identity'))).toHaveLength(2);
    // Nothing was refused on the way: the new token was there before the old one ended.
    expect(asked.filter((line) => line.includes('/subnets/'))).toHaveLength(2);
  });

  it('is made again, once for all, when the token is no longer taken', async () => {
    const networking = neutronNetworking(open());
    await networking.subnet(cloud.subnetId);
    cloud.revokeAll();
    const found = await Promise.all(Array.from({ length: 5 }, () => networking.subnet(cloud.subnetId)));
    expect(found.every((subnet) => subnet?.id === cloud.subnetId)).toBe(true);
    expect(logins()).toBe(2);
  });

  it('that is refused is a matter of configuration: later, in words, without the password', async () => {
    const session = open({ password: 'wrong-password' });
    const refused = session.request('network', 'GET', '/ports');
    await expect(refused).rejects.toMatchObject({ retry: 'later', status: 401 });
    await expect(refused).rejects.toThrow(
      "Keystone does not let Livia's user livia in (401): Invalid username or password.",
    );
    await expect(refused).rejects.not.toThrow('wrong-password');
  });

  it('comes back by itself when Keystone does', async () => {
    const networking = neutronNetworking(open());
    cloud.fail('/auth/tokens', 503, { error: { message: 'Starting.' } });
    await expect(networking.subnet(cloud.subnetId)).rejects.toMatchObject({ retry: 'later', status: 503 });
    expect(await networking.subnet(cloud.subnetId)).toBeDefined();
  });

  it('finds no service in a region that does not have it', async () => {
    await expect(open({ region: 'Mars' }).request('network', 'GET', '/ports')).rejects.toThrow(
      'The catalog names no public endpoint of Neutron (network) in region Mars',
    );
  });
});

describe('a failure of a service', () => {
  it('of its own is for later; a refusal of the wish is for ever, with the words of the service', async () => {
    const session = open();
    const expected: [number, unknown, 'later' | 'never', string][] = [
      [503, '<html><title>503</title><h1>Service  Unavailable</h1></html>', 'later', 'Service Unavailable'],
      [
        500,
        { computeFault: { code: 500, message: 'Unexpected API error.' } },
        'later',
        'Unexpected API error.',
      ],
      [429, { error: { message: 'Slow down.' } }, 'later', 'Slow down.'],
      [400, { badRequest: { code: 400, message: 'Bad flavor.' } }, 'never', 'Bad flavor.'],
      [403, { forbidden: { code: 403, message: 'Quota exceeded.' } }, 'never', 'Quota exceeded.'],
      [409, { NeutronError: { type: 'IpAddressInUse', message: 'In use.', detail: '' } }, 'never', 'In use.'],
      [409, { code: 409, title: 'Conflict', description: 'Busy.' }, 'never', 'Busy.'],
      [400, '', 'never', 'no reason given'],
      [400, 'null', 'never', 'null'],
    ];
    for (const [status, body, retry, words] of expected) {
      cloud.fail('/ports', status, body);
      const asked = session.request('network', 'GET', '/ports');
      await expect(asked).rejects.toThrow(`Neutron answered ${status}: ${words}`);
      await expect(asked).rejects.toMatchObject({ retry, status });
    }
  });

  it('to take our token even when it is new is for later, the token of a caller for ever', async () => {
    const session = open();
    cloud.fail('/ports', 401, {}, 2);
    await expect(session.request('network', 'GET', '/ports')).rejects.toMatchObject({ retry: 'later' });
    const asked = session.request('network', 'GET', '/ports', { token: 'expired' });
    await expect(asked).rejects.toMatchObject({ retry: 'never', status: 401 });
  });

  it('to answer, or to answer what was asked, is for later', async () => {
    const networking = neutronNetworking(open({ timeoutMs: 300 }));
    await networking.subnet(cloud.subnetId);
    for (const body of ['not json', [], { subnet: { id: 5 } }]) {
      cloud.fail('/subnets', 200, body);
      await expect(networking.subnet(cloud.subnetId)).rejects.toMatchObject({ retry: 'later' });
    }
    cloud.fail('/ports', 0, undefined);
    await expect(open().request('network', 'DELETE', '/ports/x')).rejects.toMatchObject({ retry: 'later' });

    const mute = createServer();
    const authUrl = await listening(mute);
    await expect(open({ authUrl, timeoutMs: 300 }).login()).rejects.toThrow('nothing within 0.3 s');
    mute.close();
    await expect(open({ authUrl, timeoutMs: 300 }).login()).rejects.toThrow(
      /Keystone does not answer: .*ECONN/,
    );
  });

  it('that was only a connection closed while idle is not seen by a reader', async () => {
    const networking = neutronNetworking(open());
    await networking.subnet(cloud.subnetId);
    cloud.fail('/subnets', 0);
    expect(await networking.subnet(cloud.subnetId)).toBeDefined();
  });
});

describe('the identity of callers', () => {
  const identity = (cacheSeconds: number) =>
    keystoneIdentity(open(), { publicUrl: 'http://keystone.example/v3', cacheSeconds });
  const validations = (): number =>
    cloud.seen().filter((line) => line.startsWith('GET /identity/v3/auth/tokens')).length;

  it('is asked once for many at once, and not again for some seconds', async () => {
    const keystone = identity(10);
    const token = cloud.token();
    const callers = await Promise.all(Array.from({ length: 10 }, () => keystone.validate(token)));
    expect(new Set(callers.map((caller) => caller?.userId))).toEqual(new Set(['alice-id']));
    await keystone.validate(token);
    expect(validations()).toBe(1);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 11_000 });
    await keystone.validate(token);
    expect(validations()).toBe(1);
  });

  it('ends with the token, however long answers are kept', async () => {
    cloud.tokenLifeMs = 60_000;
    const keystone = identity(3600);
    const token = cloud.token();
    expect(await keystone.validate(token)).toBeDefined();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
    expect(await keystone.validate(token)).toBeUndefined();
  });

  it('ends with a revocation after the seconds answers are kept', async () => {
    const keystone = identity(10);
    const token = cloud.token();
    expect(await keystone.validate(token)).toBeDefined();
    cloud.revoke(token);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 11_000 });
    expect(await keystone.validate(token)).toBeUndefined();
  });

  it('is not denied for a failure of Keystone, nor is the failure kept', async () => {
    const keystone = identity(10);
    const token = cloud.token();
    cloud.fail('nocatalog', 503);
    await expect(keystone.validate(token)).rejects.toMatchObject({ retry: 'later' });
    cloud.fail('nocatalog', 403, { error: { message: 'You are not authorized.' } });
    await expect(keystone.validate(token)).rejects.toMatchObject({ retry: 'later' });
    expect(await keystone.validate(token)).toMatchObject({ userId: 'alice-id', projectId: 'demo' });
  });
});

function listening(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
    });
  });
}
