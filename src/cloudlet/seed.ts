import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Config } from './config.ts';
import type { Nova } from './compute/records.ts';
import { byName, type Directory, grant, type Role } from './identity/directory.ts';
import { hashPassword, passwordMatches } from './identity/passwords.ts';
import type { Images } from './images/images.ts';
import { born, type Net, type Network, subnetsOn } from './network/records.ts';
import { createSubnet } from './network/subnets.ts';
import { parseCidr } from './network/addresses.ts';
import type { Records } from './records.ts';

/** Brings the records to what a cloud for load balancers has from the beginning. Found by fixed names, so repeatable. */
export async function seed(
  records: Records,
  parts: { directory: Directory; nova: Nova; net: Net; images: Images },
  config: Config,
): Promise<void> {
  const { directory, nova, net, images } = parts;
  // Hashing takes its time off the main thread, so before the transaction.
  const passwords = {
    admin: await passwordHash(directory, 'admin', config.admin_password),
    livia: await passwordHash(directory, 'livia', config.service_password),
  };
  const serviceProject = records.transaction(() => {
    seedIdentity(directory, passwords);
    seedCatalog(directory, config);
    seedFlavors(nova);
    const project = projectNamed(directory, 'service');
    seedNetwork(net, 'lb-mgmt-net', 'lb-mgmt-subnet', project, false, config.management_cidr);
    seedNetwork(net, 'ext_net', 'ext_net_subnet', project, true, config.external_cidr);
    return project;
  });
  await seedImage(images, serviceProject, await readFile(config.boot_image));
}

const roleNames = [
  'admin',
  'member',
  'reader',
  'service',
  'load-balancer_member',
  'load-balancer_observer',
  'load-balancer_global_observer',
  'load-balancer_quota_admin',
  'load-balancer_admin',
];

function seedIdentity(directory: Directory, passwords: { admin: string; livia: string }): void {
  const domain = directory.domains.get('default');
  if (domain === undefined) {
    directory.domains.put({
      id: 'default',
      name: 'Default',
      description: 'The default domain',
      enabled: true,
    });
  }
  const roles = Object.fromEntries(roleNames.map((name) => [name, roleNamed(directory, name)]));
  const role = (name: string): Role => roles[name] ?? roleNamed(directory, name);
  imply(directory, role('admin'), role('member'));
  imply(directory, role('member'), role('reader'));

  const admin = userNamed(directory, 'admin', passwords.admin, projectNamed(directory, 'admin'));
  grant(directory, { user_id: admin }, role('admin').id, {
    kind: 'project',
    id: projectNamed(directory, 'admin'),
  });
  grant(directory, { user_id: admin }, role('admin').id, { kind: 'system', id: 'all' });
  grant(directory, { user_id: admin }, role('admin').id, { kind: 'domain', id: 'default' });

  const service = projectNamed(directory, 'service');
  const livia = userNamed(directory, 'livia', passwords.livia, service);
  grant(directory, { user_id: livia }, role('admin').id, { kind: 'project', id: service });
  grant(directory, { user_id: livia }, role('service').id, { kind: 'project', id: service });
}

/** The hash that is kept already, when it is of this password. */
async function passwordHash(directory: Directory, user: string, password: string): Promise<string> {
  const kept = byName(directory.users.all(), user, 'default')?.password_hash ?? undefined;
  return kept !== undefined && (await passwordMatches(password, kept)) ? kept : hashPassword(password);
}

function roleNamed(directory: Directory, name: string): Role {
  return (
    byName(directory.roles.all(), name) ??
    directory.roles.put({ id: newId(), name, domain_id: null, description: null })
  );
}

function imply(directory: Directory, prior: Role, implied: Role): void {
  const id = `${prior.id}:${implied.id}`;
  directory.impliedRoles.put({ id, prior: prior.id, implied: implied.id });
}

function projectNamed(directory: Directory, name: string): string {
  const found =
    byName(directory.projects.all(), name, 'default') ??
    directory.projects.put({
      id: newId(),
      name,
      domain_id: 'default',
      description: '',
      enabled: true,
      is_domain: false,
      parent_id: 'default',
      tags: [],
    });
  return found.id;
}

function userNamed(
  directory: Directory,
  name: string,
  password_hash: string,
  default_project_id: string,
): string {
  const found = byName(directory.users.all(), name, 'default');
  if (found?.password_hash === password_hash) return found.id;
  const fresh = { id: newId(), name, domain_id: 'default', enabled: true, default_project_id };
  return directory.users.put({ ...(found ?? fresh), password_hash }).id;
}

/** URLs may have moved since the last start, so services of these types always say today's. */
function seedCatalog(directory: Directory, config: Config): void {
  if (directory.regions.get(config.region) === undefined) {
    directory.regions.put({ id: config.region, description: '', parent_region_id: null });
  }
  const services = [
    ['identity', 'keystone', `${config.public_url}/identity`],
    ['compute', 'nova', `${config.public_url}/compute/v2.1`],
    ['network', 'neutron', `${config.public_url}/network`],
    ['image', 'glance', `${config.public_url}/image`],
    ['key-manager', 'barbican', `${config.public_url}/key-manager`],
    ['load-balancer', 'octavia', config.octavia_url],
  ] as const;
  for (const [type, name, url] of services) {
    const service =
      directory.services.all().find((each) => each.type === type) ??
      directory.services.put({ id: newId(), type, name, description: '', enabled: true });
    for (const face of ['public', 'internal', 'admin'] as const) {
      const found = directory.endpoints
        .all()
        .find(
          (each) =>
            each.service_id === service.id && each.interface === face && each.region_id === config.region,
        );
      if (found?.url === url) continue;
      directory.endpoints.put({
        id: found?.id ?? newId(),
        service_id: service.id,
        interface: face,
        region_id: config.region,
        url,
        enabled: true,
      });
    }
  }
}

/** Nova's usual sizes, and that of an amphora. Id, name, MiB of RAM, processors, GiB of disk. */
const flavors = [
  ['1', 'm1.tiny', 512, 1, 1],
  ['2', 'm1.small', 2048, 1, 20],
  ['3', 'm1.medium', 4096, 2, 40],
  ['4', 'm1.large', 8192, 4, 80],
  ['5', 'm1.xlarge', 16_384, 8, 160],
  ['livia-amphora', 'amphora', 1024, 1, 3],
] as const;

function seedFlavors(nova: Nova): void {
  const firstTime = nova.flavors.all().length === 0; // an admin may remove the usual ones for good
  for (const [id, name, ram, vcpus, disk] of flavors) {
    if (nova.flavors.get(id) !== undefined || !(firstTime || id === 'livia-amphora')) continue;
    const nothing = { ephemeral: 0, swap: 0, description: null, extra_specs: {}, access: [] };
    nova.flavors.put({ id, name, ram, vcpus, disk, rxtx_factor: 1, is_public: true, ...nothing });
  }
}

/** A network whose gateway is this machine. */
function seedNetwork(
  net: Net,
  name: string,
  subnetName: string,
  projectId: string,
  external: boolean,
  wished: string,
): void {
  const cidr = parseCidr(wished)?.text;
  if (cidr === undefined) throw new Error(`${wished} is not a network`);
  const network: Network =
    net.networks.all().find((each) => each.name === name && each.host_leg) ??
    net.networks.put({
      ...born(net, { name, project_id: projectId }),
      admin_state_up: true,
      shared: external,
      'router:external': external,
      mtu: 1500,
      port_security_enabled: true,
      host_leg: true,
    });
  const there = subnetsOn(net, network.id).find((each) => each.ip_version === 4);
  if (there === undefined) {
    const everything = { userId: '', projectId, domainId: null, system: false, roles: new Set(['admin']) };
    createSubnet(net, everything, { name: subnetName, network_id: network.id, cidr });
  } else if (there.cidr !== cidr) {
    throw new Error(
      `subnet ${subnetName} is ${there.cidr}, and cannot become ${cidr}: addresses of it are in use`,
    );
  }
}

/** The boot script may be a newer one than at the last start. */
async function seedImage(images: Images, owner: string, script: Buffer): Promise<void> {
  const found = images.collection.all().find((each) => each.name === 'amphora-livia' && each.owner === owner);
  const image =
    found ??
    images.create({
      name: 'amphora-livia',
      owner,
      visibility: 'public',
      tags: ['amphora'],
      container_format: 'bare',
      disk_format: 'raw',
    });
  const old = image.status === 'active' ? await images.data(image.id) : undefined;
  if (old === undefined || !old.equals(script)) await images.store(image, script);
}

function newId(): string {
  return randomUUID().replaceAll('-', '');
}
