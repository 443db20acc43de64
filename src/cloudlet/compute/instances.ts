import type { Log } from '../../platform/log.ts';
import type { Host, InstanceSpec, InstanceState } from '../host/host.ts';
import type { Images } from '../images/images.ts';
import { nicOf } from '../network/nic.ts';
import type { Net, Port } from '../network/records.ts';
import type { Vault } from '../vault.ts';
import { portsOf, release, serverWith, setStatus } from './cards.ts';
import { makeLanes } from './lanes.ts';
import { changeServer, type Nova, promisedRam, type Server, timestamp } from './records.ts';
import { parseUserData } from './user-data.ts';

export interface InstancesParts {
  readonly nova: Nova;
  readonly net: Net;
  readonly images: Images;
  readonly host: Host;
  readonly vault: Vault;
  /** What the flavors of all servers together may promise, MiB. */
  readonly ramLimit: number;
  /** Ports have come or gone. */
  readonly settle: () => Promise<void>;
  readonly log: Log;
}

/** Makes instances what the records say. Every call returns at once; what is asked of one server is done in order. */
export interface Instances {
  /** Brings a server up that is `building`. */
  build(id: string): void;
  stop(id: string): void;
  start(id: string): void;
  reboot(id: string): void;
  remove(id: string): void;
  attach(id: string, portId: string): Promise<void>;
  detach(id: string, portId: string): Promise<void>;
  /** A port was removed under its server. */
  portRemoved(port: Port): Promise<void>;
  /**
   * Goes on where the last run was cut off; what should run and does not is booted again. Resolves when the records
   * say which those are.
   */
  resume(): Promise<void>;
  /** Nothing new is begun; resolves when what is under way is done. */
  settle(): Promise<void>;
}

/** Boots at the same time; more would only make each other late. */
const parallelBoots = 8;

const noValidHost = 'No valid host was found. There are not enough hosts available.';

export function openInstances(parts: InstancesParts): Instances {
  const { nova, net, images, host, vault, ramLimit, settle, log } = parts;
  const lanes = makeLanes(parallelBoots);
  let closing = false;

  host.onDeath((id, state) => work(id, (server) => died(server, state)));

  /** Does the work when it is the server's turn, if there still is such a server. A failure becomes its fault. */
  function work(id: string, act: (server: Server) => Promise<void>): void {
    const done = lanes.run(id, async () => {
      const server = nova.servers.get(id);
      if (server === undefined || closing) return;
      try {
        await act(server);
      } catch (error) {
        if (closing) return; // the next start goes on
        fail(server, 500, error instanceof Error ? error.message : String(error));
      }
    });
    done.catch((error: unknown) => log.error({ server: id, err: error }, 'work on a server failed'));
  }

  /** The change, and the end of the task; but a removal that was asked for meanwhile is never forgotten. */
  function finished(id: string, change: Partial<Server>): void {
    const deleting = nova.servers.get(id)?.task_state === 'deleting';
    changeServer(nova, id, { ...change, task_state: deleting ? 'deleting' : null });
  }

  function fail(server: Server, code: number, message: string): void {
    log.warn({ server: server.id, name: server.name, reason: message }, 'a server is in error');
    nova.records.transaction(() => {
      const fault = { code, message, created: timestamp(nova) };
      finished(server.id, { vm_state: 'error', fault });
      setStatus(net, server, 'DOWN');
    });
  }

  async function build(server: Server): Promise<void> {
    if (server.vm_state !== 'building' || server.task_state === 'deleting') return;
    if (!server.placed && promisedRam(nova) + server.flavor.ram > ramLimit) {
      return abandon(server, noValidHost);
    }
    // No host here has SR-IOV cards: the scheduler of a cloud without them says the same.
    if (portsOf(net, server).some((port) => port['binding:vnic_type'] === 'direct')) {
      return abandon(server, noValidHost);
    }
    const placed = changeServer(nova, server.id, { placed: true, task_state: 'spawning' });
    try {
      await boot(placed ?? server);
    } catch (error) {
      if (closing) throw error;
      await host.kill(server.id);
      await abandon(server, error instanceof Error ? error.message : String(error));
    }
  }

  /** A server that never ran gives back what it was given. */
  async function abandon(server: Server, message: string): Promise<void> {
    nova.records.transaction(() => {
      release(
        net,
        server,
        server.cards.map((card) => card.port_id),
      );
      changeServer(nova, server.id, { placed: false, cards: [] });
      fail(server, 500, message);
    });
    await settle();
  }

  async function boot(server: Server): Promise<void> {
    await host.boot(await specOf(server));
    nova.records.transaction(() => {
      finished(server.id, {
        vm_state: 'active',
        fault: null,
        placed: true,
        launched_at: timestamp(nova),
      });
      setStatus(net, server, 'ACTIVE');
    });
  }

  async function specOf(server: Server): Promise<InstanceSpec> {
    const image = images.collection.get(server.image_id);
    if (image === undefined) throw new Error(`Image ${server.image_id} could not be found.`);
    const bootScript = (await images.data(image.id)).toString();
    if (!bootScript.startsWith('#!'))
      throw new Error(`Image ${image.id} is no boot script: it does not begin with #!`);
    const text = server.user_data === null ? '' : vault.open(server.user_data, server.id).toString();
    const { files, ignored } = parseUserData(text);
    if (ignored.length > 0)
      log.warn({ server: server.id, ignored }, 'keys of the cloud-config that mean nothing here');
    return {
      id: server.id,
      name: server.name,
      memoryBytes: server.flavor.ram * 1024 * 1024,
      vcpus: server.flavor.vcpus,
      nics: portsOf(net, server).map((port) => nicOf(net, port)),
      files,
      bootScript,
    };
  }

  async function died(server: Server, state: InstanceState): Promise<void> {
    if (server.vm_state !== 'active' || (await host.observe(server.id)).alive) return;
    fail(server, 500, state.reason ?? 'The instance ended.');
  }

  async function stop(server: Server): Promise<void> {
    await host.kill(server.id);
    nova.records.transaction(() => {
      finished(server.id, { vm_state: 'stopped' });
      setStatus(net, server, 'DOWN');
    });
  }

  async function reboot(server: Server): Promise<void> {
    await host.kill(server.id);
    await boot(server);
  }

  async function remove(server: Server): Promise<void> {
    await host.kill(server.id);
    nova.records.transaction(() => {
      release(
        net,
        server,
        server.cards.map((card) => card.port_id),
      );
      nova.servers.remove(server.id);
    });
    await settle();
  }

  async function dropCard(server: Server, portId: string): Promise<void> {
    nova.records.transaction(() => {
      release(net, server, [portId]);
      changeServer(nova, server.id, { cards: server.cards.filter((card) => card.port_id !== portId) });
    });
    await settle();
  }

  async function goOn(server: Server): Promise<void> {
    if (server.task_state === 'deleting') return remove(server);
    if (server.task_state === 'powering-off') return stop(server);
    if (server.vm_state === 'building') return build(server);
    if (server.task_state !== null) return boot(server);
  }

  return {
    build: (id) => work(id, build),
    stop: (id) => work(id, stop),
    start: (id) => work(id, boot),
    reboot: (id) => work(id, reboot),
    remove: (id) => work(id, remove),

    attach: (id, portId) =>
      lanes.run(id, async () => {
        const port = net.ports.get(portId);
        const server = nova.servers.get(id);
        if (port === undefined || server?.vm_state !== 'active') return;
        try {
          await host.attach(id, nicOf(net, port));
        } catch (error) {
          await dropCard(server, portId);
          throw error;
        }
        setStatus(net, server, 'ACTIVE');
      }),

    detach: (id, portId) =>
      lanes.run(id, async () => {
        const port = net.ports.get(portId);
        const server = nova.servers.get(id);
        if (port === undefined || server === undefined) return;
        if (server.vm_state === 'active') await host.detach(id, port.mac_address);
        await dropCard(server, portId);
      }),

    async portRemoved(port) {
      const server = serverWith(nova, port);
      if (server === undefined) return;
      await lanes.run(server.id, async () => {
        const now = nova.servers.get(server.id);
        if (now === undefined) return;
        if (now.vm_state === 'active') await host.detach(now.id, port.mac_address);
        changeServer(nova, now.id, { cards: now.cards.filter((card) => card.port_id !== port.id) });
      });
    },

    async resume() {
      for (const { id, vm_state, task_state } of nova.servers.all()) {
        const lost = vm_state === 'active' && task_state === null && !(await host.observe(id)).alive;
        if (lost) changeServer(nova, id, { task_state: 'rebooting_hard' });
        work(id, goOn);
      }
    },

    async settle() {
      closing = true;
      await lanes.idle();
    },
  };
}
