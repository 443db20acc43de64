import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Body, openTestCloud, type TestCloud } from '../cloudlet.fixture.ts';

let cloud: TestCloud;
let external: Body;
beforeEach(async () => {
  cloud = await openTestCloud();
  [external] = (await cloud.ask('GET', `${v2}/networks?router:external=True`)).body.networks;
});
afterEach(() => cloud.destroy());

const v2 = '/network/v2.0';

async function make(kind: string, body: Body, as?: string): Promise<Body> {
  const path = `${v2}/${kind.replaceAll('_', '-')}s`;
  const answer = await cloud.ask('POST', path, { [kind]: body }, as === undefined ? {} : { as });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.body[kind];
}
async function refusal(
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: Body,
  as?: string,
): Promise<string> {
  const answer = await cloud.ask(method, `${v2}${path}`, body, as === undefined ? {} : { as });
  return `${answer.status} ${answer.body?.NeutronError?.type}`;
}
const put = async (path: string, body: Body) => (await cloud.ask('PUT', `${v2}${path}`, body)).body;
const get = async (path: string) => (await cloud.ask('GET', `${v2}${path}`)).body;
const remove = async (path: string) => (await cloud.ask('DELETE', `${v2}${path}`)).status;

async function tenantNetwork(cidr: string): Promise<{ network: Body; subnet: Body }> {
  const network = await make('network', {});
  return { network, subnet: await make('subnet', { network_id: network.id, cidr, ip_version: 4 }) };
}
const interfaces = async (router: Body): Promise<string[]> =>
  (await get(`/ports?device_id=${router.id}&device_owner=network:router_interface`)).ports.map(
    (port: Body) => port.fixed_ips[0].ip_address,
  );

/** A tenant network behind a router that goes out to the external network. */
async function behindRouter(): Promise<{ network: Body; subnet: Body; router: Body }> {
  const { network, subnet } = await tenantNetwork('10.9.0.0/24');
  const router = await make('router', { external_gateway_info: { network_id: external.id } });
  await put(`/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id });
  return { network, subnet, router };
}

describe('a router', () => {
  it('joins a network at the gateway address of its subnet, and leaves it', async () => {
    const { network, subnet } = await tenantNetwork('10.9.0.0/24');
    const router = await make('router', { name: 'r' });
    expect(router).toMatchObject({
      status: 'ACTIVE',
      admin_state_up: true,
      external_gateway_info: null,
      routes: [],
    });
    const joined = await put(`/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id });
    expect(joined).toMatchObject({
      ...{ id: router.id, subnet_id: subnet.id, subnet_ids: [subnet.id], network_id: network.id },
    });
    expect(await interfaces(router)).toEqual(['10.9.0.1']);
    expect(cloud.host.routersById.get(router.id)?.cards).toMatchObject([
      { networkId: network.id, addresses: ['10.9.0.1/24'], gateways: [] },
    ]);
    expect(await refusal('DELETE', `/routers/${router.id}`)).toBe('409 RouterInUse');
    expect(await refusal('DELETE', `/ports/${joined.port_id}`)).toBe('409 ServicePortInUse');
    expect(await refusal('DELETE', `/subnets/${subnet.id}`)).toBe('409 SubnetInUse');
    await put(`/routers/${router.id}/remove_router_interface`, { subnet_id: subnet.id });
    expect(await interfaces(router)).toEqual([]);
    expect(await remove(`/routers/${router.id}`)).toBe(204);
    expect(cloud.host.routers()).toEqual([]);
  });

  it('joins a network by a port that is given to it', async () => {
    const { network } = await tenantNetwork('10.9.0.0/24');
    const port = await make('port', { network_id: network.id, fixed_ips: [{ ip_address: '10.9.0.5' }] });
    const router = await make('router', {});
    await put(`/routers/${router.id}/add_router_interface`, { port_id: port.id });
    expect(await interfaces(router)).toEqual(['10.9.0.5']);
    const other = await make('router', {});
    expect(await refusal('PUT', `/routers/${other.id}/add_router_interface`, { port_id: port.id })).toBe(
      '409 PortInUse',
    );
    expect(await refusal('PUT', `/routers/${other.id}/remove_router_interface`, { port_id: port.id })).toBe(
      '404 RouterInterfaceNotFound',
    );
  });

  it('has an address outside, which it gives back', async () => {
    const router = await make('router', { external_gateway_info: { network_id: external.id } });
    expect(router.external_gateway_info).toEqual({
      network_id: external.id,
      enable_snat: true,
      external_fixed_ips: [{ subnet_id: external.subnets[0], ip_address: '10.2.0.2' }],
    });
    expect(cloud.host.routersById.get(router.id)).toMatchObject({
      cards: [{ networkId: external.id, addresses: ['10.2.0.2/24'], gateways: ['10.2.0.1'] }],
      outerAddress: '10.2.0.2',
    });
    const info = {
      network_id: external.id,
      enable_snat: false,
      external_fixed_ips: [{ ip_address: '10.2.0.77' }],
    };
    const { router: moved } = await put(`/routers/${router.id}`, { router: { external_gateway_info: info } });
    expect(moved.external_gateway_info).toMatchObject({
      enable_snat: false,
      external_fixed_ips: [{ ip_address: '10.2.0.77' }],
    });
    expect(cloud.host.routersById.get(router.id)?.outerAddress).toBe(null);
    await put(`/routers/${router.id}`, { router: { external_gateway_info: {} } });
    expect((await get(`/ports?device_id=${router.id}`)).ports).toEqual([]);
    expect(cloud.host.routersById.get(router.id)?.outerMac).toBe(null);
  });

  it('that is switched off has no cards on the machine', async () => {
    const { router } = await behindRouter();
    await put(`/routers/${router.id}`, { router: { admin_state_up: false } });
    expect(cloud.host.routersById.get(router.id)?.cards).toEqual([]);
  });

  it('has routes by next hops that are its neighbours', async () => {
    const { router, subnet } = await behindRouter();
    const routes = [{ destination: '10.50.0.0/16', nexthop: '10.9.0.9' }];
    expect((await put(`/routers/${router.id}`, { router: { routes } })).router.routes).toEqual(routes);
    expect(cloud.host.routersById.get(router.id)?.routes).toEqual(routes);
    expect(
      await refusal('PUT', `/routers/${router.id}/remove_router_interface`, { subnet_id: subnet.id }),
    ).toBe('409 RouterInterfaceInUseByRoute');
    for (const nexthop of ['10.77.0.1', '10.9.0.1', 'nonsense']) {
      const wrong = { router: { routes: [{ destination: '10.50.0.0/16', nexthop }] } };
      expect(await refusal('PUT', `/routers/${router.id}`, wrong)).toBe('400 InvalidRoutes');
    }
  });

  it('is refused what makes no sense', async () => {
    const { router, subnet, network } = await behindRouter();
    const twin = await tenantNetwork('10.9.0.0/25');
    const closed = await make('network', {});
    const dead = await make('subnet', { network_id: closed.id, cidr: '10.8.0.0/24', gateway_ip: null });
    const path = `/routers/${router.id}/add_router_interface`;
    expect(await refusal('PUT', path, {})).toBe('400 BadRequest');
    expect(await refusal('PUT', path, { subnet_id: 'none' })).toBe('404 SubnetNotFound');
    expect(await refusal('PUT', path, { subnet_id: subnet.id })).toBe('400 BadRequest');
    expect(await refusal('PUT', path, { subnet_id: twin.subnet.id })).toBe('400 BadRequest');
    expect(await refusal('PUT', path, { subnet_id: dead.id })).toBe('400 BadRequest');
    const gateway = (network_id: string) => ({ router: { external_gateway_info: { network_id } } });
    expect(await refusal('POST', '/routers', gateway(network.id))).toBe('400 BadRequest');
    expect(await refusal('POST', '/routers', gateway('none'))).toBe('404 NetworkNotFound');
    expect(await refusal('POST', '/routers', { router: { ha: true } })).toBe('400 BadRequest');
    expect(await refusal('PUT', '/routers/none/add_router_interface', {})).toBe('404 RouterNotFound');
  });

  it('of others is not there, and its outer address is the admin’s to choose', async () => {
    const { router } = await behindRouter();
    const { token } = await cloud.someone('alice');
    expect(await refusal('PUT', `/routers/${router.id}`, { router: {} }, token)).toBe('404 RouterNotFound');
    const chosen = { network_id: external.id, external_fixed_ips: [{ ip_address: '10.2.0.99' }] };
    expect(await refusal('POST', '/routers', { router: { external_gateway_info: chosen } }, token)).toBe(
      '403 PolicyNotAuthorized',
    );
    const own = await make('router', { external_gateway_info: { network_id: external.id } }, token);
    expect(own.external_gateway_info.enable_snat).toBe(true);
  });

  it('that the machine could not make is not there', async () => {
    cloud.host.ensureRouter = async () => {
      throw new Error('no more namespaces');
    };
    expect((await cloud.ask('POST', `${v2}/routers`, { router: {} })).status).toBe(500);
    expect((await get('/routers')).routers).toEqual([]);
  });
});

describe('a floating IP', () => {
  it('points at a port behind a router, elsewhere, and nowhere', async () => {
    const { network, router } = await behindRouter();
    const [one, two] = [
      await make('port', { network_id: network.id, name: 'one' }),
      await make('port', { network_id: network.id }),
    ];
    const floating = await make('floatingip', { floating_network_id: external.id });
    expect(floating).toMatchObject({
      ...{ floating_ip_address: '10.2.0.3', status: 'DOWN', port_id: null, router_id: null },
      ...{ fixed_ip_address: null, port_details: null, floating_network_id: external.id },
    });
    const pointed = (await put(`/floatingips/${floating.id}`, { floatingip: { port_id: one.id } }))
      .floatingip;
    expect(pointed).toMatchObject({
      ...{ status: 'ACTIVE', port_id: one.id, router_id: router.id, fixed_ip_address: '10.9.0.2' },
      port_details: { name: 'one', network_id: network.id, mac_address: one.mac_address },
    });
    const forwards = () => cloud.host.routersById.get(router.id)?.floating;
    expect(forwards()).toEqual([{ outer: '10.2.0.3', inner: '10.9.0.2' }]);
    await put(`/floatingips/${floating.id}`, { floatingip: { port_id: two.id } });
    expect(forwards()).toEqual([{ outer: '10.2.0.3', inner: '10.9.0.3' }]);
    await put(`/floatingips/${floating.id}`, { floatingip: { description: 'kept' } });
    expect(forwards()).toHaveLength(1);
    await put(`/floatingips/${floating.id}`, { floatingip: { port_id: null } });
    expect(forwards()).toEqual([]);
    await remove(`/floatingips/${floating.id}`);
    expect((await make('floatingip', { floating_network_id: external.id })).floating_ip_address).toBe(
      '10.2.0.3',
    );
  });

  it('points nowhere when its port goes, however that goes', async () => {
    const { network, router } = await behindRouter();
    const port = await make('port', { network_id: network.id });
    const floating = await make('floatingip', { floating_network_id: external.id, port_id: port.id });
    expect(floating.status).toBe('ACTIVE');
    await remove(`/ports/${port.id}`);
    expect((await get(`/floatingips/${floating.id}`)).floatingip).toMatchObject({
      status: 'DOWN',
      port_id: null,
    });
    expect(cloud.host.routersById.get(router.id)?.floating).toEqual([]);
  });

  it('keeps the router, its gateway and its interface in place', async () => {
    const { network, router, subnet } = await behindRouter();
    const port = await make('port', { network_id: network.id });
    const floating = await make('floatingip', { floating_network_id: external.id, port_id: port.id });
    const leave = `/routers/${router.id}/remove_router_interface`;
    expect(await refusal('PUT', leave, { subnet_id: subnet.id })).toBe(
      '409 RouterInterfaceInUseByFloatingIP',
    );
    expect(await refusal('PUT', `/routers/${router.id}`, { router: { external_gateway_info: null } })).toBe(
      '409 RouterExternalGatewayInUseByFloatingIp',
    );
    expect(await refusal('DELETE', `/networks/${external.id}`)).toBe('409 NetworkInUse');
    expect(await remove(`/floatingips/${floating.id}`)).toBe(204);
    expect((await cloud.ask('PUT', `${v2}${leave}`, { subnet_id: subnet.id })).status).toBe(200);
  });

  it('that points nowhere goes with its network', async () => {
    const outside = await make('network', { 'router:external': true });
    await make('subnet', { network_id: outside.id, cidr: '10.3.0.0/24' });
    const floating = await make('floatingip', { floating_network_id: outside.id });
    expect(await remove(`/networks/${outside.id}`)).toBe(204);
    expect((await cloud.ask('GET', `${v2}/floatingips/${floating.id}`)).status).toBe(404);
  });

  it('is refused where it could not forward', async () => {
    const { network } = await behindRouter();
    const lonely = await tenantNetwork('10.7.0.0/24');
    const port = await make('port', { network_id: network.id });
    const unreachable = await make('port', { network_id: lonely.network.id });
    const wishes: [Body, string][] = [
      [{ floating_network_id: network.id }, '400 BadRequest'],
      [{ floating_network_id: 'none' }, '404 NetworkNotFound'],
      [{ port_id: 'none' }, '404 PortNotFound'],
      [{ port_id: unreachable.id }, '404 ExternalGatewayForFloatingIPNotFound'],
      [{ port_id: port.id, fixed_ip_address: '10.9.0.99' }, '400 BadRequest'],
      [{ fixed_ip_address: '10.9.0.2' }, '400 BadRequest'],
      [{ floating_ip_address: '10.2.0.1' }, '409 IpAddressInUse'],
      [{ floating_ip_address: '10.99.0.1' }, '400 InvalidIpForNetwork'],
    ];
    for (const [wish, expected] of wishes) {
      const body = { floatingip: { floating_network_id: external.id, ...wish } };
      expect([wish, await refusal('POST', '/floatingips', body)]).toEqual([wish, expected]);
    }
    await make('floatingip', { floating_network_id: external.id, port_id: port.id });
    const rival = { floatingip: { floating_network_id: external.id, port_id: port.id } };
    expect(await refusal('POST', '/floatingips', rival)).toBe('409 FloatingIPPortAlreadyAssociated');
    // What was refused has taken no address.
    expect((await get(`/ports?device_owner=network:floatingip`)).ports).toHaveLength(1);
  });

  it('is found by its address, has tags, and is its project’s alone', async () => {
    const { token } = await cloud.someone('alice');
    const own = await make('floatingip', { floating_network_id: external.id }, token);
    await make('floatingip', { floating_network_id: external.id });
    const seen = (await cloud.ask('GET', `${v2}/floatingips`, undefined, { as: token })).body.floatingips;
    expect(seen.map((each: Body) => each.id)).toEqual([own.id]);
    await cloud.ask('PUT', `${v2}/floatingips/${own.id}/tags`, { tags: ['mine'] });
    const found = (await get(`/floatingips?floating_ip_address=${own.floating_ip_address}&tags=mine`))
      .floatingips;
    expect(found.map((each: Body) => each.id)).toEqual([own.id]);
    const chosen = { floatingip: { floating_network_id: external.id, floating_ip_address: '10.2.0.90' } };
    expect(await refusal('POST', '/floatingips', chosen, token)).toBe('403 PolicyNotAuthorized');
  });
});

describe('after a restart', () => {
  it('the machine is told of all routers again, and rid of one it should not have', async () => {
    const { router, network } = await behindRouter();
    const port = await make('port', { network_id: network.id });
    await make('floatingip', { floating_network_id: external.id, port_id: port.id });
    const before = cloud.host.routersById.get(router.id);
    cloud.host.routersById.clear();
    cloud.host.routersById.set('left-over', { ...before!, id: 'left-over' });
    cloud = await cloud.again();
    expect([...cloud.host.routersById.values()]).toEqual([before]);
  });
});
