import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findPlaces, openCgroups } from './cgroups.ts';
import { openHeldNamespace } from './held-namespace.ts';
import type { Host, HostOptions } from './host.ts';
import { openInstances } from './instances.ts';
import { linksOf } from './links.ts';
import { openNetworks } from './networks.ts';
import { openRouters } from './routers.ts';

// Bridged frames are the cloud's business alone: no firewall hooks, no IPv6 addresses of the bridges themselves.
const ofCloud = [
  'bridge/bridge-nf-call-iptables=0',
  'bridge/bridge-nf-call-ip6tables=0',
  'bridge/bridge-nf-call-arptables=0',
  'ipv6/conf/all/disable_ipv6=1',
  'ipv6/conf/default/disable_ipv6=1',
];

/**
 * Takes over what an earlier run of that name and folder left alive and clears away the rest. Needs root, of the machine
 * or of a user namespace; throws one line when it is neither.
 */
export async function openHost(options: HostOptions): Promise<Host> {
  const { stateDir, name, log } = options;
  if (!/^[a-z0-9]{1,6}$/.test(name)) throw new Error(`a host's name is 1 to 6 of a-z 0-9, not "${name}"`);
  await mkdir(join(stateDir, 'instances'), { recursive: true, mode: 0o700 });

  const mountinfo = await readFile('/proc/self/mountinfo', 'utf8');
  const places = findPlaces(mountinfo, await readFile('/proc/self/cgroup', 'utf8'));
  const cgroups = await openCgroups(name, places, (place, error) =>
    log.debug({ place: place.memory, error }, 'no limits can be set here'),
  );
  const cloud = await openHeldNamespace({
    ...{ record: join(stateDir, 'holder'), settings: ofCloud, what: 'the cloud', log },
  });
  const networks = await openNetworks(cloud, name);
  const routers = await openRouters({ stateDir, networks, log });
  const instances = await openInstances({ stateDir, adopt: cloud.adopted, cgroups, networks, log });
  log.info({ limits: cgroups.version, instances: instances.ids() }, 'host is open');

  // What is asked of one instance or network is done in the order of asking.
  const lanes = new Map<string, Promise<unknown>>();
  let closed = false;
  function inTurn<T>(id: string, act: () => Promise<T>): Promise<T> {
    if (closed) return Promise.reject(new Error('the host is closed'));
    if (!/^[0-9a-zA-Z-]{1,64}$/.test(id))
      return Promise.reject(new Error(`not an id: ${JSON.stringify(id)}`));
    const turn = (lanes.get(id) ?? Promise.resolve()).then(act, act);
    lanes.set(id, turn);
    const leave = () => {
      if (lanes.get(id) === turn) lanes.delete(id);
    };
    turn.then(leave, leave);
    return turn;
  }

  return {
    limits: cgroups.version,
    ensureNetwork: (network) => inTurn(network.id, () => networks.ensure(network)),
    removeNetwork: (id) => inTurn(id, () => networks.remove(id)),
    routers: () => routers.ids(),
    ensureRouter: (router) => inTurn(router.id, () => routers.ensure(router)),
    removeRouter: (id) => inTurn(id, () => routers.remove(id)),
    limitCards: (limits) => inTurn('limits', () => networks.limit(limits)),
    boot: (spec) => inTurn(spec.id, () => instances.boot(spec)),
    kill: (id) => inTurn(id, () => instances.kill(id)),
    observe: (id) => instances.observe(id),
    onDeath: (listener) => instances.onDeath(listener),

    attach: (id, nic) =>
      inTurn(id, async () => {
        const pid = instances.running(id)?.first.pid;
        if (pid === undefined) throw new Error(`instance ${id} is not running`);
        const taken = await linksOf(pid);
        let next = 0;
        while (taken.has(`eth${next}`)) next += 1;
        await networks.plug(id, pid, [nic], next);
      }),

    detach: (id, macAddress) => inTurn(id, () => networks.unplug(macAddress)),

    async close() {
      closed = true;
      await Promise.allSettled(lanes.values());
      await Promise.all(instances.ids().map((id) => instances.kill(id)));
      await Promise.all(routers.ids().map((id) => routers.remove(id)));
      await networks.close();
      await cloud.close();
      await cgroups.close();
    },
  };
}
