import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type {
  CertificateBundle,
  Clouds,
  NewPort,
  NewServer,
  Port,
  SecurityRule,
  Server,
  Subnet,
} from '../src/clouds/clouds.ts';
import { DriverError } from '../src/clouds/errors.ts';
import type { Boot } from '../src/wire/boot.ts';
import type { Outcome, Report } from '../src/wire/report.ts';
import type { WantedAmphora } from '../src/wire/wanted.ts';
import { uuid } from './trees.ts';

export interface FakePort extends Port {
  readonly name: string;
  readonly deviceOwner: string;
  readonly securityGroupIds: readonly string[];
  readonly allowedAddresses: readonly string[];
}

export interface FakeServer {
  readonly id: string;
  readonly name: string;
  readonly userData: string;
  readonly portIds: readonly string[];
  readonly availabilityZone: string | null;
  status: string;
  fault: string | null;
  /** Questions to its agent that go unanswered, from its birth. */
  bootsFor: number;
  wanted: WantedAmphora | undefined;
}

const service = 'service-project';
const managementNetwork = uuid(2001);
/** As `aLoadBalancer` has it. */
const vipSubnet: Subnet = {
  id: uuid(1001),
  networkId: uuid(1002),
  ipVersion: 4,
  cidr: '192.0.2.0/24',
  gatewayIp: '192.0.2.1',
};
/** Of members elsewhere. */
export const memberSubnet: Subnet = {
  id: uuid(4001),
  networkId: uuid(4002),
  ipVersion: 4,
  cidr: '198.51.100.0/24',
  gatewayIp: '198.51.100.1',
};
const managementSubnet: Subnet = {
  id: uuid(2002),
  networkId: managementNetwork,
  ipVersion: 4,
  cidr: '10.0.0.0/16',
  gatewayIp: '10.0.0.1',
};
/** A network that a zone may name for the management of its amphorae. */
export const zoneManagementNetwork = uuid(2003);
const zoneManagementSubnet: Subnet = {
  id: uuid(2004),
  networkId: zoneManagementNetwork,
  ipVersion: 4,
  cidr: '10.9.0.0/24',
  gatewayIp: '10.9.0.1',
};
const managementSubnets = [managementSubnet, zoneManagementSubnet];

const prefixes: Readonly<Record<string, string>> = {
  [vipSubnet.id]: '192.0.2',
  [memberSubnet.id]: '198.51.100',
  [zoneManagementSubnet.id]: '10.9.0',
};

/**
 * A cloud in memory that obeys the contract: names find what was made, addresses and devices are taken once, a group in
 * use cannot go. Its agents answer with what they were given.
 */
export class FakeCompute {
  readonly ports = new Map<string, FakePort>();
  readonly groups = new Map<string, { id: string; projectId: string; rules: readonly SecurityRule[] }>();
  readonly servers = new Map<string, FakeServer>();
  readonly certificates = new Map<string, CertificateBundle>();
  imageId: string | undefined = uuid(3001);
  /** Of servers to come. */
  bootsFor = 1;
  /** Servers to come are ERROR, with this fault. */
  bootFault: string | undefined;
  /** Called before and after every call, with its name such as `compute.ensureServer`. */
  onCall: (name: string, when: 'before' | 'after') => void = () => undefined;
  #lastAddress = 100;

  /** The clouds of one controller. */
  clouds(onCall = (name: string, when: 'before' | 'after') => this.onCall(name, when)): Clouds {
    const bare: Clouds = {
      identity: { validate: async () => undefined, publicUrl: 'http://identity' },
      secrets: {
        certificate: async (ref) => this.#certificate(ref),
        text: async (ref) => {
          throw new DriverError(`The secret ${ref} is gone.`, { retry: 'never', status: 404 });
        },
      },
      networking: {
        networkId: async (idOrName) =>
          idOrName === 'lb-mgmt-net'
            ? managementNetwork
            : managementSubnets.find(({ networkId }) => networkId === idOrName)?.networkId,
        subnet: async (id) =>
          [vipSubnet, ...managementSubnets, memberSubnet].find((subnet) => subnet.id === id),
        subnetsOf: async (networkId) =>
          [vipSubnet, ...managementSubnets].filter((subnet) => subnet.networkId === networkId),
        port: async (id) => this.ports.get(id),
        ensurePort: async (port) =>
          [...this.ports.values()].find(
            ({ name, deviceId }) => name === port.name && deviceId === port.deviceId,
          ) ?? this.makePort(port),
        ensurePortOpenings: async (id, wanted) => {
          const port = this.ports.get(id);
          if (port === undefined) throw new DriverError(`no port ${id}`, { retry: 'never', status: 404 });
          this.ports.set(id, { ...port, ...wanted });
        },
        removePort: async (id) => void this.ports.delete(id),
        portsNamed: async (name) => [...this.ports.values()].filter((port) => port.name === name),
        portsOwnedBy: async (owner) => [...this.ports.values()].filter((port) => port.deviceOwner === owner),
        portsOf: async (deviceId) => [...this.ports.values()].filter((port) => port.deviceId === deviceId),
        ensureSecurityGroup: async (name, projectId, rules) => this.#ensureGroup(name, projectId, rules),
        removeSecurityGroup: async (name) => this.#removeGroup(name),
        securityGroupExists: async (id) => [...this.groups.values()].some((group) => group.id === id),
        qosPolicyExists: async () => false,
      },
      compute: {
        projectId: async () => service,
        flavorExists: async () => true,
        availabilityZoneExists: async () => true,
        ensureServer: async (server) => this.#shown(this.#named(server.name) ?? this.#boot(server)),
        observeServer: async (id) => this.#shown(this.servers.get(id)),
        findServer: async (name) => this.#shown(this.#named(name)),
        attachPort: async (serverId, portId) => this.#attach(serverId, portId),
        removeServer: async (id) => this.#removeServer(id),
      },
      images: { newest: async () => this.imageId },
      agent: {
        apply: async (amphora, wanted) => this.#apply(this.#answering(amphora), wanted),
        status: async (amphora) => {
          const server = this.#answering(amphora);
          return {
            wire: 1,
            agentVersion: '0',
            haproxyVersion: '0',
            report: reportOf(amphora.id, server.wanted),
            ...(server.wanted?.ticketKeys && { ticketPeriod: server.wanted.ticketKeys.period }),
            ...(server.wanted?.heartbeat && { heartbeat: server.wanted.heartbeat }),
            ...(server.wanted?.flowLog && { flowLog: server.wanted.flowLog }),
            ...(server.wanted?.vrrp && { vrrpPeers: server.wanted.vrrp.peers }),
            memory: { limitBytes: 0, usedBytes: 0, maxconn: 0, haproxy: [] },
          };
        },
      },
    };
    return observed(bare, onCall);
  }

  makePort(port: NewPort): FakePort {
    const management = managementSubnets.find(({ networkId }) => networkId === port.networkId);
    const fixedIps =
      port.fixedIps.length > 0 ? port.fixedIps : [{ subnetId: (management ?? managementSubnet).id }];
    const made: FakePort = {
      id: randomUUID(),
      name: port.name,
      networkId: port.networkId,
      macAddress: `fa:16:3e:00:00:${(this.ports.size % 256).toString(16).padStart(2, '0')}`,
      fixedIps: fixedIps.map(({ subnetId, ...fixed }) => ({
        subnetId,
        ipAddress: ('ipAddress' in fixed ? fixed.ipAddress : undefined) ?? this.#freeAddress(subnetId),
      })),
      deviceId: port.deviceId,
      deviceOwner: port.deviceOwner,
      qosPolicyId: null,
      status: 'DOWN',
      vnicType: port.vnicType ?? 'normal',
      securityGroupIds: port.securityGroupIds ?? [],
      allowedAddresses: port.allowedAddresses ?? [],
    };
    this.ports.set(made.id, made);
    return made;
  }

  /** Nobody has it, as agents are known by theirs. */
  #freeAddress(subnetId: string): string {
    const count = ++this.#lastAddress;
    const prefix = prefixes[subnetId];
    return prefix === undefined ? `10.0.${count >> 8}.${count & 255}` : `${prefix}.${count % 250}`;
  }

  /** As a hypervisor that loses an instance without a word. */
  forget(server: FakeServer): void {
    server.bootsFor = Number.POSITIVE_INFINITY;
  }

  /** What exists for load balancers, by name; doubles show. */
  inventory(): readonly string[] {
    return [
      ...[...this.servers.values()].map((server) => server.name.replace(/-[0-9a-f-]{36}$/, '')),
      ...[...this.ports.values()].map((port) => port.name.replace(/-[0-9a-f-]{36}$/, '')),
      ...[...this.groups.keys()].map((name) => name.replace(/-[0-9a-f-]{36}$/, '')),
    ].toSorted();
  }

  #certificate(ref: string): CertificateBundle {
    const bundle = this.certificates.get(ref);
    if (bundle === undefined) {
      throw new DriverError(`The secret ${ref} is gone.`, { retry: 'never', status: 404 });
    }
    return bundle;
  }

  #ensureGroup(name: string, projectId: string, rules: readonly SecurityRule[]): string {
    const group = this.groups.get(name) ?? { id: randomUUID(), projectId, rules };
    this.groups.set(name, { ...group, rules });
    return group.id;
  }

  #removeGroup(name: string): void {
    const group = this.groups.get(name);
    if (group === undefined) return;
    if ([...this.ports.values()].some((port) => port.securityGroupIds.includes(group.id))) {
      throw new DriverError(`the group ${name} is in use`, { retry: 'later', status: 409 });
    }
    this.groups.delete(name);
  }

  #named(name: string): FakeServer | undefined {
    return [...this.servers.values()].find((server) => server.name === name);
  }

  #boot(wanted: NewServer): FakeServer {
    const id = randomUUID();
    for (const portId of wanted.portIds) {
      const port = this.ports.get(portId);
      if (port === undefined || port.deviceId !== '') {
        throw new DriverError(`port ${portId} is gone or in use`, { retry: 'never', status: 400 });
      }
      this.ports.set(portId, { ...port, deviceId: id });
    }
    const server: FakeServer = {
      id,
      name: wanted.name,
      userData: wanted.userData,
      portIds: wanted.portIds,
      availabilityZone: wanted.availabilityZone,
      status: this.bootFault === undefined ? 'ACTIVE' : 'ERROR',
      fault: this.bootFault ?? null,
      bootsFor: this.bootsFor,
      wanted: undefined,
    };
    this.servers.set(id, server);
    return server;
  }

  #attach(serverId: string, portId: string): void {
    const port = this.ports.get(portId);
    if (port === undefined || port.deviceId !== '' || !this.servers.has(serverId)) {
      throw new DriverError(`port ${portId} is gone or in use`, { retry: 'never', status: 400 });
    }
    this.ports.set(portId, { ...port, deviceId: serverId });
  }

  #removeServer(id: string): void {
    this.servers.delete(id);
    for (const port of this.ports.values()) {
      if (port.deviceId === id) this.ports.set(port.id, { ...port, deviceId: '' });
    }
  }

  #shown(server: FakeServer): Server;
  #shown(server: FakeServer | undefined): Server | undefined;
  #shown(server: FakeServer | undefined): Server | undefined {
    if (server === undefined) return undefined;
    const { id, name, status, fault } = server;
    return { id, name, status, fault, availabilityZone: server.availabilityZone, interfaces: [] };
  }

  /** The instance whose management card has the address, when its agent is up and knows itself by that id. */
  #answering({ id, address }: { id: string; address: string }): FakeServer {
    const port = [...this.ports.values()].find(
      (candidate) =>
        managementSubnets.some(({ networkId }) => networkId === candidate.networkId) &&
        candidate.fixedIps.some((ip) => ip.ipAddress === address),
    );
    const server = this.servers.get(port?.deviceId ?? '');
    const up = server?.status === 'ACTIVE' && --server.bootsFor < 0;
    if (server === undefined || !up || bootOf(server).amphoraId !== id) {
      throw new DriverError(`The agent of amphora ${id} does not answer.`, { retry: 'later' });
    }
    return server;
  }

  #apply(server: FakeServer, wanted: WantedAmphora): Outcome {
    const change = isDeepStrictEqual(server.wanted, wanted) ? 'none' : 'reload';
    server.wanted = wanted;
    const report = reportOf(bootOf(server).amphoraId, wanted);
    const refused = wanted.listeners
      .filter((listener) => report.listeners[listener.id] === undefined)
      .map(({ id, tls }) => ({ id, reason: tls?.unavailable ?? 'refused' }));
    return { wire: 1, generation: wanted.generation, change, durationMs: 1, refused, warnings: [], report };
  }
}

/** What the instance was born with. */
export function bootOf(server: FakeServer): Boot {
  const cloudConfig = JSON.parse(server.userData.replace(/^#cloud-config\n/, '')) as {
    write_files: { content: string }[];
  };
  return JSON.parse(cloudConfig.write_files[0]?.content ?? '') as Boot;
}

function reportOf(amphoraId: string, wanted: WantedAmphora | undefined): Report {
  const counters = { bytesIn: 0, bytesOut: 0, totalConnections: 0, requestErrors: 0 };
  const served = wanted?.loadBalancer.enabled ? wanted.listeners : [];
  return {
    amphoraId,
    generation: wanted?.generation ?? -1,
    listeners: Object.fromEntries(
      served
        .filter(({ tls }) => (tls?.unavailable ?? null) === null)
        .map(({ id }) => [id, { state: 'OPEN' as const, activeConnections: 0, counters }]),
    ),
    pools: Object.fromEntries(
      (wanted?.pools ?? []).map(({ id, members }) => [
        id,
        { up: true, members: Object.fromEntries(members.map((member) => [member.id, 'NO_CHECK' as const])) },
      ]),
    ),
  };
}

type AsyncMethod = (...args: unknown[]) => Promise<unknown>;

/** The same object, whose methods and whose parts' methods tell when they are called. */
export function observed<T extends object>(
  target: T,
  onCall: (name: string, when: 'before' | 'after') => void,
  path = '',
): T {
  return new Proxy(target, {
    get(object, key) {
      const value: unknown = Reflect.get(object, key);
      const name = path === '' ? String(key) : `${path}.${String(key)}`;
      if (typeof value === 'object' && value !== null) return observed(value, onCall, name);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        onCall(name, 'before');
        const result = await (value as AsyncMethod).apply(object, args);
        onCall(name, 'after');
        return result;
      };
    },
  });
}
