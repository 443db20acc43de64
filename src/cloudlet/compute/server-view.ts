import { createHash } from 'node:crypto';
import { type Caller, isAdmin } from '../caller.ts';
import type { Net } from '../network/records.ts';
import { portsOf } from './cards.ts';
import type { Server } from './records.ts';

export interface ViewParts {
  readonly net: Net;
  readonly hostname: string;
  /** Nova's URL with its version. */
  readonly base: string;
}

/** Nova's word for both states together. */
export function statusOf(server: Server): string {
  if (server.task_state === 'rebooting_hard') return 'HARD_REBOOT';
  return { building: 'BUILD', active: 'ACTIVE', stopped: 'SHUTOFF', error: 'ERROR' }[server.vm_state];
}

export function serverLinks(server: Server, base: string): object[] {
  return [{ rel: 'self', href: `${base}/servers/${server.id}` }];
}

/** The server in full, as the microversion 2.`minor` has it. */
export function serverView(parts: ViewParts, server: Server, caller: Caller, minor: number): object {
  const { base, hostname } = parts;
  const status = statusOf(server);
  return {
    id: server.id,
    name: server.name,
    status,
    tenant_id: server.project_id,
    user_id: server.user_id,
    metadata: server.metadata,
    hostId: server.placed ? createHash('sha224').update(`${server.project_id}${hostname}`).digest('hex') : '',
    image: {
      id: server.image_id,
      links: [{ rel: 'bookmark', href: `${base.replace(/\/v2\.1$/, '')}/images/${server.image_id}` }],
    },
    flavor: flavorOf(server, minor, base),
    created: server.created_at,
    updated: server.updated_at,
    addresses: addresses(parts.net, server),
    accessIPv4: server.access_ips?.v4 ?? '',
    accessIPv6: server.access_ips?.v6 ?? '',
    links: serverLinks(server, base),
    'OS-DCF:diskConfig': 'MANUAL',
    ...((status === 'ACTIVE' || status === 'BUILD') && { progress: 0 }),
    'OS-EXT-AZ:availability_zone': server.placed ? 'nova' : '',
    config_drive: server.config_drive ? 'True' : '',
    key_name: server.key_name,
    'OS-SRV-USG:launched_at': server.launched_at?.replace('Z', '.000000') ?? null,
    'OS-SRV-USG:terminated_at': null,
    'OS-EXT-STS:vm_state': server.vm_state,
    'OS-EXT-STS:task_state': server.task_state,
    // 1: running, 4: shut down, 0: not known.
    'OS-EXT-STS:power_state': server.vm_state === 'active' ? 1 : server.vm_state === 'building' ? 0 : 4,
    'os-extended-volumes:volumes_attached': [],
    ...(server.security_groups.length > 0 && {
      security_groups: server.security_groups.map((name) => ({ name })),
    }),
    ...(server.fault !== null && status === 'ERROR' && { fault: server.fault }),
    ...(isAdmin(caller) && forAdmins(server, minor, hostname)),
    ...(minor >= 9 && { locked: false }),
    ...(minor >= 19 && { description: server.description }),
    ...(minor >= 26 && { tags: server.tags }),
    ...(minor >= 63 && { trusted_image_certificates: null }),
    ...(minor >= 71 && { server_groups: server.group_id === null ? [] : [server.group_id] }),
    ...(minor >= 73 && { locked_reason: null }),
    ...(minor >= 96 && { pinned_availability_zone: null }),
  };
}

/** Until microversion 2.75 the answer to a change is the server without what extensions add. */
export function changedView(parts: ViewParts, server: Server, caller: Caller, minor: number): object {
  const whole = serverView(parts, server, caller, minor);
  if (minor >= 75) return whole;
  const added = /^(OS-EXT-|OS-SRV-USG:|os-extended-|config_drive$|key_name$|security_groups$|host_status$)/;
  return Object.fromEntries(Object.entries(whole).filter(([key]) => !added.test(key)));
}

function forAdmins(server: Server, minor: number, hostname: string): object {
  const host = server.placed ? hostname : null;
  return {
    'OS-EXT-SRV-ATTR:host': host,
    'OS-EXT-SRV-ATTR:hypervisor_hostname': host,
    'OS-EXT-SRV-ATTR:instance_name': `instance-${server.id}`,
    ...(minor >= 3 && {
      'OS-EXT-SRV-ATTR:hostname': server.name.toLowerCase(),
      'OS-EXT-SRV-ATTR:reservation_id': `r-${server.id.slice(0, 8)}`,
      'OS-EXT-SRV-ATTR:launch_index': 0,
      'OS-EXT-SRV-ATTR:kernel_id': '',
      'OS-EXT-SRV-ATTR:ramdisk_id': '',
      'OS-EXT-SRV-ATTR:root_device_name': null,
      'OS-EXT-SRV-ATTR:user_data': null, // it carries keys, and nobody needs it back
    }),
    ...(minor >= 16 && { host_status: server.placed ? 'UP' : '' }),
  };
}

function flavorOf({ flavor }: Server, minor: number, base: string): object {
  if (minor < 47) {
    return {
      id: flavor.id,
      links: [{ rel: 'bookmark', href: `${base.replace(/\/v2\.1$/, '')}/flavors/${flavor.id}` }],
    };
  }
  return {
    original_name: flavor.name,
    vcpus: flavor.vcpus,
    ram: flavor.ram,
    disk: flavor.disk,
    ephemeral: flavor.ephemeral,
    swap: flavor.swap,
    extra_specs: flavor.extra_specs,
  };
}

/** Addresses by the network's name, floating ones beside those they point at. */
export function addresses(net: Net, server: Server): Record<string, object[]> {
  const found: Record<string, object[]> = {};
  for (const port of portsOf(net, server)) {
    const name = net.networks.get(port.network_id)?.name ?? port.network_id;
    const view = (addr: string, type: 'fixed' | 'floating') => ({
      version: addr.includes(':') ? 6 : 4,
      addr,
      'OS-EXT-IPS:type': type,
      'OS-EXT-IPS-MAC:mac_addr': port.mac_address,
    });
    const floating = net.floatingIps.all().filter((each) => each.port_id === port.id);
    (found[name] ??= []).push(
      ...port.fixed_ips.map((fixed) => view(fixed.ip_address, 'fixed')),
      ...floating.map((each) => view(each.floating_ip_address, 'floating')),
    );
  }
  return found;
}
