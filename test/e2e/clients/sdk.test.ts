/** Each call of Debian's openstacksdk about load balancers against a whole service, and what the SDK makes of the answers. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../../src/platform/run.ts';
import { externalSubnet } from '../https-load-balancer.ts';
import { discard, makeService, scratch } from '../service.ts';
import type { Row } from './client.ts';
import { type Secrets, storeSecrets } from './secrets.ts';
import { date, uuid } from './stage.ts';

const service = makeService(21_470);
const folder = scratch('sdk');
let secrets: Secrets;
let subnet: string;
let seen: Record<string, any>;
let never: string[];

beforeAll(async () => {
  await service.start();
  secrets = await storeSecrets(service, folder);
  subnet = (await externalSubnet(service)).id;
  const { projects } = await service.call('GET', 'cloud:/identity/v3/projects?name=service');
  const program = join(import.meta.dirname, 'sdk-calls.py');
  const printed = await run(['/usr/bin/python3', program, secrets.bundle, subnet, projects[0].id], {
    env: service.env,
    timeoutMs: 240_000,
  });
  ({ seen, never } = JSON.parse(printed));
});
afterAll(async () => {
  await discard(service);
  rmSync(folder, { recursive: true, force: true });
});

/** One object through all of its calls: made, got, found, listed, changed. */
function expectSame(thing: string, many: string, attributes: Row, changes: Row): void {
  const { id } = seen[`${thing} got`];
  expect(seen[`${thing} created`]).toMatchObject(attributes);
  for (const step of ['got', 'found']) expect(seen[`${thing} ${step}`]).toMatchObject({ ...attributes, id });
  expect(seen[many]).toHaveLength(1);
  expect(seen[many][0]).toMatchObject(attributes);
  expect(seen[`${thing} updated`]).toMatchObject({ ...attributes, ...changes, id });
}

it('made every call of the proxy', () => {
  expect(never).toEqual([]);
});

it('flavors, availability zones and their profiles', () => {
  expectSame(
    'flavor profile',
    'flavor profiles',
    { provider_name: 'amphora', flavor_data: '{"compute_flavor": "1"}' },
    { name: 'sdk-profile-2' },
  );
  const { id: profile } = seen['flavor profile got'];
  expectSame(
    'flavor',
    'flavors',
    { name: 'sdk', flavor_profile_id: profile, is_enabled: true },
    { description: 'changed' },
  );
  expectSame(
    'zone profile',
    'zone profiles',
    { provider_name: 'amphora', availability_zone_data: '{"compute_zone": "nova"}' },
    { name: 'sdk-zones-2' },
  );
  const { id: zoneProfile } = seen['zone profile got'];
  expectSame(
    'zone',
    'zones',
    { name: 'sdk-zone', availability_zone_profile_id: zoneProfile, is_enabled: true },
    { description: 'near' },
  );
  expect(seen['providers'].map((row: Row) => row['name'])).toEqual(['amphora', 'octavia']);
  expect(seen['flavor capabilities'].map((row: Row) => row['name'])).toContain('compute_flavor');
});

it('load balancers', () => {
  const made = {
    name: 'sdk-lb',
    is_admin_state_up: true,
    availability_zone: 'sdk-zone',
    flavor_id: seen['flavor got'].id,
    provider: 'amphora',
    vip_subnet_id: subnet,
    vip_qos_policy_id: null,
    listeners: [],
    pools: [],
  };
  expect(seen['load balancer created']).toMatchObject({
    ...made,
    id: expect.stringMatching(uuid),
    created_at: expect.stringMatching(date),
    updated_at: null,
    description: 'by the SDK',
    provisioning_status: 'PENDING_CREATE',
    operating_status: 'OFFLINE',
    tags: ['sdk', 'blue'],
  });
  const ready = { ...made, provisioning_status: 'ACTIVE', operating_status: 'ONLINE', tags: ['sdk', 'blue'] };
  for (const step of ['ready', 'got', 'found by name', 'found by id'])
    expect(seen[`load balancer ${step}`]).toMatchObject(ready);
  for (const list of ['by tags', 'by name and state', 'a page of one each'])
    expect(seen[`load balancers ${list}`]).toMatchObject([ready]);
  expect(seen['load balancers by another name']).toEqual([]);
  expect(seen['load balancer updated']).toMatchObject({
    ...made,
    description: 'changed',
    tags: ['sdk'],
    provisioning_status: 'PENDING_UPDATE',
  });
  expect(seen['load balancer whole']).toMatchObject({
    listeners: [{ id: seen['listener got'].id }],
    pools: [{ id: seen['pool got'].id }],
  });
});

describe('what stands on load balancers', () => {
  it('listeners', () => {
    const { id: balancer } = seen['load balancer got'];
    expectSame(
      'listener',
      'listeners',
      {
        name: 'sdk-listener',
        load_balancers: [{ id: balancer }],
        protocol: 'TERMINATED_HTTPS',
        protocol_port: 443,
        default_tls_container_ref: secrets.bundle,
        default_pool_id: null,
        insert_headers: { 'X-Forwarded-For': 'true' },
        tls_versions: ['TLSv1.2'],
        alpn_protocols: ['http/1.1'],
        timeout_client_data: 1000,
        tags: ['l'],
      },
      { connection_limit: 200, allowed_cidrs: null },
    );
    // The SDK spells this filter as no attribute of the API is spelt.
    expect(seen['listeners by load balancer']).toBe('BadRequestException');
  });

  it('pools, members and health monitors', () => {
    expectSame(
      'pool',
      'pools',
      {
        name: 'sdk-pool',
        protocol: 'HTTP',
        listeners: [{ id: seen['listener got'].id }],
        loadbalancers: [{ id: seen['load balancer got'].id }],
        members: [],
        tls_enabled: false,
        tags: ['p'],
      },
      { lb_algorithm: 'LEAST_CONNECTIONS', session_persistence: null },
    );
    expect(seen['pool got'].session_persistence).toMatchObject({ type: 'HTTP_COOKIE', cookie_name: null });
    expectSame(
      'member',
      'members',
      {
        name: 'sdk-member',
        address: '192.0.2.7',
        protocol_port: 80,
        backup: false,
        monitor_address: null,
        tags: ['m'],
      },
      { weight: 0, monitor_port: 81 },
    );
    expectSame(
      'health monitor',
      'health monitors',
      {
        name: 'sdk-monitor',
        pools: [{ id: seen['pool got'].id }],
        type: 'HTTP',
        ...{ delay: 9, timeout: 5, max_retries: 2, max_retries_down: 3 },
        url_path: '/health',
        tags: ['h'],
      },
      { expected_codes: '200,204', http_method: 'HEAD' },
    );
  });

  it('L7 policies and rules', () => {
    expectSame(
      'policy',
      'policies',
      { name: 'sdk-policy', listener_id: seen['listener got'].id, position: 1, rules: [], tags: ['y'] },
      { action: 'REDIRECT_TO_POOL', redirect_pool_id: seen['pool got'].id, redirect_url: null },
    );
    expectSame(
      'rule',
      'rules',
      { type: 'PATH', compare_type: 'STARTS_WITH', key: null, is_admin_state_up: true, tags: ['r'] },
      { rule_value: '/other', invert: true },
    );
  });

  it('statistics and amphorae', () => {
    const nothing = {
      ...{ active_connections: 0, bytes_in: 0, bytes_out: 0 },
      ...{ request_errors: 0, total_connections: 0 },
    };
    expect(seen['load balancer statistics']).toMatchObject(nothing);
    expect(seen['listener statistics']).toMatchObject(nothing);
    expect(seen['amphorae']).toMatchObject([
      { loadbalancer_id: seen['load balancer got'].id, status: 'ALLOCATED' },
    ]);
    for (const step of ['got', 'found']) expect(seen[`amphora ${step}`]).toEqual(seen['amphorae'][0]);
    const serving = ['amphorae', 'amphorae after one failed over', 'amphorae after all failed over'].flatMap(
      (step) => seen[step].map((row: Row) => row['id'] as string),
    );
    expect(new Set(serving).size).toBe(3);
  });
});

it('quotas', () => {
  const { project_id: project } = seen['quota got'];
  expect(seen['quota default']).toMatchObject({ load_balancers: -1, listeners: -1, pools: -1, members: -1 });
  expect(seen['quota updated']).toMatchObject({ load_balancers: 5, listeners: -1 });
  expect(seen['quota got']).toMatchObject({ load_balancers: 5, pools: -1 });
  const [listed] = seen['quotas'].filter((row: Row) => row['project_id'] === project);
  expect(listed).toMatchObject({ load_balancers: 5, listeners: -1, pools: null });
  expect(seen['quota after delete']).toMatchObject({ load_balancers: -1 });
});

it('deletions, and what is not there any more', () => {
  expect(new Set(Object.values(seen['gone']))).toEqual(new Set(['ResourceNotFound']));
  expect(seen['deleted twice']).toBe(null);
  expect(seen['deleted twice, strictly']).toBe('ResourceNotFound');
  expect(seen['delete of what is not empty']).toBe('BadRequestException');
  expect(seen['load balancer after delete']).toBe(null);
  expect(seen['flavor after delete']).toBe(null);
});
