/**
 * The machine the cloudlet runs on, as the cloudlet sees it: networks are bridges, servers are process trees of their
 * own in namespaces of their own. Everything OpenStack is above this interface; everything Linux is below it.
 */

import type { Log } from '../../platform/log.ts';

export interface HostNetwork {
  readonly id: string;
  /** `address/prefix` the host itself has in this network (the gateways); empty: the host has no leg in it. */
  readonly hostAddresses: readonly string[];
}

export interface Nic {
  readonly portId: string;
  readonly networkId: string;
  readonly macAddress: string;
  /** `address/prefix`, what DHCP would give. */
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
}

/** Joins networks: forwards between its cards, and to and from the outer network by its addresses there. */
export interface HostRouter {
  readonly id: string;
  /** Addresses of a card are the router's own in that network; `gateways` are where it sends all else. */
  readonly cards: readonly Nic[];
  readonly routes: readonly { readonly destination: string; readonly nexthop: string }[];
  /** MAC of the card into the outer network; null: there is none. */
  readonly outerMac: string | null;
  /** The address that inner ones show outside; null: they keep their own. */
  readonly outerAddress: string | null;
  /** Outer addresses, each of which forwards to an inner one, whose packets leave with it. */
  readonly floating: readonly FloatingAddress[];
}

export interface FloatingAddress {
  readonly outer: string;
  readonly inner: string;
}

/** How much may pass a card; what is more is dropped. */
export interface CardLimit {
  readonly macAddress: string;
  /** As the instance sees it. */
  readonly direction: 'egress' | 'ingress';
  readonly bytesPerSecond: number;
  readonly burstBytes: number;
}

/** A file put into the server before its first process starts; only ever kept in the server's own memory. */
export interface BootFile {
  /** Below /run; all else is the machine's own disk. */
  readonly path: string;
  readonly content: string;
  /** Permission bits, such as 0o600. */
  readonly mode: number;
}

export interface InstanceSpec {
  readonly id: string;
  readonly name: string;
  readonly memoryBytes: number;
  readonly vcpus: number;
  readonly nics: readonly Nic[];
  readonly files: readonly BootFile[];
  /** The text of the image: a shell script run as PID 1. */
  readonly bootScript: string;
}

export interface InstanceState {
  readonly alive: boolean;
  /** PID 1 of the instance in the host's numbering. */
  readonly pid: number | null;
  readonly oomKills: number;
  /** In use; null when it is dead or nothing is counted. */
  readonly memoryBytes: number | null;
  /** Why it died, a sentence. */
  readonly reason: string | null;
}

export interface Host {
  /** What of cgroups can be used here; with 'none' nothing is limited. */
  readonly limits: 'v1' | 'v2' | 'none';
  ensureNetwork(network: HostNetwork): Promise<void>;
  removeNetwork(id: string): Promise<void>;
  /** Routers that are there, those of an earlier run included. */
  routers(): readonly string[];
  ensureRouter(router: HostRouter): Promise<void>;
  removeRouter(id: string): Promise<void>;
  /** All limits there are; the cards need not be there yet. */
  limitCards(limits: readonly CardLimit[]): Promise<void>;
  /** No-op when the instance is alive already (adopted). */
  boot(spec: InstanceSpec): Promise<void>;
  kill(id: string): Promise<void>;
  observe(id: string): Promise<InstanceState>;
  attach(instanceId: string, nic: Nic): Promise<void>;
  detach(instanceId: string, macAddress: string): Promise<void>;
  /** Called once per death that was not asked for by `kill`. */
  onDeath(listener: (id: string, state: InstanceState) => void): void;
  /** Powers everything off; removes namespaces, cgroups, links. Not calling it leaves all alive, to be adopted. */
  close(): Promise<void>;
}

export interface HostOptions {
  /** Absolute; made when missing, readable by its owner only. */
  readonly stateDir: string;
  /** Unique per running Livia on this machine, 1 to 6 of a-z 0-9: part of link and cgroup names. */
  readonly name: string;
  readonly log: Log;
}
