import { setTimeout as pause } from 'node:timers/promises';
import Type from 'typebox';
import { parseUserData } from '../../src/cloudlet/compute/user-data.ts';
import type { Host, Nic } from '../../src/cloudlet/host/host.ts';
import { openHost } from '../../src/cloudlet/host/open-host.ts';
import { makeLog } from '../../src/platform/log.ts';
import type { OpenStack, SomeNetwork } from './ground.ts';

/** Nova's `fake` driver says that servers run; this makes amphorae of a project really do so, in namespaces of this machine. */
export interface Hypervisor {
  /** Ids of the servers that run. */
  running(): readonly string[];
  close(): Promise<void>;
}

const Servers = Type.Object({
  servers: Type.Array(
    Type.Object({
      id: Type.String(),
      name: Type.String(),
      status: Type.String(),
      tenant_id: Type.String(),
      'OS-EXT-SRV-ATTR:user_data': Type.Union([Type.String(), Type.Null()]),
    }),
  ),
});
const Cards = Type.Object({
  interfaceAttachments: Type.Array(
    Type.Object({
      port_id: Type.String(),
      net_id: Type.String(),
      mac_addr: Type.String(),
      fixed_ips: Type.Array(Type.Object({ ip_address: Type.String() })),
    }),
  ),
});

export async function startHypervisor(
  cloud: OpenStack,
  options: {
    readonly projectId: string;
    /** The management network first. */
    readonly networks: readonly SomeNetwork[];
    readonly stateDir: string;
    readonly bootScript: string;
    readonly memoryBytes: number;
  },
): Promise<Hypervisor> {
  const host: Host = await openHost({
    ...{ stateDir: options.stateDir, name: 'osreal', log: makeLog('hypervisor') },
  });
  for (const { id, gateway, prefix } of options.networks) {
    await host.ensureNetwork({ id, hostAddresses: [`${gateway}/${prefix}`] });
  }
  const running = new Set<string>();
  let stopped = false;

  async function nicsOf(serverId: string): Promise<Nic[]> {
    const { interfaceAttachments: cards } = await cloud.admin.read(
      Cards,
      'compute',
      'GET',
      `/servers/${serverId}/os-interface`,
    );
    // Nova lists them in any order; the first card is the management network's, as it was asked for.
    return options.networks.flatMap(({ id: networkId, prefix, gateway }) =>
      cards
        .filter((card) => card.net_id === networkId)
        .map(({ port_id: portId, mac_addr: macAddress, fixed_ips }) => ({
          ...{ portId, networkId, macAddress, gateways: [gateway] },
          addresses: fixed_ips.map(({ ip_address: address }) => `${address}/${prefix}`),
        })),
    );
  }

  async function look(): Promise<void> {
    const { servers } = await cloud.admin.read(Servers, 'compute', 'GET', '/servers/detail', {
      query: { all_tenants: '1' },
      headers: { 'openstack-api-version': 'compute 2.3' },
    });
    const ours = servers.filter((one) => one.tenant_id === options.projectId && one.status === 'ACTIVE');
    for (const server of ours.filter(({ id }) => !running.has(id))) {
      const nics = await nicsOf(server.id);
      if (nics.length === 0) continue; // Nova does not tell its cards yet
      const userData = Buffer.from(server['OS-EXT-SRV-ATTR:user_data'] ?? '', 'base64').toString();
      await host.boot({
        ...{ id: server.id, name: server.name, memoryBytes: options.memoryBytes, vcpus: 1, nics },
        ...{ files: parseUserData(userData).files, bootScript: options.bootScript },
      });
      running.add(server.id);
    }
    for (const id of running) {
      if (ours.some((server) => server.id === id)) continue;
      await host.kill(id);
      running.delete(id);
    }
  }

  const watching = (async () => {
    while (!stopped) {
      await look();
      await pause(300);
    }
  })();

  return {
    running: () => [...running],
    async close() {
      stopped = true;
      await watching.finally(() => host.close());
    },
  };
}
