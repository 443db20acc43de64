import type { CardLimit, Host, HostNetwork, HostRouter } from '../host/host.ts';
import { parseAddress } from './addresses.ts';
import { nicOf } from './nic.ts';
import { type Net, type Network, type Router, subnetsOn } from './records.ts';
import { interfacesOf } from './routers.ts';

/** Keeps the machine's networks, routers and limits as the records say. */
export interface Wiring {
  /** Makes the network as the records are now; gone if it is. */
  network(network: Network): Promise<void>;
  /** Makes all that follows from several records: routers, and the limits of cards. What is so already costs nothing. */
  settle(): Promise<void>;
}

export function openWiring(net: Net, host: Host): Wiring {
  /** What the machine was last told of each thing, and whether it has done it. */
  const told = new Map<string, { readonly wish: string; readonly done: Promise<void> }>();

  /** Does it unless it was done for the same wish; after a failure it is done again. */
  async function once(key: string, wish: unknown, act: () => Promise<void>): Promise<void> {
    const text = JSON.stringify(wish);
    const before = told.get(key);
    if (before?.wish === text) return before.done;
    const entry = { wish: text, done: act() };
    told.set(key, entry);
    try {
      await entry.done;
    } catch (error) {
      if (told.get(key) === entry) told.delete(key);
      throw error;
    }
  }

  async function removeRouter(id: string): Promise<void> {
    told.delete(id);
    await host.removeRouter(id);
  }

  return {
    async network({ id }) {
      const known = net.networks.get(id);
      if (known === undefined) return host.removeNetwork(id);
      return host.ensureNetwork(hostNetwork(net, known));
    },

    async settle() {
      const gone = host.routers().filter((id) => net.routers.get(id) === undefined);
      const wanted = net.routers.all().map((router) => hostRouter(net, router));
      await Promise.all([
        ...gone.map(removeRouter),
        ...wanted.map((router) => once(router.id, router, () => host.ensureRouter(router))),
        once('limits', limitsOf(net), () => host.limitCards(limitsOf(net))),
      ]);
    },
  };
}

function hostNetwork(net: Net, network: Network): HostNetwork {
  const gateways = network.host_leg ? subnetsOn(net, network.id) : [];
  const hostAddresses = gateways.flatMap(({ gateway_ip, cidr }) =>
    gateway_ip === null ? [] : [`${gateway_ip}/${cidr.split('/')[1]}`],
  );
  return { id: network.id, hostAddresses };
}

/** A router that is switched off has no cards. */
export function hostRouter(net: Net, router: Router): HostRouter {
  const off = { id: router.id, cards: [], routes: [], outerMac: null, outerAddress: null, floating: [] };
  if (!router.admin_state_up) return off;
  // Its own address is the way out for others there, not for itself.
  const inner = interfacesOf(net, router).map((port) => ({ ...nicOf(net, port), gateways: [] }));
  const outer = router.gateway === null ? undefined : net.ports.get(router.gateway.port_id);
  const v4 = outer?.fixed_ips.find((fixed) => parseAddress(fixed.ip_address)?.version === 4);
  return {
    id: router.id,
    cards: outer === undefined ? inner : [...inner, nicOf(net, outer)],
    routes: router.routes,
    outerMac: outer?.mac_address ?? null,
    outerAddress: router.gateway?.enable_snat === true ? (v4?.ip_address ?? null) : null,
    floating: net.floatingIps
      .all()
      .filter((each) => each.router_id === router.id)
      .map((each) => ({ outer: each.floating_ip_address, inner: each.fixed_ip_address ?? '' })),
  };
}

/** Ports' own policies, else their networks'. */
export function limitsOf(net: Net): CardLimit[] {
  return net.ports.all().flatMap((port) => {
    if (port.device_owner.startsWith('network:')) return [];
    const policy = net.policies.get(
      port.qos_policy_id ?? net.networks.get(port.network_id)?.qos_policy_id ?? '',
    );
    return (policy?.limits ?? []).map((limit) => ({
      macAddress: port.mac_address,
      direction: limit.direction,
      bytesPerSecond: limit.max_kbps * 125,
      burstBytes: limit.max_burst_kbps === 0 ? limit.max_kbps * 100 : limit.max_burst_kbps * 125,
    }));
  });
}
