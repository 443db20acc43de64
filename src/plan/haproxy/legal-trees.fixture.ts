import fc from 'fast-check';
import type { CertificatePem, WantedAmphora, WantedBackendTls, WantedTls } from '../../wire/wanted.ts';
import {
  aBackendTls,
  aListener,
  aMember,
  aMonitor,
  aPolicy,
  aPool,
  aRule,
  aTls,
  aWanted,
  id,
} from './wanted.fixture.ts';

// Text as users may write it: all that is printable, with what HAProxy reads as syntax made likely.
const nasty = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "'",
        '"',
        '\\',
        '#',
        '$',
        '${HOME}',
        '%',
        '%[',
        '%{+Q}',
        '{',
        '}',
        '(',
        ')',
        ',',
        '-f',
        '--',
      ),
      fc.string({ minLength: 1, maxLength: 4 }),
      fc.constantFrom('é', '日', ' '),
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((parts) => parts.join(''))
  .filter((text) => !/^"+$/.test(text));
const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}$/);

const comparisons = ['CONTAINS', 'ENDS_WITH', 'EQUAL_TO', 'STARTS_WITH'] as const;
const expressions = ['^/v[0-9]+/', '(?i)gold$', '(?<n>a)\\k<n>', "it's #1", '\\bx\\b', '^$'];
const invert = fc.boolean();
const value = fc.oneof(
  fc.record({ compareType: fc.constantFrom(...comparisons), value: nasty }),
  fc.record({ compareType: fc.constant('REGEX' as const), value: fc.constantFrom(...expressions) }),
);
const anyRule = fc.oneof(
  fc
    .record({
      type: fc.constantFrom('HOST_NAME' as const, 'PATH' as const, 'FILE_TYPE' as const),
      value,
      invert,
    })
    .map((rule) => ({ ...rule, ...rule.value, key: null })),
  fc
    .record({ type: fc.constantFrom('HEADER' as const, 'COOKIE' as const), value, key: token, invert })
    .map((rule) => ({ ...rule, ...rule.value })),
  fc
    .record({ type: fc.constant('SSL_DN_FIELD' as const), value, key: fc.constantFrom('CN', 'O'), invert })
    .map((rule) => ({ ...rule, ...rule.value })),
  fc.record({
    type: fc.constant('SSL_VERIFY_RESULT' as const),
    compareType: fc.constant('EQUAL_TO' as const),
    value: fc.nat(99).map(String),
    key: fc.constant(null),
    invert,
  }),
);

const anyPolicy = fc.oneof(
  fc.constant({ action: 'REJECT' as const }),
  fc.record({ action: fc.constant('REDIRECT_TO_URL' as const), redirectUrl: nasty }),
  fc.record({ action: fc.constant('REDIRECT_PREFIX' as const), redirectPrefix: nasty }),
  fc.record({
    action: fc.constant('REDIRECT_TO_POOL' as const),
    redirectPoolId: fc.constantFrom(id('p', 0), id('p', 1)),
  }),
);

type Versions = WantedTls['versions'];
const someVersions = fc.subarray(['TLSv1.2', 'TLSv1.3'] as Versions, { minLength: 1 });
const someAlpn = fc.subarray(['h2', 'http/1.1', 'http/1.0'] as WantedTls['alpn']);
const someCiphers = fc.option(
  fc
    .subarray(['ECDHE-ECDSA-AES256-GCM-SHA384', 'AES128-SHA:!aNULL', 'TLS_AES_128_GCM_SHA256'], {
      minLength: 1,
    })
    .map((names) => names.join(':')),
);
const someMs = fc.integer({ min: 0, max: 31_536_000_000 });

/** What the trees' certificates, CAs and revocation lists are. */
export interface Credentials {
  readonly certificate: CertificatePem;
  readonly caPem: string;
  readonly crlPem: string;
}

function anyTls({ certificate, caPem, crlPem }: Credentials): fc.Arbitrary<WantedTls> {
  return fc
    .record({
      clientAuthentication: fc.constantFrom('NONE' as const, 'OPTIONAL' as const, 'MANDATORY' as const),
      crl: fc.boolean(),
      ciphers: someCiphers,
      versions: someVersions,
      alpn: someAlpn,
      hstsMaxAge: fc.option(fc.nat()),
      hstsIncludeSubdomains: fc.boolean(),
      hstsPreload: fc.boolean(),
    })
    .map(({ crl, ...tls }) =>
      aTls([certificate], { ...tls, clientCaPem: caPem, clientCrlPem: crl ? crlPem : null }),
    );
}

function anyBackendTls({ certificate, caPem, crlPem }: Credentials): fc.Arbitrary<WantedBackendTls> {
  return fc
    .record({
      own: fc.boolean(),
      proof: fc.constantFrom('none', 'ca', 'crl'),
      ciphers: someCiphers,
      versions: someVersions,
      alpn: someAlpn,
    })
    .map(({ own, proof, ...tls }) =>
      aBackendTls({
        ...tls,
        certificate: own ? certificate : null,
        caPem: proof === 'none' ? null : caPem,
        crlPem: proof === 'crl' ? crlPem : null,
      }),
    );
}

const anyMonitor = fc
  .record({
    type: fc.constantFrom('HTTP', 'HTTPS', 'PING', 'TCP', 'TLS-HELLO'),
    delay: fc.nat(100),
    timeout: fc.nat(100),
    httpMethod: fc.constantFrom('GET', 'HEAD', 'CONNECT'),
    urlPath: fc.stringMatching(/^\/[!-~]{0,30}$/),
    expectedCodes: fc.constantFrom('200', '200-299', '200, 404'),
    domainName: fc.option(fc.constant('_a.example.com')),
    httpVersion: fc.constantFrom(null, 1, 1.1),
  })
  .map(aMonitor);

const anyMembers = fc.array(
  fc.record({
    address: fc.constantFrom('10.0.0.7', '2001:db8::7'),
    weight: fc.nat(256),
    backup: fc.boolean(),
    enabled: fc.boolean(),
    monitorAddress: fc.constantFrom(null, '10.0.0.8', '2001:db8::8'),
    monitorPort: fc.option(fc.integer({ min: 1, max: 65_535 })),
  }),
  { maxLength: 5 },
);

function anyPool(credentials: Credentials, web: boolean) {
  const cookies = ['HTTP_COOKIE', 'APP_COOKIE'] as const;
  return fc.record({
    algorithm: fc.constantFrom('ROUND_ROBIN' as const, 'LEAST_CONNECTIONS' as const, 'SOURCE_IP' as const),
    protocol: web
      ? fc.constantFrom('HTTP' as const, 'PROXY' as const, 'PROXYV2' as const)
      : fc.constantFrom('TCP' as const, 'HTTPS' as const, 'PROXY' as const, 'PROXYV2' as const),
    tls: fc.option(anyBackendTls(credentials)),
    sessionPersistence: fc.option(
      fc.record({
        type: fc.constantFrom('SOURCE_IP' as const, ...(web ? cookies : [])),
        cookieName: token,
        persistenceTimeout: fc.constant(null),
        persistenceGranularity: fc.constant(null),
      }),
    ),
    healthMonitor: fc.option(anyMonitor),
    members: anyMembers,
  });
}

const allHeaders = [
  ...['X-Forwarded-For', 'X-Forwarded-Port', 'X-Forwarded-Proto'],
  ...['Verify', 'Has-Cert', 'DN', 'CN', 'SHA1', 'Not-Before', 'Not-After'].map(
    (name) => `X-SSL-Client-${name}`,
  ),
  'X-SSL-Issuer',
];

function anyListener(credentials: Credentials) {
  return fc.record({
    protocol: fc.constantFrom(...(['HTTP', 'TERMINATED_HTTPS', 'TCP', 'HTTPS', 'PROMETHEUS'] as const)),
    tls: anyTls(credentials),
    withPool: fc.boolean(),
    policies: fc.array(fc.tuple(anyPolicy, fc.array(anyRule, { minLength: 1, maxLength: 4 })), {
      maxLength: 5,
    }),
    insertHeaders: fc
      .subarray(allHeaders)
      .map((names) => Object.fromEntries(names.map((name) => [name, 'true']))),
    connectionLimit: fc.integer({ min: -1, max: 2_000_000 }),
    timeoutClientData: someMs,
    timeoutMemberConnect: someMs,
    timeoutMemberData: someMs,
    timeoutTcpInspect: someMs,
    allowedCidrs: fc.option(fc.subarray(['192.0.2.0/24', '2001:db8::/32', '198.51.100.7/32'])),
  });
}

/** Trees as the API takes them, of every feature that HAProxy carries. */
export function anyTree(credentials: Credentials): fc.Arbitrary<WantedAmphora> {
  return fc
    .record({
      web: fc.array(anyPool(credentials, true), { minLength: 2, maxLength: 2 }),
      stream: anyPool(credentials, false),
      listeners: fc.array(anyListener(credentials), { minLength: 1, maxLength: 4 }),
    })
    .map(({ web, stream, listeners }) => {
      let rules = 0;
      const tree = aWanted({
        pools: [...web, stream].map(({ members, ...pool }, n) =>
          aPool(n, { ...pool, members: members.map((member, m) => aMember(m, { ...member, port: 80 + m })) }),
        ),
        listeners: listeners.map(({ tls, withPool, policies, ...listener }, n) => {
          const { protocol } = listener;
          const webby = protocol === 'HTTP' || protocol === 'TERMINATED_HTTPS';
          return aListener(n, {
            ...listener,
            tls: protocol === 'TERMINATED_HTTPS' || protocol === 'PROMETHEUS' ? tls : null,
            defaultPoolId: withPool && protocol !== 'PROMETHEUS' ? id('p', webby ? 0 : 2) : null,
            l7Policies: webby
              ? policies.map(([policy, own], p) =>
                  aPolicy(p, { ...policy, rules: own.map((rule) => aRule(rules++, rule)) }),
                )
              : [],
          });
        }),
      });
      const vipAddresses = ['127.0.0.1', '::1'];
      return { ...tree, loadBalancer: { ...tree.loadBalancer, vipAddresses } };
    });
}
