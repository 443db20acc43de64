import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Body, openTestCloud, type TestCloud } from './cloudlet.fixture.ts';

let cloud: TestCloud;
beforeEach(async () => {
  cloud = await openTestCloud();
});
afterEach(() => cloud.destroy());

describe('a cloud that is started again', () => {
  it('has what it had, and nothing twice', async () => {
    const everything = async () => {
      const lists = [
        '/identity/v3/users',
        '/identity/v3/projects',
        '/identity/v3/endpoints',
        '/network/v2.0/networks',
      ];
      const more = ['/network/v2.0/subnets', '/compute/v2.1/flavors', '/image/v2/images'];
      return Promise.all([...lists, ...more].map(async (path) => (await cloud.ask('GET', path)).body));
    };
    await cloud.ask('POST', '/network/v2.0/networks', { network: { name: 'mine' } });
    const before = await everything();
    cloud = await cloud.again();
    expect(await everything()).toEqual(before);
    expect(cloud.host.networks.size).toBe(3);
  });
});

describe('configuration', () => {
  it('changes what was seeded, and what users made stays', async () => {
    cloud = await cloud.again({ public_url: 'http://elsewhere:1', admin_password: 'other' });
    await expect(cloud.token('admin', 'admin-secret')).rejects.toThrow(/cannot log in/);
    const token = await cloud.token('admin', 'other');
    const { endpoints } = (await cloud.ask('GET', '/identity/v3/endpoints', undefined, { as: token })).body;
    const urls = new Set(endpoints.map((each: Body) => new URL(each.url).host));
    expect(urls).toEqual(new Set(['elsewhere:1', 'cloud.test:9876']));
  });

  it('cannot move a network whose addresses are in use', async () => {
    await expect(cloud.again({ external_cidr: '10.3.0.0/24' })).rejects.toThrow(
      'subnet ext_net_subnet is 10.2.0.0/24, and cannot become 10.3.0.0/24: addresses of it are in use',
    );
    cloud = await openTestCloud({ host: cloud.host, stateDir: cloud.config.state_dir });
  });
});

describe('version documents', () => {
  it('stand at the places of the real services, for everyone', async () => {
    const get = async (path: string) => cloud.ask('GET', path, undefined, { as: null });
    expect((await get('/identity')).status).toBe(300);
    expect((await get('/identity/v3/')).body.version.links[0].href).toBe(
      'http://cloud.test:9877/identity/v3/',
    );
    expect((await get('/compute/v2.1/')).body.version.version).toBe('2.96');
    expect((await get('/network/')).body.versions[0].id).toBe('v2.0');
    expect((await get('/network/v2.0')).body.resources[0].collection).toBe('networks');
    expect((await get('/image/')).status).toBe(300);
    expect((await get('/image/versions')).body.versions[0].status).toBe('CURRENT');
    expect((await get('/key-manager')).body.versions[0].id).toBe('v1');
  });
});

describe('whoever shows no good token', () => {
  it('is told where to get one, by every service', async () => {
    for (const path of [
      '/identity/v3/users',
      '/compute/v2.1/servers',
      '/network/v2.0/ports',
      '/image/v2/images',
      '/key-manager/v1/secrets',
    ]) {
      for (const as of [null, 'wrong']) {
        const answer = await cloud.ask('GET', path, undefined, { as });
        expect([path, answer.status, answer.headers['www-authenticate']]).toEqual([
          path,
          401,
          'Keystone uri="http://cloud.test:9877/identity"',
        ]);
      }
    }
  });
});

describe('nonsense', () => {
  it('is a bad request in the words of the service', async () => {
    const headers = { 'content-type': 'application/json' };
    const broken = (path: string) => cloud.ask('POST', path, '{', { headers });
    expect((await broken('/network/v2.0/ports')).body.NeutronError.message).toMatch(/not valid JSON/);
    expect((await broken('/compute/v2.1/servers')).body.badRequest.code).toBe(400);
    expect((await broken('/key-manager/v1/secrets')).body.title).toBe('Bad Request');
    expect((await broken('/identity/v3/auth/tokens')).body.error.code).toBe(400);
    expect((await broken('/image/v2/images')).body.code).toBe('400 Bad Request');
    expect((await cloud.ask('GET', '/nowhere')).status).toBe(404);
  });
});
