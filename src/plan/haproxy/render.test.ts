import fc from 'fast-check';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Value from 'typebox/value';
import { describe, expect, it } from 'vitest';
import { WantedAmphora } from '../../wire/wanted.ts';
import {
  aBackendTls,
  aCertificate,
  aListener,
  aMember,
  aMonitor,
  aPolicy,
  aPool,
  aRule,
  aTls,
  aWanted,
  checkWithHaproxy,
  id,
  render,
} from './wanted.fixture.ts';

const golden = join(import.meta.dirname, 'golden');
const certificate = aCertificate('www.example.com');
const ca = certificate.pem.slice(certificate.pem.indexOf('-----BEGIN CERTIFICATE'));

/** In the golden pairs `@ca` stands for a CA, and `@` with any other name for a certificate with its key. */
function withCertificates(wanted: WantedAmphora): WantedAmphora {
  return JSON.parse(
    JSON.stringify(wanted, (_, value: unknown) => {
      if (typeof value !== 'string' || !value.startsWith('@')) return value;
      return value === '@ca' ? ca : certificate.pem;
    }),
  ) as WantedAmphora;
}

describe('the configuration of HAProxy', () => {
  for (const name of readdirSync(golden)) {
    it(`for ${name} is the one of the golden pair, and HAProxy takes it without a warning`, () => {
      const wanted: unknown = JSON.parse(readFileSync(join(golden, name, 'wanted.json'), 'utf8'));
      if (!Value.Check(WantedAmphora, wanted)) throw new Error(`${name}/wanted.json is no wanted tree`);
      const rendered = render(wanted);
      const tables = [...rendered.files].filter(([path]) => path.endsWith('.l7'));
      const texts = {
        'haproxy.cfg': rendered.text,
        'policies.l7': tables.map(([path, content]) => `# ${path}\n${content}`).join('\n'),
      };
      for (const [file, text] of Object.entries(texts)) {
        const path = join(golden, name, file);
        if (process.env['LIVIA_WRITE_GOLDEN'] === '1') writeFileSync(path, text);
        expect(text).toBe(readFileSync(path, 'utf8'));
      }
      expect(rendered.refused).toEqual([]);
      expect(checkWithHaproxy(render(withCertificates(wanted)))).toBe('');
    });
  }

  it('is accepted by HAProxy for any legal tree', () => {
    fc.assert(
      fc.property(anyTree, (wanted) => {
        expect(Value.Check(WantedAmphora, wanted)).toBe(true);
        const rendered = render(wanted);
        expect(rendered.refused).toEqual([]);
        expect(checkWithHaproxy(rendered)).toBe('');
      }),
      { numRuns: 15 },
    );
  });

  it('knows whose every line is', () => {
    const { text, sections } = render(
      aWanted({ listeners: [aListener(1, { defaultPoolId: id('p', 1) })], pools: [aPool(1)] }),
    );
    const heads = sections.map((section) => text.split('\n')[section.from - 1]);
    expect(heads).toEqual([`frontend ${id('l', 1)}`, `backend ${id('p', 1)}:${id('l', 1)}`]);
    expect(text.split('\n')[(sections[1]?.to ?? 0) - 1]).toContain(`server ${id('m', 2)}`);
  });

  it('leaves out what it cannot carry, with a reason, and serves the rest', () => {
    const rendered = render(
      aWanted({
        listeners: [
          aListener(1, { protocol: 'UDP' }),
          aListener(2, { defaultPoolId: id('p', 1) }),
          aListener(3, {
            protocol: 'TERMINATED_HTTPS',
            tls: aTls([], { unavailable: 'the secret is gone' }),
          }),
        ],
        pools: [aPool(1, { algorithm: 'SOURCE_IP_PORT' })],
      }),
    );
    expect(rendered.refused).toEqual([
      { id: id('l', 1), reason: 'UDP is not carried by HAProxy' },
      { id: id('p', 1), reason: 'SOURCE_IP_PORT is not carried by HAProxy' },
      { id: id('l', 3), reason: 'the secret is gone' },
    ]);
    expect(rendered.sections.map((section) => section.listenerId)).toEqual([id('l', 2)]);
    expect(checkWithHaproxy(rendered)).toBe('');
  });

  it('carries ten thousand members', () => {
    const members = Array.from({ length: 10_000 }, (_, n) =>
      aMember(n, { address: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}` }),
    );
    const { text } = render(
      aWanted({
        listeners: [aListener(1, { defaultPoolId: id('p', 1) })],
        pools: [aPool(1, { members, healthMonitor: aMonitor() })],
      }),
    );
    expect(text.match(/^ {4}server /gm)).toHaveLength(10_000);
  });
});

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

const anyRule = fc.oneof(
  fc
    .record({
      type: fc.constantFrom('HOST_NAME' as const, 'PATH' as const),
      compareType: fc.constantFrom('CONTAINS' as const, 'ENDS_WITH' as const, 'EQUAL_TO' as const),
      value: nasty,
      invert: fc.boolean(),
    })
    .map((rule) => ({ ...rule, key: null })),
  fc.record({
    type: fc.constantFrom('HEADER' as const, 'COOKIE' as const),
    compareType: fc.constantFrom('CONTAINS' as const, 'STARTS_WITH' as const, 'EQUAL_TO' as const),
    value: nasty,
    key: token,
    invert: fc.boolean(),
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

const anyPool = fc.record({
  algorithm: fc.constantFrom('ROUND_ROBIN' as const, 'LEAST_CONNECTIONS' as const, 'SOURCE_IP' as const),
  protocol: fc.constantFrom('HTTP' as const, 'PROXY' as const, 'PROXYV2' as const),
  tls: fc.option(fc.constant(aBackendTls())),
  sessionPersistence: fc.option(
    fc.record({
      type: fc.constantFrom('SOURCE_IP' as const, 'HTTP_COOKIE' as const, 'APP_COOKIE' as const),
      cookieName: token,
      persistenceTimeout: fc.constant(null),
      persistenceGranularity: fc.constant(null),
    }),
  ),
  healthMonitor: fc.option(
    fc
      .record({
        type: fc.constantFrom('HTTP', 'HTTPS', 'PING', 'TCP', 'TLS-HELLO'),
        delay: fc.nat(100),
        timeout: fc.nat(100),
        urlPath: fc.stringMatching(/^\/[!-~]{0,30}$/),
        domainName: fc.option(fc.constant('_a.example.com')),
        httpVersion: fc.constant(1.1),
      })
      .map(aMonitor),
  ),
  weights: fc.array(fc.nat(256), { maxLength: 5 }),
});

const anyTree: fc.Arbitrary<WantedAmphora> = fc
  .record({
    pools: fc.array(anyPool, { minLength: 2, maxLength: 2 }),
    listeners: fc.array(
      fc.record({
        tls: fc.boolean(),
        policies: fc.array(fc.tuple(anyPolicy, fc.array(anyRule, { minLength: 1, maxLength: 4 })), {
          maxLength: 5,
        }),
        connectionLimit: fc.integer({ min: -1, max: 2_000_000 }),
        timeoutClientData: fc.integer({ min: 0, max: 31_536_000_000 }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  })
  .map(({ pools, listeners }) => {
    let rules = 0;
    return aWanted({
      pools: pools.map(({ weights, ...pool }, n) =>
        aPool(n, {
          ...pool,
          members: weights.map((weight, m) => aMember(m, { weight, backup: m % 3 === 2 })),
        }),
      ),
      listeners: listeners.map(({ tls, policies, ...listener }, n) =>
        aListener(n, {
          ...listener,
          protocol: tls ? 'TERMINATED_HTTPS' : 'HTTP',
          tls: tls ? aTls([certificate]) : null,
          defaultPoolId: id('p', 0),
          l7Policies: policies.map(([policy, own], p) =>
            aPolicy(p, { ...policy, rules: own.map((rule) => aRule(rules++, rule)) }),
          ),
        }),
      ),
    });
  });
