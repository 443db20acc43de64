import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { type Client, type Reply, startApi, type TestApi } from '../../src/api/client.fixture.ts';
import type { Tree } from '../../src/lb/tree.ts';

/** One load balancer with one of everything, at rest, behind the real API on a real store. */
export interface Stage {
  readonly api: TestApi;
  readonly member: Client;
  readonly admin: Client;
  readonly balancerId: string;
  /** What `:listener` and the like stand for. */
  readonly ids: ReadonlyMap<string, string>;
  /** Of the certificate the listeners may use. */
  readonly privateKeyPem: string;
  /** A body or path with the ids in it. `:fresh` is a new name, `:pool!upper` and `:pool!bare` the id in other ways. */
  told<T>(text: T): T;
  /** From now on that word stands for that id. */
  known(word: string, id: string): void;
  /** The load balancer and everything below it, as stored. */
  tree(): Promise<Tree>;
  /** Everything as it was: what came since is gone, what changed is undone. */
  restore(tree: Tree): Promise<void>;
  close(): Promise<void>;
}

export async function setStage(options: Parameters<typeof startApi>[0] = {}): Promise<Stage> {
  const api = await startApi(options);
  const kept = await secrets(api);
  const ids = new Map<string, string>(kept.refs);
  const { member, admin } = api;
  const networkId = crypto.randomUUID();
  const subnet = () => api.cloud.addSubnet('192.0.2.0/24', networkId).id;
  const [qos, group] = [crypto.randomUUID(), crypto.randomUUID()];
  api.cloud.qosPolicies.add(qos);
  api.cloud.securityGroups.add(group);
  let names = 0;

  const named = (word: string): string => {
    if (word === ':fresh') return `fresh-${++names}`;
    const [name = '', written] = word.split('!');
    const id = ids.get(name) ?? name;
    if (written === 'upper') return id.toUpperCase();
    return written === 'bare' ? id.replaceAll('-', '') : id;
  };
  const told = <T>(value: T): T => {
    if (typeof value === 'string') {
      return (value.startsWith(':') ? named(value) : value.replaceAll(/(?<=\/):[a-z-]+/g, named)) as T;
    }
    if (Array.isArray(value)) return value.map(told) as T;
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, told(inner)])) as T;
  };

  const put = async (
    word: string,
    client: Client,
    path: string,
    key: string,
    body: object,
  ): Promise<string> => {
    const reply: Reply = await client.post(`/v2/lbaas/${told(path)}`, { [key]: told(body) });
    if (reply.status !== 201) throw new Error(`${path}: ${JSON.stringify(reply.body)}`);
    const { id = '', name = '' } = reply.body[key] as { id?: string; name?: string };
    ids.set(word, id === '' ? name : id);
    const balancerId = ids.get(':balancer');
    if (balancerId !== undefined) await api.settle(balancerId);
    return id;
  };

  ids.set(':project', member.projectId);
  ids.set(':qos', qos);
  ids.set(':group', group);
  ids.set(':network', networkId);
  ids.set(':subnet', subnet());
  ids.set(':other-subnet', subnet());
  await put(':flavor_profile_id', admin, 'flavorprofiles', 'flavorprofile', {
    ...{ name: 'f', provider_name: 'amphora', flavor_data: '{}' },
  });
  await put(':flavor', admin, 'flavors', 'flavor', { name: 'f', flavor_profile_id: ':flavor_profile_id' });
  await put(
    ':availability_zone_profile_id',
    ...([admin, 'availabilityzoneprofiles', 'availability_zone_profile'] as const),
    { name: 'z', provider_name: 'amphora', availability_zone_data: '{}' },
  );
  await put(':zone', admin, 'availabilityzones', 'availability_zone', {
    ...{ name: 'z', availability_zone_profile_id: ':availability_zone_profile_id' },
  });
  const balancerId = await put(':balancer', member, 'loadbalancers', 'loadbalancer', {
    vip_subnet_id: ':subnet',
  });
  const pool = { loadbalancer_id: ':balancer', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' };
  await put(':pool', member, 'pools', 'pool', pool);
  await put(':unwatched-pool', member, 'pools', 'pool', pool);
  const listener = { loadbalancer_id: ':balancer', protocol: 'HTTP' };
  await put(':listener', member, 'listeners', 'listener', {
    ...listener,
    protocol_port: 81,
    default_pool_id: ':pool',
  });
  await put(':free-listener', member, 'listeners', 'listener', { ...listener, protocol_port: 82 });
  await put(':monitor', member, 'healthmonitors', 'healthmonitor', {
    ...{ pool_id: ':pool', type: 'HTTP', delay: 5, timeout: 3, max_retries: 2 },
  });
  await put(':member', member, 'pools/:pool/members', 'member', {
    address: '198.51.100.9',
    protocol_port: 80,
  });
  await put(':policy', member, 'l7policies', 'l7policy', { listener_id: ':listener', action: 'REJECT' });
  await put(':rule', member, 'l7policies/:policy/rules', 'rule', {
    ...{ type: 'PATH', compare_type: 'STARTS_WITH', value: '/a' },
  });

  const tree = async (): Promise<Tree> => {
    const now = await api.store.trees.read(balancerId);
    if (now === undefined) throw new Error('the load balancer is gone');
    return now;
  };
  return {
    ...{ api, member, admin, balancerId, ids, told, tree, privateKeyPem: kept.privateKeyPem },
    known: (word, id) => void ids.set(word, id),
    restore: (before) => api.store.trees.settle(before.loadBalancer.id, () => before),
    close: () => api.close(),
  };
}

/** A certificate, the authority that signed itself, and its list of what is revoked. */
async function secrets(api: TestApi): Promise<{ refs: [string, string][]; privateKeyPem: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const common = { notBefore: new Date(Date.now() - 1000), notAfter: new Date(Date.now() + 86_400_000) };
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...{ ...common, serialNumber: '01', name: 'CN=www.example.org', keys, signingAlgorithm: algorithm },
  });
  const crl = await x509.X509CrlGenerator.create({
    ...{ issuer: certificate.subject, thisUpdate: common.notBefore, nextUpdate: common.notAfter },
    ...{ signingKey: keys.privateKey, signingAlgorithm: algorithm, entries: [] },
  });
  const privateKey = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  const privateKeyPem = x509.PemConverter.encode(privateKey, 'PRIVATE KEY');
  const refs: [string, string][] = [
    [
      ':certificate',
      api.cloud.storeCertificate({
        certificatePem: certificate.toString('pem'),
        privateKeyPem,
        intermediatesPem: [],
      }),
    ],
    [':authority', api.cloud.storeText(certificate.toString('pem'))],
    [':revoked', api.cloud.storeText(x509.PemConverter.encode(crl.rawData, 'X509 CRL'))],
  ];
  return { refs, privateKeyPem };
}
