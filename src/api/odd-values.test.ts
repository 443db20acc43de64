import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { active, activeLoadBalancer, type Client, startApi, type TestApi } from './client.fixture.ts';
import { apiName } from './fields.ts';
import { availabilityZoneProfiles } from './resources/availability-zone-profiles.ts';
import { availabilityZones } from './resources/availability-zones.ts';
import { l7Policies } from './resources/l7-policies.ts';
import { l7Rules } from './resources/l7-rules.ts';
import { loadBalancers } from './resources/load-balancers.ts';
import { quotas } from './resources/quotas.ts';
import { keyOf } from './resource.ts';

/** Whatever a client sends, the answer is about its request. */

let api: TestApi;
let loadBalancerId: string;
beforeAll(async () => {
  api = await startApi();
  loadBalancerId = await activeLoadBalancer(api);
});
afterAll(() => api.close());

const odd: readonly unknown[] = [
  ...[null, true, -1, 1e300, 1.5, '', '\u0000', '\ud800', '\n', '🦁', 'x'.repeat(5000)],
  ...[[], [[]], [null], {}, { a: {} }, [{ name: '\u0000' }], { name: null, protocol: 7 }],
];

/** Sends each odd value in each field of an otherwise good body; nothing may answer with a 5xx but what is not offered. */
async function everyField(
  resource: { readonly fields: object; readonly argument: string },
  send: (body: object) => ReturnType<Client['post']>,
  good: () => object,
): Promise<void> {
  for (const [key, field] of Object.entries(resource.fields)) {
    const name = apiName(key, field as never);
    for (const value of odd) {
      const reply = await send({ [keyOf(resource)]: { ...good(), [name]: value } });
      const said = JSON.stringify({ [name]: value, fault: reply.body });
      expect([200, 201, 202, 400, 403, 404, 409, 501], said.slice(0, 400)).toContain(reply.status);
      await api.settle(loadBalancerId);
    }
  }
}

describe('An odd value is no reason for an internal error', () => {
  it('in an L7 policy or a rule', async () => {
    const listenerId = await active(api, loadBalancerId, '/v2/lbaas/listeners', 'listener', {
      ...{ loadbalancer_id: loadBalancerId, protocol: 'HTTP', protocol_port: 80 },
    });
    const path = '/v2/lbaas/l7policies';
    const policyId = await active(api, loadBalancerId, path, 'l7policy', {
      ...{ listener_id: listenerId, action: 'REJECT' },
    });
    const policy = { action: 'REDIRECT_TO_URL', redirect_url: 'http://example.com' };
    await everyField(
      l7Policies,
      (body) => api.member.post(path, body),
      () => ({ ...policy, listener_id: listenerId }),
    );
    await everyField(
      l7Policies,
      (body) => api.member.put(`${path}/${policyId}`, body),
      () => policy,
    );
    const rules = `${path}/${policyId}/rules`;
    const rule = { type: 'HEADER', compare_type: 'REGEX', key: 'X', value: 'a' };
    const ruleId = await active(api, loadBalancerId, rules, 'rule', rule);
    await everyField(
      l7Rules,
      (body) => api.member.post(rules, body),
      () => rule,
    );
    await everyField(
      l7Rules,
      (body) => api.member.put(`${rules}/${ruleId}`, body),
      () => rule,
    );
  });

  it('in a quota or an availability zone', async () => {
    await everyField(
      quotas,
      (body) => api.admin.put('/v2/lbaas/quotas/somebody', body),
      () => ({}),
    );
    const zone = { provider_name: 'amphora', availability_zone_data: '{}' };
    const profiles = '/v2/lbaas/availabilityzoneprofiles';
    const made = await api.admin.post(profiles, { availability_zone_profile: { name: 'p', ...zone } });
    const { id } = made.body.availability_zone_profile;
    await everyField(
      availabilityZoneProfiles,
      (body) => api.admin.post(profiles, body),
      () => ({ name: 'p', ...zone }),
    );
    await everyField(
      availabilityZones,
      (body) => api.admin.post('/v2/lbaas/availabilityzones', body),
      () => ({ name: randomUUID(), availability_zone_profile_id: id }),
    );
  });

  it('in a load balancer and what is nested in it', async () => {
    const path = '/v2/lbaas/loadbalancers';
    const subnetId = api.cloud.addSubnet('198.51.100.0/24').id;
    const send = (body: object) => api.member.post(path, body);
    await everyField(loadBalancers, send, () => ({ vip_subnet_id: subnetId }));
    const pool = { name: 'a', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' };
    for (const value of odd) {
      const nested = [
        { pools: [{ ...pool, members: value }] },
        { pools: [{ ...pool, healthmonitor: value }] },
        { pools: [{ ...pool, session_persistence: value }] },
        { listeners: [{ protocol: 'HTTP', protocol_port: 80, default_pool: value }] },
        { listeners: [{ protocol: 'HTTP', protocol_port: 80, l7policies: value }] },
        {
          listeners: [
            { protocol: 'HTTP', protocol_port: 80, l7policies: [{ action: 'REJECT', rules: value }] },
          ],
        },
      ];
      for (const values of nested) {
        const reply = await send({ loadbalancer: { vip_subnet_id: subnetId, ...values } });
        const said = JSON.stringify({ values, fault: reply.body });
        expect([201, 400, 404, 409], said.slice(0, 400)).toContain(reply.status);
      }
    }
  });
});
