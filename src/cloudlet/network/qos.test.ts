import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Body, openTestCloud, type TestCloud } from '../cloudlet.fixture.ts';

let cloud: TestCloud;
let network: Body;
beforeEach(async () => {
  cloud = await openTestCloud();
  network = (await cloud.ask('POST', `${v2}/networks`, { network: {} })).body.network;
});
afterEach(() => cloud.destroy());

const v2 = '/network/v2.0';
const ask = async (method: 'POST' | 'PUT' | 'GET' | 'DELETE', path: string, body?: Body, as?: string) =>
  cloud.ask(method, `${v2}${path}`, body, as === undefined ? {} : { as });
const refusal = async (...wish: Parameters<typeof ask>): Promise<string> => {
  const { status, body } = await ask(...wish);
  return `${status} ${body?.NeutronError?.type}`;
};
const policy = async (wish: Body): Promise<Body> =>
  (await ask('POST', '/qos/policies', { policy: wish })).body.policy;
const limit = async (policyId: string, wish: Body): Promise<Body> =>
  (await ask('POST', `/qos/policies/${policyId}/bandwidth_limit_rules`, { bandwidth_limit_rule: wish })).body
    .bandwidth_limit_rule;
const port = async (wish: Body): Promise<Body> =>
  (await ask('POST', '/ports', { port: { network_id: network.id, ...wish } })).body.port;

describe('a QoS policy', () => {
  it('limits the cards of its ports, each way by its own rule', async () => {
    const { id } = await policy({ name: 'slow' });
    const out = await limit(id, { max_kbps: 8000, max_burst_kbps: 1600 });
    expect(out).toMatchObject({ direction: 'egress', max_kbps: 8000, max_burst_kbps: 1600 });
    await limit(id, { max_kbps: 80, direction: 'ingress' });
    const { mac_address: macAddress, ...made } = await port({ qos_policy_id: id });
    expect(made.qos_policy_id).toBe(id);
    expect(cloud.host.cardLimits).toEqual([
      { macAddress, direction: 'egress', bytesPerSecond: 1_000_000, burstBytes: 200_000 },
      { macAddress, direction: 'ingress', bytesPerSecond: 10_000, burstBytes: 8000 },
    ]);
    const rule = `/qos/policies/${id}/bandwidth_limit_rules/${out.id}`;
    await ask('PUT', rule, { bandwidth_limit_rule: { max_kbps: 800 } });
    expect(cloud.host.cardLimits[0]?.bytesPerSecond).toBe(100_000);
    expect((await ask('DELETE', rule)).status).toBe(204);
    expect(cloud.host.cardLimits.map((each) => each.direction)).toEqual(['ingress']);
    await ask('PUT', `/ports/${made.id}`, { port: { qos_policy_id: null } });
    expect(cloud.host.cardLimits).toEqual([]);
  });

  it('shows its rules, and keeps one for each direction', async () => {
    const { id } = await policy({ name: 'p', description: 'd', shared: true });
    const rule = await limit(id, { max_kbps: 1000 });
    const shown = (await ask('GET', `/qos/policies/${id}`)).body.policy;
    expect(shown).toMatchObject({ name: 'p', description: 'd', shared: true, is_default: false, tags: [] });
    expect(shown.rules).toEqual([{ ...rule, type: 'bandwidth_limit', qos_policy_id: id }]);
    const path = `/qos/policies/${id}/bandwidth_limit_rules`;
    expect((await ask('GET', path)).body.bandwidth_limit_rules).toEqual([rule]);
    expect((await ask('GET', `${path}/${rule.id}`)).body.bandwidth_limit_rule).toEqual(rule);
    const again = { bandwidth_limit_rule: { max_kbps: 5 } };
    expect(await refusal('POST', path, again)).toBe('409 QoSRuleParameterConflict');
    expect(await refusal('POST', path, { bandwidth_limit_rule: {} })).toBe('400 BadRequest');
    expect(await refusal('GET', `${path}/none`)).toBe('404 QosRuleNotFound');
  });

  it('of a network holds for its ports that have none, and stays while it is used', async () => {
    const { id } = await policy({});
    await limit(id, { max_kbps: 8 });
    await port({});
    await ask('PUT', `/networks/${network.id}`, { network: { qos_policy_id: id } });
    expect(cloud.host.cardLimits).toHaveLength(1);
    expect(await refusal('DELETE', `/qos/policies/${id}`)).toBe('409 QosPolicyInUse');
    await ask('PUT', `/networks/${network.id}`, { network: { qos_policy_id: null } });
    expect((await ask('DELETE', `/qos/policies/${id}`)).status).toBe(204);
    expect(await refusal('GET', `/qos/policies/${id}`)).toBe('404 QosPolicyNotFound');
  });

  it('that is the default is what new networks get', async () => {
    const { id } = await policy({ is_default: true });
    expect((await ask('POST', '/networks', { network: {} })).body.network.qos_policy_id).toBe(id);
    const none = { network: { qos_policy_id: null } };
    expect((await ask('POST', '/networks', none)).body.network.qos_policy_id).toBe(null);
    expect(await refusal('POST', '/qos/policies', { policy: { is_default: true } })).toBe(
      '409 QoSPolicyDefaultAlreadyExists',
    );
  });

  it('is made by admins, and named by those who see it', async () => {
    const { token } = await cloud.someone('alice');
    expect(await refusal('POST', '/qos/policies', { policy: {} }, token)).toBe('403 PolicyNotAuthorized');
    const hidden = await policy({});
    const shared = await policy({ shared: true });
    const seen = (await ask('GET', '/qos/policies', undefined, token)).body.policies;
    expect(seen.map((each: Body) => each.id)).toEqual([shared.id]);
    const own = (await ask('POST', '/networks', { network: {} }, token)).body.network;
    const wish = (id: string) => ({ port: { network_id: own.id, qos_policy_id: id } });
    expect(await refusal('POST', '/ports', wish(hidden.id), token)).toBe('404 QosPolicyNotFound');
    expect((await ask('POST', '/ports', wish(shared.id), token)).status).toBe(201);
  });

  it('has no rules of kinds that are not offered', async () => {
    const { id } = await policy({});
    expect((await ask('GET', '/qos/rule-types')).body.rule_types).toEqual([{ type: 'bandwidth_limit' }]);
    const dscp = { dscp_marking_rule: { dscp_mark: 8 } };
    expect((await ask('POST', `/qos/policies/${id}/dscp_marking_rules`, dscp)).status).toBe(404);
  });
});
