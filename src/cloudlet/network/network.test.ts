import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Body, openTestCloud, type TestCloud } from '../cloudlet.fixture.ts';

let cloud: TestCloud;
beforeEach(async () => {
  cloud = await openTestCloud();
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
  method: 'POST' | 'PUT' | 'DELETE' | 'GET',
  path: string,
  body?: Body,
  as?: string,
): Promise<string> {
  const answer = await cloud.ask(method, `${v2}${path}`, body, as === undefined ? {} : { as });
  return `${answer.status} ${answer.body?.NeutronError?.type}`;
}

describe('a new cloud', () => {
  it('has a management network and a shared external one, whose gateways are the machine', async () => {
    const { body } = await cloud.ask('GET', `${v2}/networks`);
    const found = body.networks.map((each: Body) => [
      each.name,
      each.shared,
      each['router:external'],
      each.status,
    ]);
    expect(found).toEqual([
      ['lb-mgmt-net', false, false, 'ACTIVE'],
      ['ext_net', true, true, 'ACTIVE'],
    ]);
    expect([...cloud.host.networks.values()].map((each) => each.hostAddresses)).toEqual([
      ['10.1.0.1/24'],
      ['10.2.0.1/24'],
    ]);
  });

  it('does not give the gateway to a port, even when asked for it', async () => {
    const [network] = (await cloud.ask('GET', `${v2}/networks?name=ext_net`)).body.networks;
    const body = { port: { network_id: network.id, fixed_ips: [{ ip_address: '10.2.0.1' }] } };
    expect(await refusal('POST', '/ports', body)).toBe('409 IpAddressInUse');
    const port = await make('port', { network_id: network.id });
    expect(port.fixed_ips).toEqual([{ subnet_id: network.subnets[0], ip_address: '10.2.0.2' }]);
  });
});

describe('networks', () => {
  it('get a bridge when made and lose it when removed', async () => {
    const network = await make('network', { name: 'n' });
    expect(cloud.host.networks.get(network.id)).toEqual({ id: network.id, hostAddresses: [] });
    expect((await cloud.ask('DELETE', `${v2}/networks/${network.id}`)).status).toBe(204);
    expect(cloud.host.networks.has(network.id)).toBe(false);
    expect(await refusal('GET', `/networks/${network.id}`)).toBe('404 NetworkNotFound');
  });

  it('are not there when the machine could not make them', async () => {
    cloud.host.ensureNetwork = async () => {
      throw new Error('no more bridges');
    };
    expect((await cloud.ask('POST', `${v2}/networks`, { network: { name: 'n' } })).status).toBe(500);
    expect((await cloud.ask('GET', `${v2}/networks?name=n`)).body.networks).toEqual([]);
  });

  it('stay while ports are on them, and take their subnets along', async () => {
    const network = await make('network', { name: 'n' });
    const subnet = await make('subnet', { network_id: network.id, cidr: '10.9.0.0/24', ip_version: 4 });
    const port = await make('port', { network_id: network.id });
    expect(await refusal('DELETE', `/networks/${network.id}`)).toBe('409 NetworkInUse');
    expect(await refusal('DELETE', `/subnets/${subnet.id}`)).toBe('409 SubnetInUse');
    await cloud.ask('DELETE', `${v2}/ports/${port.id}`);
    await cloud.ask('DELETE', `${v2}/networks/${network.id}`);
    expect(await refusal('GET', `/subnets/${subnet.id}`)).toBe('404 SubnetNotFound');
  });

  it('of others cannot be seen, shared ones can but not changed', async () => {
    const { token } = await cloud.someone('alice');
    const seen = (await cloud.ask('GET', `${v2}/networks`, undefined, { as: token })).body.networks;
    expect(seen.map((each: Body) => each.name)).toEqual(['ext_net']);
    expect(await refusal('PUT', `/networks/${seen[0].id}`, { network: { name: 'mine' } }, token)).toBe(
      '403 PolicyNotAuthorized',
    );
    const managed = (await cloud.ask('GET', `${v2}/networks?name=lb-mgmt-net`)).body.networks[0];
    expect(await refusal('GET', `/networks/${managed.id}`, undefined, token)).toBe('404 NetworkNotFound');
    expect(await refusal('POST', '/networks', { network: { shared: true } }, token)).toBe(
      '403 PolicyNotAuthorized',
    );
  });

  it('are refused with an attribute that nobody knows', async () => {
    expect(await refusal('POST', '/networks', { network: { 'provider:segmentation_id': 5 } })).toBe(
      '400 BadRequest',
    );
  });
});

describe('subnets', () => {
  it('have the first address as gateway and the rest as pool', async () => {
    const network = await make('network', {});
    const v4 = await make('subnet', { network_id: network.id, cidr: '10.9.0.7/24', ip_version: 4 });
    expect([v4.cidr, v4.gateway_ip, v4.allocation_pools]).toEqual([
      '10.9.0.0/24',
      '10.9.0.1',
      [{ start: '10.9.0.2', end: '10.9.0.254' }],
    ]);
    const v6 = await make('subnet', {
      network_id: network.id,
      cidr: 'fd00::/64',
      ip_version: 6,
      gateway_ip: null,
    });
    expect([v6.gateway_ip, v6.allocation_pools]).toEqual([
      null,
      [{ start: 'fd00::1', end: 'fd00::ffff:ffff:ffff:ffff' }],
    ]);
  });

  it('are refused when they make no sense', async () => {
    const { id: network_id } = await make('network', {});
    await make('subnet', { network_id, cidr: '10.9.0.0/24' });
    const wrong: [Body, string][] = [
      [{ cidr: '10.9.0.128/25' }, '400 InvalidInput'],
      [{ cidr: 'nonsense' }, '400 BadRequest'],
      [{ cidr: '10.8.0.0/24', ip_version: 6 }, '400 InvalidInput'],
      [{ cidr: '10.8.0.0/24', gateway_ip: '10.7.0.1' }, '400 InvalidInput'],
      [
        { cidr: '10.8.0.0/24', allocation_pools: [{ start: '10.7.0.2', end: '10.7.0.9' }] },
        '400 OutOfBoundsAllocationPool',
      ],
      [
        { cidr: '10.8.0.0/24', allocation_pools: [{ start: '10.8.0.1', end: '10.8.0.9' }] },
        '409 GatewayConflictWithAllocationPools',
      ],
      [{ cidr: '10.8.0.0/24', network_id: 'none' }, '404 NetworkNotFound'],
    ];
    for (const [wish, expected] of wrong) {
      expect([wish, await refusal('POST', '/subnets', { subnet: { network_id, ...wish } })]).toEqual([
        wish,
        expected,
      ]);
    }
  });
});

describe('ports', () => {
  let network: Body;
  let v4: Body;
  beforeEach(async () => {
    network = await make('network', { name: 'n' });
    v4 = await make('subnet', { network_id: network.id, cidr: '10.9.0.0/29', name: 'four' });
  });

  it('get the lowest free address of every family', async () => {
    const v6 = await make('subnet', { network_id: network.id, cidr: 'fd00::/64' });
    const first = await make('port', { network_id: network.id });
    const second = await make('port', { network_id: network.id });
    expect(first.fixed_ips).toEqual([
      { subnet_id: v4.id, ip_address: '10.9.0.2' },
      { subnet_id: v6.id, ip_address: 'fd00::2' },
    ]);
    await cloud.ask('DELETE', `${v2}/ports/${first.id}`);
    const third = await make('port', { network_id: network.id, fixed_ips: [{ subnet_id: v4.id }] });
    expect(second.fixed_ips[0].ip_address).toBe('10.9.0.3');
    expect(third.fixed_ips).toEqual([{ subnet_id: v4.id, ip_address: '10.9.0.2' }]);
  });

  it('can be made without an address, and with several', async () => {
    expect((await make('port', { network_id: network.id, fixed_ips: [] })).fixed_ips).toEqual([]);
    const wish = [{ subnet_id: v4.id }, { ip_address: '10.9.0.6' }];
    const port = await make('port', { network_id: network.id, fixed_ips: wish });
    expect(port.fixed_ips.map((each: Body) => each.ip_address)).toEqual(['10.9.0.2', '10.9.0.6']);
    const more = { port: { fixed_ips: [{ subnet_id: v4.id }, { subnet_id: v4.id }, { subnet_id: v4.id }] } };
    const grown = (await cloud.ask('PUT', `${v2}/ports/${port.id}`, more)).body.port;
    expect(grown.fixed_ips.map((each: Body) => each.ip_address)).toEqual([
      '10.9.0.2',
      '10.9.0.6',
      '10.9.0.3',
    ]);
  });

  it('are refused an address that is taken, foreign, or when none is left', async () => {
    const fixed = (fixed_ips: Body) => ({ port: { network_id: network.id, fixed_ips } });
    await make('port', fixed([{ ip_address: '10.9.0.4' }]).port);
    expect(await refusal('POST', '/ports', fixed([{ ip_address: '10.9.0.4' }]))).toBe('409 IpAddressInUse');
    expect(await refusal('POST', '/ports', fixed([{ ip_address: '10.7.0.4' }]))).toBe(
      '400 InvalidIpForNetwork',
    );
    expect(await refusal('POST', '/ports', fixed([{ subnet_id: v4.id, ip_address: '10.7.0.4' }]))).toBe(
      '400 InvalidIpForSubnet',
    );
    expect(await refusal('POST', '/ports', fixed([{ subnet_id: 'none' }]))).toBe('404 SubnetNotFound');
    for (let left = 0; left < 4; left += 1) await make('port', { network_id: network.id });
    expect(await refusal('POST', '/ports', fixed(undefined))).toBe('409 IpAddressGenerationFailure');
  });

  it('say what they carry, and are found by it', async () => {
    const port = await make('port', {
      network_id: network.id,
      name: 'octavia-lb-vrrp-1',
      device_id: 'amphora-1',
      device_owner: 'Octavia',
      admin_state_up: false,
      allowed_address_pairs: [{ ip_address: '10.9.0.5' }],
    });
    expect(port).toMatchObject({
      status: 'DOWN',
      admin_state_up: false,
      'binding:vif_type': 'unbound',
      qos_policy_id: null,
      allowed_address_pairs: [{ ip_address: '10.9.0.5', mac_address: port.mac_address }],
      tenant_id: port.project_id,
    });
    expect(port.mac_address).toMatch(/^fa:16:3e(:[0-9a-f]{2}){3}$/);
    await make('port', { network_id: network.id });
    const address = port.fixed_ips[0].ip_address;
    const queries = [
      'name=octavia-lb-vrrp-1',
      'device_id=amphora-1',
      'device_owner=Octavia',
      `fixed_ips=ip_address%3D${address}`,
      `mac_address=${port.mac_address}`,
      `fixed_ips=ip_address%3D${address}&fixed_ips=subnet_id%3D${v4.id}`,
      `network_id=${network.id}&admin_state_up=False`,
    ];
    for (const query of queries) {
      const { ports } = (await cloud.ask('GET', `${v2}/ports?${query}`)).body;
      expect([query, ports.map((each: Body) => each.id)]).toEqual([query, [port.id]]);
    }
    expect(await refusal('GET', '/ports?colour=red')).toBe('400 HTTPBadRequest');
    const { ports } = (
      await cloud.ask('GET', `${v2}/ports?fields=id&fields=name&sort_key=name&sort_dir=desc&limit=1`)
    ).body;
    expect(ports).toEqual([{ id: port.id, name: 'octavia-lb-vrrp-1' }]);
  });

  it('give a list in pages that misses none', async () => {
    const made = [];
    for (let index = 0; index < 5; index += 1) made.push((await make('port', { network_id: network.id })).id);
    const seen: string[] = [];
    let url = `${v2}/ports?limit=2&network_id=${network.id}`;
    for (let pages = 0; pages < 3; pages += 1) {
      const { body } = await cloud.ask('GET', url);
      seen.push(...body.ports.map((each: Body) => each.id));
      const next = body.ports_links?.[0]?.href;
      if (next === undefined) break;
      url = new URL(next).pathname + new URL(next).search;
    }
    expect(seen).toEqual(made);
  });

  it('take new openings, and refuse nonsense', async () => {
    const port = await make('port', { network_id: network.id });
    const change = (body: Body) => cloud.ask('PUT', `${v2}/ports/${port.id}`, { port: body });
    const answer = await change({
      allowed_address_pairs: [{ ip_address: '10.9.0.0/29' }],
      security_groups: [],
    });
    expect(answer.body.port).toMatchObject({
      allowed_address_pairs: [{ ip_address: '10.9.0.0/29' }],
      security_groups: [],
      fixed_ips: port.fixed_ips,
      revision_number: 1,
    });
    expect((await change({ security_groups: ['none'] })).body.NeutronError.type).toBe(
      'SecurityGroupNotFound',
    );
    expect((await change({ qos_policy_id: 'none' })).body.NeutronError.type).toBe('QosPolicyNotFound');
    expect(
      (await change({ port_security_enabled: false, allowed_address_pairs: [{ ip_address: '10.9.0.5' }] }))
        .status,
    ).toBe(409);
    const twice = [{ ip_address: '10.9.0.5' }, { ip_address: '10.9.0.5' }];
    expect((await change({ allowed_address_pairs: twice })).body.NeutronError.type).toBe(
      'DuplicateAddressPairInRequest',
    );
  });

  it('belong to their project: others neither see nor choose on a shared network', async () => {
    const port = await make('port', { network_id: network.id });
    const { token, projectId } = await cloud.someone('alice');
    expect(await refusal('GET', `/ports/${port.id}`, undefined, token)).toBe('404 PortNotFound');
    const shared = (await cloud.ask('GET', `${v2}/networks?name=ext_net`)).body.networks[0];
    const own = await make('port', { network_id: shared.id }, token);
    expect(own.project_id).toBe(projectId);
    const group = await make('security_group', { name: 'mine' });
    const foreign = { port: { network_id: shared.id, security_groups: [group.id] } };
    expect(await refusal('POST', '/ports', foreign, token)).toBe('404 SecurityGroupNotFound');
    const chosen = { port: { network_id: shared.id, fixed_ips: [{ ip_address: '10.2.0.77' }] } };
    expect(await refusal('POST', '/ports', chosen, token)).toBe('403 PolicyNotAuthorized');
  });

  it.each(['load-balancer_member', 'load-balancer_admin'])(
    'are made on networks of their own by users who have the role %s alone',
    async (role) => {
      const { token, projectId } = await cloud.someone('alice', role);
      const own = await make('network', { name: 'own' }, token);
      expect(own.project_id).toBe(projectId);
      const range = { network_id: own.id, ip_version: 4, cidr: '10.8.0.0/24' };
      await make('subnet', range, token);
      expect((await make('port', { network_id: own.id }, token)).project_id).toBe(projectId);
    },
  );

  it.each(['reader', 'load-balancer_observer', 'load-balancer_global_observer', 'load-balancer_quota_admin'])(
    'are not made by users who have the role %s alone',
    async (role) => {
      const { token } = await cloud.someone('alice', role);
      const wish = { network: { name: 'own' } };
      expect(await refusal('POST', '/networks', wish, token)).toBe('403 PolicyNotAuthorized');
    },
  );

  it('can be made many at once, all or none', async () => {
    const wish = (address: string) => ({ network_id: network.id, fixed_ips: [{ ip_address: address }] });
    const both = await cloud.ask('POST', `${v2}/ports`, { ports: [wish('10.9.0.2'), wish('10.9.0.2')] });
    expect(both.status).toBe(409);
    expect((await cloud.ask('GET', `${v2}/ports?network_id=${network.id}`)).body.ports).toEqual([]);
    const made = await cloud.ask('POST', `${v2}/ports`, { ports: [wish('10.9.0.2'), wish('10.9.0.3')] });
    expect(made.body.ports).toHaveLength(2);
  });

  it('carry tags', async () => {
    const port = await make('port', { network_id: network.id, tags: ['b', 'a'] });
    expect(port.tags).toEqual(['a', 'b']);
    expect((await cloud.ask('PUT', `${v2}/ports/${port.id}/tags/c`)).status).toBe(201);
    const { ports } = (await cloud.ask('GET', `${v2}/ports?tags=a,c`)).body;
    expect(ports.map((each: Body) => each.tags)).toEqual([['a', 'b', 'c']]);
    expect(await refusal('DELETE', `/ports/${port.id}/tags/z`)).toBe('404 TagNotFound');
  });
});

describe('security groups', () => {
  it('let everything out, and the default one its own members in', async () => {
    const group = await make('security_group', { name: 'web' });
    expect(group.security_group_rules.map((rule: Body) => [rule.direction, rule.ethertype])).toEqual([
      ['egress', 'IPv4'],
      ['egress', 'IPv6'],
    ]);
    const { security_groups } = (await cloud.ask('GET', `${v2}/security-groups?name=default`)).body;
    const own = security_groups.find((each: Body) => each.project_id === group.project_id);
    const inward = own.security_group_rules.filter((rule: Body) => rule.direction === 'ingress');
    expect(inward.map((rule: Body) => rule.remote_group_id)).toEqual([own.id, own.id]);
  });

  it('have a rule once, and only rules that make sense', async () => {
    const group = await make('security_group', { name: 'web' });
    const rule = (more: Body) => ({
      security_group_rule: { security_group_id: group.id, direction: 'ingress', ...more },
    });
    const made = await make(
      'security_group_rule',
      rule({ protocol: 'tcp', port_range_min: 80, port_range_max: 80 }).security_group_rule,
    );
    expect(made).toMatchObject({ ethertype: 'IPv4', protocol: 'tcp', remote_ip_prefix: null });
    await make('security_group_rule', rule({ protocol: 112 }).security_group_rule);
    const wrong: [Body, string][] = [
      [{ protocol: 'TCP', port_range_min: 80, port_range_max: 80 }, '409 SecurityGroupRuleExists'],
      [{ protocol: 'tcp', port_range_min: 81, port_range_max: 80 }, '400 SecurityGroupInvalidPortRange'],
      [{ port_range_min: 80, port_range_max: 80 }, '400 SecurityGroupProtocolRequiredWithPorts'],
      [{ protocol: 'xyz' }, '400 SecurityGroupRuleInvalidProtocol'],
      [{ remote_ip_prefix: 'fd00::/8' }, '400 SecurityGroupRuleParameterConflict'],
      [
        { remote_ip_prefix: '10.0.0.0/8', remote_group_id: group.id },
        '400 SecurityGroupRemoteGroupAndRemoteIpPrefix',
      ],
      [{ remote_group_id: 'none' }, '404 SecurityGroupNotFound'],
    ];
    for (const [more, expected] of wrong) {
      expect([more, await refusal('POST', '/security-group-rules', rule(more))]).toEqual([more, expected]);
    }
  });

  it('stay while a port has them', async () => {
    const group = await make('security_group', { name: 'web' });
    const network = await make('network', {});
    const port = await make('port', { network_id: network.id, security_groups: [group.id] });
    expect(await refusal('DELETE', `/security-groups/${group.id}`)).toBe('409 SecurityGroupInUse');
    await cloud.ask('DELETE', `${v2}/ports/${port.id}`);
    expect((await cloud.ask('DELETE', `${v2}/security-groups/${group.id}`)).status).toBe(204);
  });
});

describe('what is not offered', () => {
  it('is not listed and not found', async () => {
    const { extensions } = (await cloud.ask('GET', `${v2}/extensions`)).body;
    const aliases = extensions.map((each: Body) => each.alias);
    expect(aliases).toContain('security-group');
    expect(aliases).not.toContain('trunk');
    expect(aliases).not.toContain('subnet_allocation');
    expect((await cloud.ask('GET', `${v2}/extensions/port-security`)).body.extension.alias).toBe(
      'port-security',
    );
    expect((await cloud.ask('GET', `${v2}/extensions/trunk`)).status).toBe(404);
    expect((await cloud.ask('GET', `${v2}/trunks`)).status).toBe(404);
    expect((await cloud.ask('POST', `${v2}/subnetpools`, { subnetpool: {} })).status).toBe(404);
    const quota = { quota: { port: 5 } };
    expect(await refusal('PUT', '/quotas/any', quota)).toBe('501 HTTPNotImplemented');
    expect(await refusal('GET', '/qos/policies/any')).toBe('404 QosPolicyNotFound');
  });
});
