import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SecurityRule } from './clouds.ts';
import { ruleDifference, type ShownRule, toRuleRequest } from './security-rules.ts';

const v4 = fc.record({
  protocol: fc.constantFrom('tcp', 'udp', 'sctp', 'icmp', '112', null),
  port: fc.constantFrom(null, 80, 443),
  ipVersion: fc.constant(4 as const),
  remoteCidr: fc.constantFrom(null, '0.0.0.0/0', '10.1.2.3/8', '10.0.0.0/8', '192.0.2.1/32'),
});
const v6 = fc.record({
  protocol: fc.constantFrom('tcp', 'icmp', null),
  port: fc.constantFrom(null, 443),
  ipVersion: fc.constant(6 as const),
  remoteCidr: fc.constantFrom(null, '::/0', '2001:DB8::1/32', '2001:db8::/32'),
});
const rules: fc.Arbitrary<readonly SecurityRule[]> = fc.array(fc.oneof(v4, v6), { maxLength: 8 });

let made = 0;
/** The rule as Neutron would show it after it was made. */
const shown = (rule: SecurityRule): ShownRule => {
  const { security_group_rule: body } = toRuleRequest(rule, 'g') as { security_group_rule: ShownRule };
  const protocol = body.protocol === '112' ? 'vrrp' : body.protocol;
  return { ...body, id: `${(made += 1)}`, protocol, remote_group_id: null };
};

describe('the difference between wanted and shown rules', () => {
  it('applied leaves no difference, whatever stood there before', () => {
    fc.assert(
      fc.property(rules, rules, (before, wanted) => {
        const now = before.map(shown);
        const { add, removeIds } = ruleDifference(wanted, now);
        const after = [...now.filter((rule) => !removeIds.includes(rule.id)), ...add.map(shown)];
        expect(ruleDifference(wanted, after)).toEqual({ add: [], removeIds: [] });
        // Nothing is opened twice, and nothing wanted is missing.
        expect(after.length).toBeLessThanOrEqual(wanted.length);
      }),
    );
  });

  it('removes a rule for members of a group, and leaves what goes out alone', () => {
    const rule = shown({ protocol: null, port: null, ipVersion: 4, remoteCidr: null });
    const group = { ...rule, id: 'group', remote_group_id: 'g' };
    const out = { ...rule, id: 'out', direction: 'egress' };
    expect(ruleDifference([], [group, out])).toEqual({ add: [], removeIds: ['group'] });
  });
});
