import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DriverError } from '../clouds/errors.ts';
import { bootOf, memberSubnet, zoneManagementNetwork } from '../../test/fake-compute.ts';
import { uuid } from '../../test/trees.ts';
import type { Tree } from '../lb/tree.ts';
import type { Context } from './context.ts';
import { makeScene, type Scene, withTlsListener } from './scene.fixture.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await makeScene();
});
afterAll(() => scene.drop());
beforeEach(() => {
  scene.cloud.onCall = () => undefined;
  scene.cloud.bootFault = undefined;
  scene.cloud.bootsFor = 1;
});

const served = async (): Promise<string> => {
  const id = await scene.create();
  expect(await scene.run(id)).toEqual({ kind: 'done' });
  return id;
};

const serverOf = async (id: string) => {
  const [amphora] = await scene.store.amphorae.of(id);
  const server = scene.cloud.servers.get(amphora?.computeId ?? '');
  if (amphora === undefined || server === undefined) throw new Error('no amphora serves');
  return { amphora, server };
};

const age = async (id: string): Promise<void> => {
  const { amphora } = await serverOf(id);
  const longAgo = new Date(Date.now() - 3_600_000);
  await scene.store.amphorae.save({ ...amphora, updatedAt: longAgo, lastHeartbeatAt: longAgo });
};

/** Everything in the cloud that bears the name of the load balancer or of its amphorae. */
const traces = async (id: string): Promise<readonly string[]> => {
  const ids = [id, ...(await scene.store.amphorae.of(id)).map((row) => row.id)];
  const { servers, ports, groups } = scene.cloud;
  const all = [
    ...[...servers.values()].map(({ name }) => name),
    ...[...ports.values()].map(({ name }) => name),
    ...groups.keys(),
  ];
  return all
    .filter((name) => ids.some((one) => name.endsWith(one)))
    .map((name) => name.replace(/-[0-9a-f-]{36}$/, ''))
    .toSorted();
};
const whole = ['amphora', 'lb', 'livia-mgmt', 'octavia-lb', 'octavia-lb-vrrp'];

describe('Members on another subnet', () => {
  const withMember = (subnetId: string | null) => (tree: Tree) => ({
    ...tree,
    members: tree.members.map((member) => ({ ...member, subnetId })),
  });
  const cardsOf = (name: string) =>
    [...scene.cloud.ports.values()].filter((port) => port.name === name).map(({ deviceId }) => deviceId);

  it('are reached by a card of the amphora on it, which goes with the last of them', async () => {
    const id = await served();
    await scene.change(id, withMember(memberSubnet.id));
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    const { amphora, server } = await serverOf(id);
    expect(cardsOf(`livia-member-${amphora.id}`)).toEqual([server.id]);
    expect(server.wanted?.interfaces).toHaveLength(2);
    expect(server.wanted?.interfaces[1]).toMatchObject({
      ...{ addresses: [expect.stringMatching(/^198\.51\.100\.\d+\/24$/)], vips: [], gateways: [] },
    });

    await scene.change(id, withMember(null));
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    expect(server.wanted?.interfaces).toHaveLength(1);
    expect(cardsOf(`livia-member-${amphora.id}`)).toEqual([]);
  });

  it('get another card there when the first asks for a virtual function, or the last of those goes', async () => {
    const id = await served();
    const kinds = async () => {
      const name = `livia-member-${(await serverOf(id)).amphora.id}`;
      return [...scene.cloud.ports.values()]
        .filter((port) => port.name === name)
        .map(({ vnicType }) => vnicType);
    };
    for (const vnicType of ['normal', 'direct', 'normal'] as const) {
      await scene.change(id, (tree) => ({
        ...tree,
        members: tree.members.map((member) => ({ ...member, subnetId: memberSubnet.id, vnicType })),
      }));
      expect(await scene.run(id)).toEqual({ kind: 'done' });
      expect(await kinds()).toEqual([vnicType]);
    }
  });

  it('leave no card behind when the load balancer goes', async () => {
    const id = await served();
    await scene.change(id, withMember(memberSubnet.id));
    await scene.run(id);
    expect(await traces(id)).toEqual([...whole, 'livia-member'].toSorted());
    await scene.remove(id);
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    expect(await traces(id)).toEqual([]);
  });

  it('are looked for through the gateway when their subnet is gone', async () => {
    const id = await served();
    await scene.change(id, withMember(uuid(9999)));
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    expect((await serverOf(id)).server.wanted?.interfaces).toHaveLength(1);
  });
});

describe('A new load balancer', () => {
  it('gets an amphora, and is ACTIVE and ONLINE with all below it', async () => {
    const id = await served();
    const { loadBalancer, listeners, pools, members } = await scene.tree(id);
    for (const object of [loadBalancer, ...listeners, ...pools]) {
      expect(object).toMatchObject({ provisioningStatus: 'ACTIVE', operatingStatus: 'ONLINE' });
    }
    expect(members[0]).toMatchObject({ provisioningStatus: 'ACTIVE', operatingStatus: 'NO_MONITOR' });
    expect(await traces(id)).toEqual(whole);
    const { amphora } = await serverOf(id);
    expect(amphora).toMatchObject({ status: 'ALLOCATED', role: 'STANDALONE', appliedGeneration: 1 });
    expect(amphora.lbNetworkIp).toMatch(/^10\.0\./);
    expect(amphora).toMatchObject({ haIp: '192.0.2.90', haPortId: loadBalancer.vipPortId });
  });

  it('has its VIP on the card that the cloud gave the amphora, with the prefix of the subnet', async () => {
    const { amphora, server } = await serverOf(await served());
    const port = scene.cloud.ports.get(amphora.vrrpPortId ?? '');
    expect(port?.allowedAddresses).toEqual(['192.0.2.90']);
    expect(server.wanted?.interfaces).toEqual([
      {
        mac: port?.macAddress,
        addresses: [`${amphora.vrrpIp}/24`],
        vips: ['192.0.2.90/24'],
        gateways: ['192.0.2.1'],
      },
    ]);
  });

  it('lets in clients at its listeners, and controllers at the agent', async () => {
    const id = await served();
    const opened = (name: string) =>
      scene.cloud.groups.get(name)?.rules.map((rule) => `${rule.protocol} ${rule.port ?? 'all'}`);
    expect(opened(`lb-${id}`)).toEqual(['icmp all', 'tcp 80']);
    expect(opened('livia-mgmt')).toEqual(['tcp 9443']);
    const { amphora } = await serverOf(id);
    expect(scene.cloud.ports.get(amphora.vrrpPortId ?? '')?.securityGroupIds).toEqual([
      scene.cloud.groups.get(`lb-${id}`)?.id,
    ]);
  });

  it('bears an amphora that knows its own name, certificate, key and where to report', async () => {
    const { amphora, server } = await serverOf(await served());
    const boot = bootOf(server);
    expect(boot).toMatchObject({ amphoraId: amphora.id, port: 9443 });
    expect(boot.heartbeat.receivers).toEqual(['10.0.0.1:5555']);
    expect(Buffer.from(boot.heartbeat.key, 'base64')).toHaveLength(32);
    expect(boot.certificatePem).toContain('BEGIN CERTIFICATE');
  });

  it('stays PENDING while the cloud is slow, and then comes', async () => {
    const id = await scene.create();
    scene.cloud.onCall = (name) => {
      if (name === 'compute.ensureServer') throw new DriverError('Nova is away', { retry: 'later' });
    };
    expect(await scene.run(id)).toEqual({ kind: 'failed', retry: 'later', reason: 'Nova is away' });
    expect((await scene.tree(id)).loadBalancer.provisioningStatus).toBe('PENDING_CREATE');
    scene.cloud.onCall = () => undefined;
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    expect(await traces(id)).toEqual(whole);
  });

  it('shows ERROR with the reason when the deadline is over, and ACTIVE once the cause is gone', async () => {
    const id = await scene.create();
    scene.cloud.bootFault = 'No valid host was found';
    const failingSince = new Date(Date.now() - 601_000);
    expect(await scene.run(id, { failingSince })).toMatchObject({ kind: 'failed', retry: 'later' });
    const tree = await scene.tree(id);
    for (const object of [tree.loadBalancer, ...tree.listeners, ...tree.members]) {
      expect(object.provisioningStatus).toBe('ERROR');
      expect(object.statusReason).toContain('No valid host was found');
    }
    scene.cloud.bootFault = undefined;
    expect(await scene.run(id, { failingSince })).toEqual({ kind: 'done' });
    expect((await scene.tree(id)).loadBalancer).toMatchObject({
      provisioningStatus: 'ACTIVE',
      statusReason: null,
    });
    expect((await scene.tree(id)).listeners[0]?.provisioningStatus).toBe('ACTIVE');
    expect(await traces(id)).toEqual(whole);
  });

  it('whose VIP is to be a virtual function asks for such a port, and says so where no host has any', async () => {
    const id = await scene.create(() => ({}));
    await scene.store.trees.settle(id, (tree) => ({
      ...tree,
      loadBalancer: { ...tree.loadBalancer, vipVnicType: 'direct' },
    }));
    scene.cloud.bootFault = 'No valid host was found';
    await scene.run(id, { failingSince: new Date(Date.now() - 601_000) });
    const [row] = await scene.store.amphorae.of(id);
    const card = [...scene.cloud.ports.values()].find((port) => port.id === row?.vrrpPortId);
    expect(card?.vnicType).toBe('direct');
    const { provisioningStatus, statusReason } = (await scene.tree(id)).loadBalancer;
    expect([provisioningStatus, statusReason]).toEqual(['ERROR', expect.stringContaining('No valid host')]);
    scene.cloud.bootFault = undefined;
  });

  it('shows ERROR at once when the wish can never be met', async () => {
    const id = await scene.create();
    scene.cloud.imageId = undefined;
    expect(await scene.run(id)).toMatchObject({ kind: 'failed', retry: 'never' });
    expect((await scene.tree(id)).loadBalancer).toMatchObject({
      provisioningStatus: 'ERROR',
      statusReason: 'There is no amphora image with the tag amphora.',
    });
    scene.cloud.imageId = 'image';
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    expect((await scene.tree(id)).loadBalancer.provisioningStatus).toBe('ACTIVE');
  });
});

describe('A load balancer with a listener whose certificate is gone', () => {
  it('serves the others, says so at that listener, and recovers', async () => {
    const id = await scene.create(withTlsListener('ref-gone'));
    expect(await scene.run(id)).toEqual({ kind: 'imperfect', reason: 'The secret ref-gone is gone.' });
    const { loadBalancer, listeners } = await scene.tree(id);
    const [plain, tls] = listeners.toSorted((a, b) => a.protocolPort - b.protocolPort);
    expect(loadBalancer.provisioningStatus).toBe('ACTIVE');
    expect(plain).toMatchObject({ provisioningStatus: 'ACTIVE', operatingStatus: 'ONLINE' });
    expect(tls).toMatchObject({
      provisioningStatus: 'ERROR',
      operatingStatus: 'ERROR',
      statusReason: 'The secret ref-gone is gone.',
    });

    const bundle = { certificatePem: 'LEAF', privateKeyPem: 'KEY', intermediatesPem: ['CHAIN'] };
    scene.cloud.certificates.set('ref-gone', bundle);
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    const { server } = await serverOf(id);
    const wanted = server.wanted?.listeners.find((listener) => listener.port === 443);
    expect(wanted?.tls?.certificates[0]?.pem).toBe('KEY\nLEAF\nCHAIN\n');
    expect((await scene.tree(id)).listeners.map((listener) => listener.provisioningStatus)).toEqual([
      'ACTIVE',
      'ACTIVE',
    ]);
  });

  it('is not settled at all while the key manager is away', async () => {
    const id = await scene.create(withTlsListener('ref-slow'));
    scene.cloud.onCall = (name) => {
      if (name === 'secrets.certificate') throw new DriverError('Barbican is away', { retry: 'later' });
    };
    expect(await scene.run(id)).toMatchObject({ kind: 'failed', retry: 'later' });
    expect((await scene.tree(id)).listeners[1]?.provisioningStatus).toBe('PENDING_CREATE');
  });
});

describe('A change', () => {
  it('reaches the amphora that is there', async () => {
    const id = await served();
    const { amphora } = await serverOf(id);
    await scene.change(id, (tree) => ({
      ...tree,
      members: tree.members.map((member) => ({ ...member, weight: 7, provisioningStatus: 'PENDING_UPDATE' })),
    }));
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    const after = await serverOf(id);
    expect(after.amphora).toMatchObject({ id: amphora.id, appliedGeneration: 2 });
    expect(after.server.wanted?.pools[0]?.members[0]?.weight).toBe(7);
    expect((await scene.tree(id)).members[0]).toMatchObject({ weight: 7, provisioningStatus: 'ACTIVE' });
  });

  it('that is made while the last one is pushed is not called done before it is', async () => {
    const id = await served();
    const touch = () => scene.change(id, (tree) => ({ ...tree, members: [] }));
    await scene.change(id, (tree) => tree);
    let touched: Promise<void> | undefined;
    const clouds = scene.cloud.clouds();
    const agent = {
      ...clouds.agent,
      apply: async (...args: Parameters<typeof clouds.agent.apply>) => {
        const outcome = await clouds.agent.apply(...args);
        await (touched ??= touch());
        return outcome;
      },
    };
    const context: Context = { ...scene.context, clouds: { ...clouds, agent } };
    expect(await scene.run(id, {}, context)).toEqual({ kind: 'done' });
    const { amphora, server } = await serverOf(id);
    expect(amphora.appliedGeneration).toBe(3);
    expect(server.wanted?.pools[0]?.members).toEqual([]);
  });
});

describe('A deleted load balancer', () => {
  it('leaves nothing behind', async () => {
    const id = await served();
    const before = await scene.store.amphorae.of(id);
    await scene.remove(id);
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    expect(await scene.store.trees.read(id)).toBeUndefined();
    expect(await scene.store.amphorae.of(id)).toEqual([]);
    const names = JSON.stringify([scene.cloud.inventory(), [...scene.cloud.groups.keys()]]);
    for (const gone of [id, ...before.map((row) => row.id)]) expect(names).not.toContain(gone);
    expect([...scene.cloud.ports.values()].filter((port) => port.name.endsWith(id))).toEqual([]);
  });

  it('keeps the port the user brought', async () => {
    const id = await served();
    await scene.change(id, (tree) => ({
      ...tree,
      loadBalancer: { ...tree.loadBalancer, provisioningStatus: 'PENDING_DELETE', vipPortOwned: false },
    }));
    const { vipPortId } = (await scene.tree(id)).loadBalancer;
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    expect(scene.cloud.ports.has(vipPortId)).toBe(true);
  });

  it('is still to be deleted when that fails past the deadline', async () => {
    const id = await served();
    await scene.remove(id);
    scene.cloud.onCall = (name) => {
      if (name === 'compute.removeServer') throw new DriverError('Nova is away', { retry: 'later' });
    };
    await scene.run(id, { failingSince: new Date(0) });
    expect((await scene.tree(id)).loadBalancer).toMatchObject({
      provisioningStatus: 'PENDING_DELETE',
      statusReason: 'Nova is away',
    });
    scene.cloud.onCall = () => undefined;
    await scene.run(id);
    expect(await scene.store.trees.read(id)).toBeUndefined();
  });
});

describe('A dead amphora', () => {
  it('whose server is in ERROR is replaced; the VIP stays', async () => {
    const id = await served();
    const old = await serverOf(id);
    old.server.status = 'ERROR';
    await age(id);
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    const { amphora, server } = await serverOf(id);
    expect(amphora.id).not.toBe(old.amphora.id);
    expect(server.wanted?.loadBalancer.vipAddresses).toEqual(['192.0.2.90']);
    expect(await traces(id)).toEqual(whole);
    expect(scene.cloud.servers.has(old.server.id)).toBe(false);
  });

  it('that is silent and does not answer is replaced', async () => {
    const id = await served();
    const old = await serverOf(id);
    scene.cloud.forget(old.server);
    await age(id);
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    expect((await serverOf(id)).amphora.id).not.toBe(old.amphora.id);
  });

  it('that does not answer but was heard just now is given time', async () => {
    const id = await served();
    const old = await serverOf(id);
    scene.cloud.forget(old.server);
    await scene.store.amphorae.heard(old.amphora.id, new Date());
    expect(await scene.run(id)).toMatchObject({ kind: 'failed', retry: 'later' });
    expect((await serverOf(id)).amphora.id).toBe(old.amphora.id);
  });

  it('that is silent among many is not replaced, unless the cloud calls it dead', async () => {
    const ids = await Promise.all([served(), served(), served(), served()]);
    for (const id of ids) {
      scene.cloud.forget((await serverOf(id)).server);
      await age(id);
    }
    const [kept, dead] = ids;
    const { settings } = scene.context;
    const health = { ...settings.health, failover_threshold_share: 0 };
    const cautious: Context = { ...scene.context, settings: { ...settings, health } };
    const old = await serverOf(kept);
    expect(await scene.run(kept, {}, cautious)).toMatchObject({ kind: 'failed', retry: 'later' });
    expect((await serverOf(kept)).amphora.id).toBe(old.amphora.id);

    const { amphora, server } = await serverOf(dead);
    server.status = 'ERROR';
    expect(await scene.run(dead, {}, cautious)).toEqual({ kind: 'done' });
    expect((await serverOf(dead)).amphora.id).not.toBe(amphora.id);
    for (const id of ids) await scene.remove(id);
    for (const id of ids) await scene.run(id);
  });

  it('that only lost what it was told is told again', async () => {
    const id = await served();
    const { amphora, server } = await serverOf(id);
    server.wanted = undefined;
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    const after = await serverOf(id);
    expect(after.amphora.id).toBe(amphora.id);
    expect(after.server.wanted?.generation).toBe(1);
  });
});

describe('A load balancer in an availability zone', () => {
  async function inZone(data: object): Promise<string> {
    const { availabilityZones } = scene.store;
    const id = randomUUID();
    const profile = { id, name: 'p', providerName: 'amphora', availabilityZoneData: JSON.stringify(data) };
    await availabilityZones.createProfile(profile);
    const zone = { name: id, description: null, enabled: true, availabilityZoneProfileId: id };
    await availabilityZones.create(zone);
    return scene.create(undefined, { availabilityZone: id });
  }

  it('has its amphora in the compute zone of that', async () => {
    const id = await inZone({ compute_zone: 'south' });
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    const { amphora, server } = await serverOf(id);
    expect([server.availabilityZone, amphora.cachedZone]).toEqual(['south', 'south']);
  });

  it('has its amphora on the management network of that', async () => {
    const id = await inZone({ management_network: zoneManagementNetwork });
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    const { amphora, server } = await serverOf(id);
    const port = scene.cloud.ports.get(server.portIds[0] ?? '');
    expect(port?.networkId).toBe(zoneManagementNetwork);
    expect(amphora.lbNetworkIp).toMatch(/^10\.9\./);
  });
});

describe('A failover', () => {
  it('replaces the amphora with one of the image of today, which has the VIP before the old one goes', async () => {
    const id = await served();
    const old = await serverOf(id);
    scene.cloud.imageId = 'newer image';
    await scene.failOver(id);
    const calls: string[] = [];
    scene.cloud.onCall = (name, when) => {
      if (when === 'after') calls.push(name);
    };
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    expect(calls.indexOf('agent.apply')).toBeLessThan(calls.indexOf('compute.removeServer'));
    const { amphora, server } = await serverOf(id);
    expect(amphora).toMatchObject({ imageId: 'newer image', outgoing: false, status: 'ALLOCATED' });
    expect(amphora.id).not.toBe(old.amphora.id);
    expect(server.wanted?.loadBalancer.vipAddresses).toEqual(['192.0.2.90']);
    expect((await scene.tree(id)).loadBalancer).toMatchObject({
      provisioningStatus: 'ACTIVE',
      operatingStatus: 'ONLINE',
    });
    expect(await traces(id)).toEqual(whole);
    expect(scene.cloud.servers.has(old.server.id)).toBe(false);
    scene.cloud.imageId = 'image';
  });

  it('of an amphora that is not there any more comes to its end', async () => {
    const id = await served();
    await scene.failOver(id, [id]);
    const { amphora } = await serverOf(id);
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    expect((await serverOf(id)).amphora.id).toBe(amphora.id);
    expect((await scene.tree(id)).loadBalancer.provisioningStatus).toBe('ACTIVE');
  });

  it('leaves the old amphora alone while there can be no other', async () => {
    const id = await served();
    const old = await serverOf(id);
    scene.cloud.bootFault = 'No valid host was found';
    await scene.failOver(id);
    expect(await scene.run(id)).toMatchObject({ kind: 'failed', retry: 'later' });
    expect(scene.cloud.servers.has(old.server.id)).toBe(true);
    expect((await scene.tree(id)).loadBalancer).toMatchObject({
      provisioningStatus: 'PENDING_UPDATE',
      operatingStatus: 'ONLINE',
    });
    scene.cloud.bootFault = undefined;
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    expect((await serverOf(id)).amphora.id).not.toBe(old.amphora.id);
  });

  it('saves a load balancer in ERROR, and makes a lost VIP port again', async () => {
    const id = await scene.create();
    scene.cloud.imageId = undefined;
    await scene.run(id);
    expect((await scene.tree(id)).loadBalancer.provisioningStatus).toBe('ERROR');
    scene.cloud.imageId = 'image';
    scene.cloud.ports.delete((await scene.tree(id)).loadBalancer.vipPortId);
    await scene.failOver(id);
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    const { loadBalancer } = await scene.tree(id);
    expect(loadBalancer.provisioningStatus).toBe('ACTIVE');
    expect(scene.cloud.ports.get(loadBalancer.vipPortId)?.fixedIps[0]?.ipAddress).toBe('192.0.2.90');
    expect(await traces(id)).toEqual(whole);
  });
});

describe('A load balancer of two amphorae', () => {
  const pairOf = async (id: string) => {
    const rows = await scene.store.amphorae.of(id);
    const of = (role: string) => {
      const row = rows.find((candidate) => candidate.role === role);
      const server = scene.cloud.servers.get(row?.computeId ?? '');
      if (row === undefined || server === undefined) throw new Error(`there is no ${role}`);
      return { row, server };
    };
    expect(rows).toHaveLength(2);
    return { master: of('MASTER'), backup: of('BACKUP') };
  };
  const aPair = async (parts?: Parameters<Scene['create']>[0]): Promise<string> => {
    const id = await scene.create(parts, { topology: 'ACTIVE_STANDBY' });
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    return id;
  };

  it('has a MASTER and a BACKUP that know of each other and carry the same', async () => {
    const { master, backup } = await pairOf(await aPair());
    expect(master.row).toMatchObject({ vrrpId: 1, vrrpPriority: 100, status: 'ALLOCATED' });
    expect(backup.row).toMatchObject({ vrrpId: 1, vrrpPriority: 90, status: 'ALLOCATED' });
    const [ofMaster, ofBackup] = [master.server.wanted, backup.server.wanted];
    expect(ofMaster?.vrrp).toMatchObject({
      address: master.row.vrrpIp,
      peers: [backup.row.vrrpIp],
      first: true,
    });
    expect(ofBackup?.vrrp).toMatchObject({
      address: backup.row.vrrpIp,
      peers: [master.row.vrrpIp],
      first: false,
    });
    expect(ofMaster?.vrrp?.password).toBe(ofBackup?.vrrp?.password);
    expect(ofMaster?.listeners).toEqual(ofBackup?.listeners);
    for (const { row } of [master, backup]) {
      expect(scene.cloud.ports.get(row.vrrpPortId ?? '')?.allowedAddresses).toEqual(['192.0.2.90']);
    }
  });

  it('lets the two speak VRRP, whoever guards it', async () => {
    const ids = [
      await aPair(),
      await scene.create(undefined, { topology: 'ACTIVE_STANDBY', vipSgIds: ['group of the user'] }),
    ];
    for (const id of ids) {
      await scene.run(id);
      const { master } = await pairOf(id);
      const group = scene.cloud.groups.get(`lb-${id}`);
      expect(group?.rules.map(({ protocol }) => protocol)).toContain('112');
      expect(scene.cloud.ports.get(master.row.vrrpPortId ?? '')?.securityGroupIds).toContain(group?.id);
    }
  });

  it('gets another for the one that died, and the one that lives hears of it', async () => {
    const id = await aPair();
    const old = await pairOf(id);
    old.master.server.status = 'ERROR';
    await scene.store.amphorae.save({
      ...old.master.row,
      updatedAt: new Date(0),
      lastHeartbeatAt: new Date(0),
    });
    await scene.store.trees.setOperatingStatuses(id, new Map([[id, 'ONLINE']]));
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    const { master, backup } = await pairOf(id);
    expect(backup.row.id).toBe(old.backup.row.id);
    expect(master.row.id).not.toBe(old.master.row.id);
    expect(backup.server.wanted?.vrrp?.peers).toEqual([master.row.vrrpIp]);
    expect(master.server.wanted?.vrrp).toMatchObject({ peers: [backup.row.vrrpIp], first: false });
    expect((await scene.tree(id)).loadBalancer).toMatchObject({
      provisioningStatus: 'ACTIVE',
      operatingStatus: 'ONLINE',
    });
  });

  it('takes changes while there can be no second', async () => {
    const id = await aPair();
    const { backup } = await pairOf(id);
    backup.server.status = 'ERROR';
    await scene.store.amphorae.save({ ...backup.row, updatedAt: new Date(0), lastHeartbeatAt: new Date(0) });
    scene.cloud.bootFault = 'No valid host was found';
    await scene.change(id, (tree) => ({ ...tree, members: [] }));
    expect(await scene.run(id)).toMatchObject({ kind: 'failed', retry: 'later' });
    expect((await scene.tree(id)).loadBalancer.provisioningStatus).toBe('ACTIVE');
    scene.cloud.bootFault = undefined;
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    await pairOf(id);
  });

  it('is failed over one after the other, the BACKUP first', async () => {
    const id = await aPair();
    const old = await pairOf(id);
    await scene.failOver(id);
    const removed: string[] = [];
    const clouds = scene.cloud.clouds();
    const compute = {
      ...clouds.compute,
      removeServer: async (serverId: string) => {
        removed.push(serverId);
        expect(
          (await scene.store.amphorae.of(id)).filter(({ status }) => status === 'ALLOCATED').length,
        ).toBeGreaterThan(1);
        return clouds.compute.removeServer(serverId);
      },
    };
    expect(await scene.run(id, {}, { ...scene.context, clouds: { ...clouds, compute } })).toEqual({
      kind: 'done',
    });
    expect(removed).toEqual([old.backup.server.id, old.master.server.id]);
    const { master, backup } = await pairOf(id);
    expect(master.server.wanted?.vrrp?.peers).toEqual([backup.row.vrrpIp]);
    expect(backup.server.wanted?.vrrp?.peers).toEqual([master.row.vrrpIp]);
    await scene.remove(id);
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    expect(await scene.store.amphorae.of(id)).toEqual([]);
  });
});

describe('An amphora whose settings are of another day', () => {
  it('is told those of today when it is looked at, without a change of status', async () => {
    const id = await served();
    const { server } = await serverOf(id);
    const { settings } = scene.context;
    const health = { ...settings.health, receivers: ['10.0.0.2:5555'], heartbeat_interval_ms: 2000 };
    const renewed: Context = { ...scene.context, settings: { ...settings, health } };
    expect(await scene.run(id, {}, renewed)).toEqual({ kind: 'done' });
    expect(server.wanted?.heartbeat).toEqual({ receivers: ['10.0.0.2:5555'], intervalMs: 2000 });
    expect((await scene.tree(id)).loadBalancer.generation).toBe(1);
  });
});

describe('A load balancer with TLS', () => {
  it('gets new ticket keys when their hour is over, and is put on the queue for the next', async () => {
    const bundle = { certificatePem: 'LEAF', privateKeyPem: 'KEY', intermediatesPem: [] };
    scene.cloud.certificates.set('ref', bundle);
    const id = await scene.create(withTlsListener('ref'));
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    const { server } = await serverOf(id);
    const first = server.wanted?.ticketKeys;
    if (server.wanted === undefined || first === undefined) throw new Error('it has no ticket keys');

    const hourAgo = { ...first, period: first.period - 1 };
    server.wanted = { ...server.wanted, ticketKeys: hourAgo };
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    expect(server.wanted.ticketKeys?.period).toBeGreaterThanOrEqual(first.period);

    await scene.store.work.mark(id);
    const claim = (await scene.store.work.claim('me', 100, 60_000)).find(({ key }) => key === id);
    if (claim === undefined) throw new Error('it is not on the queue');
    await scene.run(id);
    await scene.store.work.release(claim);
    expect(await scene.store.work.claim('me', 100, 60_000)).toEqual([]); // due later, and kept
    expect(await scene.store.work.markUnfinished()).toBe(0);
  });

  it('has the same ticket keys on every amphora it ever gets', async () => {
    const bundle = { certificatePem: 'LEAF', privateKeyPem: 'KEY', intermediatesPem: [] };
    scene.cloud.certificates.set('ref', bundle);
    const id = await scene.create(withTlsListener('ref'));
    await scene.run(id);
    const { server } = await serverOf(id);
    server.status = 'ERROR';
    await scene.run(id);
    const after = await serverOf(id);
    expect(after.server).not.toBe(server);
    expect(after.server.wanted?.ticketKeys?.keys).toContain(server.wanted?.ticketKeys?.keys[2]);
  });
});

describe('A VIP port that somebody deleted', () => {
  it('is made again with the same address', async () => {
    const id = await served();
    const { vipPortId } = (await scene.tree(id)).loadBalancer;
    scene.cloud.ports.delete(vipPortId);
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    const { loadBalancer } = await scene.tree(id);
    expect(loadBalancer.vipPortId).not.toBe(vipPortId);
    expect(scene.cloud.ports.get(loadBalancer.vipPortId)?.fixedIps[0]?.ipAddress).toBe('192.0.2.90');
  });
});

describe('A controller killed at any call', () => {
  const story = async (dyingCall: number): Promise<boolean> => {
    const killedWhileBuilding = scene.mortal(dyingCall);
    const id = await scene.create();
    await scene.run(id, {}, killedWhileBuilding.context).catch(() => undefined);
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    expect((await scene.tree(id)).loadBalancer.provisioningStatus).toBe('ACTIVE');
    expect(await traces(id)).toEqual(whole);

    const amphorae = await scene.store.amphorae.of(id);
    const killedWhileRemoving = scene.mortal(dyingCall);
    await scene.remove(id);
    await scene.run(id, {}, killedWhileRemoving.context).catch(() => undefined);
    expect(await scene.run(id)).toEqual({ kind: 'done' });
    expect(await scene.store.trees.read(id)).toBeUndefined();
    const ids = [id, ...amphorae.map((row) => row.id)];
    const names = [...scene.cloud.servers.values(), ...scene.cloud.ports.values()].map(({ name }) => name);
    const left = [...names, ...scene.cloud.groups.keys()].filter((name) =>
      ids.some((one) => name.endsWith(one)),
    );
    expect(left).toEqual([]);
    return killedWhileBuilding.died();
  };

  it('leaves nothing that the next one does not take up: no double, no orphan', async () => {
    const servers = scene.cloud.servers.size;
    let dyingCall = 0;
    while (await story(dyingCall)) dyingCall++;
    expect(dyingCall).toBeGreaterThan(40);
    expect(scene.cloud.servers.size).toBe(servers);
  }, 180_000);

  it('during a failover: the next one ends it, with one new amphora and nothing of the old', async () => {
    const failover = async (dyingCall: number): Promise<boolean> => {
      const id = await served();
      const old = await serverOf(id);
      const killed = scene.mortal(dyingCall);
      await scene.failOver(id);
      await scene.run(id, {}, killed.context).catch(() => undefined);
      expect(await scene.run(id)).toEqual({ kind: 'done' });
      expect((await scene.tree(id)).loadBalancer.provisioningStatus).toBe('ACTIVE');
      expect((await serverOf(id)).amphora.id).not.toBe(old.amphora.id);
      expect(await traces(id)).toEqual(whole);
      const all = [...scene.cloud.servers.values(), ...scene.cloud.ports.values()];
      expect(all.filter(({ name }) => name.endsWith(old.amphora.id))).toEqual([]);
      await scene.remove(id);
      await scene.run(id);
      return killed.died();
    };
    let dyingCall = 0;
    while (await failover(dyingCall)) dyingCall++;
    expect(dyingCall).toBeGreaterThan(40);
  }, 180_000);
});
