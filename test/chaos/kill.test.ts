/**
 * kill -9 of any one process while a load balancer is being made and changed: everything converges with nobody's
 * help, traffic flows, and nothing is there twice.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeTestAuthority, type TestAuthority } from '../e2e/certificates.ts';
import {
  externalSubnet,
  makeHttpsLoadBalancer,
  storeSecret,
  type HttpsLoadBalancer,
} from '../e2e/https-load-balancer.ts';
import { webMember, type WebMember } from '../e2e/members.ts';
import {
  curl,
  discard,
  eventually,
  instancePid,
  makeService,
  pause,
  processesOf,
  scratch,
} from '../e2e/service.ts';

const service = makeService(21_400);
const folder = scratch('chaos');
let authority: TestAuthority;
let standing: HttpsLoadBalancer;
let member: WebMember;

beforeAll(async () => {
  authority = await makeTestAuthority(join(folder, 'pki'));
  await service.start();
  member = await webMember('alive', (await externalSubnet(service)).gateway);
  standing = await makeHttpsLoadBalancer(service, authority, 'standing.example', [member]);
});
afterAll(async () => {
  await member.close();
  await discard(service);
  rmSync(folder, { recursive: true, force: true });
});

const pidOf = (pattern: RegExp): number[] =>
  processesOf(service.stateDir)
    .filter((line) => pattern.test(line))
    .map((line) => Number(line.split(' ')[0]));

/** The processes inside the amphora of a load balancer, found by their PID namespace. */
async function inAmphora(loadBalancerId: string, pattern: RegExp): Promise<number[]> {
  const { amphorae } = await service.call('GET', `/v2/octavia/amphorae?loadbalancer_id=${loadBalancerId}`);
  const first = instancePid(service, amphorae[0].compute_id);
  const { readdirSync, readlinkSync } = await import('node:fs');
  const namespace = readlinkSync(`/proc/${first}/ns/pid`);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return (
          readlinkSync(`/proc/${pid}/ns/pid`) === namespace &&
          pattern.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '))
        );
      } catch {
        return false; // it ended while we looked
      }
    })
    .map(Number);
}

const ready = (): Promise<unknown> =>
  eventually('the API answers', async () => {
    const { status } = await service.request('GET', '/v2/lbaas/loadbalancers');
    return status === 200 ? true : undefined;
  });

async function onlyOnce(loadBalancerId: string): Promise<void> {
  await eventually('there is one amphora, one server, one of each port', async () => {
    const { amphorae } = await service.call('GET', `/v2/octavia/amphorae?loadbalancer_id=${loadBalancerId}`);
    const { servers } = await service.call('GET', 'cloud:/compute/v2.1/servers/detail?all_tenants=1');
    const { ports } = await service.call('GET', 'cloud:/network/v2.0/ports');
    const { loadbalancers } = await service.call('GET', '/v2/lbaas/loadbalancers');
    const vips = ports.filter((port: any) => port.device_id === `lb-${loadBalancerId}`);
    const alive = servers.filter((server: any) => server.status === 'ACTIVE');
    return amphorae.length === 1 &&
      servers.length === loadbalancers.length &&
      alive.length === loadbalancers.length &&
      vips.length === 1
      ? true
      : undefined;
  });
}

const victims: [string, () => Promise<number[]>][] = [
  ['the control plane', async () => pidOf(/livia-server/)],
  ['the cloudlet', async () => pidOf(/livia-cloudlet/)],
  ['PostgreSQL', async () => pidOf(/postgres -D|postgres .*-D/)],
];

for (const [victim, find] of victims) {
  it.each([5, 150, 400])(
    `makes a load balancer although ${victim} is killed %i ms after it was asked for`,
    async (delayMs) => {
      const subnet = await externalSubnet(service);
      const { loadbalancer } = await service.call('POST', '/v2/lbaas/loadbalancers', {
        loadbalancer: { name: `chaos-${delayMs}`, vip_subnet_id: subnet.id },
      });
      await pause(delayMs);
      const pids = await find();
      expect(pids.length).toBeGreaterThan(0);
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      await ready();
      await service.active(loadbalancer.id);
      await onlyOnce(loadbalancer.id);
      expect(await standing.ask()).toBe('alive');
      await service.call('DELETE', `/v2/lbaas/loadbalancers/${loadbalancer.id}`);
      await eventually('it is gone', async () => {
        const { status } = await service.request('GET', `/v2/lbaas/loadbalancers/${loadbalancer.id}`);
        return status === 404 ? true : undefined;
      });
    },
  );
}

it.each([
  ['the worker of HAProxy', /haproxy.*(-sf|-x|sockpair)|haproxy -W/],
  ['the agent', /livia-agent/],
  ['everything in the amphora', /./],
])('serves again after %s is killed', async (_name, pattern) => {
  const pids = await inAmphora(standing.id, pattern);
  expect(pids.length).toBeGreaterThan(0);
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // the kernel ended it with its parent
    }
  }
  await eventually(
    'traffic flows again',
    async () => ((await standing.ask()) === 'alive' ? true : undefined),
    120_000,
  );
  await eventually('the load balancer is at rest', async () => {
    const { loadbalancer } = await service.call('GET', `/v2/lbaas/loadbalancers/${standing.id}`);
    return loadbalancer.provisioning_status === 'ACTIVE' ? true : undefined;
  });
  // And it takes changes as before.
  const ref = await storeSecret(service, (await authority.issue('standing.example')).bundle);
  await service.call('PUT', `/v2/lbaas/listeners/${standing.listenerId}`, {
    listener: { default_tls_container_ref: ref },
  });
  await service.active(standing.id);
  expect(
    await curl(
      '--cacert',
      authority.rootPem,
      '--resolve',
      `standing.example:443:${standing.vip}`,
      'https://standing.example/',
    ),
  ).toBe('alive');
  await onlyOnce(standing.id);
});
