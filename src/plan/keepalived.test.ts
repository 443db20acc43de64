import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../platform/run.ts';
import type { WantedInterface, WantedVrrp } from '../wire/wanted.ts';
import { renderKeepalived } from './keepalived.ts';

const namespace = `keepalived-${randomUUID().slice(0, 8)}`;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keepalived-'));
  await run(['ip', 'netns', 'add', namespace]);
  await run(`ip -n ${namespace} link add eth1 type veth peer name other`.split(' '));
});
afterAll(async () => {
  await run(['ip', 'netns', 'del', namespace]);
  await rm(folder, { recursive: true });
});

const vrrp: WantedVrrp = {
  routerId: 1,
  priority: 90,
  address: '192.0.2.11',
  peers: ['192.0.2.12'],
  password: '0123abcd',
  advertSeconds: 1,
  first: false,
};
const card: WantedInterface = {
  mac: '02:00:00:00:00:01',
  addresses: ['192.0.2.11/24', '2001:db8::11/64'],
  vips: ['192.0.2.90/24', '2001:db8::90/64'],
  gateways: ['192.0.2.1'],
};
const place = { card: 'eth1', trackFile: '/run/livia/keepalived/haproxy-down' };

const golden: readonly [string, string][] = [
  ['keepalived-backup.conf', renderKeepalived(vrrp, card, place)],
  ['keepalived-first-master.conf', renderKeepalived({ ...vrrp, priority: 100, first: true }, card, place)],
  [
    'keepalived-three.conf',
    renderKeepalived(
      { ...vrrp, peers: ['192.0.2.12', '192.0.2.13'] },
      { ...card, vips: ['192.0.2.90/24'] },
      place,
    ),
  ],
  [
    'keepalived-ipv6.conf',
    renderKeepalived({ ...vrrp, address: '2001:db8::11', peers: ['2001:db8::12'] }, card, place),
  ],
];

describe("keepalived's configuration", () => {
  it.each(golden)('is as in %s, and keepalived takes it', async (name, text) => {
    await expect(text).toMatchFileSnapshot(`golden/${name}`);
    const file = join(folder, name);
    const trackFile = join(folder, 'haproxy-down');
    await writeFile(trackFile, '0\n');
    await writeFile(file, text.replace(place.trackFile, trackFile));
    await run(['ip', 'netns', 'exec', namespace, 'keepalived', '--config-test', '--log-console', '-f', file]);
    expect(await readFile(file, 'utf8')).toContain('unicast_peer');
  });

  it('names no VIP of the other family where it cannot be advertised', () => {
    const [, advertised = ''] =
      /virtual_ipaddress \{([^}]*)\}/.exec(renderKeepalived(vrrp, card, place)) ?? [];
    expect(advertised.trim()).toBe('192.0.2.90/24 dev eth1');
  });
});
