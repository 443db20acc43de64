import fc from 'fast-check';
import {
  aCertificate,
  aListener,
  aMember,
  aMonitor,
  aPolicy,
  aPool,
  aRule,
  aTls,
  aBackendTls,
  aWanted,
  id,
} from '../../plan/haproxy/wanted.fixture.ts';
import { serverName } from '../../plan/haproxy/server-names.ts';
import { ticketKeys } from '../../pki/ticket-keys.ts';
import type { WantedAmphora, WantedL7Policy, WantedListener, WantedPool } from '../../wire/wanted.ts';
import { type AuthorityWithClients, anAuthority } from './authority.fixture.ts';

// A load balancer as a user may have it, in few words; what a client is to see of it; and any change of it.

export const authorities = [anAuthority('one'), anAuthority('two')] as const;
/** Two of one name, and one for all names that have no other. */
const hostNames = ['www.example.com', 'api.example.com', 'www.example.com', '*.example.com'];
export const certificates = hostNames.map(aCertificate);
const monitors = [
  aMonitor({ type: 'HTTP', delay: 1, timeout: 1, rise: 1, fall: 2 }),
  aMonitor({ type: 'TCP', delay: 1, timeout: 1, rise: 2, fall: 3 }),
];
export const secretKey = Buffer.alloc(32, 7);
/** The server that nobody hears of: whoever is there has the weight 0. */
const dead = 4;

interface Member {
  readonly there: boolean;
  /** Which of the servers it is. */
  readonly target: number;
  readonly weight: number;
  readonly enabled: boolean;
  readonly backup: boolean;
  /** The server that its monitor asks instead. */
  readonly doctor: number | null;
}
interface Pool {
  readonly there: boolean;
  readonly algorithm: 'ROUND_ROBIN' | 'SOURCE_IP' | 'LEAST_CONNECTIONS';
  readonly persistence: 'HTTP_COOKIE' | 'SOURCE_IP' | null;
  readonly monitor: number | null;
  /** That members must be of; null: any. Of the pool that encrypts alone. */
  readonly authority: number | null;
  readonly members: readonly Member[];
}
interface Policy {
  readonly path: string;
  readonly kind: string | null;
  readonly invert: boolean;
  readonly action: 'REJECT' | 'REDIRECT_TO_URL' | 'REDIRECT_PREFIX' | 'REDIRECT_TO_POOL';
  readonly pool: number;
}
interface Listener {
  readonly there: boolean;
  readonly pool: number | null;
  readonly limit: number;
  readonly timeoutSeconds: number;
  readonly policies: readonly Policy[];
  /** The default first. */
  readonly certificates: readonly number[];
  readonly clients: {
    readonly mode: 'NONE' | 'OPTIONAL' | 'MANDATORY';
    readonly authority: number;
    /** 0: a list that revokes nobody, 1: one that revokes. */
    readonly crl: number | null;
  };
}
export interface Wish {
  readonly enabled: boolean;
  readonly hour: number;
  readonly listeners: readonly Listener[];
  readonly pools: readonly Pool[];
}

/** Listeners 0 and 1 are HTTP, 2 and 3 terminate TLS, 4 is TCP. Pool 2 is TCP, 3 encrypts to its members. */
const protocols = ['HTTP', 'HTTP', 'TERMINATED_HTTPS', 'TERMINATED_HTTPS', 'TCP'] as const;
const [tcp, encrypting] = [2, 3];
export const isTls = (n: number): boolean => protocols[n] === 'TERMINATED_HTTPS';

const aMemberWish = (target: number): Member => {
  return { there: target < 2, target, weight: 1, enabled: true, backup: false, doctor: null };
};
const aPoolWish = (members: number): Pool => ({
  ...{ there: true, algorithm: 'ROUND_ROBIN', persistence: null, monitor: null, authority: null },
  members: Array.from({ length: members }, (_, n) => aMemberWish(n)),
});
const aListenerWish = (pool: number): Listener => ({
  ...{ there: true, pool, limit: 100, timeoutSeconds: 5, policies: [], certificates: [0] },
  clients: { mode: 'NONE', authority: 0, crl: null },
});
export const firstWish: Wish = {
  ...{ enabled: true, hour: 1000 },
  listeners: [0, 1, 0, encrypting, tcp].map(aListenerWish),
  pools: [aPoolWish(4), aPoolWish(4), aPoolWish(4), { ...aPoolWish(1), authority: 0 }],
};

/** One leaf of a wish, and what it becomes. */
export interface Edit {
  readonly at: readonly (string | number)[];
  readonly becomes: unknown;
}

const leaf = (
  at: readonly (fc.Arbitrary<number> | string)[],
  becomes: fc.Arbitrary<unknown>,
): fc.Arbitrary<Edit> =>
  fc.record({
    at: fc.tuple(...at.map((step) => (typeof step === 'string' ? fc.constant(step) : step))),
    becomes,
  });

const anyPolicy: fc.Arbitrary<Policy> = fc.record({
  path: fc.constantFrom('/', '/a', '/b'),
  kind: fc.constantFrom(null, null, ...['gold', `it's; "one" \\ # 100%`]),
  invert: fc.boolean(),
  action: fc.constantFrom('REJECT', 'REDIRECT_TO_URL', 'REDIRECT_PREFIX', 'REDIRECT_TO_POOL'),
  pool: fc.nat(1),
});
const inMembers = ['pools', fc.nat(2), 'members', fc.nat(3)] as const;
const inPools = ['pools', fc.nat(2)] as const;
const inListeners = ['listeners', fc.nat(4)] as const;
const mostly = (value: boolean) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(value) }, fc.constant(!value));

export const anyEdit: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 4, arbitrary: leaf([...inMembers, 'there'], fc.boolean()) },
  { weight: 2, arbitrary: leaf([...inMembers, 'weight'], fc.nat(3)) },
  leaf([...inMembers, 'target'], fc.nat(dead)),
  { weight: 2, arbitrary: leaf([...inMembers, 'enabled'], fc.boolean()) },
  leaf([...inMembers, 'backup'], fc.boolean()),
  leaf([...inMembers, 'doctor'], fc.constantFrom(null, 0, 1)),
  { weight: 3, arbitrary: leaf([...inPools, 'monitor'], fc.constantFrom(null, null, 0, 1)) },
  leaf([...inPools, 'there'], mostly(true)),
  leaf([...inPools, 'algorithm'], fc.constantFrom('ROUND_ROBIN', 'SOURCE_IP', 'LEAST_CONNECTIONS')),
  leaf(['pools', fc.nat(1), 'persistence'], fc.constantFrom(null, 'HTTP_COOKIE', 'SOURCE_IP')),
  leaf(['pools', fc.constant(encrypting), 'authority'], fc.constantFrom(null, 0, 1)),
  { weight: 3, arbitrary: leaf([...inListeners, 'there'], mostly(true)) },
  leaf(['enabled'], mostly(true)),
  leaf(['listeners', fc.nat(3), 'pool'], fc.constantFrom(null, 0, 1, encrypting)),
  { weight: 2, arbitrary: leaf([...inListeners, 'limit'], fc.constantFrom(50, 100, 1000)) },
  leaf([...inListeners, 'timeoutSeconds'], fc.constantFrom(5, 6)),
  { weight: 4, arbitrary: leaf(['listeners', fc.nat(3), 'policies'], fc.array(anyPolicy, { maxLength: 3 })) },
  {
    weight: 4,
    arbitrary: leaf(
      ['listeners', fc.integer({ min: 2, max: 3 }), 'certificates'],
      fc.shuffledSubarray([0, 1, 2, 3], { minLength: 1 }),
    ),
  },
  {
    weight: 4,
    arbitrary: leaf(
      ['listeners', fc.integer({ min: 2, max: 3 }), 'clients'],
      fc.record({
        mode: fc.constantFrom('NONE', 'OPTIONAL', 'MANDATORY'),
        authority: fc.nat(1),
        crl: fc.constantFrom(null, 0, 1),
      }),
    ),
  },
  { weight: 2, arbitrary: leaf(['hour'], fc.integer({ min: 998, max: 1003 })) },
);

export const edited = (wish: Wish, edits: readonly Edit[]): Wish =>
  edits.reduce((whole, { at, becomes }) => withLeaf(whole, at, becomes) as Wish, wish);

function withLeaf(whole: unknown, [step, ...rest]: Edit['at'], becomes: unknown): unknown {
  if (step === undefined) return becomes;
  if (Array.isArray(whole)) return whole.map((one, n) => (n === step ? withLeaf(one, rest, becomes) : one));
  const record = whole as Record<string, unknown>;
  return { ...record, [step]: withLeaf(record[step], rest, becomes) };
}

/** As long as it is there. */
const poolOf = (wish: Wish, n: number | null): Pool | undefined => {
  const pool = n === null ? undefined : wish.pools[n];
  return pool?.there === true ? pool : undefined;
};
/** No two at one address: of those the first stays. */
const membersOf = ({ members }: Pool): readonly (Member & { readonly n: number })[] =>
  members
    .map((member, n) => ({ ...member, n }))
    .filter(({ there }) => there)
    .filter(({ target }, n, all) => all.findIndex((other) => other.target === target) === n)
    .map((member) => ({ ...member, weight: member.target === dead ? 0 : member.weight }));

/** Ports. */
export interface Places {
  readonly listeners: readonly number[];
  /** Each answers its number, but the last. */
  readonly servers: readonly number[];
  /** Of a server with a certificate of the first authority, that answers `encrypted`. */
  readonly encrypted: number;
}

export function wantedOf(wish: Wish, places: Places, generation: number): WantedAmphora {
  const { keys } = ticketKeys(secretKey, 'lb', wish.hour);
  const wanted = aWanted({
    generation,
    listeners: wish.listeners.flatMap((listener, n) => (listener.there ? [listenerOf(wish, n, places)] : [])),
    pools: wish.pools.flatMap((pool, n) => (pool.there ? [wantedPool(pool, n, places)] : [])),
    ticketKeys: { period: wish.hour, keys: [...keys] },
  });
  return { ...wanted, loadBalancer: { ...wanted.loadBalancer, enabled: wish.enabled } };
}

function listenerOf(wish: Wish, n: number, places: Places): WantedListener {
  const { pool, limit, timeoutSeconds, policies, certificates: own, clients } = wish.listeners[n] as Listener;
  const authority = authorities[clients.authority] as AuthorityWithClients;
  const asks = clients.mode !== 'NONE';
  return aListener(n, {
    protocol: protocols[n] ?? 'HTTP',
    port: places.listeners[n] ?? 0,
    connectionLimit: limit,
    defaultPoolId: poolOf(wish, pool) === undefined ? null : id('p', pool ?? 0),
    timeoutMemberConnect: 100,
    timeoutMemberData: timeoutSeconds * 1000,
    tls: isTls(n)
      ? aTls(
          own.flatMap((one) => certificates[one] ?? []),
          {
            clientAuthentication: clients.mode,
            clientCaPem: asks ? authority.caPem : null,
            clientCrlPem: asks && clients.crl !== null ? (authority.crls[clients.crl] ?? null) : null,
          },
        )
      : null,
    l7Policies: policies
      .filter((policy) => policy.action !== 'REDIRECT_TO_POOL' || poolOf(wish, policy.pool) !== undefined)
      .map((policy, p) => policyOf(policy, n * 10 + p)),
  });
}

const policyOf = ({ path, kind, invert, action, pool }: Policy, n: number): WantedL7Policy =>
  aPolicy(n, {
    action,
    redirectPoolId: action === 'REDIRECT_TO_POOL' ? id('p', pool) : null,
    redirectUrl: action === 'REDIRECT_TO_URL' ? 'http://elsewhere.example.com/' : null,
    redirectPrefix: action === 'REDIRECT_PREFIX' ? 'http://beyond.example.com' : null,
    rules: [
      aRule(2 * n, { value: path }),
      ...(kind === null
        ? []
        : [
            aRule(2 * n + 1, { type: 'HEADER', key: 'x-kind', compareType: 'EQUAL_TO', value: kind, invert }),
          ]),
    ],
  });

function wantedPool(pool: Pool, n: number, places: Places): WantedPool {
  const { algorithm, persistence, monitor, authority } = pool;
  const ca = authority === null ? null : (authorities[authority]?.caPem ?? null);
  return aPool(n, {
    protocol: n === tcp ? 'TCP' : 'HTTP',
    algorithm,
    sessionPersistence: persistence && {
      ...{ type: persistence, cookieName: null, persistenceTimeout: null, persistenceGranularity: null },
    },
    tls: n === encrypting ? aBackendTls({ caPem: ca }) : null,
    healthMonitor: monitor === null ? null : (monitors[monitor] ?? null),
    members: membersOf(pool).map(({ n: m, target, doctor, there: _, ...member }) =>
      aMember(m, {
        ...member,
        address: '127.0.0.1',
        port: (n === encrypting ? places.encrypted : places.servers[target]) ?? 0,
        monitorPort: doctor === null ? null : (places.servers[doctor] ?? null),
      }),
    ),
  });
}

export interface Question {
  readonly path: string;
  readonly kind?: string;
  readonly cookie?: string;
}

export const questions: readonly Question[] = ['/', '/a', '/b'].flatMap((path) => [
  { path },
  { path, kind: 'gold' },
  { path, kind: `it's; "one" \\ # 100%` },
]);

export interface Expected {
  /** What a client may hear. */
  readonly answers: readonly string[];
  /**
   * Of one who asks often: it hears them all, or always the same, which another HAProxy with these files says too;
   * or what was before decides.
   */
  readonly often: 'all' | 'same' | 'any';
}

/** Undefined when the listener is not open. */
export function expectedOf(wish: Wish, n: number, { path, kind }: Question): Expected | undefined {
  const listener = wish.listeners[n];
  if (!wish.enabled || listener === undefined || !listener.there) return undefined;
  const policy = (protocols[n] === 'TCP' ? [] : listener.policies).find(
    (one) =>
      path.startsWith(one.path) &&
      (one.kind === null || (one.kind === kind) !== one.invert) &&
      (one.action !== 'REDIRECT_TO_POOL' || poolOf(wish, one.pool) !== undefined),
  );
  const said = (text: string): Expected => ({ answers: [text], often: 'all' });
  if (policy?.action === 'REJECT') return said('403');
  if (policy?.action === 'REDIRECT_TO_URL') return said('302 http://elsewhere.example.com/');
  if (policy?.action === 'REDIRECT_PREFIX') return said(`302 http://beyond.example.com${path}`);
  const chosen = policy?.pool ?? listener.pool;
  const pool = poolOf(wish, chosen);
  const nobody = protocols[n] === 'TCP' ? 'refused' : '503';
  if (pool === undefined) return said(nobody);
  const usable = membersOf(pool).filter(({ enabled, weight }) => enabled && weight > 0);
  const active = usable.filter(({ backup }) => !backup);
  const serving = active.length > 0 ? active : usable;
  if (chosen === encrypting)
    return said(serving.length > 0 && (pool.authority ?? 0) === 0 ? 'encrypted' : nobody);
  if (pool.persistence === 'SOURCE_IP') {
    // Who has a client keeps it, also with a weight of 0.
    const may = membersOf(pool).filter(({ enabled }) => enabled);
    return { answers: [...may.map(({ target }) => String(target)), nobody], often: 'any' };
  }
  if (serving.length === 0) return said(nobody);
  return {
    answers: serving.map(({ target }) => String(target)),
    often: often[pool.algorithm],
  };
}

const often = { ROUND_ROBIN: 'all', SOURCE_IP: 'same', LEAST_CONNECTIONS: 'any' } as const;

/** What clients hear that were with a server before, by the cookie they have of it: also one that gets nobody new. */
export function stayersOf(
  wish: Wish,
  n: number,
): readonly { readonly backend: string; readonly server: string; readonly answer: string }[] {
  const listener = wish.listeners[n];
  const pool = poolOf(wish, listener?.pool ?? null);
  if (listener === undefined || listener.policies.length > 0 || pool?.persistence !== 'HTTP_COOKIE')
    return [];
  const backend = `${id('p', listener.pool ?? 0)}:${id('l', n)}`;
  return membersOf(pool)
    .filter(({ enabled, target }) => enabled && target !== dead)
    .map(({ n: member, backup, target }) => ({
      backend,
      server: serverName({ id: id('m', member), backup }),
      answer: String(target),
    }));
}

/** Of a listener that is open: how the certificate for a name is chosen. */
export function shownTo(wish: Wish, n: number, name: string | undefined): number | undefined {
  const own = wish.listeners[n]?.certificates ?? [];
  return (
    own.find((one) => hostNames[one] === name) ??
    own.find((one) => name?.endsWith('.example.com') === true && hostNames[one] === '*.example.com') ??
    own[0]
  );
}

/** Whether a client with a certificate of `authority`, or none, is served. */
export function isServed(
  wish: Wish,
  n: number,
  client: { authority: number; revoked: boolean } | undefined,
): boolean {
  const { mode, authority, crl } = (wish.listeners[n] as Listener).clients;
  if (mode === 'NONE') return true;
  if (client === undefined) return mode === 'OPTIONAL';
  return client.authority === authority && !(client.revoked && crl === 1);
}
