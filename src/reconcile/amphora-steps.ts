import { randomUUID } from 'node:crypto';
import type { SecurityRule } from '../clouds/clouds.ts';
import { DriverError } from '../clouds/errors.ts';
import type { Amphora, AmphoraRole } from '../lb/amphora.ts';
import type { Tree } from '../lb/tree.ts';
import { vipsOf } from '../plan/wanted.ts';
import { names } from '../plan/steps.ts';
import { priorities, routerId } from '../plan/vrrp.ts';
import { bootData, flavorData, zoneData } from './boot-data.ts';
import { changed, type Context, type Run } from './context.ts';

/** The steps from nothing to a server that boots. */

export async function openAmphora({ store, log }: Context, tree: Tree, role: AmphoraRole): Promise<void> {
  const row: Amphora = {
    id: randomUUID(),
    loadBalancerId: tree.loadBalancer.id,
    status: 'PENDING_CREATE',
    role,
    computeId: null,
    lbNetworkIp: null,
    vrrpIp: null,
    haIp: null,
    vrrpPortId: null,
    haPortId: null,
    certExpiration: null,
    certBusy: false,
    vrrpInterface: null,
    vrrpId: routerId,
    vrrpPriority: priorities[role],
    cachedZone: null,
    imageId: null,
    computeFlavor: null,
    appliedGeneration: -1,
    outgoing: false,
    lastHeartbeatAt: null,
    createdAt: new Date(),
    updatedAt: null,
  };
  await store.amphorae.save(row);
  log.info({ loadBalancerId: row.loadBalancerId, amphoraId: row.id, role }, 'amphora opened');
}

/** Both cards. Their device is empty: Nova takes only ports that nobody has. */
export async function ensurePorts(context: Context, run: Run, tree: Tree, row: Amphora): Promise<void> {
  const { networking, compute } = context.clouds;
  const { loadBalancer } = tree;
  const projectId = await compute.projectId();
  const vips = vipsOf(loadBalancer, run.vipPort?.fixedIps ?? []);
  const common = { deviceId: '', deviceOwner: '', projectId, adminStateUp: true };
  const [managementPort, vrrpPort] = await Promise.all([
    managementCard(context, projectId, loadBalancer.availabilityZone).then((card) =>
      networking.ensurePort({ ...common, ...card, name: names.managementPort(row.id) }),
    ),
    networking.ensurePort({
      ...common,
      name: names.vrrpPort(row.id),
      networkId: loadBalancer.vipNetworkId,
      vnicType: loadBalancer.vipVnicType,
      fixedIps: [...new Set(vips.map((vip) => vip.subnetId))].map((subnetId) => ({ subnetId })),
      securityGroupIds: run.groupIds,
      allowedAddresses: vips.map((vip) => vip.ipAddress),
    }),
  ]);
  await context.store.amphorae.save(
    changed(row, {
      lbNetworkIp: managementPort.fixedIps[0]?.ipAddress ?? null,
      vrrpPortId: vrrpPort.id,
      vrrpIp: vrrpPort.fixedIps[0]?.ipAddress ?? null,
      haPortId: loadBalancer.vipPortId,
      haIp: loadBalancer.vipAddress,
    }),
  );
}

async function managementCard(context: Context, projectId: string, availabilityZone: string | null) {
  const { clouds, settings } = context;
  const { amphora } = settings;
  const openings: SecurityRule[] = amphora.controller_cidrs.map((remoteCidr) => ({
    protocol: 'tcp',
    port: amphora.agent_port,
    ipVersion: remoteCidr.includes(':') ? 6 : 4,
    remoteCidr,
  }));
  const zone = await zoneData(context, availabilityZone);
  const network = zone.management_network ?? amphora.management_network;
  const [networkId, securityGroupIds] = await Promise.all([
    clouds.networking.networkId(network),
    amphora.management_security_groups.length > 0
      ? amphora.management_security_groups
      : clouds.networking
          .ensureSecurityGroup(names.managementGroup, projectId, openings)
          .then((groupId) => [groupId]),
  ]);
  if (networkId === undefined) {
    throw new DriverError(`There is no network ${network} for the amphorae.`, { retry: 'never' });
  }
  return { networkId, fixedIps: [], securityGroupIds };
}

export async function bootServer(context: Context, run: Run, tree: Tree, row: Amphora): Promise<void> {
  const { clouds, store, settings, log } = context;
  const { flavorId: offered, availabilityZone } = tree.loadBalancer;
  const [flavor, zone] = await Promise.all([
    flavorData(context, offered),
    zoneData(context, availabilityZone),
  ]);
  const tag = flavor.amp_image_tag ?? settings.amphora.image_tag;
  const flavorId = flavor.compute_flavor ?? settings.amphora.compute_flavor;
  const [imageId, { userData, certExpiration }] = await Promise.all([
    clouds.images.newest(tag),
    bootData(context, row.id),
  ]);
  if (imageId === undefined) {
    throw new DriverError(`There is no amphora image with the tag ${tag}.`, { retry: 'never' });
  }
  const portIds = [run.managementPorts.get(row.id)?.id, run.vrrpPorts.get(row.id)?.id];
  const server = await clouds.compute.ensureServer({
    name: names.server(row.id),
    imageId,
    flavorId,
    keyName: settings.amphora.key_name ?? null,
    userData,
    portIds: portIds.filter((id) => id !== undefined),
    availabilityZone: zone.compute_zone ?? settings.amphora.availability_zone ?? null,
  });
  await store.amphorae.save(
    changed(row, {
      status: 'BOOTING',
      computeId: server.id,
      imageId,
      computeFlavor: flavorId,
      cachedZone: server.availabilityZone,
      certExpiration,
    }),
  );
  log.info({ amphoraId: row.id, serverId: server.id }, 'amphora boots');
}

export async function adoptServer({ store, log }: Context, row: Amphora, serverId: string): Promise<void> {
  await store.amphorae.save(changed(row, { status: 'BOOTING', computeId: serverId }));
  log.info({ amphoraId: row.id, serverId }, 'amphora boots: its server was found');
}
