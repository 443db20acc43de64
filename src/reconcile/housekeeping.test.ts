import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { sweepOrphans } from './housekeeping.ts';
import { makeScene, type Scene } from './scene.fixture.ts';

let scene: Scene;
beforeEach(async () => {
  scene = await makeScene();
});
afterEach(() => scene.drop());

function vipPort(deviceId: string): string {
  return scene.cloud.makePort({
    name: 'a VIP port',
    networkId: randomUUID(),
    fixedIps: [],
    deviceId,
    deviceOwner: 'Octavia',
    projectId: 'p',
    adminStateUp: false,
  }).id;
}

it('a VIP port whose load balancer was never written is removed at the second sweep, others stay', async () => {
  const known = await scene.create();
  const orphan = vipPort(`lb-${randomUUID()}`);
  const foreign = vipPort('lb-of-another-service');

  const suspects = await sweepOrphans(scene.context, new Set());
  expect(scene.cloud.ports.has(orphan)).toBe(true);
  await sweepOrphans(scene.context, suspects);

  expect(scene.cloud.ports.has(orphan)).toBe(false);
  expect(scene.cloud.ports.has(foreign)).toBe(true);
  expect([...scene.cloud.ports.values()].some((port) => port.deviceId === `lb-${known}`)).toBe(true);
});
