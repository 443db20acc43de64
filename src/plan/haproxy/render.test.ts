import fc from 'fast-check';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Value from 'typebox/value';
import { describe, expect, it } from 'vitest';
import { WantedAmphora } from '../../wire/wanted.ts';
import { demandOf } from './demand.ts';
import { anyTree } from './legal-trees.fixture.ts';
import {
  aCertificate,
  aListener,
  aMember,
  aMonitor,
  aPool,
  aRevocationList,
  aTls,
  aWanted,
  checkWithHaproxy,
  id,
  render,
} from './wanted.fixture.ts';

const golden = join(import.meta.dirname, 'golden');
const certificate = aCertificate('www.example.com');
const ca = certificate.pem.slice(certificate.pem.indexOf('-----BEGIN CERTIFICATE'));

const crl = aRevocationList();

/** In the golden pairs `@ca` stands for a CA, `@crl` for a revocation list, `@` and more for a certificate and its key. */
function withCertificates(wanted: WantedAmphora): WantedAmphora {
  return JSON.parse(
    JSON.stringify(wanted, (_, value: unknown) => {
      if (typeof value !== 'string' || !value.startsWith('@')) return value;
      if (value === '@crl') return crl;
      return value === '@ca' ? ca : certificate.pem;
    }),
  ) as WantedAmphora;
}

/** What is written for newer versions, older ones take too. */
const versions = fc.constantFrom('2.6.12', '3.4.0');

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
        ...(name === 'l7-policies' && {
          'haproxy-3.4.cfg': render(wanted, undefined, '3.4.0').text,
        }),
      };
      for (const [file, text] of Object.entries(texts)) {
        const path = join(golden, name, file);
        if (process.env['LIVIA_WRITE_GOLDEN'] === '1') writeFileSync(path, text);
        expect(text).toBe(readFileSync(path, 'utf8'));
      }
      expect(rendered.refused).toEqual([]);
      for (const version of ['2.6.12', '3.4.0']) {
        expect(checkWithHaproxy(render(withCertificates(wanted), undefined, version))).toBe('');
      }
    });
  }

  it('has stick tables of the wished size, which count in the memory budget where there is one', () => {
    const persistent = (type: 'SOURCE_IP' | 'APP_COOKIE' | 'HTTP_COOKIE') => ({
      ...{ type, persistenceTimeout: null, persistenceGranularity: null },
      cookieName: type === 'APP_COOKIE' ? 'JSESSIONID' : null,
    });
    const wanted = (type: 'SOURCE_IP' | 'APP_COOKIE' | 'HTTP_COOKIE', stickTableEntries: number) => ({
      ...aWanted({
        listeners: [1, 2].map((n) => aListener(n, { defaultPoolId: id('p', 1) })),
        pools: [aPool(1, { sessionPersistence: persistent(type) })],
      }),
      stickTableEntries,
    });
    for (const type of ['SOURCE_IP', 'APP_COOKIE'] as const) {
      const rendered = render(wanted(type, 20_480));
      expect(rendered.text.match(/stick-table .* size 20k$/gm)).toHaveLength(2);
      expect(render(wanted(type, 777)).text).toMatch(/stick-table .* size 777$/m);
      expect(checkWithHaproxy(rendered)).toBe('');
      expect(demandOf(wanted(type, 20_480)).stickEntries).toBe(40_960);
    }
    expect(demandOf(wanted('HTTP_COOKIE', 20_480)).stickEntries).toBe(0);
  });

  it('is accepted by HAProxy for any legal tree', () => {
    fc.assert(
      fc.property(anyTree({ certificate, caPem: ca, crlPem: crl }), versions, (wanted, version) => {
        expect(Value.Check(WantedAmphora, wanted)).toBe(true);
        const rendered = render(wanted, undefined, version);
        expect(rendered.refused).toEqual([]);
        expect(checkWithHaproxy(rendered)).toBe('');
      }),
      { numRuns: 25 },
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
