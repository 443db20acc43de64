/** The whole service as a user without rights: one user namespace, the VIP reached by a published port. */
import { chmodSync, chownSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run, tryRun } from '../../src/platform/run.ts';
import { asNobody, asNobodyInChroot, nobody, userNamespaces } from '../ordinary-user.ts';
import { curl, eventually, makeService, processesOf, traces } from './service.ts';

const portBase = 21_500;
const service = makeService(portBase);
const env = {
  ...process.env,
  HOME: service.stateDir,
  LIVIA_STATE_DIR: service.stateDir,
  LIVIA_PORT_BASE: String(portBase),
};
const setup = resolve(import.meta.dirname, '../../setup/run.mjs');
const allowed = await userNamespaces();

beforeAll(async () => {
  await run(['node', setup, 'start', '--help']); // makes the programs, which nobody may not

  chownSync(service.stateDir, nobody, nobody);
  chmodSync(service.stateDir, 0o700);
});
afterAll(async () => {
  await tryRun(asNobody('node', setup, 'stop'), { env, cwd: '/', timeoutMs: 60_000 });
  rmSync(service.stateDir, { recursive: true, force: true });
});

it.runIf(allowed)(
  'starts, builds the demonstration, publishes its VIP, and leaves nothing behind',
  async () => {
    const before = await traces();
    await run(asNobody('node', setup, 'start', '--detach'), { env, cwd: '/', timeoutMs: 300_000 });

    const [loadBalancer] = await service.openstack<Record<string, string>[]>('loadbalancer', 'list');
    expect(loadBalancer).toMatchObject({ provisioning_status: 'ACTIVE' });
    const answer = await eventually('an answer of a member through the published port', () =>
      curl('--insecure', `https://127.0.0.1:${portBase + 2}/`),
    );
    expect(answer).toMatch(/member \d/);
    const metrics = await curl(`http://127.0.0.1:${portBase + 3}/metrics`);
    expect(metrics).toContain('\nopenstack_loadbalancer_total_loadbalancers 1\n');

    await run(asNobody('node', setup, 'stop'), { env, cwd: '/', timeoutMs: 120_000 });
    expect(processesOf(service.stateDir)).toEqual([]);
    expect(await traces()).toEqual(before);
  },
);

it('says in one line what is missing where the kernel allows no user namespace', async () => {
  const refused = await tryRun(asNobodyInChroot('node', setup, 'start', '--detach'), { env, cwd: '/' });
  expect(refused.code).toBe(1);
  const complaint = refused.stderr.trim().split('\n');
  expect(complaint).toHaveLength(1);
  expect(complaint[0]).toMatch(/^livia: .*user namespace.*root/);
  expect(processesOf(service.stateDir)).toEqual([]);
});
