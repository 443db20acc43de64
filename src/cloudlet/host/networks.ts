import { networkInterfaces } from 'node:os';
import { run, tryRun } from '../../platform/run.ts';
import type { HeldNamespace } from './held-namespace.ts';
import type { CardLimit, HostNetwork, Nic } from './host.ts';
import { addressLines, ip, linksOf, word } from './links.ts';

/** Bridges in the cloud namespace, the machine's own legs in them, and the cards of the instances. */
export interface Networks {
  ensure(network: HostNetwork): Promise<void>;
  remove(id: string): Promise<void>;
  /**
   * Puts cards into the network namespace of the process, named eth<first>, eth<first + 1> …, down and without
   * addresses. The owner is an instance or a router.
   */
  plug(ownerId: string, pid: number, nics: readonly Nic[], first: number): Promise<void>;
  unplug(macAddress: string): Promise<void>;
  /** The kernel does it by itself when the instance's namespace dies, but some time later. */
  unplugAll(ownerId: string): Promise<void>;
  /** Addresses in these networks may be at another card now; the machine would ask the old one for seconds. */
  forgetNeighbours(networkIds: readonly string[]): Promise<void>;
  limit(limits: readonly CardLimit[]): Promise<void>;
  close(): Promise<void>;
}

export async function openNetworks(cloud: HeldNamespace, name: string): Promise<Networks> {
  const leg = (networkId: string) => `l${name}-${hex(networkId, 7)}`;
  const ours = new RegExp(`^l${name}-[0-9a-f]{7}$`);
  // Legs into an earlier cloud namespace that nobody knows any more hold the addresses that the new legs need.
  if (!cloud.adopted) await removeLegs();

  async function removeLegs(): Promise<void> {
    for (const link of await linksOf('self')) if (ours.test(link)) await removeLink(link, 'self');
  }

  async function ensureLeg(network: HostNetwork): Promise<void> {
    const link = leg(network.id);
    const there = (await linksOf('self')).has(link);
    if (network.hostAddresses.length === 0) {
      if (there) await removeLink(link, 'self');
      return;
    }
    if (!there) await ip([`link add ${link} type veth peer name ${far(network.id)} netns ${cloud.pid()}`]);
    await ip([`link set ${far(network.id)} master ${bridge(network.id)} up`], cloud.path);
    const old = (networkInterfaces()[link] ?? []).filter((address) => !address.address.startsWith('fe80:'));
    const gone = old.filter(({ cidr }) => cidr !== null && !network.hostAddresses.includes(cidr));
    await ip([
      `link set ${link} up`,
      ...addressLines('replace', link, network.hostAddresses),
      ...gone.map(({ cidr }) => `addr del ${cidr} dev ${link}`),
    ]);
  }

  async function forgetNeighbours(networkIds: readonly string[]): Promise<void> {
    const legs = await linksOf('self');
    const reached = new Set(networkIds.map(leg).filter((link) => legs.has(link)));
    await ip([...reached].map((link) => `neigh flush dev ${link}`));
  }

  return {
    async ensure(network) {
      const link = bridge(network.id);
      if (!(await linksOf(cloud.pid())).has(link)) {
        await ip([`link add ${link} up type bridge forward_delay 0 mcast_snooping 0`], cloud.path);
      }
      await ensureLeg(network);
    },

    async remove(id) {
      await ensureLeg({ id, hostAddresses: [] });
      await removeLink(bridge(id), cloud.pid(), cloud.path);
    },

    async plug(ownerId, pid, nics, first) {
      const lines = nics.flatMap((nic, index) => [
        `link add ${port(nic.macAddress)} up master ${bridge(nic.networkId)} type veth ` +
          `peer name eth${first + index} address ${word(nic.macAddress)} netns ${pid}`,
        `link set ${port(nic.macAddress)} alias ${word(ownerId)}`,
      ]);
      await Promise.all([ip(lines, cloud.path), forgetNeighbours(nics.map((nic) => nic.networkId))]);
    },

    async unplug(macAddress) {
      await removeLink(port(macAddress), cloud.pid(), cloud.path);
    },

    async unplugAll(ownerId) {
      const text = await run([
        'nsenter',
        `--net=${cloud.path}`,
        'ip',
        '-json',
        'link',
        'show',
        'type',
        'veth',
      ]);
      const links = JSON.parse(text) as readonly { ifname: string; ifalias?: string }[];
      for (const link of links.filter(({ ifalias }) => ifalias === ownerId)) {
        await removeLink(link.ifname, cloud.pid(), cloud.path);
      }
    },

    forgetNeighbours,

    async limit(limits) {
      const nft = ['nsenter', `--net=${cloud.path}`, 'nft'];
      // A kernel without rules for bridges has none to take away.
      if (limits.length === 0) await tryRun([...nft, 'delete', 'table', 'bridge', 'limits']);
      else await run([...nft, '-f', '-'], { input: limitRules(limits) });
    },

    close: removeLegs,
  };
}

/** Gone before or now, by us or by the kernel, which may be taking it away with its other end at this moment. */
async function removeLink(link: string, pid: number | 'self', namespace?: string): Promise<void> {
  if (!(await linksOf(pid)).has(link)) return;
  await ip([`link del ${link}`], namespace).catch(async (error: unknown) => {
    if ((await linksOf(pid)).has(link)) throw error;
  });
}

/** The table is one transaction. What arrives at the port of a card is what the instance sends. */
function limitRules(limits: readonly CardLimit[]): string {
  const rules = limits.map(({ macAddress, direction, bytesPerSecond, burstBytes }) => {
    const match = `${direction === 'egress' ? 'iifname' : 'oifname'} "${port(macAddress)}"`;
    if (bytesPerSecond === 0) return `${match} drop`;
    const burst = Math.max(Math.round(burstBytes), 1500); // a burst of less than a packet would let none pass
    return `${match} limit rate over ${Math.round(bytesPerSecond)} bytes/second burst ${burst} bytes drop`;
  });
  return [
    'table bridge limits',
    'delete table bridge limits',
    'table bridge limits {',
    'chain passing {',
    'type filter hook forward priority 0',
    ...rules,
    '}',
    '}',
    '',
  ].join('\n');
}

// A link's name has at most 15 characters.
const bridge = (networkId: string) => `br-${hex(networkId, 8)}`;
const far = (networkId: string) => `h-${hex(networkId, 8)}`;
const port = (macAddress: string) => `v-${hex(macAddress.replaceAll(':', ''), 12)}`;

function hex(id: string, digits: number): string {
  const start = id.replaceAll('-', '').slice(0, digits).toLowerCase();
  if (!/^[0-9a-f]+$/.test(start) || start.length < digits)
    throw new Error(`not an identifier: ${JSON.stringify(id)}`);
  return start;
}
