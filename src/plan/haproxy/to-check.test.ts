import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WantedListener, WantedPool } from '../../wire/wanted.ts';
import { anyTree } from './legal-trees.fixture.ts';
import { toCheck } from './to-check.ts';
import {
  aBackendTls,
  aCertificate,
  aListener,
  aMember,
  aPool,
  aRevocationList,
  aTls,
  aWanted,
  checkWithHaproxy,
  id,
  render,
} from './wanted.fixture.ts';

const certificate = aCertificate('www.example.com');
const caPem = certificate.pem.slice(certificate.pem.indexOf('-----BEGIN CERTIFICATE'));
const credentials = { certificate, caPem, crlPem: aRevocationList() };

const named = (letter: string, pem = `of ${letter}`) => ({ name: letter.repeat(64), pem });
const tree = (
  certificates: ReturnType<typeof named>[],
  listener: Partial<WantedListener> = {},
  pool: Partial<WantedPool> = {},
) =>
  render(
    aWanted({
      listeners: [
        aListener(1, {
          ...{ protocol: 'TERMINATED_HTTPS', defaultPoolId: id('p', 1), tls: aTls(certificates) },
          ...listener,
        }),
      ],
      pools: [aPool(1, { members: [aMember(1), aMember(2)], ...pool })],
    }),
  );
const list = `listeners/${id('l', 1)}.crt-list`;
const checkedCertificates = (next: ReturnType<typeof tree>, serving: ReturnType<typeof tree>) =>
  toCheck(next, serving)
    .files.get(list)
    ?.split('\n')
    .slice(1, -1)
    .map((path) => path.slice('certificates/'.length)[0])
    .join('');
const servers = (text: string) => text.split('\n').filter((line) => line.startsWith('    server ')).length;

describe('what is checked before a reload', () => {
  const [a, b, c] = [named('a'), named('b'), named('c')];

  it('is no certificate but the default that HAProxy serves on the same line', () => {
    expect(checkedCertificates(tree([a, b, c], { timeoutClientData: 1 }), tree([a, b, c]))).toBe('');
  });

  it('is each certificate that is new, or says something else, or stands on another line', () => {
    expect(checkedCertificates(tree([a, b, c]), tree([a, b]))).toBe('c');
    expect(checkedCertificates(tree([a, named('b', 'another'), c]), tree([a, b, c]))).toBe('b');
    expect(checkedCertificates(tree([a, b, c], { port: 444 }), tree([a, b, c]))).toBe('bc');
  });

  it('is all of a listener that is new, whoever else has its certificates', () => {
    const other = render(aWanted({ listeners: [aListener(2, { tls: aTls([a, b, c]) })] }));
    expect(checkedCertificates(tree([a, b, c]), other)).toBe('bc');
  });

  it('is no server of a backend that stays as it is, and every server of one that does not', () => {
    const serving = tree([a]);
    expect(servers(toCheck(tree([a], { timeoutClientData: 1 }), serving).text)).toBe(0);
    expect(servers(toCheck(tree([a], { timeoutMemberData: 1 }), serving).text)).toBe(2);
    const more = { members: [aMember(1), aMember(2), aMember(3)] };
    expect(servers(toCheck(tree([a], {}, more), serving).text)).toBe(3);
  });

  it('is every server of a backend whose certificate or authority is another, by the same name', () => {
    const towards = (caPem: string) => tree([a], {}, { tls: aBackendTls({ caPem }) });
    expect(servers(toCheck(towards('one'), towards('one')).text)).toBe(0);
    expect(servers(toCheck(towards('another'), towards('one')).text)).toBe(2);
  });

  it('has its lines where the whole has them', () => {
    const next = tree([a, b], { timeoutClientData: 1 });
    const [whole, checked] = [next.text.split('\n'), toCheck(next, tree([a, b])).text.split('\n')];
    expect(checked).toHaveLength(whole.length);
    for (const [n, line] of checked.entries()) expect(['', whole[n]]).toContain(line);
  });

  it('is taken by HAProxy for any legal tree, by whatever tree it follows', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(anyTree(credentials), anyTree(credentials), fc.boolean(), (one, other, same) => {
        const next = render(one);
        if (next.refused.length > 0) return;
        expect(checkWithHaproxy({ ...next, ...toCheck(next, same ? next : render(other)) })).toBe('');
      }),
      { numRuns: 25 },
    );
  });
});
