import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { aWanted } from '../plan/haproxy/wanted.fixture.ts';
import { run } from '../platform/run.ts';
import type { WantedInterface } from '../wire/wanted.ts';

const module = join(import.meta.dirname, 'links.ts');
const mac = '02:00:00:00:00:01';

let inside: string;
let outside: string;

/** An amphora's namespace and a neighbour's, joined by a cable. */
beforeEach(async () => {
  const name = `livia-${randomBytes(3).toString('hex')}`;
  [inside, outside] = [`${name}-a`, `${name}-b`];
  for (const namespace of [inside, outside]) await run(['ip', 'netns', 'add', namespace]);
  await run(
    `ip -n ${inside} link add eth1 address ${mac} type veth peer name eth0 netns ${outside}`.split(' '),
  );
  await run(['ip', '-n', outside, 'link', 'set', 'eth0', 'up']);
  await run(['ip', '-n', outside, 'address', 'add', '198.51.100.1/24', 'dev', 'eth0']);
});
afterEach(async () => {
  for (const namespace of [inside, outside]) await run(['ip', 'netns', 'del', namespace]);
});

/** As the agent does it within the amphora. */
async function ensure(card: Partial<WantedInterface>, taking = true): Promise<void> {
  const wanted = aWanted({ interfaces: [{ mac, addresses: [], vips: [], gateways: [], ...card }] });
  const program = `import { ensureLinks, takeVips } from ${JSON.stringify(module)};
    const wanted = ${JSON.stringify(wanted)};
    await ensureLinks(wanted);
    if (${taking}) await takeVips(wanted);`;
  await run(['ip', 'netns', 'exec', inside, process.execPath, '--input-type=module', '-e', program]);
}

async function addresses(): Promise<string[]> {
  const text = await run(['ip', '-n', inside, '-json', 'address', 'show', 'dev', 'eth1']);
  const [link] = JSON.parse(text) as [{ addr_info: { local: string; prefixlen: number; scope: string }[] }];
  return link.addr_info
    .filter(({ scope }) => scope === 'global')
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
}

const card = {
  addresses: ['198.51.100.7/24', '2001:DB8:0::7/64'],
  vips: ['198.51.100.50/24', '2001:db8::50/64'],
  gateways: ['198.51.100.1'],
};

describe('the cards of an amphora', () => {
  it('get their addresses, own before VIP, and the default route; once more changes nothing', async () => {
    await ensure(card);
    const expected = ['198.51.100.7/24', '198.51.100.50/24'];
    expect((await addresses()).filter((address) => !address.includes(':'))).toEqual(expected);
    expect((await addresses()).toSorted()).toEqual(
      [...expected, '2001:db8::7/64', '2001:db8::50/64'].toSorted(),
    );
    expect(await run(['ip', '-n', inside, 'route', 'show', 'default'])).toContain(
      'via 198.51.100.1 dev eth1',
    );
    const before = await addresses();
    await ensure(card);
    expect(await addresses()).toEqual(before);
  });

  it('keep the VIPs they have, and take no other before there is somebody to answer', async () => {
    await ensure({ addresses: ['198.51.100.7/24'], vips: ['198.51.100.50/24'] });
    await ensure({ addresses: ['198.51.100.7/24'], vips: ['198.51.100.50/24', '198.51.100.51/24'] }, false);
    expect(await addresses()).toEqual(['198.51.100.7/24', '198.51.100.50/24']);
  });

  it('lose what is not wanted any more, and nothing else', async () => {
    await ensure({ addresses: ['198.51.100.7/24'], vips: ['198.51.100.50/24', '198.51.100.51/24'] });
    await ensure({ addresses: ['198.51.100.8/24'], vips: ['198.51.100.51/24'] });
    expect((await addresses()).toSorted()).toEqual(['198.51.100.51/24', '198.51.100.8/24']);
  });

  it('tell their neighbours of a VIP that another amphora had', async () => {
    await ensure({ addresses: ['198.51.100.7/24'] });
    await run(
      `ip -n ${outside} neigh replace 198.51.100.50 lladdr 02:00:00:00:00:99 dev eth0 nud stale`.split(' '),
    );
    await ensure({ addresses: ['198.51.100.7/24'], vips: ['198.51.100.50/24'] });
    for (;;) {
      const neighbour = await run(['ip', '-n', outside, 'neigh', 'show', '198.51.100.50']);
      if (neighbour.includes(mac)) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });

  it('are waited for, and named when they do not come', async () => {
    await expect(ensure({ mac: '02:00:00:00:00:02' })).rejects.toThrow(
      'there is no network card 02:00:00:00:00:02',
    );
  });
});
