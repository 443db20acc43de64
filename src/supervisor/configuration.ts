import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify, type TomlTable } from 'smol-toml';
import { writeWhole } from '../platform/files.ts';
import type { Ports } from './ports.ts';
import { Refusal } from './refusal.ts';
import type { StateDir } from './state-dir.ts';
import { chooseSubnets, rangesInUse } from './subnets.ts';

const header = (about: string): string =>
  `# ${about}. Change what you like and start again; ports and paths\n# follow LIVIA_PORT_BASE and LIVIA_STATE_DIR at every start.\n\n`;

export interface DatabaseAddress {
  /** Folder of the unix socket. */
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly user: string;
}

/** What the control plane needs to know of the cloud. */
export interface CloudAccess {
  readonly authUrl: string;
  readonly servicePassword: string;
  /** The machine's address in the management network. */
  readonly managementGateway: string;
}

/**
 * Writes the configuration of the cloud and of its clients. What is there is kept, but for what depends on where this
 * start happens: ports and paths. Passwords and networks are chosen once.
 */
export async function writeCloudConfiguration(state: StateDir, ports: Ports): Promise<CloudAccess> {
  const cloudUrl = `http://127.0.0.1:${ports.cloud}`;
  const cloudlet = await settle(state.cloudletConfig, 'The cloud on this machine', {
    chosenOnce: async () => {
      const subnets = chooseSubnets(await rangesInUse(), Math.random);
      return {
        name: randomName(),
        admin_password: randomBytes(18).toString('base64url'),
        service_password: randomBytes(18).toString('base64url'),
        management_cidr: subnets.management,
        external_cidr: subnets.external,
      };
    },
    ofThisStart: {
      listen_port: ports.cloud,
      public_url: cloudUrl,
      octavia_url: `http://127.0.0.1:${ports.api}`,
      state_dir: state.cloud,
      boot_image: state.bootScript,
    },
  });

  const authUrl = `${cloudUrl}/identity/v3`;
  const client = { url: authUrl, password: text(cloudlet, 'admin_password') };
  await writeWhole(state.openrc, openrc(client));
  await writeWhole(state.clouds, cloudsYaml(client));
  return {
    authUrl,
    servicePassword: text(cloudlet, 'service_password'),
    managementGateway: gatewayOf(text(cloudlet, 'management_cidr')),
  };
}

/** The same for the control plane. */
export async function writeServerConfiguration(
  state: StateDir,
  ports: Ports,
  cloud: CloudAccess,
  database: DatabaseAddress,
): Promise<void> {
  await settle(state.serverConfig, 'The control plane', {
    chosenOnce: async () => ({ health: { port: 5555 } }),
    ofThisStart: {
      api: { port: ports.api },
      database: { ...database },
      keystone: {
        auth_url: cloud.authUrl,
        username: 'livia',
        password: cloud.servicePassword,
        project_name: 'service',
      },
      pki: { dir: join(state.root, 'pki'), secret_key_file: join(state.root, 'pki', 'secret-key') },
      metrics: { port: ports.metrics },
      health: { host: cloud.managementGateway, receivers: [`${cloud.managementGateway}:5555`] },
    },
  });
}

interface Parts {
  readonly chosenOnce: () => Promise<TomlTable>;
  readonly ofThisStart: TomlTable;
}

async function settle(path: string, about: string, parts: Parts): Promise<TomlTable> {
  const before = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  let there: TomlTable;
  try {
    there = before === undefined ? await parts.chosenOnce() : parse(before);
  } catch (error) {
    if (error instanceof Refusal || before === undefined) throw error;
    throw new Refusal(`${path}: ${(error as Error).message.split('\n')[0]}`);
  }
  const settled = merge(there, parts.ofThisStart);
  // Rewriting loses comments, so it is done only when something moved.
  if (before === undefined || JSON.stringify(settled) !== JSON.stringify(there)) {
    await writeWhole(path, header(about) + stringify(settled));
  }
  return settled;
}

function merge(below: TomlTable, above: TomlTable): TomlTable {
  const merged: TomlTable = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const under = merged[key];
    merged[key] = isTable(value) && isTable(under) ? merge(under, value) : value;
  }
  return merged;
}

function isTable(value: unknown): value is TomlTable {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function text(table: TomlTable, key: string): string {
  const value = table[key];
  if (typeof value !== 'string') throw new Refusal(`cloudlet.toml: ${key} is missing`);
  return value;
}

/** .1 of the network: the host itself. */
function gatewayOf(cidr: string): string {
  return cidr.replace(/\.\d+\/\d+$/, '.1');
}

/** Six letters: links and cgroups carry it. */
function randomName(): string {
  return [...randomBytes(6)].map((byte) => 'abcdefghijklmnopqrstuvwxyz'[byte % 26]).join('');
}

function openrc({ url, password }: { readonly url: string; readonly password: string }): string {
  return `# source this, and the openstack client speaks to Livia
unset OS_CLOUD
export OS_AUTH_URL='${url}'
export OS_IDENTITY_API_VERSION='3'
export OS_USERNAME='admin'
export OS_PASSWORD='${password}'
export OS_USER_DOMAIN_NAME='Default'
export OS_PROJECT_NAME='admin'
export OS_PROJECT_DOMAIN_NAME='Default'
export OS_REGION_NAME='RegionOne'
`;
}

function cloudsYaml({ url, password }: { readonly url: string; readonly password: string }): string {
  return `clouds:
  livia:
    auth:
      auth_url: ${url}
      username: admin
      password: '${password}'
      user_domain_name: Default
      project_name: admin
      project_domain_name: Default
    identity_api_version: '3'
    region_name: RegionOne
`;
}
