import type { Collection, Records } from '../records.ts';
import type { Flavor } from './flavors.ts';
import type { Keypair } from './keypairs.ts';

interface Fault {
  readonly code: number;
  readonly message: string;
  readonly created: string;
}

export interface Server {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly project_id: string;
  readonly user_id: string;
  readonly image_id: string;
  /** As it was when the server was made: a flavor may be removed meanwhile. */
  readonly flavor: Flavor;
  readonly key_name: string | null;
  readonly config_drive: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly group_id: string | null;
  readonly security_groups: readonly string[];
  /** Sealed in the vault for the server's id: user data carries keys. */
  readonly user_data: string | null;
  /** The cards in their order. */
  readonly cards: readonly {
    readonly port_id: string;
    /** Made for this server, and goes with it. */
    readonly ours: boolean;
  }[];
  readonly vm_state: 'building' | 'active' | 'stopped' | 'error';
  readonly task_state: 'spawning' | 'powering-off' | 'powering-on' | 'rebooting_hard' | 'deleting' | null;
  /** Has its part of the machine's memory. */
  readonly placed: boolean;
  /** Where its user says it is reached; kept and shown. */
  readonly access_ips?: { readonly v4: string; readonly v6: string };
  readonly fault: Fault | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly launched_at: string | null;
}

export interface ServerGroup {
  readonly id: string;
  readonly name: string;
  readonly project_id: string;
  readonly user_id: string;
  readonly policy: string;
  readonly rules: object;
}

/** Nova's memory. */
export interface Nova {
  readonly records: Records;
  readonly servers: Collection<Server>;
  readonly flavors: Collection<Flavor>;
  readonly keypairs: Collection<Keypair>;
  readonly groups: Collection<ServerGroup>;
  readonly now: () => Date;
}

export function openNova(records: Records, now: () => Date): Nova {
  return {
    records,
    servers: records.collection('server'),
    flavors: records.collection('flavor'),
    keypairs: records.collection('keypair'),
    groups: records.collection('server-group'),
    now,
  };
}

/** ISO 8601 without fractions, UTC. */
export function timestamp(nova: Nova): string {
  return `${nova.now().toISOString().slice(0, 19)}Z`;
}

/** The server as it is now, with the change; undefined when it is gone. */
export function changeServer(nova: Nova, id: string, change: Partial<Server>): Server | undefined {
  const server = nova.servers.get(id);
  return server && nova.servers.put({ ...server, ...change, updated_at: timestamp(nova) });
}

/** RAM that flavors promise to the servers that have a place, MiB. */
export function promisedRam(nova: Nova): number {
  return nova.servers.all().reduce((sum, server) => sum + (server.placed ? server.flavor.ram : 0), 0);
}
