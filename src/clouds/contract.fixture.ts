import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../platform/run.ts';
import type { Clouds } from './clouds.ts';
import { connectClouds } from './connect-clouds.ts';
import { DriverError } from './errors.ts';
import { openSession, type Session, type SessionOptions } from './session.ts';

/** A cloud to try the clients on, with a caller who is an ordinary member of a project of his own. */
export interface Ground {
  readonly session: SessionOptions;
  readonly caller: { readonly token: string; readonly userId: string; readonly projectId: string };
  /** A network with one IPv4 subnet with free addresses. */
  readonly network: { readonly id: string; readonly name: string; readonly subnetId: string };
  /** A flavor, and two images with a tag of which the second is newer. */
  readonly flavorId: string;
  readonly imageTag: string;
  readonly newestImageId: string;
  /** Stored by the caller; gives the reference. */
  storeSecret(bytes: Buffer, contentType: string): Promise<string>;
  storeContainer(secrets: Readonly<Record<string, string>>): Promise<string>;
  deleteSecret(ref: string): Promise<void>;
  /** Whether servers can be booted here. */
  readonly boots: boolean;
  close(): Promise<void>;
}

const Rule = Type.Object({
  id: Type.String(),
  ethertype: Type.String(),
  protocol: Type.Union([Type.String(), Type.Null()]),
  port_range_min: Type.Union([Type.Integer(), Type.Null()]),
  remote_ip_prefix: Type.Union([Type.String(), Type.Null()]),
});
type Rule = Static<typeof Rule>;

function meaning({ protocol, port_range_min: port, ethertype, remote_ip_prefix: cidr }: Rule): string {
  const from = cidr === null || cidr === '0.0.0.0/0' ? 'all' : cidr;
  return `${protocol === 'vrrp' ? '112' : protocol} ${port ?? 'any'} ${ethertype} ${from}`;
}

/** What every cloud must do for Livia. */
export function cloudsContract(name: string, open: () => Promise<Ground>): void {
  describe(`the clients on ${name}`, () => {
    let ground: Ground;
    let clouds: Clouds & { close(): Promise<void> };
    let session: Session;
    let pems: { certificate: string; key: string; bundle: Buffer };

    beforeAll(async () => {
      [ground, pems] = await Promise.all([open(), makeCertificate()]);
      session = openSession(ground.session);
      clouds = connectClouds({
        session: ground.session,
        agent: { caPem: '', certificatePem: '', keyPem: '', port: 9443 },
      });
    });
    afterAll(async () => {
      await session.close();
      await clouds.close();
      await ground.close();
    });

    async function rulesOf(groupId: string): Promise<Rule[]> {
      const { security_group_rules: rules } = await session.read(
        Type.Object({ security_group_rules: Type.Array(Rule) }),
        'network',
        'GET',
        '/security-group-rules',
        { query: { security_group_id: groupId, direction: 'ingress' } },
      );
      return rules;
    }

    it('say who holds a token, and nobody for one that was never issued', async () => {
      const { token, userId, projectId } = ground.caller;
      const caller = await clouds.identity.validate(token);
      expect(caller).toMatchObject({ token, userId, projectId, systemScope: false });
      expect(caller?.roles).toContain('member');
      for (const never of ['nonsense', '', 'with\nline', 'Ünicode', 'x'.repeat(10_000), randomUUID()]) {
        expect(await clouds.identity.validate(never)).toBeUndefined();
      }
    });

    it('read a PKCS#12 secret with the rights of the caller, and from then on with their own', async () => {
      const ref = await ground.storeSecret(pems.bundle, 'application/octet-stream');
      const read = await clouds.secrets.certificate(ref, ground.caller.token);
      expect(read.certificatePem).toBe(pems.certificate);
      expect(await clouds.secrets.certificate(ref)).toEqual(read);
      // Sharing twice is sharing once.
      expect(await clouds.secrets.certificate(ref, ground.caller.token)).toEqual(read);
    });

    it('read a certificate container of PEM secrets', async () => {
      const container = await ground.storeContainer({
        certificate: await ground.storeSecret(Buffer.from(pems.certificate), 'text/plain'),
        private_key: await ground.storeSecret(Buffer.from(pems.key), 'text/plain'),
      });
      const read = await clouds.secrets.certificate(container, ground.caller.token);
      expect(read.certificatePem).toBe(pems.certificate);
      expect(await clouds.secrets.certificate(container)).toEqual(read);
    });

    it('read the PEM text of a CA', async () => {
      const ref = await ground.storeSecret(Buffer.from(pems.certificate), 'text/plain');
      // Barbican keeps no blanks at the end.
      const text = pems.certificate.trimEnd();
      expect((await clouds.secrets.text(ref, ground.caller.token)).trimEnd()).toBe(text);
      expect((await clouds.secrets.text(ref)).trimEnd()).toBe(text);
    });

    it('say in a sentence what is wrong with a secret, and that it will not get better', async () => {
      const gone = await ground.storeSecret(pems.bundle, 'application/octet-stream');
      await ground.deleteSecret(gone);
      const noBundle = await ground.storeSecret(Buffer.from([1, 2, 3]), 'application/octet-stream');
      const noPem = await ground.storeSecret(Buffer.from('hello'), 'text/plain');
      const { token } = ground.caller;
      const words = async (asked: Promise<unknown>): Promise<string> => {
        const error: unknown = await asked.then(
          () => 'read',
          (caught: unknown) => caught,
        );
        expect(error).toBeInstanceOf(DriverError);
        expect(error).toHaveProperty('retry', 'never');
        return (error as Error).message;
      };
      expect(await words(clouds.secrets.certificate(gone, token))).toBe(
        `${gone} is not in the key manager, or no longer`,
      );
      expect(await words(clouds.secrets.certificate(gone))).toContain('is not in the key manager');
      expect(await words(clouds.secrets.certificate(noBundle, token))).toBe(
        `${noBundle} is not a PKCS#12 bundle`,
      );
      expect(await words(clouds.secrets.text(noPem, token))).toBe(`${noPem} holds no PEM text`);
      expect(await words(clouds.secrets.certificate('whatever', token))).toContain('is no reference');
    });

    it('find networks, subnets and ports, and nothing for ids that are none', async () => {
      const { id, name: networkName, subnetId } = ground.network;
      const { networking } = clouds;
      expect(await networking.networkId(id)).toBe(id);
      expect(await networking.networkId(networkName)).toBe(id);
      expect(await networking.networkId('no-such-network')).toBeUndefined();
      const subnet = await networking.subnet(subnetId, ground.caller.token);
      expect(subnet).toMatchObject({ id: subnetId, networkId: id, ipVersion: 4 });
      expect(await networking.subnetsOf(id, ground.caller.token)).toEqual([subnet]);
      for (const never of [randomUUID(), '..', '', '../networks', 'a/b?c=d#e']) {
        expect(await networking.subnet(never, ground.caller.token)).toBeUndefined();
        expect(await networking.port(never)).toBeUndefined();
        expect(await networking.subnetsOf(never)).toBeUndefined();
        expect(await networking.securityGroupExists(never)).toBe(false);
        expect(await networking.qosPolicyExists(never)).toBe(false);
        expect(await clouds.compute.flavorExists(never)).toBe(false);
      }
    });

    it('make a port once, open it, and remove it as often as asked', async () => {
      const { networking } = clouds;
      const wanted = {
        name: `octavia-lb-${randomUUID()}`,
        networkId: ground.network.id,
        fixedIps: [{ subnetId: ground.network.subnetId }],
        deviceId: `lb-${randomUUID()}`,
        deviceOwner: 'Octavia',
        projectId: ground.caller.projectId,
        adminStateUp: false,
      };
      const made = await networking.ensurePort(wanted);
      expect(made.fixedIps).toHaveLength(1);
      expect(made.macAddress).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
      expect(await networking.ensurePort(wanted)).toEqual(made);
      expect(await networking.portsNamed(wanted.name)).toEqual([made]);
      expect(await networking.portsOf(wanted.deviceId)).toEqual([made]);

      const address = made.fixedIps[0]?.ipAddress ?? '';
      const taken = networking.ensurePort({
        ...wanted,
        name: 'another',
        fixedIps: [{ subnetId: ground.network.subnetId, ipAddress: address }],
      });
      await expect(taken).rejects.toMatchObject({ status: 409, retry: 'never' });
      await expect(taken).rejects.toThrow(address);

      const group = await networking.ensureSecurityGroup(wanted.name, ground.caller.projectId, []);
      const openings = { allowedAddresses: ['10.9.9.9'], securityGroupIds: [group] };
      await networking.ensurePortOpenings(made.id, openings);
      await networking.ensurePortOpenings(made.id, openings);
      await expect(networking.removeSecurityGroup(wanted.name)).rejects.toMatchObject({ retry: 'later' });

      await networking.removePort(made.id);
      await networking.removePort(made.id);
      expect(await networking.port(made.id)).toBeUndefined();
      await networking.removeSecurityGroup(wanted.name);
      await networking.removeSecurityGroup(wanted.name);
      expect(await networking.securityGroupExists(group)).toBe(false);
    });

    it('keep a security group at exactly the wanted rules', async () => {
      const { networking } = clouds;
      const groupName = `lb-${randomUUID()}`;
      const { projectId } = ground.caller;
      const tcp = (port: number, remoteCidr: string | null) =>
        ({ protocol: 'tcp', port, ipVersion: 4, remoteCidr }) as const;
      const vrrp = { protocol: '112', port: null, ipVersion: 4, remoteCidr: null } as const;
      const ping6 = { protocol: 'icmp', port: null, ipVersion: 6, remoteCidr: null } as const;
      const wanted = [tcp(443, null), tcp(443, '192.0.2.77/24'), vrrp, ping6];
      const id = await networking.ensureSecurityGroup(groupName, projectId, wanted);
      const first = await rulesOf(id);
      expect(first.map(meaning).toSorted()).toEqual([
        '112 any IPv4 all',
        'ipv6-icmp any IPv6 all',
        'tcp 443 IPv4 192.0.2.0/24',
        'tcp 443 IPv4 all',
      ]);
      // The same again leaves every rule in place; a change touches only what differs.
      expect(await networking.ensureSecurityGroup(groupName, projectId, wanted)).toBe(id);
      expect((await rulesOf(id)).map((rule) => rule.id).toSorted()).toEqual(
        first.map((rule) => rule.id).toSorted(),
      );
      expect(await networking.securityGroupExists(id)).toBe(true);
      const next = [tcp(443, '192.0.2.0/24'), tcp(80, '0.0.0.0/0')];
      expect(await networking.ensureSecurityGroup(groupName, projectId, next)).toBe(id);
      const second = await rulesOf(id);
      expect(second.map(meaning).toSorted()).toEqual(['tcp 443 IPv4 192.0.2.0/24', 'tcp 80 IPv4 all']);
      const kept = second.filter((rule) => first.some((before) => before.id === rule.id));
      expect(kept.map(meaning)).toEqual(['tcp 443 IPv4 192.0.2.0/24']);
      await networking.removeSecurityGroup(groupName);
    });

    it('ask for a port of a virtual function, and see which kind a port is', async () => {
      const { networking } = clouds;
      const wanted = {
        name: `octavia-lb-vrrp-${randomUUID()}`,
        networkId: ground.network.id,
        fixedIps: [{ subnetId: ground.network.subnetId }],
        deviceId: '',
        deviceOwner: '',
        projectId: ground.caller.projectId,
        adminStateUp: true,
      };
      const direct = await networking.ensurePort({ ...wanted, vnicType: 'direct' });
      expect((await networking.port(direct.id))?.vnicType).toBe('direct');
      await networking.removePort(direct.id);
      const normal = await networking.ensurePort(wanted);
      expect((await networking.port(normal.id))?.vnicType).toBe('normal');
      await networking.removePort(normal.id);
    });

    it('choose the newest image of a tag, and none when there is none', async () => {
      expect(await clouds.images.newest(ground.imageTag)).toBe(ground.newestImageId);
      expect(await clouds.images.newest('no-such-tag')).toBeUndefined();
    });

    it('know their availability zones', async () => {
      const { compute } = clouds;
      expect(await compute.availabilityZoneExists('nova')).toBe(true);
      expect(await compute.availabilityZoneExists('mars')).toBe(false);
    });

    it('know the flavors, and no server that was never made', async () => {
      const { compute } = clouds;
      expect(await compute.flavorExists(ground.flavorId)).toBe(true);
      expect(await compute.observeServer(randomUUID())).toBeUndefined();
      expect(await compute.findServer(`amphora-${randomUUID()}`)).toBeUndefined();
      await compute.removeServer(randomUUID());
      expect(await compute.projectId()).not.toBe('');
    });

    it('boot a server once, with its port, put in another, and remove it', async ({ skip }) => {
      if (!ground.boots) skip();
      const { compute, networking } = clouds;
      const makePort = async () =>
        networking.ensurePort({
          name: `amphora-port-${randomUUID()}`,
          networkId: ground.network.id,
          fixedIps: [],
          deviceId: '',
          deviceOwner: '',
          projectId: await compute.projectId(),
          adminStateUp: true,
        });
      const [port, later] = [await makePort(), await makePort()];
      const wanted = {
        name: `amphora-${randomUUID()}`,
        imageId: ground.newestImageId,
        flavorId: ground.flavorId,
        keyName: null,
        userData: '#cloud-config\n',
        portIds: [port.id],
        availabilityZone: null,
      };
      const made = await compute.ensureServer(wanted);
      expect(made.name).toBe(wanted.name);
      const cards = async () => (await compute.observeServer(made.id))?.interfaces;
      await expect.poll(cards, { timeout: 60_000 }).toEqual([
        {
          portId: port.id,
          networkId: ground.network.id,
          macAddress: port.macAddress,
          addresses: port.fixedIps.map((fixed) => fixed.ipAddress),
        },
      ]);
      await expect
        .poll(async () => (await compute.observeServer(made.id))?.status, { timeout: 60_000 })
        .toBe('ACTIVE');
      expect((await compute.ensureServer(wanted)).id).toBe(made.id);
      expect((await compute.findServer(wanted.name))?.id).toBe(made.id);
      expect(await compute.findServer(wanted.name.slice(0, -1))).toBeUndefined();
      expect((await networking.portsOf(made.id)).map((found) => found.id)).toEqual([port.id]);
      await compute.attachPort(made.id, later.id);
      // Nova lists them in any order.
      expect(new Set((await cards())?.map(({ portId }) => portId))).toEqual(new Set([port.id, later.id]));
      await networking.removePort(later.id);
      expect((await networking.portsOf(made.id)).map((found) => found.id)).toEqual([port.id]);
      await compute.removeServer(made.id);
      await expect.poll(() => compute.observeServer(made.id), { timeout: 30_000 }).toBeUndefined();
      await compute.removeServer(made.id);
      await networking.removePort(port.id);
    });

    it('say why a server cannot be made', async () => {
      const wish = clouds.compute.ensureServer({
        name: `amphora-${randomUUID()}`,
        imageId: ground.newestImageId,
        flavorId: 'no-such-flavor',
        keyName: null,
        userData: '',
        portIds: [],
        availabilityZone: null,
      });
      await expect(wish).rejects.toMatchObject({ retry: 'never' });
      await expect(wish).rejects.toThrow('no-such-flavor');
    });
  });
}

async function makeCertificate(): Promise<{ certificate: string; key: string; bundle: Buffer }> {
  const folder = await mkdtemp(join(tmpdir(), 'livia-contract-'));
  const path = (name: string): string => join(folder, name);
  try {
    await run([
      ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-keyout', path('key'), '-out', path('certificate'), '-days', '9', '-subj', '/CN=www.example'],
    ]);
    await run([
      ...['openssl', 'pkcs12', '-export', '-inkey', path('key'), '-in', path('certificate')],
      ...['-out', path('bundle'), '-passout', 'pass:'],
    ]);
    const [certificate, key, bundle] = await Promise.all(
      ['certificate', 'key', 'bundle'].map((name) => readFile(path(name))),
    );
    return { certificate: String(certificate), key: String(key), bundle: bundle ?? Buffer.alloc(0) };
  } finally {
    await rm(folder, { recursive: true });
  }
}
