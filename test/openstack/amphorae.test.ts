import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'smol-toml';
import Type from 'typebox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bootScript } from '../../src/agent/boot-script.ts';
import type { SessionOptions } from '../../src/clouds/session.ts';
import { run } from '../../src/platform/run.ts';
import { freshDatabase, type TestDatabase } from '../database.ts';
import { makeTestAuthority, type TestAuthority } from '../e2e/certificates.ts';
import { webMember, type WebMember } from '../e2e/members.ts';
import { curl, eventually } from '../e2e/service.ts';
import { type OpenStack, openStack, type SomeNetwork, type SomeUser } from './ground.ts';
import { type Hypervisor, startHypervisor } from './hypervisor.ts';

/**
 * livia-server with Keystone, Barbican, Nova, Neutron and Glance as OpenStack ships them, asked by Debian's client. Where
 * Nova boots nothing (driver `fake`), `hypervisor.ts` boots what Nova says is running.
 */
describe('livia-server on OpenStack', () => {
  let cloud: OpenStack;
  let [livia, alice] = [] as unknown as [SomeUser, SomeUser];
  let external: SomeNetwork;
  let hypervisor: Hypervisor;
  let server: ChildProcess;
  let database: TestDatabase;
  let authority: TestAuthority;
  let members: WebMember[];
  let folder: string;

  const say = (who: SomeUser, ...args: string[]): Promise<string> =>
    run(['openstack', ...args], {
      env: { ...process.env, ...environmentOf(who.session) },
      timeoutMs: 240_000,
    });
  const openstack = async <T = Record<string, string>>(...args: string[]): Promise<T> =>
    JSON.parse(await say(alice, ...args, '-f', 'json')) as T;
  const loadbalancer = (...args: string[]) => openstack('loadbalancer', ...args);
  const ask = () =>
    eventually('an answer', () =>
      curl('--cacert', authority.rootPem, '--resolve', `www.example:443:${vip}`, 'https://www.example/'),
    );
  let vip = '';

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'livia-openstack-'));
    cloud = openStack();
    database = await freshDatabase();
    authority = await makeTestAuthority(join(folder, 'authority'));
    livia = await cloud.user('livia', ['admin']);
    alice = await cloud.user('alice', ['member', 'creator']);
    const management = await cloud.network('management', '10.78.0.0/24');
    external = await cloud.network('external', '10.79.0.0/24');
    const image = bootScript(process.execPath, join(import.meta.dirname, '../../bin/livia-agent.ts'));
    await cloud.image(Buffer.from(image));
    const flavor = await cloud.flavor(1024);
    const port = await freePort();
    await publish(cloud, `http://127.0.0.1:${port}`);
    hypervisor = await startHypervisor(cloud, {
      ...{ projectId: livia.projectId, networks: [management, external], stateDir: join(folder, 'host') },
      ...{ bootScript: image, memoryBytes: 1024 * 2 ** 20 },
    });
    members = await Promise.all(['one', 'two'].map((name) => webMember(name, external.gateway)));
    const { session } = livia;
    const config = {
      api: { port },
      database: {
        ...{ host: database.host, port: database.port, user: database.user, name: database.database },
      },
      keystone: {
        ...{ auth_url: session.authUrl, username: session.username, password: session.password },
        ...{ project_name: session.projectName, region: cloud.region },
      },
      pki: { dir: join(folder, 'pki'), secret_key_file: join(folder, 'pki', 'secret-key') },
      amphora: { compute_flavor: flavor, image_tag: cloud.tag, management_network: management.id },
      metrics: { host: '' },
      health: { host: management.gateway, receivers: [`${management.gateway}:5555`] },
    };
    await writeFile(join(folder, 'livia.toml'), stringify(config));
    const bin = join(import.meta.dirname, '../../bin/livia-server.ts');
    const log = createWriteStream(join(folder, 'server.log'));
    server = spawn(process.execPath, [bin, '--config', join(folder, 'livia.toml')]);
    server.stdout?.pipe(log);
    server.stderr?.pipe(log);
    await eventually('an API', () => curl(`http://127.0.0.1:${port}/`));
  });

  afterAll(async () => {
    if (server.exitCode === null) {
      server.kill('SIGTERM');
      await once(server, 'exit');
    }
    await Promise.all(members.map((member) => member.close()));
    await hypervisor.close();
    await cloud.clear();
    await database.drop();
    await rm(folder, { recursive: true });
  });

  it('makes a load balancer with TLS whose certificate is in Barbican, and carries its traffic', async () => {
    const { bundle } = await authority.issue('www.example');
    const secret = await openstack(
      'secret',
      'store',
      '-t',
      'application/octet-stream',
      '-e',
      'base64',
      '-p',
      (await readFile(bundle)).toString('base64'),
    );
    const made = await loadbalancer('create', '--wait', '--name', 'lb', '--vip-subnet-id', external.subnetId);
    expect(made['provisioning_status']).toBe('ACTIVE');
    vip = made['vip_address'] ?? '';
    await loadbalancer(
      ...['listener', 'create', '--wait', '--name', 'web', '--protocol', 'TERMINATED_HTTPS'],
      ...['--protocol-port', '443', '--default-tls-container-ref', secret['Secret href'] ?? '', 'lb'],
    );
    await loadbalancer(
      ...['pool', 'create', '--wait', '--name', 'pool', '--listener', 'web', '--protocol', 'HTTP'],
      ...['--lb-algorithm', 'ROUND_ROBIN'],
    );
    for (const { address, port } of members) {
      await loadbalancer(
        ...['member', 'create', '--wait', '--address', address, '--protocol-port', String(port), 'pool'],
      );
    }
    await loadbalancer(
      ...['healthmonitor', 'create', '--wait', '--type', 'HTTP', '--delay', '1', '--timeout', '1'],
      ...['--max-retries', '1', 'pool'],
    );
    expect(new Set([await ask(), await ask()])).toEqual(new Set(['one', 'two']));
    await eventually('ONLINE', async () =>
      (await loadbalancer('show', 'lb'))['operating_status'] === 'ONLINE' ? true : undefined,
    );
    expect((await loadbalancer('show', 'lb'))['project_id']).toBe(alice.projectId);
  });

  it('replaces the amphora, and the traffic goes on', async () => {
    const [before] = hypervisor.running();
    await say(livia, 'loadbalancer', 'failover', '--wait', 'lb');
    await eventually('one amphora, another', async () =>
      hypervisor.running().length === 1 && hypervisor.running()[0] !== before ? true : undefined,
    );
    expect(['one', 'two']).toContain(await ask());
  });

  it('keeps a pair of amphorae whole: one that Nova loses is replaced, the other answers', async () => {
    await say(
      livia,
      ...['loadbalancer', 'flavorprofile', 'create', '--name', 'pair', '--provider', 'amphora'],
      ...['--flavor-data', '{"loadbalancer_topology": "ACTIVE_STANDBY"}'],
    );
    await say(
      livia,
      ...['loadbalancer', 'flavor', 'create', '--name', 'pair', '--flavorprofile', 'pair', '--enable'],
    );
    const others = hypervisor.running();
    const pair = await loadbalancer(
      ...['create', '--wait', '--name', 'pair', '--flavor', 'pair', '--vip-subnet-id', external.subnetId],
    );
    await loadbalancer(
      ...['listener', 'create', '--wait', '--name', 'plain', '--protocol', 'HTTP'],
      ...['--protocol-port', '80', 'pair'],
    );
    const of = () => hypervisor.running().filter((id) => !others.includes(id));
    const answers = () =>
      eventually('503 without a pool', async () =>
        (await curl('-o', '/dev/null', '-w', '%{http_code}', `http://${pair['vip_address']}/`)) === '503'
          ? true
          : undefined,
      );
    await answers();
    const [first = '', second = ''] = of();
    await say(livia, 'server', 'delete', '--wait', first);
    await answers();
    await eventually('two again', async () =>
      of().length === 2 && !of().includes(first) && of().includes(second) ? true : undefined,
    );
    await eventually('ACTIVE', async () =>
      (await loadbalancer('show', 'pair'))['provisioning_status'] === 'ACTIVE' ? true : undefined,
    );
    await answers();
    await say(alice, 'loadbalancer', 'delete', '--wait', '--cascade', 'pair');
  });

  it('removes all of it', async () => {
    await say(alice, 'loadbalancer', 'delete', '--wait', '--cascade', 'lb');
    await eventually('no amphora', async () => (hypervisor.running().length === 0 ? true : undefined));
    const { ports } = await cloud.admin.read(
      Type.Object({ ports: Type.Array(Type.Object({ name: Type.String() })) }),
      'network',
      'GET',
      '/ports',
      { query: { network_id: external.id } },
    );
    expect(ports).toEqual([]);
  });
});

/** Where clients look for the load balancers. */
async function publish(cloud: OpenStack, url: string): Promise<void> {
  const { service } = await cloud.make(
    Type.Object({ service: Type.Object({ id: Type.String() }) }),
    'identity',
    '/services',
    { service: { name: cloud.tag, type: 'load-balancer' } },
    (made) => made.service.id,
  );
  await cloud.make(
    Type.Object({ endpoint: Type.Object({ id: Type.String() }) }),
    'identity',
    '/endpoints',
    { endpoint: { service_id: service.id, interface: 'public', url, region_id: cloud.region } },
    (made) => made.endpoint.id,
  );
}

const environmentOf = (session: SessionOptions): NodeJS.ProcessEnv => ({
  OS_AUTH_URL: session.authUrl,
  OS_USERNAME: session.username,
  OS_PASSWORD: session.password,
  OS_PROJECT_NAME: session.projectName,
  OS_USER_DOMAIN_NAME: session.userDomainName,
  OS_PROJECT_DOMAIN_NAME: session.projectDomainName,
  OS_REGION_NAME: session.region,
  OS_IDENTITY_API_VERSION: '3',
});

async function freePort(): Promise<number> {
  const listening = createServer().listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const address = listening.address();
  listening.close();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
