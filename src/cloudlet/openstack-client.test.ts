import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../platform/run.ts';
import { type Body, eventually, openTestCloud, type TestCloud } from './cloudlet.fixture.ts';

/** The real client of Debian, unmodified, against a cloudlet that listens. */

let cloud: TestCloud;
let folder: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'client-'));
  const port = await freePort();
  cloud = await openTestCloud({ config: { public_url: `http://127.0.0.1:${port}` } });
  await cloud.app.listen({ host: '127.0.0.1', port });
  env = {
    PATH: process.env['PATH'],
    HOME: folder,
    OS_AUTH_URL: `http://127.0.0.1:${port}/identity/v3`,
    OS_USERNAME: 'admin',
    OS_PASSWORD: 'admin-secret',
    OS_PROJECT_NAME: 'admin',
    OS_USER_DOMAIN_NAME: 'Default',
    OS_PROJECT_DOMAIN_NAME: 'Default',
    OS_IDENTITY_API_VERSION: '3',
  };
});
afterAll(async () => {
  await cloud.destroy();
  await rm(folder, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const text = (...args: string[]): Promise<string> => run(['openstack', ...args], { env, cwd: folder });
const json = async (...args: string[]): Promise<Body> => JSON.parse(await text(...args, '-f', 'json'));

describe('the openstack client', () => {
  it('gets a token and sees the projects', async () => {
    expect((await json('token', 'issue')).id).toBeTruthy();
    const projects = await json('project', 'list');
    expect(projects.map((each: Body) => each.Name)).toEqual(['admin', 'service']);
  });

  it('makes users, projects, groups and roles, and says who may what', async () => {
    await text('project', 'create', 'shop', '--tag', 'web');
    await text('user', 'create', '--project', 'shop', '--password', 'secret', 'ann');
    await text('group', 'create', 'sellers');
    await text('group', 'add', 'user', 'sellers', 'ann');
    await text('role', 'create', 'seller');
    await text('implied', 'role', 'create', 'seller', '--implied-role', 'load-balancer_member');
    await text('role', 'add', '--group', 'sellers', '--project', 'shop', 'seller');
    await text('role', 'add', '--user', 'ann', '--domain', 'default', '--inherited', 'reader');
    expect(await json('role', 'assignment', 'list', '--names', '--project', 'shop')).toMatchObject([
      { Role: 'seller', Group: 'sellers@Default', Project: 'shop@Default', Inherited: false },
    ]);
    const seen = await json('role', 'assignment', 'list', '--names', '--user', 'ann', '--effective');
    expect(seen.map((each: Body) => `${each.Role} ${each.Project}`)).toContain(
      'load-balancer_member shop@Default',
    );
    expect((await json('project', 'show', 'shop')).tags).toEqual(['web']);
    const asAnn = { ...env, OS_USERNAME: 'ann', OS_PASSWORD: 'secret', OS_PROJECT_NAME: 'shop' };
    const lent = await run(['openstack', 'application', 'credential', 'create', 'robot', '-f', 'json'], {
      env: asAnn,
      cwd: folder,
    });
    const { id, secret } = JSON.parse(lent);
    const robot = {
      ...{ PATH: env['PATH'], HOME: folder, OS_AUTH_URL: env['OS_AUTH_URL'], OS_IDENTITY_API_VERSION: '3' },
      ...{ OS_AUTH_TYPE: 'v3applicationcredential' },
      ...{ OS_APPLICATION_CREDENTIAL_ID: id, OS_APPLICATION_CREDENTIAL_SECRET: secret },
    };
    const token = JSON.parse(
      await run(['openstack', 'token', 'issue', '-f', 'json'], { env: robot, cwd: folder }),
    );
    expect(token.user_id).toBeTruthy();
    await text('token', 'revoke', token.id);
    expect((await cloud.ask('GET', '/identity/v3/auth/projects', undefined, { as: token.id })).status).toBe(
      401,
    );
    await text('user', 'delete', 'ann');
    await text('project', 'delete', 'shop');
  });

  it('makes the flavor and key pair of the test plan', async () => {
    const flavor = await json(
      ...['flavor', 'create', '--ram', '32768', '--disk', '10', '--vcpus', '4', '--id', '10', 'm1.xxlarge'],
    );
    expect(flavor).toEqual({
      'OS-FLV-DISABLED:disabled': false,
      'OS-FLV-EXT-DATA:ephemeral': 0,
      description: null,
      disk: 10,
      id: '10',
      name: 'm1.xxlarge',
      'os-flavor-access:is_public': true,
      properties: {},
      ram: 32768,
      rxtx_factor: 1,
      swap: 0,
      vcpus: 4,
    });
    await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
    const keypair = await json(
      'keypair',
      'create',
      '--public-key',
      join(folder, 'key.pub'),
      'amphora-backdoor',
    );
    const shown = await run(['ssh-keygen', '-l', '-E', 'md5', '-f', join(folder, 'key.pub')]);
    expect(shown).toContain(`MD5:${keypair.fingerprint} `);
  });

  it('stores a PKCS#12 bundle as the test plan does, and gets the same bytes back', async () => {
    const bundle = join(folder, 'bundle.p12');
    await run([
      'openssl',
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=a',
      '-keyout',
      join(folder, 'a.key'),
      '-out',
      join(folder, 'a.pem'),
    ]);
    await run([
      'openssl',
      'pkcs12',
      '-export',
      '-inkey',
      join(folder, 'a.key'),
      '-in',
      join(folder, 'a.pem'),
      '-passout',
      'pass:',
      '-out',
      bundle,
    ]);
    const { stdout: payload } = await promisify(execFile)('base64', [bundle]);
    const stored = await json(
      ...[
        'secret',
        'store',
        '--name=bundle.p12',
        '-t',
        'application/octet-stream',
        '-e',
        'base64',
        `--payload=${payload}`,
      ],
    );
    expect(stored).toMatchObject({
      Name: 'bundle.p12',
      'Content types': { default: 'application/octet-stream' },
      Algorithm: 'aes',
      'Bit length': 256,
      'Secret type': 'opaque',
      Mode: 'cbc',
      Expiration: null,
    });
    const ref = stored['Secret href'];
    const copy = join(folder, 'copy.p12');
    await text('secret', 'get', ref, '--file', copy, '--payload_content_type', 'application/octet-stream');
    expect((await readFile(copy)).equals(await readFile(bundle))).toBe(true);
    expect((await json('secret', 'list')).map((each: Body) => each['Secret href'])).toEqual([ref]);
    await text('secret', 'delete', ref);
    await expect(text('secret', 'get', ref)).rejects.toThrow(/Not Found/);
  });

  it('makes networks, subnets, ports and security groups', async () => {
    await text('network', 'create', 'web');
    const subnet = await json(
      'subnet',
      'create',
      '--network',
      'web',
      '--subnet-range',
      '10.9.0.0/24',
      'web-subnet',
    );
    expect(subnet).toMatchObject({ cidr: '10.9.0.0/24', gateway_ip: '10.9.0.1' });
    await text('security', 'group', 'create', 'web-group');
    await text('security', 'group', 'rule', 'create', '--proto', 'tcp', '--dst-port', '443', 'web-group');
    const port = await json(
      ...['port', 'create', '--network', 'web', '--fixed-ip', 'subnet=web-subnet,ip-address=10.9.0.9'],
      ...['--allowed-address', 'ip-address=10.9.0.99', '--security-group', 'web-group', 'web-port'],
    );
    expect(port).toMatchObject({ name: 'web-port', status: 'DOWN', fixed_ips: [{ ip_address: '10.9.0.9' }] });
    await expect(text('network', 'delete', 'web')).rejects.toThrow(/ports still in use/);
  });

  it('joins the network with the outside by a router, and gives a port a floating IP', async () => {
    await text('router', 'create', 'way-out');
    await text('router', 'set', '--external-gateway', 'ext_net', 'way-out');
    await text('router', 'add', 'subnet', 'way-out', 'web-subnet');
    const router = await json('router', 'show', 'way-out');
    expect(router).toMatchObject({
      external_gateway_info: { enable_snat: true, external_fixed_ips: [{ ip_address: '10.2.0.2' }] },
      interfaces_info: [{ ip_address: '10.9.0.1' }],
    });
    expect(
      await json('floating', 'ip', 'create', 'ext_net', '--port', 'web-port', '--tag', 'web'),
    ).toMatchObject({
      ...{ floating_ip_address: '10.2.0.3', fixed_ip_address: '10.9.0.9', status: 'ACTIVE', tags: ['web'] },
      port_details: { name: 'web-port' },
    });
    await expect(text('router', 'remove', 'subnet', 'way-out', 'web-subnet')).rejects.toThrow(/floating IPs/);
    await text('floating', 'ip', 'unset', '--port', '10.2.0.3');
    await text('floating', 'ip', 'set', '--port', 'web-port', '10.2.0.3');
    expect(await json('floating', 'ip', 'list')).toMatchObject([
      { 'Floating IP Address': '10.2.0.3', 'Fixed IP Address': '10.9.0.9' },
    ]);
    await text('floating', 'ip', 'delete', '10.2.0.3');
    await text('router', 'remove', 'subnet', 'way-out', 'web-subnet');
    await text('router', 'unset', '--external-gateway', 'way-out');
    await text('router', 'delete', 'way-out');
    expect(cloud.host.routers()).toEqual([]);
  });

  it('limits a port by a QoS policy', async () => {
    await text('network', 'qos', 'policy', 'create', 'slow');
    const rule = ['--type', 'bandwidth-limit', '--max-kbps', '1000', '--egress', 'slow'];
    await text('network', 'qos', 'rule', 'create', ...rule);
    await text('port', 'set', '--qos-policy', 'slow', 'web-port');
    expect(cloud.host.cardLimits).toMatchObject([{ direction: 'egress', bytesPerSecond: 125_000 }]);
    expect(await json('network', 'qos', 'rule', 'list', 'slow')).toMatchObject([{ 'Max Kbps': 1000 }]);
    expect(await json('network', 'qos', 'rule', 'type', 'list')).toEqual([{ Type: 'bandwidth_limit' }]);
    await text('port', 'unset', '--qos-policy', 'web-port');
    await text('network', 'qos', 'policy', 'delete', 'slow');
    expect(cloud.host.cardLimits).toEqual([]);
  });

  it('sees how many addresses are in use, and the zones', async () => {
    expect(await json('ip', 'availability', 'show', 'web')).toMatchObject({ total_ips: 253, used_ips: 1 });
    const zones = await json('availability', 'zone', 'list', '--network', '--long');
    expect(zones.map((zone: Body) => zone['Zone Resource'])).toEqual(['network', 'router']);
  });

  it('boots a server and lists it with its networks, image and flavor by name', async () => {
    const management = await cloud.ask('GET', '/network/v2.0/networks?name=lb-mgmt-net');
    const created = await json(
      ...[
        'server',
        'create',
        '--flavor',
        'm1.xxlarge',
        '--image',
        'amphora-livia',
        '--key-name',
        'amphora-backdoor',
      ],
      ...['--nic', `net-id=${management.body.networks[0].id}`, '--port', 'web-port', 'amphora-1'],
    );
    expect(created).toMatchObject({ name: 'amphora-1', key_name: 'amphora-backdoor' });
    await eventually(async () => cloud.host.instances.has(created.id));
    expect(await json('server', 'list', '--project', 'admin')).toEqual([
      {
        ID: created.id,
        Name: 'amphora-1',
        Status: 'ACTIVE',
        Networks: { 'lb-mgmt-net': ['10.1.0.2'], web: ['10.9.0.9'] },
        Image: 'amphora-livia',
        Flavor: 'm1.xxlarge',
      },
    ]);
    await text('server', 'delete', '--wait', 'amphora-1');
    expect(cloud.host.instances.size).toBe(0);
  });

  it('uploads an image that then can be booted', async () => {
    const script = join(folder, 'boot.sh');
    await writeFile(script, '#!/bin/sh\n');
    await text('image', 'create', '--file', script, '--tag', 'mine', 'own-image');
    const [image] = (await cloud.ask('GET', '/image/v2/images?tag=mine')).body.images;
    expect(image).toMatchObject({ name: 'own-image', status: 'active', size: 10 });
  });
});
