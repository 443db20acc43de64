import { describe, expect, it } from 'vitest';
import Value from 'typebox/value';
import {
  aFullTree,
  aListener,
  aLoadBalancer,
  anL7Policy,
  anL7Rule,
  aPool,
  aTree,
  uuid,
} from '../../test/trees.ts';
import { replace, type Tree } from '../lb/tree.ts';
import { WantedAmphora } from '../wire/wanted.ts';
import { wantedGuard } from './guard.ts';
import type { Found } from './wanted-tls.ts';
import { type AmphoraFacts, neededSecrets, vipsOf, wantedAmphora } from './wanted.ts';

const subnetId = uuid(1001);
const facts: AmphoraFacts = {
  card: { macAddress: 'FA:16:3E:00:00:01', fixedIps: [{ subnetId, ipAddress: '192.0.2.5' }] },
  memberCards: [],
  vips: [{ subnetId, ipAddress: '192.0.2.90' }],
  subnets: new Map([[subnetId, { cidr: '192.0.2.0/24', gatewayIp: '192.0.2.1' }]]),
  certificates: new Map(),
  texts: new Map(),
  ticketKeys: { period: 1, keys: ['a', 'b', 'c'].map((letter) => `${letter.repeat(107)}=`) },
};
const want = (tree: Tree, more: Partial<AmphoraFacts> = {}) => wantedAmphora(tree, { ...facts, ...more });
const bundle = (name: string) => ({
  value: { certificatePem: `${name} leaf\n`, privateKeyPem: `${name} key`, intermediatesPem: [`${name} ca`] },
});
const gone: Found<never> = { unavailable: 'The secret is gone.' };

describe('What is wanted of an amphora', () => {
  it('is understood by the agent', () => {
    const { wanted, failed } = want(aFullTree());
    expect(Value.Check(WantedAmphora, wanted)).toBe(true);
    expect(failed.size).toBe(0);
    expect(wanted.interfaces).toEqual([
      {
        mac: 'fa:16:3e:00:00:01',
        addresses: ['192.0.2.5/24'],
        vips: ['192.0.2.90/24'],
        gateways: ['192.0.2.1'],
      },
    ]);
  });

  it('has the connection limit of the deployment where a listener names none, but for datagrams', () => {
    const limits = (protocol: 'HTTP' | 'UDP', connectionLimit: number | null, ofDeployment: number) => {
      const tree = replace(aFullTree(), 'listeners', uuid(2), { protocol, connectionLimit });
      return want(tree, { defaultConnectionLimit: ofDeployment }).wanted.listeners[0]?.connectionLimit;
    };
    expect(limits('HTTP', -1, 2000)).toBe(2000);
    expect(limits('HTTP', null, 2000)).toBe(2000);
    expect(limits('HTTP', 300, 2000)).toBe(300);
    expect(limits('HTTP', -1, 50_000)).toBe(-1);
    expect(limits('UDP', -1, 2000)).toBe(-1);
  });

  it('says how big stick tables are where there are some, and it is not what agents take', () => {
    const entries = (stickSize: string | undefined, persistent: boolean) => {
      const sessionPersistence = persistent
        ? ({
            type: 'SOURCE_IP',
            cookieName: null,
            persistenceTimeout: null,
            persistenceGranularity: null,
          } as const)
        : null;
      const full = aFullTree();
      const pools = full.pools.map((pool) => ({ ...pool, sessionPersistence }));
      return want({ ...full, pools }, { stickSize }).wanted.stickTableEntries;
    };
    expect(entries('20k', true)).toBe(20_480);
    expect(entries('2M', true)).toBe(2_097_152);
    expect(entries('777', true)).toBe(777);
    expect(entries('10k', true)).toBeUndefined();
    expect(entries(undefined, true)).toBeUndefined();
    expect(entries('20k', false)).toBeUndefined();
  });

  it('leaves out what is disabled or to be deleted, and whoever points there', () => {
    const tree = replace(aFullTree(), 'pools', uuid(3), { adminStateUp: false });
    const redirecting = replace(tree, 'l7Policies', uuid(6), {
      action: 'REDIRECT_TO_POOL',
      redirectPoolId: uuid(3),
    });
    const { wanted } = want(redirecting);
    expect(wanted.pools).toEqual([]);
    expect(wanted.listeners[0]).toMatchObject({ defaultPoolId: null, l7Policies: [] });
    const dying = replace(aFullTree(), 'listeners', uuid(2), { provisioningStatus: 'PENDING_DELETE' });
    expect(want(dying).wanted.listeners).toEqual([]);
  });

  it('keeps policies in order and drops those without an enabled rule', () => {
    const tree = aTree({
      listeners: [aListener()],
      l7Policies: [
        anL7Policy({ id: uuid(61), position: 2 }),
        anL7Policy({ id: uuid(62), position: 1 }),
        anL7Policy({ id: uuid(63), position: 3 }),
      ],
      l7Rules: [
        anL7Rule({ id: uuid(71), l7PolicyId: uuid(61) }),
        anL7Rule({ id: uuid(72), l7PolicyId: uuid(62) }),
        anL7Rule({ id: uuid(73), l7PolicyId: uuid(63), adminStateUp: false }),
      ],
    });
    expect(want(tree).wanted.listeners[0]?.l7Policies.map(({ id }) => id)).toEqual([uuid(62), uuid(61)]);
  });

  it('has the default certificate first, each as one PEM named by its content', () => {
    const tls = aListener({
      protocol: 'TERMINATED_HTTPS',
      defaultTlsContainerRef: 'main',
      sniContainerRefs: ['other', 'main'],
    });
    const tree = aTree({ listeners: [tls] });
    expect(neededSecrets(tree)).toEqual({ certificates: ['main', 'other'], texts: [] });
    const certificates = new Map([
      ['main', bundle('main')],
      ['other', bundle('other')],
    ]);
    const given = want(tree, { certificates }).wanted.listeners[0]?.tls?.certificates;
    expect(given?.map(({ pem }) => pem)).toEqual([
      'main key\nmain leaf\nmain ca\n',
      'other key\nother leaf\nother ca\n',
    ]);
    expect(new Set(given?.map(({ name }) => name)).size).toBe(2);
  });

  it('gives a listener no half of its TLS: one secret gone, and it says so', () => {
    const tls = aListener({
      protocol: 'TERMINATED_HTTPS',
      defaultTlsContainerRef: 'main',
      clientAuthentication: 'MANDATORY',
      clientCaTlsContainerRef: 'ca',
    });
    const { wanted, failed } = want(aTree({ listeners: [tls] }), {
      certificates: new Map([['main', bundle('main')]]),
      texts: new Map([['ca', gone]]),
    });
    expect(wanted.listeners[0]?.tls).toMatchObject({
      certificates: [],
      clientCaPem: null,
      unavailable: 'The secret is gone.',
    });
    expect([...failed]).toEqual([[tls.id, 'The secret is gone.']]);
  });

  it('leaves a pool out whose CA is gone: members must not go unproven', () => {
    const tree = aTree({
      listeners: [aListener({ defaultPoolId: uuid(3) })],
      pools: [aPool({ tlsEnabled: true, caTlsContainerRef: 'ca' })],
    });
    const { wanted, failed } = want(tree, { texts: new Map([['ca', gone]]) });
    expect(wanted.pools).toEqual([]);
    expect(wanted.listeners[0]?.defaultPoolId).toBeNull();
    expect(failed.get(uuid(3))).toBe('The secret is gone.');
  });
});

describe('The VIPs', () => {
  it('are in the subnet their port has them in when only a port was named', () => {
    const loadBalancer = aLoadBalancer({
      vipSubnetId: null,
      additionalVips: [{ subnetId: uuid(9), ipAddress: '2001:db8::9', portId: uuid(8) }],
    });
    const portIps = [
      { subnetId: uuid(7), ipAddress: '192.0.2.7' },
      { subnetId, ipAddress: '192.0.2.90' },
    ];
    expect(vipsOf(loadBalancer, portIps)).toMatchObject([
      { subnetId, ipAddress: '192.0.2.90' },
      { subnetId: uuid(9), ipAddress: '2001:db8::9' },
    ]);
  });
});

describe('The guard', () => {
  it('opens the ports of enabled listeners to their CIDRs, or to everyone', () => {
    const tree = aTree({
      listeners: [
        aListener({ id: uuid(21), protocolPort: 80 }),
        aListener({ id: uuid(22), protocolPort: 443, allowedCidrs: ['192.0.2.0/24', '2001:db8::/32'] }),
        aListener({ id: uuid(23), protocolPort: 53, protocol: 'UDP' }),
        aListener({ id: uuid(24), protocolPort: 81, adminStateUp: false }),
      ],
    });
    const guard = wantedGuard(tree);
    expect(guard.openings.map(({ protocol, port, remoteCidr }) => [protocol, port, remoteCidr])).toEqual([
      ['icmp', null, null],
      ['tcp', 80, null],
      ['tcp', 443, '192.0.2.0/24'],
      ['udp', 53, null],
    ]);
  });

  it("is the user's own groups when there are any", () => {
    const tree = aTree({ loadBalancer: aLoadBalancer({ vipSgIds: [uuid(77)] }) });
    expect(wantedGuard(tree)).toEqual({ openings: [], groupIds: [uuid(77)] });
  });
});
