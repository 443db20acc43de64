import { cpus, totalmem } from 'node:os';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { owns, requireAdmin } from '../caller.ts';
import { callerOf, param } from '../http.ts';
import { forbidden } from '../refusal.ts';
import { minorOf } from './microversion.ts';
import { type Nova, promisedRam } from './records.ts';

/** Made up once, so that it is the same at every start. */
const hostUuid = '6c697669-6100-4000-8000-000000000001';
const serviceUuid = '6c697669-6100-4000-8000-000000000002';

/** Clients that look for what is not among these do without it. */
const offered = [
  ['os-availability-zone', 'AvailabilityZone'],
  ['os-flavor-access', 'FlavorAccess'],
  ['os-flavor-extra-specs', 'FlavorExtraSpecs'],
  ['os-interface', 'AttachInterfaces'],
  ['os-keypairs', 'Keypairs'],
  ['os-security-groups', 'SecurityGroups'],
  ['os-server-groups', 'ServerGroups'],
  ['os-services', 'Services'],
] as const;

/** What Nova says of the machines it has: there is one, and it is this one. */
export function factRoutes(app: FastifyInstance, nova: Nova, hostname: string): void {
  const extensions = offered.map(([alias, name]) => ({
    ...{ alias, name, description: name, namespace: '', links: [], updated: '2014-12-03T00:00:00Z' },
  }));
  app.get('/extensions', async () => ({ extensions }));

  const zone = { zoneName: 'nova', zoneState: { available: true } };
  app.get('/os-availability-zone', async () => ({ availabilityZoneInfo: [{ ...zone, hosts: null }] }));
  app.get('/os-availability-zone/detail', async (request) => {
    requireAdmin(callerOf(request));
    const alive = { available: true, active: true, updated_at: time() };
    return { availabilityZoneInfo: [{ ...zone, hosts: { [hostname]: { 'nova-compute': alive } } }] };
  });

  app.get('/os-services', async (request) => {
    requireAdmin(callerOf(request));
    const minor = minorOf(request);
    const service = {
      id: minor >= 53 ? serviceUuid : 1,
      binary: 'nova-compute',
      host: hostname,
      zone: 'nova',
      status: 'enabled',
      state: 'up',
      disabled_reason: null,
      updated_at: time(),
      ...(minor >= 11 && { forced_down: false }),
    };
    return { services: [service] };
  });

  const hypervisor = (minor: number) => ({
    id: minor >= 53 ? hostUuid : 1,
    hypervisor_hostname: hostname,
    state: 'up',
    status: 'enabled',
  });
  const hypervisorDetail = (minor: number) => ({
    ...hypervisor(minor),
    hypervisor_type: 'namespace',
    hypervisor_version: 1,
    host_ip: '127.0.0.1',
    service: { id: minor >= 53 ? serviceUuid : 1, host: hostname, disabled_reason: null },
    ...(minor < 88 && {
      vcpus: cpus().length,
      vcpus_used: nova.servers.all().reduce((sum, each) => sum + (each.placed ? each.flavor.vcpus : 0), 0),
      memory_mb: mebibytes(totalmem()),
      memory_mb_used: promisedRam(nova),
      free_ram_mb: mebibytes(totalmem()) - promisedRam(nova),
      running_vms: nova.servers.all().filter((each) => each.vm_state === 'active').length,
      local_gb: 0,
      local_gb_used: 0,
      free_disk_gb: 0,
      disk_available_least: 0,
      current_workload: 0,
      cpu_info: minor >= 28 ? {} : '{}',
    }),
  });
  const hypervisors = (show: (minor: number) => object) => async (request: FastifyRequest) => {
    requireAdmin(callerOf(request));
    return { hypervisors: [show(minorOf(request))] };
  };
  app.get('/os-hypervisors', hypervisors(hypervisor));
  app.get('/os-hypervisors/detail', hypervisors(hypervisorDetail));

  // Without end: only the machine's memory is counted.
  const limits = [
    'maxTotalInstances',
    'maxTotalCores',
    'maxTotalRAMSize',
    'maxTotalKeypairs',
    'maxServerGroups',
    'maxServerGroupMembers',
    'maxServerMeta',
  ];
  app.get('/limits', async (request) => {
    const own = nova.servers.all().filter((server) => server.project_id === callerOf(request).projectId);
    return {
      limits: {
        rate: [],
        absolute: {
          ...Object.fromEntries(limits.map((name) => [name, -1])),
          totalInstancesUsed: own.length,
          totalCoresUsed: own.reduce((sum, server) => sum + server.flavor.vcpus, 0),
          totalRAMUsed: own.reduce((sum, server) => sum + server.flavor.ram, 0),
          totalServerGroupsUsed: nova.groups
            .all()
            .filter((each) => each.project_id === callerOf(request).projectId).length,
        },
      },
    };
  });
  const quotas = [
    'instances',
    'cores',
    'ram',
    'key_pairs',
    'server_groups',
    'server_group_members',
    'metadata_items',
  ];
  /** Left out since these microversions. */
  const former: readonly (readonly [number, string])[] = [
    ...['floating_ips', 'fixed_ips', 'security_groups', 'security_group_rules'].map(
      (name) => [36, name] as const,
    ),
    ...['injected_files', 'injected_file_content_bytes', 'injected_file_path_bytes'].map(
      (name) => [57, name] as const,
    ),
  ];
  for (const path of ['/os-quota-sets/:project', '/os-quota-sets/:project/defaults']) {
    app.get(path, async (request) => {
      const id = param(request, 'project');
      if (!owns(callerOf(request), id)) throw forbidden();
      const minor = minorOf(request);
      const names = [...quotas, ...former.flatMap(([until, name]) => (minor < until ? [name] : []))];
      return { quota_set: { id, ...Object.fromEntries(names.map((name) => [name, -1])) } };
    });
  }

  function time(): string {
    return nova.now().toISOString().replace('Z', '000');
  }
}

function mebibytes(bytes: number): number {
  return Math.floor(bytes / 1024 / 1024);
}
