/**
 * The test plan of Launchpad bug 2119987, command by command, with Debian's `openstack` client, against a service
 * started as a user starts it; then on to members, a health monitor and traffic through the VIP. At the end it checks
 * what the report checks: no OOM kill, and how much memory HAProxy's processes have.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/platform/run.ts';
import { makeTestAuthority, type TestAuthority } from './certificates.ts';
import { webMember, type WebMember } from './members.ts';
import {
  background,
  curl,
  discard,
  eventually,
  makeService,
  memoryFacts,
  pause,
  scratch,
} from './service.ts';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const date = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/;
type Row = Record<string, any>;

const service = makeService(21_100);
const folder = scratch('plan');
let authority: TestAuthority;
let serviceProject: string;
const members: WebMember[] = [];

beforeAll(async () => {
  authority = await makeTestAuthority(join(folder, 'pki'));
  await service.start();
});
afterAll(async () => {
  await Promise.all(members.map((member) => member.close()));
  await discard(service);
  rmSync(folder, { recursive: true, force: true });
});

it('uploads the key of the amphora-backdoor and finds the service project', async () => {
  await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
  const pair = await service.openstack<Row>(
    'keypair',
    'create',
    '--public-key',
    join(folder, 'key.pub'),
    'amphora-backdoor',
  );
  expect(pair).toMatchObject({
    name: 'amphora-backdoor',
    fingerprint: expect.stringMatching(/^[0-9a-f:]+$/),
  });
  serviceProject = (await service.openstack<Row>('project', 'show', 'service'))['id'];
});

describe.each([
  { size: 'compact', ram: 1024, vcpus: 1, flavorId: '9' },
  { size: 'xxlarge', ram: 32_768, vcpus: 4, flavorId: '10' },
])('on an amphora of $ram MiB', ({ size, ram, vcpus, flavorId }) => {
  const host = `${size}.devstack`;
  let secretHref: string;
  let loadBalancer: Row;
  let listener: Row;
  let pool: Row;
  let server: Row;
  let bundle: string;

  it('creates the compute flavor', async () => {
    const flavor = await service.openstack<Row>(
      ...[
        'flavor',
        'create',
        '--ram',
        String(ram),
        '--disk',
        '10',
        '--vcpus',
        String(vcpus),
        '--id',
        flavorId,
      ],
      `m1.${size}`,
    );
    expect(flavor).toMatchObject({
      'OS-FLV-DISABLED:disabled': false,
      'OS-FLV-EXT-DATA:ephemeral': 0,
      description: null,
      disk: 10,
      id: flavorId,
      name: `m1.${size}`,
      'os-flavor-access:is_public': true,
      properties: {},
      ram,
      rxtx_factor: 1,
      vcpus,
    });
    expect(Number(flavor['swap'])).toBe(0);
  });

  it('creates the flavor profile and the amphora flavor', async () => {
    const data = `{"compute_flavor": "${flavorId}"}`;
    const profile = await service.openstack<Row>(
      ...['loadbalancer', 'flavorprofile', 'create', '--name', `o1.${size}`, '--provider', 'amphora'],
      ...['--flavor-data', data],
    );
    expect(profile).toEqual({
      id: expect.stringMatching(uuid),
      name: `o1.${size}`,
      provider_name: 'amphora',
      flavor_data: data,
    });
    const flavor = await service.openstack<Row>(
      ...['loadbalancer', 'flavor', 'create', '--name', `o1.${size}`, '--flavorprofile', `o1.${size}`],
      ...['--description', 'Extra large LB', '--enable'],
    );
    expect(flavor).toEqual({
      id: expect.stringMatching(uuid),
      name: `o1.${size}`,
      flavor_profile_id: profile['id'],
      enabled: true,
      description: 'Extra large LB',
    });
  });

  it('stores the PKCS#12 bundle as a secret', async () => {
    ({ bundle } = await authority.issue(host));
    const payload = readFileSync(bundle).toString('base64').replace(/.{76}/g, '$&\n');
    const secret = await service.openstack<Row>(
      ...['secret', 'store', `--name=${host}.p12`, '-t', 'application/octet-stream', '-e', 'base64'],
      `--payload=${payload}`,
    );
    expect(secret).toMatchObject({
      Name: `${host}.p12`,
      'Content types': { default: 'application/octet-stream' },
      Algorithm: 'aes',
      'Bit length': 256,
      'Secret type': 'opaque',
      Mode: 'cbc',
      Expiration: null,
    });
    secretHref = secret['Secret href'];
    expect(secretHref).toMatch(/\/v1\/secrets\/[0-9a-f-]{36}$/);
  });

  it('creates the load balancer, which boots its amphora', async () => {
    loadBalancer = await service.openstack<Row>(
      ...['loadbalancer', 'create', '--wait', '--name', `lb1-${size}`, '--vip-subnet-id', 'ext_net_subnet'],
      ...['--flavor', `o1.${size}`],
    );
    expect(loadBalancer).toMatchObject({
      admin_state_up: true,
      availability_zone: null,
      created_at: expect.stringMatching(date),
      description: '',
      flavor_id: expect.stringMatching(uuid),
      id: expect.stringMatching(uuid),
      listeners: '',
      name: `lb1-${size}`,
      operating_status: 'ONLINE',
      pools: '',
      project_id: expect.any(String),
      provider: 'amphora',
      provisioning_status: 'ACTIVE',
      updated_at: expect.stringMatching(date),
      vip_address: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/),
      vip_network_id: expect.stringMatching(uuid),
      vip_port_id: expect.stringMatching(uuid),
      vip_qos_policy_id: null,
      vip_subnet_id: expect.stringMatching(uuid),
      tags: '',
      additional_vips: [],
    });
  });

  it('shows the amphora as a server of the service project', async () => {
    const [amphora] = await service.openstack<Row[]>(
      'loadbalancer',
      'amphora',
      'list',
      '--loadbalancer',
      loadBalancer['id'],
    );
    expect(amphora).toMatchObject({
      status: 'ALLOCATED',
      role: 'STANDALONE',
      ha_ip: loadBalancer['vip_address'],
    });
    const servers = await service.openstack<Row[]>('server', 'list', '--project', serviceProject);
    server = servers.find((row) => row['Name'] === `amphora-${amphora?.['id']}`) ?? {};
    expect(server).toMatchObject({
      ID: expect.stringMatching(uuid),
      Status: 'ACTIVE',
      Image: expect.stringContaining('amphora'),
      Flavor: `m1.${size}`,
    });
    expect(Object.keys(server['Networks']).toSorted()).toEqual(['ext_net', 'lb-mgmt-net']);
    expect(memoryFacts(service, server['ID']).limitBytes).toBe(ram * 1024 * 1024);
    const shell = await service.livia('amphora', 'shell', amphora?.['id'], '--', 'ip', '-o', '-4', 'addr');
    expect(shell.stdout).toContain(loadBalancer['vip_address']);
  });

  it('creates the TERMINATED_HTTPS listener', async () => {
    listener = await service.openstack<Row>(
      ...['loadbalancer', 'listener', 'create', '--wait', '--name', `thttps-${size}`],
      ...[
        '--protocol',
        'TERMINATED_HTTPS',
        '--protocol-port',
        '443',
        '--default-tls-container-ref',
        secretHref,
      ],
      `lb1-${size}`,
    );
    expect(listener).toMatchObject({
      admin_state_up: true,
      connection_limit: -1,
      created_at: expect.stringMatching(date),
      default_pool_id: null,
      default_tls_container_ref: secretHref,
      description: '',
      id: expect.stringMatching(uuid),
      insert_headers: null,
      l7policies: '',
      loadbalancers: loadBalancer['id'],
      name: `thttps-${size}`,
      operating_status: expect.stringMatching(/^(ONLINE|OFFLINE)$/),
      project_id: loadBalancer['project_id'],
      protocol: 'TERMINATED_HTTPS',
      protocol_port: 443,
      provisioning_status: 'ACTIVE',
      sni_container_refs: [],
      timeout_client_data: 50_000,
      timeout_member_connect: 5_000,
      timeout_member_data: 50_000,
      timeout_tcp_inspect: 0,
      updated_at: expect.stringMatching(date),
      client_ca_tls_container_ref: null,
      client_authentication: 'NONE',
      client_crl_container_ref: null,
      allowed_cidrs: null,
      tls_ciphers: expect.stringContaining('TLS_AES_256_GCM_SHA384'),
      tls_versions: ['TLSv1.2', 'TLSv1.3'],
      alpn_protocols: ['h2', 'http/1.1', 'http/1.0'],
      tags: '',
    });
  });

  it('creates the pool, which is what killed the amphora of the report', async () => {
    pool = await service.openstack<Row>(
      ...['loadbalancer', 'pool', 'create', '--name', `${size}_p1`, '--lb-algorithm', 'ROUND_ROBIN'],
      ...['--listener', `thttps-${size}`, '--protocol', 'HTTP', '--wait'],
    );
    expect(pool).toMatchObject({
      admin_state_up: true,
      created_at: expect.stringMatching(date),
      description: '',
      id: expect.stringMatching(uuid),
      lb_algorithm: 'ROUND_ROBIN',
      listeners: listener['id'],
      loadbalancers: loadBalancer['id'],
      members: '',
      name: `${size}_p1`,
      operating_status: expect.stringMatching(/^(ONLINE|OFFLINE)$/),
      project_id: loadBalancer['project_id'],
      protocol: 'HTTP',
      provisioning_status: 'ACTIVE',
      session_persistence: null,
      updated_at: expect.stringMatching(date),
      tls_container_ref: null,
      ca_tls_container_ref: null,
      crl_container_ref: null,
      tls_enabled: false,
      tls_ciphers: null,
      tls_versions: null,
      tags: '',
      alpn_protocols: null,
    });
    expect(memoryFacts(service, server['ID']).oomKills).toBe(0);
  });

  it('goes on: members on the host, a health monitor, and HTTPS through the VIP', async () => {
    const subnet = await service.openstack<Row>('subnet', 'show', 'ext_net_subnet');
    for (const name of ['one', 'two']) {
      const member = await webMember(`${size}-${name}`, subnet['gateway_ip']);
      members.push(member);
      const row = await service.openstack<Row>(
        ...['loadbalancer', 'member', 'create', '--wait', '--name', member.name, '--address', member.address],
        ...['--protocol-port', String(member.port), `${size}_p1`],
      );
      expect(row).toMatchObject({
        name: member.name,
        weight: 1,
        backup: false,
        provisioning_status: 'ACTIVE',
      });
    }
    const monitor = await service.openstack<Row>(
      ...[
        'loadbalancer',
        'healthmonitor',
        'create',
        '--wait',
        '--delay',
        '1',
        '--timeout',
        '1',
        '--max-retries',
        '1',
      ],
      ...['--type', 'HTTP', '--url-path', '/', `${size}_p1`],
    );
    expect(monitor).toMatchObject({ type: 'HTTP', expected_codes: '200', provisioning_status: 'ACTIVE' });
    const ask = (): Promise<string> =>
      curl(
        '--cacert',
        authority.rootPem,
        '--resolve',
        `${host}:443:${loadBalancer['vip_address']}`,
        `https://${host}/`,
      );
    const answers = await Promise.all([ask(), ask(), ask(), ask()]);
    expect(new Set(answers)).toEqual(new Set([`${size}-one`, `${size}-two`]));
    await eventually('the members are seen to be up', async () => {
      const rows = await service.call('GET', `/v2/lbaas/pools/${pool['id']}/members`);
      return rows.members.every((row: Row) => row['operating_status'] === 'ONLINE') ? true : undefined;
    });
  });

  it('still has every process after ten more reloads with long-lived connections held across each', async () => {
    const held: { end(): Promise<void> }[] = [];
    try {
      for (let timeout = 1; timeout <= 10; timeout++) {
        held.push(
          background([
            ...['curl', '--silent', '--no-buffer', '--max-time', '120', '--cacert', authority.rootPem],
            ...[
              '--resolve',
              `${host}:443:${loadBalancer['vip_address']}`,
              '-o',
              '/dev/null',
              `https://${host}/slow`,
            ],
          ]),
        );
        await pause(200);
        // A client timeout is configuration in HAProxy: this forces a reload.
        await service.call('PUT', `/v2/lbaas/listeners/${listener['id']}`, {
          listener: { timeout_client_data: 50_000 + timeout },
        });
        await service.active(loadBalancer['id']);
      }
      const amphorae = await service.call(
        'GET',
        `/v2/octavia/amphorae?loadbalancer_id=${loadBalancer['id']}`,
      );
      expect(amphorae.amphorae).toHaveLength(1);
      expect(amphorae.amphorae[0].compute_id).toBe(server['ID']);
      const facts = memoryFacts(service, server['ID']);
      const processes = await service.livia(
        'amphora',
        'shell',
        amphorae.amphorae[0].id,
        '--',
        'ps',
        '-eo',
        'pid,rss,vsz,args',
      );
      console.log(
        `${ram} MiB amphora: peak ${Math.round(facts.peakBytes / 2 ** 20)} MiB, OOM kills ${facts.oomKills}\n${processes.stdout}`,
      );
      const haproxies = processes.stdout.split('\n').filter((line) => /haproxy -/.test(line));
      expect(haproxies.length).toBeGreaterThanOrEqual(2);
      for (const line of haproxies) {
        const rssKiB = Number(line.trim().split(/\s+/)[1]);
        expect(rssKiB, line).toBeLessThan(200 * 1024);
      }
      expect(facts.oomKills).toBe(0);
      expect(facts.peakBytes).toBeLessThan(600 * 2 ** 20);
      const host443 = `${host}:443:${loadBalancer['vip_address']}`;
      expect(await curl('--cacert', authority.rootPem, '--resolve', host443, `https://${host}/`)).toMatch(
        `${size}-`,
      );
    } finally {
      await Promise.all(held.map((connection) => connection.end()));
    }
  });
});
