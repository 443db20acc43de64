import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../platform/log.ts';
import { run, tryRun } from '../../platform/run.ts';
import { type HeldNamespace, openHeldNamespace } from './held-namespace.ts';
import type { FloatingAddress, HostRouter, Nic } from './host.ts';
import { addressLines, ip, linksOf, word } from './links.ts';
import type { Networks } from './networks.ts';
import { routerRules } from './router-rules.ts';

/** Routers: a network namespace each, with a card in every network it joins. */
export interface Routers {
  ids(): readonly string[];
  ensure(router: HostRouter): Promise<void>;
  remove(id: string): Promise<void>;
}

const settings = [
  'ipv4/ip_forward=1',
  'ipv6/conf/all/forwarding=1',
  'ipv6/conf/default/forwarding=1',
  'ipv6/conf/default/accept_dad=0',
  'ipv4/conf/all/arp_notify=1',
  // Two cards of one router may be asked for an address that only one of them has.
  'ipv4/conf/all/arp_ignore=1',
  'ipv4/conf/all/send_redirects=0',
  'ipv4/conf/default/send_redirects=0',
];

interface Standing {
  readonly namespace: HeldNamespace;
  /** As it was last made; undefined: an earlier run's. */
  readonly floating: readonly FloatingAddress[] | undefined;
}

/** The folder `routers` holds one record for each: the process that holds its namespace. */
export async function openRouters(options: {
  stateDir: string;
  networks: Networks;
  log: Log;
}): Promise<Routers> {
  const { networks, log } = options;
  const home = join(options.stateDir, 'routers');
  const standing = new Map<string, Standing>();
  const open = (id: string) =>
    openHeldNamespace({ record: join(home, id), settings, what: `router ${id}`, log });

  await mkdir(home, { recursive: true, mode: 0o700 });
  for (const id of await readdir(home)) standing.set(id, { namespace: await open(id), floating: undefined });

  return {
    ids: () => [...standing.keys()],

    async ensure(router) {
      const before = standing.get(router.id) ?? { namespace: await open(router.id), floating: undefined };
      standing.set(router.id, before);
      const { namespace } = before;
      await plugCards(networks, namespace, router);
      const outer = await configure(namespace, router);
      await run(inside(namespace, 'nft', '-f', '-'), { input: routerRules(router, outer) });
      const stale = (before.floating ?? []).filter((old) => !router.floating.some((now) => same(old, now)));
      for (const { outer } of stale) await forgetConnections(namespace, outer);
      standing.set(router.id, { namespace, floating: router.floating });
      await networks.forgetNeighbours(router.cards.map((card) => card.networkId));
    },

    async remove(id) {
      const found = standing.get(id);
      if (found === undefined) return;
      await networks.unplugAll(id);
      await found.namespace.close();
      standing.delete(id);
    },
  };
}

/** Exactly the wanted cards, told by their MAC. */
async function plugCards(networks: Networks, namespace: HeldNamespace, router: HostRouter): Promise<void> {
  const there = await cardsIn(namespace);
  for (const { mac } of there) {
    if (!router.cards.some((card) => card.macAddress === mac)) await networks.unplug(mac);
  }
  for (const card of router.cards) {
    if (there.some(({ mac }) => mac === card.macAddress)) continue;
    const taken = await linksOf(namespace.pid());
    let next = 0;
    while (taken.has(`eth${next}`)) next += 1;
    await networks.plug(router.id, namespace.pid(), [card], next);
  }
}

/** Addresses and routes: the new ones first, so that what stays is never away. Gives the name of the outer card. */
async function configure(namespace: HeldNamespace, router: HostRouter): Promise<string | undefined> {
  const there = await cardsIn(namespace);
  const lines: string[] = ['link set lo up'];
  const gone: string[] = [];
  for (const card of router.cards) {
    const found = there.find(({ mac }) => mac === card.macAddress);
    if (found === undefined) throw new Error(`router ${router.id} lost the card ${card.macAddress}`);
    const wanted = addressesOf(router, card);
    lines.push(`link set ${found.name} up`, ...addressLines('replace', found.name, wanted));
    for (const address of found.addresses) {
      if (!wanted.includes(address)) gone.push(`addr del ${address} dev ${found.name}`);
    }
  }
  const routes = [
    ...router.cards.flatMap((card) => card.gateways.map((nexthop) => ({ destination: 'default', nexthop }))),
    ...router.routes,
  ];
  lines.push(...routes.map((route) => `route replace ${routeOf(route)} proto static`));
  await ip([...lines, ...gone], namespace.path);
  await removeOtherRoutes(namespace, routes.map(routeOf));
  return there.find(({ mac }) => mac === router.outerMac)?.name;
}

/** Floating addresses are on the outer card, so that it answers for them. */
function addressesOf(router: HostRouter, card: Nic): string[] {
  if (card.macAddress !== router.outerMac) return [...card.addresses];
  return [...card.addresses, ...router.floating.map(({ outer }) => `${outer}/32`)];
}

type Route = HostRouter['routes'][number];
const routeOf = ({ destination, nexthop }: Route) => `${word(destination)} via ${word(nexthop)}`;

async function removeOtherRoutes(namespace: HeldNamespace, wanted: readonly string[]): Promise<void> {
  for (const version of ['-4', '-6']) {
    const text = await run(inside(namespace, 'ip', '-json', version, 'route', 'show', 'proto', 'static'));
    const routes = JSON.parse(text || '[]') as readonly { dst: string; gateway?: string }[];
    for (const { dst, gateway = '' } of routes) {
      const route = `${dst} via ${gateway}`;
      const bare =
        dst.includes('/') || dst === 'default'
          ? route
          : `${dst}/${version === '-4' ? 32 : 128} via ${gateway}`;
      if (wanted.includes(route) || wanted.includes(bare)) continue;
      await run(inside(namespace, 'ip', version, 'route', 'del', ...route.split(' ')));
    }
  }
}

interface Card {
  readonly name: string;
  readonly mac: string;
  /** `address/prefix`, without those the kernel makes up. */
  readonly addresses: readonly string[];
}

async function cardsIn(namespace: HeldNamespace): Promise<Card[]> {
  const links = JSON.parse(await run(inside(namespace, 'ip', '-json', 'address'))) as readonly {
    ifname: string;
    address?: string;
    addr_info: readonly { local: string; prefixlen: number; scope: string }[];
  }[];
  return links
    .filter(({ ifname }) => ifname.startsWith('eth'))
    .map(({ ifname, address = '', addr_info }) => ({
      name: ifname,
      mac: address,
      addresses: addr_info
        .filter(({ scope }) => scope === 'global')
        .map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    }));
}

/** What went on by an address that forwards elsewhere now would go on to the old place. */
async function forgetConnections(namespace: HeldNamespace, outer: string): Promise<void> {
  // It ends with 1 when there is none.
  await tryRun(inside(namespace, 'conntrack', '--delete', '--orig-dst', word(outer)));
}

const same = (left: FloatingAddress, right: FloatingAddress) =>
  left.outer === right.outer && left.inner === right.inner;

const inside = (namespace: HeldNamespace, ...command: string[]) => [
  'nsenter',
  `--net=${namespace.path}`,
  ...command,
];
