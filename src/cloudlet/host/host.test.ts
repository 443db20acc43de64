import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run, tryRun } from '../../platform/run.ts';
import type { Host, InstanceSpec, InstanceState } from './host.ts';
import { openHost } from './open-host.ts';
import {
  aName,
  aNetwork,
  anInstance,
  ask,
  eventually,
  groupsOf,
  hungry,
  needRoot,
  processesWith,
  quiet,
} from './host.fixture.ts';
import { linksOf } from './links.ts';

let stateDir: string;
let name: string;
let host: Host;
const lan = aNetwork();

beforeEach(async () => {
  needRoot();
  stateDir = await mkdtemp(join(tmpdir(), 'livia-host-'));
  name = aName();
  host = await openHost({ stateDir, name, log: quiet });
  await host.ensureNetwork(lan.network);
});
afterEach(async () => {
  await host?.close();
  await rm(stateDir, { recursive: true });
});

async function boot(change: Partial<InstanceSpec>): Promise<InstanceSpec & { pid: number }> {
  const spec = anInstance(change);
  await host.boot(spec);
  const { pid } = await host.observe(spec.id);
  if (pid === null) throw new Error('the instance died at once');
  return { ...spec, pid };
}
const within = (pid: number, ...command: string[]) =>
  run(['nsenter', `--target=${pid}`, '--net', '--mount', '--pid', '--uts', '--root', '--wd', ...command]);
const holder = async () => Number.parseInt(await readFile(join(stateDir, 'holder'), 'utf8'), 10);

describe('an instance', () => {
  it('answers on its addresses, to the machine and to another instance', async () => {
    const [one, two] = [lan.card(), lan.card()];
    const web = await boot({ nics: [one] });
    const other = await boot({ nics: [two] });
    expect(await ask(one.address)).toBe(`I am ${web.name}`);
    expect(await ask(one.address6)).toBe(`I am ${web.name}`);
    expect(await ask(one.address, other.pid)).toBe(`I am ${web.name}`);
    expect(await ask(one.address6, other.pid)).toBe(`I am ${web.name}`);
  });

  it('is not taken for the one that had its address before', async () => {
    const [old, heir] = [lan.card(), lan.card()];
    const { id } = await boot({ nics: [old] });
    await ask(old.address);
    await host.kill(id);
    await boot({ nics: [{ ...heir, addresses: old.addresses }] });
    expect(await run(['ip', 'neigh', 'show', 'to', old.address])).not.toContain(old.macAddress);
  });

  it('reaches the machine at the gateway of its network', async () => {
    const { pid } = await boot({ nics: [lan.card()] });
    const member = createServer((_, answer) => answer.end('a member on the machine')).listen(0, lan.gateway);
    await once(member, 'listening');
    try {
      const { port } = member.address() as AddressInfo;
      expect(await ask(`${lan.gateway}:${port}`, pid)).toBe('a member on the machine');
    } finally {
      member.close();
    }
  });

  it('has its cards in order, only the first one configured', async () => {
    const nics = [lan.card(), lan.card()];
    const { pid } = await boot({ nics });
    const cards = JSON.parse(await within(pid, 'ip', '-json', 'addr'));
    expect(cards).toMatchObject([
      { ifname: 'lo', operstate: 'UNKNOWN' },
      { ifname: 'eth0', address: nics[0]?.macAddress, operstate: 'UP' },
      { ifname: 'eth1', address: nics[1]?.macAddress, operstate: 'DOWN', addr_info: [] },
    ]);
    expect(await within(pid, 'ip', 'route')).toContain(`default via ${nics[0]?.gateways[0]} dev eth0`);
    expect(await within(pid, 'ip', '-6', 'route')).toContain(`default via ${nics[0]?.gateways[1]} dev eth0`);
  });

  it('is alone: its script is PID 1, and it has /proc, /run and host name of its own', async () => {
    const { pid, name: itsName } = await boot({ bootScript: 'exec sleep 1000' });
    expect((await within(pid, 'ls', '/proc')).split('\n').filter((entry) => /^\d+$/.test(entry))).toContain(
      '1',
    );
    // It says that it is up just before the image's script takes its place.
    await eventually(async () => {
      const line = await within(pid, 'cat', '/proc/1/cmdline');
      return line === 'sleep\x001000\0' ? line : undefined;
    });
    expect((await within(pid, 'ls', '/run')).trim()).toBe('boot');
    expect((await within(pid, 'cat', '/proc/sys/kernel/hostname')).trim()).toBe(itsName);
    const environment = (await within(pid, 'cat', '/proc/1/environ')).split('\0');
    expect(environment).toContain(`LIVIA_MEMORY_LIMIT_BYTES=${256 * 2 ** 20}`);
    expect(environment).toContain('HOME=/root');
  });

  it('is found by the record of its PID 1', async () => {
    const { id, pid } = await boot({});
    expect(await readFile(join(stateDir, 'instances', id, 'pid'), 'utf8')).toMatch(
      new RegExp(`^${pid} \\d+\n$`),
    );
  });

  it('keeps secrets in its own memory: on no disk, in no command line, for root alone', async () => {
    const secret = randomBytes(20).toString('hex');
    const files = [{ path: '/run/livia/agent.json', content: `'"$(id)\n${secret}`, mode: 0o400 }];
    const { pid } = await boot({ files, bootScript: 'exec sleep 1000' });
    expect(await within(pid, 'cat', '/run/livia/agent.json')).toBe(`'"$(id)\n${secret}`);
    expect(await within(pid, 'stat', '-c', '%a %U', '/run/livia/agent.json')).toBe('400 root\n');
    expect(await within(pid, 'stat', '-fc', '%T', '/run/livia/agent.json')).toBe('tmpfs\n');
    expect((await tryRun(['grep', '-r', secret, stateDir])).stdout).toBe('');
    expect(existsSync('/run/livia/agent.json')).toBe(false);
    expect(await processesWith(secret)).toEqual([]);
  });

  it('gets a card while it runs, and loses it', async () => {
    const { id, pid } = await boot({ nics: [lan.card()] });
    const card = lan.card();
    await host.attach(id, card);
    expect(JSON.parse(await within(pid, 'ip', '-json', 'link', 'show', 'eth1'))).toMatchObject([
      { address: card.macAddress, operstate: 'DOWN' },
    ]);
    await host.detach(id, card.macAddress);
    expect([...(await linksOf(pid))].toSorted()).toEqual(['eth0', 'lo']);
    await host.detach(id, card.macAddress);
  });

  it('that is alive is not booted again', async () => {
    const web = await boot({ nics: [lan.card()] });
    await host.boot(web);
    expect(await host.observe(web.id)).toMatchObject({ alive: true, pid: web.pid });
  });

  it('that cannot be made says why and leaves nothing', async () => {
    const unknown = aNetwork().card();
    const spec = anInstance({ nics: [unknown] });
    await expect(host.boot(spec)).rejects.toThrow('br-');
    expect(await host.observe(spec.id)).toMatchObject({ alive: false, pid: null });
    expect((await groupsOf(name)).filter((group) => group.includes(spec.id))).toEqual([]);
  });
});

describe('the end of an instance', () => {
  async function deathOf(change: Partial<InstanceSpec>): Promise<InstanceState> {
    const spec = anInstance(change);
    const death = new Promise<InstanceState>((resolve) => {
      host.onDeath((id, state) => id === spec.id && resolve(state));
    });
    await host.boot(spec);
    const state = await death;
    expect(await host.observe(spec.id)).toEqual(state);
    return state;
  }

  it('is told with its reason when it wants more memory than it may have', async () => {
    expect(host.limits, 'this test needs cgroups in which limits can be set').not.toBe('none');
    expect(await deathOf({ memoryBytes: 96 * 2 ** 20, bootScript: `exec ${hungry}` })).toEqual({
      alive: false,
      pid: null,
      oomKills: 1,
      memoryBytes: null,
      reason: 'out of memory: the kernel killed 1 process at its limit of 96 MiB',
    });
  });

  it('is told with its reason when its script ends', async () => {
    expect(await deathOf({ bootScript: 'exit 3' })).toMatchObject({
      reason: 'its first process ended (exit 3)',
    });
  });

  it('does not come when the kernel kills only a child, but that is counted', async () => {
    expect(host.limits, 'this test needs cgroups in which limits can be set').not.toBe('none');
    const { id } = await boot({
      memoryBytes: 96 * 2 ** 20,
      bootScript: `${hungry} || true; exec sleep 1000`,
    });
    const state = await eventually(async () => {
      const seen = await host.observe(id);
      return seen.oomKills > 0 ? seen : undefined;
    });
    expect(state).toMatchObject({ alive: true, oomKills: 1, reason: null });
    expect(state.memoryBytes).toBeLessThanOrEqual(96 * 2 ** 20);
  });

  it('leaves nothing when it was asked for, and is then no news', async () => {
    const deaths: string[] = [];
    host.onDeath((id) => deaths.push(id));
    const card = lan.card();
    const mark = `1000.${randomInt(2 ** 40)}`;
    const { id, pid } = await boot({ nics: [card], bootScript: `sleep ${mark} & exec sleep ${mark}` });
    await eventually(async () => ((await processesWith(mark)).length === 2 ? true : undefined));
    const links = await linksOf(await holder());
    await host.kill(id);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(await processesWith(mark)).toEqual([]);
    expect((await groupsOf(name)).filter((group) => group.includes(id))).toEqual([]);
    expect((await linksOf(await holder())).size).toBe(links.size - 1);
    expect(existsSync(join(stateDir, 'instances', id))).toBe(false);
    await host.kill(id);
    expect(deaths).toEqual([]);
    // Its card is free again at once.
    const next = await boot({ nics: [card] });
    expect(await ask(card.address)).toBe(`I am ${next.name}`);
  });
});

describe('a host', () => {
  it('takes its address out of a network and out of the machine', async () => {
    const net = aNetwork().network;
    await host.ensureNetwork(net);
    await host.ensureNetwork({ id: net.id, hostAddresses: net.hostAddresses.slice(1) });
    const addresses = async () => run(['ip', '-oneline', 'addr']);
    expect(await addresses()).not.toContain(net.hostAddresses[0]);
    expect(await addresses()).toContain(net.hostAddresses[1]);
    await host.removeNetwork(net.id);
    await host.removeNetwork(net.id);
    expect(await addresses()).not.toContain(net.hostAddresses[1]);
  });

  it('stands beside another, and closing it leaves the other alone and nothing of its own', async () => {
    const otherDir = await mkdtemp(join(tmpdir(), 'livia-host-'));
    const otherName = aName();
    const other = await openHost({ stateDir: otherDir, name: otherName, log: quiet });
    const net = aNetwork();
    const card = net.card();
    await other.ensureNetwork(net.network);
    await other.boot(anInstance({ nics: [card] }));
    const web = await boot({ nics: [lan.card()] });
    expect(await ask(card.address)).toMatch('I am');
    const held = Number.parseInt(await readFile(join(otherDir, 'holder'), 'utf8'), 10);
    await other.close();
    expect(existsSync(`/proc/${held}`)).toBe(false);
    expect(await groupsOf(otherName)).toEqual([]);
    expect([...(await linksOf('self'))].filter((link) => link.startsWith(`l${otherName}-`))).toEqual([]);
    expect((await tryRun(['find', otherDir, '-type', 'f'])).stdout).toBe('');
    expect(await ask(web.nics[0]!.addresses[0]!.split('/')[0]!)).toBe(`I am ${web.name}`);
    await rm(otherDir, { recursive: true });
  });
});
