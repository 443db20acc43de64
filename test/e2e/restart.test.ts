import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeTestAuthority, type TestAuthority } from './certificates.ts';
import { externalSubnet, makeHttpsLoadBalancer, type HttpsLoadBalancer } from './https-load-balancer.ts';
import { webMember, type WebMember } from './members.ts';
import { discard, eventually, makeService, processesOf, scratch, traces } from './service.ts';

const service = makeService(21_300);
const folder = scratch('restart');
let authority: TestAuthority;
let balancer: HttpsLoadBalancer;
let member: WebMember;
let before: Awaited<ReturnType<typeof traces>>;

beforeAll(async () => {
  before = await traces();
  authority = await makeTestAuthority(join(folder, 'pki'));
  await service.start();
  member = await webMember('survivor', (await externalSubnet(service)).gateway);
  balancer = await makeHttpsLoadBalancer(service, authority, 'survivor.example', [member]);
});
afterAll(async () => {
  await member.close();
  await discard(service);
  rmSync(folder, { recursive: true, force: true });
});

/** The gateway address goes with the service, so the member must come again with it. */
async function startAgain(): Promise<void> {
  await service.start();
  await member.close();
  member = await webMember('survivor', member.address, member.port);
}

it('leaves no process, link, mount or cgroup behind when it is stopped', async () => {
  expect(processesOf(service.stateDir)).not.toEqual([]);
  await service.stop();
  expect(processesOf(service.stateDir)).toEqual([]);
  expect(await traces()).toEqual(before);
});

it('serves the same load balancer after a restart', async () => {
  await startAgain();
  await eventually('the answer after the restart', () => balancer.ask());
  expect(await balancer.ask()).toBe('survivor');
});

it('cleans up after kill -9 of everything, and serves again', async () => {
  for (const line of processesOf(service.stateDir)) process.kill(Number(line.split(' ')[0]), 'SIGKILL');
  await startAgain();
  await eventually('the answer after kill -9', () => balancer.ask());
  await service.stop();
  expect(processesOf(service.stateDir)).toEqual([]);
  expect(await traces()).toEqual(before);
  await startAgain();
});

it('writes no private key into its state folder or its logs, and keeps its files from others', async () => {
  const { run } = await import('../../src/platform/run.ts');
  const key = readFileSync(join(folder, 'pki', 'survivor.example.key.pem'), 'utf8').split('\n')[1] ?? '';
  expect(key.length).toBeGreaterThan(40);
  const found = await run([
    'sh',
    '-c',
    'grep -rlF -- "$1" "$2" || [ $? -eq 1 ]',
    'sh',
    key,
    service.stateDir,
  ]);
  expect(found).toBe('');
  const open = await run(['find', service.stateDir, '-maxdepth', '1', '-name', '*rc', '-perm', '/077']);
  expect(open).toBe('');
});
