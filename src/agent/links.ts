import { readFile, writeFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { run, tryRun } from '../platform/run.ts';
import type { WantedAmphora, WantedInterface } from '../wire/wanted.ts';

interface Link {
  readonly ifname: string;
  readonly address: string;
  readonly operstate: string;
  readonly flags: readonly string[];
  readonly addr_info: readonly {
    readonly local: string;
    readonly prefixlen: number;
    readonly scope: string;
  }[];
}

const cardLimitMs = 5000;

async function links(): Promise<readonly Link[]> {
  return JSON.parse(await run(['ip', '-json', 'address', 'show'])) as Link[];
}

/** A card may be plugged while the wish is on its way. */
async function linkOf(mac: string): Promise<Link> {
  for (let waitedMs = 0; ; waitedMs += 50) {
    const link = (await links()).find((candidate) => candidate.address === mac);
    if (link !== undefined) return link;
    if (waitedMs >= cardLimitMs) throw new Error(`there is no network card ${mac}`);
    await sleep(50);
  }
}

/** Not every kernel has every setting, and IPv6 may be off: then there is nothing to set. */
async function setting(path: string, value: string): Promise<void> {
  const file = `/proc/sys/net/${path}`;
  const now = await readFile(file, 'utf8').catch(() => undefined);
  if (now !== undefined && now.trim() !== value) await writeFile(file, value);
}

/** An address as the kernel writes it, so that two spellings of one are the same. */
function spelled(cidr: string): string {
  const [base = '', prefix] = cidr.split('/');
  if (!isIPv6(base)) return `${base}/${prefix ?? 32}`;
  return `${new URL(`http://[${base}]`).hostname.slice(1, -1)}/${prefix ?? 128}`;
}

/** Lines of `ip -batch`, run in order. */
async function ip(lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await run(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

const spelledAll = (cidrs: readonly string[]): readonly string[] => [...new Set(cidrs.map(spelled))];

const presentOn = (link: Link): readonly string[] =>
  link.addr_info
    .filter(({ scope }) => scope === 'global')
    .map(({ local, prefixlen }) => spelled(`${local}/${prefixlen}`));

const adding = (addresses: readonly string[], dev: string): readonly string[] =>
  addresses.map((address) => `address add ${address} dev ${dev}${address.includes(':') ? ' nodad' : ''}`);

/** Own addresses and routes; VIPs it has and may keep stay. */
async function ensureInterface(wanted: WantedInterface): Promise<void> {
  const link = await linkOf(wanted.mac);
  const dev = link.ifname;
  // The kernel then tells the neighbours when the card comes up and when its MAC is set.
  await setting(`ipv4/conf/${dev}/arp_notify`, '1');
  await setting(`ipv6/conf/${dev}/ndisc_notify`, '1');
  // Else the second address of a subnet goes when the first is removed.
  await setting(`ipv4/conf/${dev}/promote_secondaries`, '1');

  // Own addresses first: the kernel takes the first of a subnet as the source of what we begin.
  const present = presentOn(link);
  const own = spelledAll(wanted.addresses);
  const allowed = [...own, ...spelledAll(wanted.vips)];
  await ip([
    ...adding(
      own.filter((address) => !present.includes(address)),
      dev,
    ),
    ...present
      .filter((address) => !allowed.includes(address))
      .map((address) => `address del ${address} dev ${dev}`),
    ...(link.flags.includes('UP') ? [] : [`link set ${dev} up`]),
  ]);
  await ip(wanted.gateways.map((gateway) => `route replace default via ${gateway} dev ${dev}`));
}

/** Again: who asked for an address while the amphora before us was still there may have heard that one last. */
const announceAgainAfterMs = [1000, 3000, 6000];

async function takeVipsOf(wanted: WantedInterface): Promise<void> {
  const link = await linkOf(wanted.mac);
  const dev = link.ifname;
  const present = presentOn(link);
  const missing = spelledAll(wanted.vips).filter((address) => !present.includes(address));
  if (missing.length === 0) return;
  // Setting the MAC it has makes the kernel tell the neighbours of the new addresses.
  const announcement = `link set ${dev} address ${wanted.mac}`;
  await ip([...adding(missing, dev), announcement]);
  for (const afterMs of announceAgainAfterMs) {
    setTimeout(() => void ip([announcement]).catch(() => undefined), afterMs).unref(); // the card may be gone by then
  }
}

/** Throws when there is no such card. */
export async function cardName(mac: string): Promise<string> {
  return (await linkOf(mac)).ifname;
}

/** Somebody else has them now. */
export async function dropVips(wanted: WantedAmphora): Promise<void> {
  for (const card of wanted.interfaces) {
    const link = await linkOf(card.mac);
    const present = presentOn(link);
    const dropped = spelledAll(card.vips).filter((address) => present.includes(address));
    await ip(dropped.map((address) => `address del ${address} dev ${link.ifname}`));
  }
}

/** From now on the VIPs are ours; to be called when there is somebody to answer at them. */
export async function takeVips(wanted: WantedAmphora): Promise<void> {
  for (const card of wanted.interfaces) await takeVipsOf(card);
}

/**
 * Makes cards, own addresses and default routes as wanted, and leaves other cards alone. Repeating it changes nothing.
 * Throws when a card is not there: it may come.
 */
export async function ensureLinks(wanted: WantedAmphora): Promise<void> {
  if (wanted.interfaces.length === 0) return;
  // HAProxy may listen on an address that is another amphora's at the moment.
  await setting('ipv4/ip_nonlocal_bind', '1');
  await setting('ipv6/ip_nonlocal_bind', '1');
  for (const card of wanted.interfaces) await ensureInterface(card);
}

/**
 * The addresses of the card towards the controllers, whose way to it is kept as it is now, whatever becomes of the
 * default route, which belongs to the clients. Empty when there is no way to any. `receivers` are `address:port`.
 */
export async function managementAddresses(receivers: readonly string[]): Promise<readonly string[]> {
  const cards = new Set<string>();
  for (const receiver of receivers) {
    const address = receiver.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
    const found = await tryRun(['ip', '-json', 'route', 'get', address]);
    if (found.code !== 0) continue; // no way there yet: nothing to keep
    const [route] = JSON.parse(found.stdout) as { gateway?: string; dev: string }[];
    if (route === undefined) continue;
    cards.add(route.dev);
    if (route.gateway !== undefined) {
      await ip([`route replace ${address} via ${route.gateway} dev ${route.dev}`]);
    }
  }
  return (await links())
    .filter(({ ifname }) => cards.has(ifname))
    .flatMap(({ addr_info }) => addr_info.filter(({ scope }) => scope !== 'link').map(({ local }) => local));
}
