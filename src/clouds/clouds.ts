import type { WantedAmphora } from '../wire/wanted.ts';
import type { AgentStatus, Outcome } from '../wire/report.ts';

/** The surroundings, behind small interfaces. Every call may throw a `DriverError`. Verbs: ensure, observe, remove. */

/** Who is asking, as Keystone says. */
export interface Caller {
  readonly token: string;
  readonly userId: string;
  readonly projectId: string | null;
  readonly systemScope: boolean;
  readonly roles: readonly string[];
}

export interface Identity {
  /** Undefined: the token is unknown, expired or revoked. Answers may be up to `cacheSeconds` old. */
  validate(token: string): Promise<Caller | undefined>;
  /** Public URL of the identity service, for `WWW-Authenticate`. */
  readonly publicUrl: string;
}

/** A certificate as the key manager holds it. PEM throughout. */
export interface CertificateBundle {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly intermediatesPem: readonly string[];
}

export interface Secrets {
  /**
   * Reads a PKCS#12 secret or certificate container. `never` when it is gone, unreadable, not a bundle, needs a
   * passphrase, or its key does not match. `token` undefined: with Livia's own rights.
   */
  certificate(ref: string, token?: string): Promise<CertificateBundle>;
  /** PEM text of a CA or CRL secret. */
  text(ref: string, token?: string): Promise<string>;
}

export interface Subnet {
  readonly id: string;
  readonly networkId: string;
  readonly ipVersion: 4 | 6;
  readonly cidr: string;
  readonly gatewayIp: string | null;
}

export interface FixedIp {
  readonly subnetId: string;
  readonly ipAddress: string;
}

/** Neutron's `binding:vnic_type`, as far as load balancers have it. */
type VnicType = 'normal' | 'direct';

export interface Port {
  readonly id: string;
  readonly networkId: string;
  readonly macAddress: string;
  readonly fixedIps: readonly FixedIp[];
  readonly deviceId: string;
  readonly qosPolicyId: string | null;
  readonly status: string;
  readonly vnicType: VnicType;
}

export interface NewPort {
  readonly name: string;
  readonly networkId: string;
  readonly fixedIps: readonly { readonly subnetId: string; readonly ipAddress?: string }[];
  readonly deviceId: string;
  readonly deviceOwner: string;
  readonly projectId: string;
  readonly adminStateUp: boolean;
  readonly securityGroupIds?: readonly string[];
  /** Addresses beside its own that may use this port (the VIPs). */
  readonly allowedAddresses?: readonly string[];
  /** The kind of card it is bound to, default `normal`; `direct`: a virtual function (SR-IOV). Neutron lets admins say it. */
  readonly vnicType?: VnicType;
  /** Its name is new: nobody can have made it before, so it is not looked for. */
  readonly unheardOf?: true;
}

/** One opening of a security group. Null protocol or ports: all. */
export interface SecurityRule {
  readonly protocol: 'tcp' | 'udp' | 'sctp' | 'icmp' | '112' | null;
  readonly port: number | null;
  readonly ipVersion: 4 | 6;
  readonly remoteCidr: string | null;
}

export interface Networking {
  /** Id of the network with that id or, when there is just one, that name; with Livia's own rights. */
  networkId(idOrName: string): Promise<string | undefined>;
  /** `token` undefined: with Livia's own rights. Undefined answers: there is no such thing, or it may not be seen. */
  subnet(id: string, token?: string): Promise<Subnet | undefined>;
  /** Subnets of the network, in the order the service gives; undefined when the network is unknown. */
  subnetsOf(networkId: string, token?: string): Promise<readonly Subnet[] | undefined>;
  port(id: string, token?: string): Promise<Port | undefined>;
  /**
   * The port of that name and device, made if missing. Throws `DriverError` with status 409 when a wanted address is
   * taken.
   */
  ensurePort(port: NewPort): Promise<Port>;
  /** Makes the allowed addresses and the security groups of the port the given ones. */
  ensurePortOpenings(
    portId: string,
    wanted: { allowedAddresses?: readonly string[]; securityGroupIds?: readonly string[] },
  ): Promise<void>;
  removePort(id: string): Promise<void>;
  /** Ports of exactly that name, whatever device has them now. */
  portsNamed(name: string): Promise<readonly Port[]>;
  /** Every port with that device owner. */
  portsOwnedBy(deviceOwner: string): Promise<readonly Port[]>;
  /** Ports whose device id is the given one. */
  portsOf(deviceId: string): Promise<readonly Port[]>;
  /** The group of that name, made if missing, with exactly these ingress rules; its id. */
  ensureSecurityGroup(name: string, projectId: string, rules: readonly SecurityRule[]): Promise<string>;
  removeSecurityGroup(name: string): Promise<void>;
  securityGroupExists(id: string, token?: string): Promise<boolean>;
  qosPolicyExists(id: string, token?: string): Promise<boolean>;
}

export interface Server {
  readonly id: string;
  readonly name: string;
  /** Nova's: BUILD, ACTIVE, ERROR, SHUTOFF, DELETED … */
  readonly status: string;
  /** Nova's fault message when ERROR. */
  readonly fault: string | null;
  readonly availabilityZone: string | null;
  /** Attached cards in any order: port, network, MAC, addresses. */
  readonly interfaces: readonly {
    readonly portId: string;
    readonly networkId: string;
    readonly macAddress: string;
    readonly addresses: readonly string[];
  }[];
}

export interface NewServer {
  readonly name: string;
  readonly imageId: string;
  readonly flavorId: string;
  readonly keyName: string | null;
  /** `#cloud-config` text. */
  readonly userData: string;
  /** Ports to boot with, the management card first. */
  readonly portIds: readonly string[];
  readonly availabilityZone: string | null;
}

export interface Compute {
  /** The project that owns the servers, Livia's own. A server's ports must belong to it too. */
  projectId(): Promise<string>;
  flavorExists(id: string): Promise<boolean>;
  availabilityZoneExists(name: string): Promise<boolean>;
  /** The server of that name, made if missing. */
  ensureServer(server: NewServer): Promise<Server>;
  observeServer(id: string): Promise<Server | undefined>;
  findServer(name: string): Promise<Server | undefined>;
  /** Puts a card into a running server; once only. */
  attachPort(serverId: string, portId: string): Promise<void>;
  /** Asks for the removal; gone when `observeServer` says undefined. */
  removeServer(id: string): Promise<void>;
}

export interface Images {
  /** Newest active image with the tag; undefined when there is none. */
  newest(tag: string): Promise<string | undefined>;
}

/** The agent of one amphora, over mutual TLS. */
export interface AmphoraAgent {
  apply(amphora: { id: string; address: string }, wanted: WantedAmphora): Promise<Outcome>;
  status(amphora: { id: string; address: string }): Promise<AgentStatus>;
}

export interface Clouds {
  readonly identity: Identity;
  readonly secrets: Secrets;
  readonly networking: Networking;
  readonly compute: Compute;
  readonly images: Images;
  readonly agent: AmphoraAgent;
}
