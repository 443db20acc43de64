import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Body, bootScript, eventually, openTestCloud, type TestCloud } from '../cloudlet.fixture.ts';

let cloud: TestCloud;
beforeEach(async () => {
  cloud = await openTestCloud();
});
afterEach(() => cloud.destroy());

const nova = '/compute/v2.1';
const neutron = '/network/v2.0';
const at = (version: string) => ({ headers: { 'openstack-api-version': `compute ${version}` } });

async function networkNamed(name: string): Promise<Body> {
  return (await cloud.ask('GET', `${neutron}/networks?name=${name}`)).body.networks[0];
}
async function newPort(network: string, more: object = {}): Promise<Body> {
  const port = { network_id: (await networkNamed(network)).id, ...more };
  return (await cloud.ask('POST', `${neutron}/ports`, { port })).body.port;
}
const portNow = async (id: string): Promise<Body> =>
  (await cloud.ask('GET', `${neutron}/ports/${id}`)).body?.port;
async function wish(more: object = {}): Promise<Body> {
  const [image] = (await cloud.ask('GET', '/image/v2/images?tag=amphora')).body.images;
  return { name: 'amphora-1', imageRef: image.id, flavorRef: 'livia-amphora', networks: 'none', ...more };
}
async function boot(more: object = {}): Promise<string> {
  const answer = await cloud.ask('POST', `${nova}/servers`, { server: await wish(more) });
  if (answer.status !== 202) throw new Error(answer.text);
  return answer.body.server.id;
}
const show = async (id: string, version = '2.1'): Promise<Body> =>
  (await cloud.ask('GET', `${nova}/servers/${id}`, undefined, at(version))).body?.server;
const becomes = (id: string, status: string): Promise<Body> =>
  eventually(async () => {
    const server = await show(id);
    return server?.status === status && server['OS-EXT-STS:task_state'] === null && server;
  });
const gone = (id: string) => eventually(async () => (await show(id)) === undefined);
const userData = (text: string) => Buffer.from(text).toString('base64');

describe('a server', () => {
  it('boots the image with its files and cards, the management card first', async () => {
    const management = await newPort('lb-mgmt-net');
    const vip = await newPort('ext_net');
    const files = JSON.stringify({
      write_files: [{ path: '/run/livia/agent.json', content: 'x', permissions: '0600' }],
    });
    const id = await boot({
      networks: [{ port: management.id }, { port: vip.id }],
      user_data: userData(`#cloud-config\n${files}`),
      config_drive: true,
      metadata: { a: 'b' },
    });
    const server = await becomes(id, 'ACTIVE');
    expect(server).toMatchObject({
      name: 'amphora-1',
      addresses: {
        'lb-mgmt-net': [{ version: 4, addr: '10.1.0.2', 'OS-EXT-IPS-MAC:mac_addr': management.mac_address }],
        ext_net: [{ version: 4, addr: '10.2.0.2' }],
      },
      metadata: { a: 'b' },
      config_drive: 'True',
      'OS-EXT-STS:vm_state': 'active',
      'OS-EXT-STS:power_state': 1,
      'OS-EXT-AZ:availability_zone': 'nova',
      flavor: { id: 'livia-amphora' },
    });
    expect(cloud.host.instances.get(id)).toEqual({
      id,
      name: 'amphora-1',
      memoryBytes: 1024 * 2 ** 20,
      vcpus: 1,
      files: [{ path: '/run/livia/agent.json', content: 'x', mode: 0o600 }],
      bootScript,
      nics: [
        {
          portId: management.id,
          networkId: management.network_id,
          macAddress: management.mac_address,
          addresses: ['10.1.0.2/24'],
          gateways: ['10.1.0.1'],
        },
        {
          portId: vip.id,
          networkId: vip.network_id,
          macAddress: vip.mac_address,
          addresses: ['10.2.0.2/24'],
          gateways: ['10.2.0.1'],
        },
      ],
    });
    expect(await portNow(vip.id)).toMatchObject({
      status: 'ACTIVE',
      device_id: id,
      'binding:vif_type': 'bridge',
    });
    const cards = (await cloud.ask('GET', `${nova}/servers/${id}/os-interface`)).body.interfaceAttachments;
    expect(cards.map((card: Body) => [card.port_id, card.fixed_ips[0].ip_address, card.port_state])).toEqual([
      [management.id, '10.1.0.2', 'ACTIVE'],
      [vip.id, '10.2.0.2', 'ACTIVE'],
    ]);
  });

  it('is BUILD until the instance runs', async () => {
    let open = () => {};
    cloud.host.gate = new Promise((resolve) => (open = resolve));
    const id = await boot();
    expect(await show(id)).toMatchObject({ status: 'BUILD', 'OS-EXT-STS:task_state': 'spawning' });
    open();
    await becomes(id, 'ACTIVE');
  });

  it('keeps the user data, which carries keys, unreadable on disk', async () => {
    const marker = 'a-private-key-in-user-data';
    await becomes(await boot({ user_data: userData(`#cloud-config\n{"x": "${marker}"}`) }), 'ACTIVE');
    const names = (await readdir(cloud.config.state_dir)).filter((name) => name.startsWith('records'));
    for (const name of names) {
      const bytes = await readFile(join(cloud.config.state_dir, name));
      expect(bytes.includes(marker)).toBe(false);
      expect(bytes.includes(userData(`#cloud-config\n{"x": "${marker}"}`).slice(24, 60))).toBe(false);
    }
  });

  it('is in ERROR when the flavors would promise more than the allocation ratio lets them', async () => {
    await cloud.ask('POST', `${nova}/flavors`, {
      flavor: { name: 'm1.xxlarge', ram: 32768, vcpus: 4, disk: 10, id: '10' },
    });
    const first = await boot({ flavorRef: '10' });
    await becomes(first, 'ACTIVE');
    const port = await newPort('ext_net');
    const second = await boot({ flavorRef: '10', networks: [{ port: port.id }] });
    const server = await becomes(second, 'ERROR');
    expect(server.fault).toMatchObject({
      code: 500,
      message: 'No valid host was found. There are not enough hosts available.',
    });
    expect((await portNow(port.id)).device_id).toBe('');
    await cloud.ask('DELETE', `${nova}/servers/${first}`);
    await gone(first);
    await becomes(await boot({ flavorRef: '10', networks: [{ port: port.id }] }), 'ACTIVE');
  });

  it('has no card that is a virtual function: no host has any', async () => {
    const port = await newPort('ext_net', { 'binding:vnic_type': 'direct' });
    expect(port['binding:vnic_type']).toBe('direct');
    const id = await boot({ networks: [{ port: port.id }] });
    expect((await becomes(id, 'ERROR')).fault.message).toMatch(/^No valid host was found/);
    expect((await portNow(port.id)).device_id).toBe('');
    const running = await boot();
    await becomes(running, 'ACTIVE');
    const answer = await cloud.ask('POST', `${nova}/servers/${running}/os-interface`, {
      interfaceAttachment: { port_id: port.id },
    });
    expect(answer.status).toBe(400);
    expect(answer.text).toContain('Failed to claim PCI device');
    expect((await portNow(port.id)).device_id).toBe('');
    const other = { network_id: port.network_id, 'binding:vnic_type': 'macvtap' };
    expect((await cloud.ask('POST', `${neutron}/ports`, { port: other })).status).toBe(400);
  });

  it('says why it could not boot, and gives its ports back', async () => {
    const port = await newPort('ext_net');
    cloud.host.broken = 'the machine has no more cards';
    const id = await boot({ networks: [{ port: port.id }, { uuid: (await networkNamed('ext_net')).id }] });
    expect((await becomes(id, 'ERROR')).fault.message).toBe('the machine has no more cards');
    expect(await portNow(port.id)).toMatchObject({ device_id: '', status: 'DOWN' });
    expect((await cloud.ask('GET', `${neutron}/ports?device_id=${id}`)).body.ports).toEqual([]);
  });

  it('is in ERROR when its image is no boot script or its user data is nonsense', async () => {
    const image = { name: 'disk', container_format: 'bare', disk_format: 'raw' };
    const { id: imageRef } = (await cloud.ask('POST', '/image/v2/images', image)).body;
    await cloud.ask('PUT', `/image/v2/images/${imageRef}/file`, Buffer.from('QFI'), {
      headers: { 'content-type': 'application/octet-stream' },
    });
    expect((await becomes(await boot({ imageRef }), 'ERROR')).fault.message).toMatch(/is no boot script/);
    const id = await boot({ user_data: userData('#!/bin/sh') });
    expect((await becomes(id, 'ERROR')).fault.message).toMatch(/#cloud-config/);
  });

  it('is in ERROR with the reason when its instance dies, and can be booted again', async () => {
    const port = await newPort('ext_net');
    const id = await boot({ networks: [{ port: port.id }] });
    await becomes(id, 'ACTIVE');
    cloud.host.die(id, 'out of memory: 1 process was killed');
    expect(await becomes(id, 'ERROR')).toMatchObject({
      fault: { message: 'out of memory: 1 process was killed' },
      'OS-EXT-STS:vm_state': 'error',
      'OS-EXT-STS:power_state': 4,
    });
    expect(await portNow(port.id)).toMatchObject({ device_id: id, status: 'DOWN' });
    expect(
      (await cloud.ask('POST', `${nova}/servers/${id}/action`, { reboot: { type: 'HARD' } })).status,
    ).toBe(202);
    expect((await becomes(id, 'ACTIVE')).fault).toBeUndefined();
  });

  it('leaves given ports and takes its own along when deleted', async () => {
    const port = await newPort('ext_net');
    const id = await boot({
      networks: [{ port: port.id }, { uuid: (await networkNamed('lb-mgmt-net')).id }],
    });
    await becomes(id, 'ACTIVE');
    expect((await cloud.ask('GET', `${neutron}/ports?device_id=${id}`)).body.ports).toHaveLength(2);
    expect((await cloud.ask('DELETE', `${nova}/servers/${id}`)).status).toBe(204);
    await gone(id);
    expect(cloud.host.instances.has(id)).toBe(false);
    expect(await portNow(port.id)).toMatchObject({ device_id: '', device_owner: '', status: 'DOWN' });
    expect(
      (await cloud.ask('GET', `${neutron}/ports?network_id=${(await networkNamed('lb-mgmt-net')).id}`)).body
        .ports,
    ).toEqual([]);
    expect((await cloud.ask('DELETE', `${nova}/servers/${id}`)).body.itemNotFound.code).toBe(404);
  });

  it('goes away when deleted while it is being built', async () => {
    let open = () => {};
    cloud.host.gate = new Promise((resolve) => (open = resolve));
    const id = await boot();
    await cloud.ask('DELETE', `${nova}/servers/${id}`);
    open();
    await gone(id);
    expect(cloud.host.instances.has(id)).toBe(false);
  });

  it('is stopped and started', async () => {
    const id = await boot();
    await becomes(id, 'ACTIVE');
    const act = async (action: object) =>
      (await cloud.ask('POST', `${nova}/servers/${id}/action`, action)).status;
    expect(await act({ 'os-start': null })).toBe(409);
    expect(await act({ 'os-stop': null })).toBe(202);
    expect(await becomes(id, 'SHUTOFF')).toMatchObject({ 'OS-EXT-STS:power_state': 4 });
    expect(cloud.host.instances.has(id)).toBe(false);
    expect(await act({ 'os-start': null })).toBe(202);
    await becomes(id, 'ACTIVE');
    expect(await act({ migrate: null })).toBe(400);
    expect(
      (await cloud.ask('POST', `${nova}/servers/${id}/action`, { 'os-getConsoleOutput': {} })).body.output,
    ).toBe('');
  });

  it('takes cards in and out while it runs', async () => {
    const id = await boot();
    await becomes(id, 'ACTIVE');
    const port = await newPort('ext_net');
    const attach = { interfaceAttachment: { port_id: port.id } };
    const attached = await cloud.ask('POST', `${nova}/servers/${id}/os-interface`, attach);
    expect(attached.body.interfaceAttachment).toMatchObject({ port_id: port.id, port_state: 'ACTIVE' });
    expect((await cloud.ask('POST', `${nova}/servers/${id}/os-interface`, attach)).status).toBe(409);
    expect(cloud.host.instances.get(id)?.nics.map((nic) => nic.macAddress)).toEqual([port.mac_address]);
    expect((await cloud.ask('DELETE', `${nova}/servers/${id}/os-interface/${port.id}`)).status).toBe(202);
    expect(cloud.host.instances.get(id)?.nics).toEqual([]);
    expect(await portNow(port.id)).toMatchObject({ device_id: '', status: 'DOWN' });
    const { net_id } = attached.body.interfaceAttachment;
    const made = await cloud.ask('POST', `${nova}/servers/${id}/os-interface`, {
      interfaceAttachment: { net_id },
    });
    const madeId = made.body.interfaceAttachment.port_id;
    await cloud.ask('DELETE', `${neutron}/ports/${madeId}`);
    expect(cloud.host.instances.get(id)?.nics).toEqual([]);
    expect((await cloud.ask('GET', `${nova}/servers/${id}/os-interface`)).body.interfaceAttachments).toEqual(
      [],
    );
  });

  it('has no new card when the machine could not put it in', async () => {
    const id = await boot();
    await becomes(id, 'ACTIVE');
    const port = await newPort('ext_net');
    cloud.host.attach = async () => {
      throw new Error('no more cards');
    };
    const attach = { interfaceAttachment: { port_id: port.id } };
    expect((await cloud.ask('POST', `${nova}/servers/${id}/os-interface`, attach)).status).toBe(500);
    expect((await portNow(port.id)).device_id).toBe('');
    expect((await cloud.ask('GET', `${nova}/servers/${id}/os-interface`)).body.interfaceAttachments).toEqual(
      [],
    );
  });

  it('is refused with parts that are not there', async () => {
    const port = await newPort('ext_net');
    await becomes(await boot({ networks: [{ port: port.id }] }), 'ACTIVE');
    const wrong: [object, number, RegExp][] = [
      [{ flavorRef: 'none' }, 400, /Flavor none could not be found/],
      [{ imageRef: 'none' }, 400, /Image none could not be found/],
      [{ key_name: 'none' }, 400, /Invalid key_name/],
      [{ networks: [{ port: 'none' }] }, 400, /Port none could not be found/],
      [{ networks: [{ uuid: 'none' }] }, 400, /Network none could not be found/],
      [{ networks: [{ port: port.id }] }, 409, /still in use/],
      [{ networks: [{}] }, 400, /neither uuid nor port/],
      [{ user_data: '!!!' }, 400, /valid base 64/],
      [{ name: '' }, 400, /server.name/],
      [{ security_groups: [{ name: 'none' }] }, 400, /Security group none not found/],
      [{ availability_zone: 'moon' }, 400, /availability zone/],
      [{ max_count: 2 }, 400, /one server/],
    ];
    for (const [more, status, message] of wrong) {
      const answer = await cloud.ask('POST', `${nova}/servers`, { server: await wish(more) });
      const [fault] = Object.values<Body>(answer.body);
      expect([more, answer.status]).toEqual([more, status]);
      expect(fault.message).toMatch(message);
    }
  });
});

describe('servers', () => {
  it('are listed by name, project and status, newest first, in pages', async () => {
    const ids: string[] = [];
    for (const name of ['amphora-1', 'amphora-2', 'web']) ids.unshift(await boot({ name }));
    for (const id of ids) await becomes(id, 'ACTIVE');
    const names = async (query: string) =>
      (await cloud.ask('GET', `${nova}/servers/detail?${query}`)).body.servers.map((each: Body) => each.name);
    expect(await names('')).toEqual(['web', 'amphora-2', 'amphora-1']);
    expect(await names('name=%5Eamphora-1%24')).toEqual(['amphora-1']);
    expect(await names('name=amphora')).toEqual(['amphora-2', 'amphora-1']);
    expect(await names('status=ERROR')).toEqual([]);
    expect(await names('limit=1')).toEqual(['web']);
    expect(await names(`limit=1&marker=${ids[0]}`)).toEqual(['amphora-2']);
    expect(await names('sort_key=display_name&sort_dir=asc')).toEqual(['amphora-1', 'amphora-2', 'web']);
    const { token, projectId } = await cloud.someone('alice');
    const alices = await cloud.ask('GET', `${nova}/servers?all_tenants=True`, undefined, { as: token });
    expect(alices.body.servers).toEqual([]);
    expect((await cloud.ask('GET', `${nova}/servers/${ids[0]}`, undefined, { as: token })).status).toBe(404);
    expect(await names(`all_tenants=True&project_id=${projectId}`)).toEqual([]);
    expect((await cloud.ask('GET', `${nova}/servers?name=(`)).status).toBe(400);
  });

  it('run on after a restart, and those that do not are booted again', async () => {
    const [kept, lost, stopped] = [await boot(), await boot(), await boot()];
    for (const id of [kept, lost, stopped]) await becomes(id, 'ACTIVE');
    await cloud.ask('POST', `${nova}/servers/${stopped}/action`, { 'os-stop': null });
    await becomes(stopped, 'SHUTOFF');
    const before = cloud.host.instances.get(kept);
    await cloud.host.kill(lost);
    let open = () => {};
    cloud.host.gate = new Promise((resolve) => (open = resolve));
    cloud = await cloud.again();
    expect((await show(kept)).status).toBe('ACTIVE');
    expect((await show(lost)).status).toBe('HARD_REBOOT');
    open();
    await becomes(lost, 'ACTIVE');
    expect(cloud.host.instances.has(lost)).toBe(true);
    expect(cloud.host.instances.get(kept)).toBe(before);
    expect((await show(stopped)).status).toBe('SHUTOFF');
    expect(cloud.host.instances.has(stopped)).toBe(false);
  });

  it('that were being built or deleted at the end of a run come to what was asked in the next', async () => {
    let open = () => {};
    cloud.host.gate = new Promise((resolve) => (open = resolve));
    const [built, deleted] = [await boot(), await boot()];
    await cloud.ask('DELETE', `${nova}/servers/${deleted}`);
    cloud.host.broken = 'the host is closed';
    const closing = cloud.again();
    open();
    cloud = await closing;
    cloud.host.broken = undefined;
    await eventually(async () => ['ACTIVE', 'ERROR'].includes((await show(built)).status));
    await gone(deleted);
  });
});

describe('a server that is changed', () => {
  it('has the access addresses its user gives, if they are some', async () => {
    const id = await boot({ accessIPv4: '192.0.2.7' });
    const change = async (server: object) =>
      (await cloud.ask('PUT', `${nova}/servers/${id}`, { server }, at('2.1'))).body;
    const { server } = await change({ name: 'renamed', accessIPv6: '2001:0db8:0::7' });
    expect(server).toMatchObject({ name: 'renamed', accessIPv4: '192.0.2.7', accessIPv6: '2001:db8::7' });
    expect(server).not.toHaveProperty('OS-EXT-STS:vm_state');
    expect((await change({ accessIPv4: '2001:db8::7' })).badRequest.code).toBe(400);
  });

  it('cannot be of a flavor that its project may not use', async () => {
    const flavor = { name: 'secret', ram: 64, vcpus: 1, disk: 0, 'os-flavor-access:is_public': 'no' };
    const { id } = (await cloud.ask('POST', `${nova}/flavors`, { flavor })).body.flavor;
    const { token } = await cloud.someone('alice');
    const answer = await cloud.ask(
      'POST',
      `${nova}/servers`,
      { server: await wish({ flavorRef: id }) },
      { as: token },
    );
    expect(answer.status).toBe(400);
  });

  it('has its addresses by the network', async () => {
    const port = await newPort('ext_net');
    const id = await boot({ networks: [{ port: port.id }] });
    expect((await cloud.ask('GET', `${nova}/servers/${id}/ips/ext_net`)).body.ext_net).toMatchObject([
      { addr: '10.2.0.2', version: 4 },
    ]);
    expect((await cloud.ask('GET', `${nova}/servers/${id}/ips/other`)).status).toBe(404);
  });
});

describe('the labels of a server', () => {
  const ask = async (method: 'GET' | 'PUT' | 'DELETE', path: string, body?: Body) => {
    const answer = await cloud.ask(method, `${nova}/servers/${path}`, body, at('2.26'));
    return answer.body ?? answer.status;
  };

  it('are metadata, one by one or all together', async () => {
    const id = await boot({ metadata: { a: '1', b: '2' } });
    expect(await ask('GET', `${id}/metadata/a`)).toEqual({ meta: { a: '1' } });
    expect(await ask('PUT', `${id}/metadata/a`, { meta: { a: '9' } })).toEqual({ meta: { a: '9' } });
    expect((await ask('PUT', `${id}/metadata/a`, { meta: { c: '9' } })).badRequest.code).toBe(400);
    expect(await ask('DELETE', `${id}/metadata/b`)).toBe(204);
    expect((await show(id)).metadata).toEqual({ a: '9' });
    expect(await ask('PUT', `${id}/metadata`, { metadata: { z: '0' } })).toEqual({ metadata: { z: '0' } });
    expect((await ask('GET', `${id}/metadata/a`)).itemNotFound.code).toBe(404);
  });

  it('are tags', async () => {
    const id = await boot();
    expect(await ask('PUT', `${id}/tags`, { tags: ['x', 'y'] })).toEqual({ tags: ['x', 'y'] });
    expect([await ask('PUT', `${id}/tags/z`), await ask('PUT', `${id}/tags/z`)]).toEqual([201, 204]);
    expect(await ask('DELETE', `${id}/tags/x`)).toBe(204);
    expect((await show(id, '2.26')).tags).toEqual(['y', 'z']);
    expect((await ask('GET', `${id}/tags/x`)).itemNotFound.code).toBe(404);
    expect(await ask('DELETE', `${id}/tags`)).toBe(204);
    expect(await ask('GET', `${id}/tags`)).toEqual({ tags: [] });
  });

  it('are the security groups of its cards as well', async () => {
    const port = await newPort('ext_net');
    const id = await boot({ networks: [{ port: port.id }] });
    expect((await ask('GET', `${id}/os-security-groups`)).security_groups).toMatchObject([
      { id: port.security_groups[0], name: 'default' },
    ]);
  });
});

describe('the extensions', () => {
  it('are those that are offered', async () => {
    const { extensions } = (await cloud.ask('GET', `${nova}/extensions`)).body;
    const aliases = extensions.map((each: Body) => each.alias);
    expect(aliases).toContain('os-server-groups');
    expect(aliases).not.toContain('os-floating-ip-pools');
  });
});

describe('every answer', () => {
  it('has an id of its own, by which the request can be found again', async () => {
    const ids = await Promise.all(
      [
        '/identity/v3',
        `${nova}/flavors`,
        `${neutron}/nothing`,
        '/image/v2/images',
        '/key-manager/v1/secrets',
      ].map(async (path) => (await cloud.ask('GET', path)).headers['x-openstack-request-id']),
    );
    for (const id of ids) expect(id).toMatch(/^req-[0-9a-f-]{36}$/);
    expect(new Set(ids).size).toBe(5);
  });
});

describe('microversions', () => {
  it('are negotiated', async () => {
    const said = async (headers: Record<string, string>) => {
      const answer = await cloud.ask('GET', `${nova}/flavors/1`, undefined, { headers });
      return [
        answer.status,
        answer.headers['openstack-api-version'],
        answer.headers['x-openstack-nova-api-version'],
      ];
    };
    expect(await said({})).toEqual([200, 'compute 2.1', '2.1']);
    expect(await said({ 'openstack-api-version': 'compute 2.61' })).toEqual([200, 'compute 2.61', '2.61']);
    expect(await said({ 'x-openstack-nova-api-version': '2.10' })).toEqual([200, 'compute 2.10', '2.10']);
    expect(await said({ 'openstack-api-version': 'compute latest' })).toEqual([200, 'compute 2.96', '2.96']);
    expect((await said({ 'openstack-api-version': 'compute 2.97' }))[0]).toBe(406);
    expect((await said({ 'openstack-api-version': 'compute two' }))[0]).toBe(400);
    const { versions } = (await cloud.ask('GET', '/compute/', undefined, { as: null })).body;
    expect(versions).toMatchObject([{ id: 'v2.1', status: 'CURRENT', min_version: '2.1', version: '2.96' }]);
  });

  it('decide what a server and a flavor look like', async () => {
    const id = await boot();
    expect((await show(id, '2.46')).flavor).toHaveProperty('id');
    expect((await show(id, '2.47')).flavor).toMatchObject({
      original_name: 'amphora',
      ram: 1024,
      vcpus: 1,
      disk: 3,
    });
    expect(await show(id, '2.18')).not.toHaveProperty('description');
    expect(await show(id, '2.73')).toMatchObject({
      description: null,
      tags: [],
      locked: false,
      locked_reason: null,
    });
    const flavor = async (version: string) =>
      (await cloud.ask('GET', `${nova}/flavors/1`, undefined, at(version))).body.flavor;
    expect(await flavor('2.54')).not.toHaveProperty('description');
    expect(await flavor('2.61')).toMatchObject({ description: null, extra_specs: {} });
  });
});

describe('flavors', () => {
  it('are made with a given id, once, by admins', async () => {
    const flavor = { name: 'm1.xxlarge', ram: 32768, vcpus: '4', disk: 10, id: '10' };
    const made = await cloud.ask('POST', `${nova}/flavors`, { flavor });
    expect(made.body.flavor).toMatchObject({
      id: '10',
      vcpus: 4,
      'OS-FLV-DISABLED:disabled': false,
      'OS-FLV-EXT-DATA:ephemeral': 0,
      'os-flavor-access:is_public': true,
      rxtx_factor: 1,
      swap: 0,
    });
    const again = await cloud.ask('POST', `${nova}/flavors`, { flavor });
    expect(again.body.conflictingRequest).toEqual({
      code: 409,
      message: 'Flavor with ID 10 already exists.',
    });
    const { token } = await cloud.someone('alice');
    expect((await cloud.ask('POST', `${nova}/flavors`, { flavor }, { as: token })).body.forbidden.code).toBe(
      403,
    );
    expect((await cloud.ask('DELETE', `${nova}/flavors/10`)).status).toBe(202);
    expect((await cloud.ask('GET', `${nova}/flavors/10`)).body.itemNotFound.message).toBe(
      'Flavor 10 could not be found.',
    );
    expect((await cloud.ask('POST', `${nova}/flavors`, { flavor: { ...flavor, ram: 0 } })).status).toBe(400);
  });

  it('have extra specs, one by one', async () => {
    const path = `${nova}/flavors/livia-amphora/os-extra_specs/hw:cpu_policy`;
    expect((await cloud.ask('GET', path)).status).toBe(404);
    const spec = { 'hw:cpu_policy': 'shared' };
    expect((await cloud.ask('PUT', path, spec)).body).toEqual(spec);
    expect((await cloud.ask('GET', path)).body).toEqual(spec);
    expect((await cloud.ask('PUT', path, { other: 'x' })).status).toBe(400);
  });

  it('that are not public are for the projects with access', async () => {
    const flavor = {
      name: 'own',
      ram: 512,
      vcpus: 1,
      disk: 0,
      id: 'own',
      'os-flavor-access:is_public': false,
    };
    await cloud.ask('POST', `${nova}/flavors`, { flavor });
    const { token, projectId } = await cloud.someone('alice');
    const sees = async () => (await cloud.ask('GET', `${nova}/flavors/own`, undefined, { as: token })).status;
    expect(await sees()).toBe(404);
    await cloud.ask('POST', `${nova}/flavors/own/action`, { addTenantAccess: { tenant: projectId } });
    expect(await sees()).toBe(200);
  });
});

describe('keypairs', () => {
  const publicKey =
    'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtYLPm7bJbmM2nzQ0nP0z9wZ3Zk2i4xJrWcKQxv0Qn1 me@here';

  it('are taken with their MD5 fingerprint, or made', async () => {
    const make = (keypair: object) => cloud.ask('POST', `${nova}/os-keypairs`, { keypair });
    const given = (await make({ name: 'mine', public_key: publicKey })).body.keypair;
    expect(given.fingerprint).toMatch(/^([0-9a-f]{2}:){15}[0-9a-f]{2}$/);
    expect(given).not.toHaveProperty('private_key');
    const made = (await make({ name: 'made' })).body.keypair;
    expect(made.private_key).toMatch(/^-----BEGIN RSA PRIVATE KEY-----/);
    expect((await make({ name: 'mine', public_key: publicKey })).status).toBe(409);
    expect((await make({ name: 'bad', public_key: 'ssh-rsa nonsense' })).status).toBe(400);
    const { token } = await cloud.someone('alice');
    expect((await cloud.ask('GET', `${nova}/os-keypairs`, undefined, { as: token })).body.keypairs).toEqual(
      [],
    );
    expect((await cloud.ask('DELETE', `${nova}/os-keypairs/mine`)).status).toBe(202);
    expect((await cloud.ask('GET', `${nova}/os-keypairs/mine`)).status).toBe(404);
  });
});
