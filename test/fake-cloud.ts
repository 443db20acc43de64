import { randomUUID } from 'node:crypto';
import type {
  AmphoraAgent,
  Caller,
  CertificateBundle,
  Compute,
  FixedIp,
  Identity,
  Images,
  Networking,
  NewPort,
  Port,
  Secrets,
  Server,
  Subnet,
} from '../src/clouds/clouds.ts';
import { DriverError } from '../src/clouds/errors.ts';
import type { AgentStatus } from '../src/wire/report.ts';

/** A cloud in memory that keeps to the contract of `clouds.ts`: what is made is there, what is taken is taken. */
export interface FakeCloud {
  readonly identity: Identity;
  readonly secrets: Secrets;
  readonly networking: Networking;
  readonly compute: Compute;
  readonly images: Images;
  readonly agent: AmphoraAgent;
  /** What the agents say, by amphora id; the others do not answer. */
  readonly agents: Map<string, AgentStatus>;
  /** A token of a new user with these roles in that project. */
  login(roles: readonly string[], projectId: string | null, options?: { readonly system?: boolean }): string;
  revoke(token: string): void;
  addSubnet(cidr: string, networkId?: string): Subnet;
  addPort(port: Partial<Port> & Pick<Port, 'networkId' | 'fixedIps'>): Port;
  /** Gives the reference. */
  storeCertificate(bundle: CertificateBundle): string;
  storeText(pem: string): string;
  forget(ref: string): void;
  readonly ports: ReadonlyMap<string, Port>;
  readonly computeFlavors: Set<string>;
  readonly imageTags: Map<string, string>;
  readonly securityGroups: Set<string>;
  readonly qosPolicies: Set<string>;
  /** While set, every call to that service fails in this way. */
  readonly down: Map<'identity' | 'secrets' | 'networking' | 'compute' | 'images', DriverError>;
}

const gone = (what: string): DriverError =>
  new DriverError(`${what} was not found.`, { retry: 'never', status: 404 });

export function fakeCloud(): FakeCloud {
  const down: FakeCloud['down'] = new Map();
  const up = (service: Parameters<typeof down.get>[0]): void => {
    const failure = down.get(service);
    if (failure !== undefined) throw failure;
  };

  const callers = new Map<string, Caller>();
  const identity: Identity = {
    publicUrl: 'http://keystone.example/v3',
    async validate(token) {
      up('identity');
      return callers.get(token);
    },
  };

  const certificates = new Map<string, CertificateBundle>();
  const texts = new Map<string, string>();
  const secrets: Secrets = {
    async certificate(ref) {
      up('secrets');
      const bundle = certificates.get(ref);
      if (bundle === undefined) throw gone(`The secret ${ref}`);
      return bundle;
    },
    async text(ref) {
      up('secrets');
      const text = texts.get(ref);
      if (text === undefined) throw gone(`The secret ${ref}`);
      return text;
    },
  };

  const network = fakeNetwork(() => up('networking'));
  const agents = new Map<string, AgentStatus>();
  const silent = (id: string) =>
    new DriverError(`The agent of amphora ${id} does not answer.`, { retry: 'later' });
  const agent: AmphoraAgent = {
    async apply({ id }) {
      throw silent(id);
    },
    async status({ id }) {
      const told = agents.get(id);
      if (told === undefined) throw silent(id);
      return told;
    },
  };
  const computeFlavors = new Set<string>(['10']);
  const imageTags = new Map<string, string>([['amphora', randomUUID()]]);
  const keep = (ref: string): string => `http://barbican.example/v1/secrets/${ref}`;
  return {
    agent,
    agents,
    identity,
    secrets,
    networking: network.networking,
    compute: fakeCompute(computeFlavors, () => up('compute')),
    images: {
      async newest(tag) {
        up('images');
        return imageTags.get(tag);
      },
    },
    login(roles, projectId, { system = false } = {}) {
      const token = randomUUID();
      callers.set(token, { token, userId: randomUUID(), projectId, systemScope: system, roles });
      return token;
    },
    revoke: (token) => void callers.delete(token),
    addSubnet: network.addSubnet,
    addPort: network.addPort,
    storeCertificate(bundle) {
      const ref = keep(randomUUID());
      certificates.set(ref, bundle);
      return ref;
    },
    storeText(pem) {
      const ref = keep(randomUUID());
      texts.set(ref, pem);
      return ref;
    },
    forget(ref) {
      certificates.delete(ref);
      texts.delete(ref);
    },
    ports: network.ports,
    computeFlavors,
    imageTags,
    securityGroups: network.securityGroups,
    qosPolicies: network.qosPolicies,
    down,
  };
}

function fakeNetwork(up: () => void) {
  const subnets = new Map<string, Subnet>();
  const ports = new Map<string, Port & { readonly name: string }>();
  const groups = new Map<string, string>();
  const securityGroups = new Set<string>();
  const qosPolicies = new Set<string>();
  const taken = (subnetId: string): Set<string> =>
    new Set(
      [...ports.values()]
        .flatMap((port) => port.fixedIps)
        .filter((fixedIp) => fixedIp.subnetId === subnetId)
        .map((fixedIp) => fixedIp.ipAddress),
    );

  function address(subnet: Subnet, wanted: string | undefined): FixedIp {
    const used = taken(subnet.id);
    const prefix = subnet.cidr.split('/')[0]?.replace(/(\.0|::)$/, subnet.ipVersion === 4 ? '.' : '::') ?? '';
    const free = Array.from({ length: 250 }, (_, n) => `${prefix}${n + 10}`).find((ip) => !used.has(ip));
    const ipAddress = wanted ?? free;
    if (ipAddress === undefined || used.has(ipAddress)) {
      throw new DriverError(`IP address ${ipAddress ?? ''} already allocated in subnet ${subnet.id}`, {
        retry: 'never',
        status: 409,
      });
    }
    return { subnetId: subnet.id, ipAddress };
  }

  function addPort(port: Partial<Port> & Pick<Port, 'networkId' | 'fixedIps'>, name = ''): Port {
    const id = randomUUID();
    const whole = {
      id,
      name,
      macAddress: 'fa:16:3e:00:00:01',
      deviceId: '',
      qosPolicyId: null,
      status: 'DOWN',
      vnicType: 'normal' as const,
      ...port,
    };
    ports.set(id, whole);
    return whole;
  }

  const networking: Networking = {
    async networkId(idOrName) {
      up();
      return [...subnets.values()].find((subnet) => subnet.networkId === idOrName)?.networkId;
    },
    async subnet(id) {
      up();
      return subnets.get(id);
    },
    async subnetsOf(networkId) {
      up();
      const found = [...subnets.values()].filter((subnet) => subnet.networkId === networkId);
      return found.length === 0 ? undefined : found;
    },
    async port(id) {
      up();
      return ports.get(id);
    },
    async ensurePort(wanted: NewPort) {
      up();
      const known = [...ports.values()].find(
        (port) => port.name === wanted.name && port.deviceId === wanted.deviceId,
      );
      if (known !== undefined) return known;
      const fixedIps = wanted.fixedIps.map(({ subnetId, ipAddress }) => {
        const subnet = subnets.get(subnetId);
        if (subnet === undefined) throw gone(`Subnet ${subnetId}`);
        return address(subnet, ipAddress);
      });
      return addPort({ networkId: wanted.networkId, fixedIps, deviceId: wanted.deviceId }, wanted.name);
    },
    async ensurePortOpenings() {
      up();
    },
    async removePort(id) {
      up();
      ports.delete(id);
    },
    async portsNamed(name) {
      up();
      return [...ports.values()].filter((port) => port.name === name);
    },
    async portsOwnedBy() {
      up();
      return [...ports.values()]; // all of them are made as VIP ports
    },
    async portsOf(deviceId) {
      up();
      return [...ports.values()].filter((port) => port.deviceId === deviceId);
    },
    async ensureSecurityGroup(name) {
      up();
      const id = groups.get(name) ?? randomUUID();
      groups.set(name, id);
      return id;
    },
    async removeSecurityGroup(name) {
      up();
      groups.delete(name);
    },
    async securityGroupExists(id) {
      up();
      return securityGroups.has(id);
    },
    async qosPolicyExists(id) {
      up();
      return qosPolicies.has(id);
    },
  };

  return {
    networking,
    ports,
    securityGroups,
    qosPolicies,
    addPort,
    addSubnet(cidr: string, networkId: string = randomUUID()): Subnet {
      const ipVersion = cidr.includes(':') ? 6 : 4;
      const subnet: Subnet = { id: randomUUID(), networkId, ipVersion, cidr, gatewayIp: null };
      subnets.set(subnet.id, subnet);
      return subnet;
    },
  };
}

function fakeCompute(flavors: ReadonlySet<string>, up: () => void): Compute {
  const projectId = randomUUID();
  const servers = new Map<string, Server>();
  return {
    async projectId() {
      up();
      return projectId;
    },
    async flavorExists(id) {
      up();
      return flavors.has(id);
    },
    async availabilityZoneExists(name) {
      up();
      return name === 'nova';
    },
    async ensureServer(wanted) {
      up();
      const known = [...servers.values()].find((server) => server.name === wanted.name);
      if (known !== undefined) return known;
      const server: Server = {
        id: randomUUID(),
        name: wanted.name,
        status: 'ACTIVE',
        fault: null,
        availabilityZone: wanted.availabilityZone,
        interfaces: [],
      };
      servers.set(server.id, server);
      return server;
    },
    async observeServer(id) {
      up();
      return servers.get(id);
    },
    async findServer(name) {
      up();
      return [...servers.values()].find((server) => server.name === name);
    },
    async attachPort() {
      up();
    },
    async removeServer(id) {
      up();
      servers.delete(id);
    },
  };
}
