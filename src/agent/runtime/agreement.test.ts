import { X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { aCertificate, aListener, aTls, aWanted, id } from '../../plan/haproxy/wanted.fixture.ts';
import type { CertificatePem } from '../../wire/wanted.ts';
import { AgentUnderTest, freePort } from '../agent.fixture.ts';
import { ask } from '../haproxy/socket.ts';

const [first, second, third] = ['www', 'api', 'new'].map((name) => aCertificate(`${name}.example.com`)) as [
  CertificatePem,
  CertificatePem,
  CertificatePem,
];
const authorities = ['one', 'two'].map((name) => {
  const { pem } = aCertificate(name);
  return pem.slice(pem.indexOf('-----BEGIN CERTIFICATE'));
});

let agent: AgentUnderTest;
let port: number;

beforeEach(async () => {
  [agent, port] = await Promise.all([AgentUnderTest.start(), freePort()]);
});
afterEach(() => agent.remove());

const fingerprint = (pem: string): string =>
  new X509Certificate(pem.slice(pem.indexOf('-----BEGIN CERTIFICATE'))).fingerprint.replaceAll(':', '');
const shownFingerprints = (said: string): string[] =>
  [...said.matchAll(/^SHA1 FingerPrint: (\w+)$/gm)].map(([, hex = '']) => hex);

/** What HAProxy holds of each file that a restart would load, beside what the file says. */
async function held(): Promise<{ path: string; holds: string[]; file: string[] }[]> {
  const folder = join(agent.run, 'haproxy/current');
  const show = (what: string) => ask(join(agent.run, 'haproxy/stats.sock'), `show ssl ${what}`);
  const paths = await readdir(folder, { recursive: true });
  const one = async (path: string) => {
    const text = async () => (await readFile(join(folder, path), 'utf8')).trim();
    if (path.endsWith('.crt-list')) {
      const lines = (await show(`crt-list ${path}`)).split('\n').map((line) => line.trim());
      const holds = lines.filter((line) => line !== '' && !line.startsWith('#'));
      return { path, holds: holds.toSorted(), file: (await text()).split('\n').toSorted() };
    }
    if (!path.endsWith('.pem') || path.endsWith('.crl.pem')) return undefined;
    const kind = path.endsWith('.ca.pem') ? 'ca-file' : 'cert';
    return {
      path,
      holds: shownFingerprints(await show(`${kind} ${path}`)),
      file: [fingerprint(await text())],
    };
  };
  const compared = [];
  for (const path of paths.toSorted()) {
    const found = await one(path);
    if (found !== undefined) compared.push(found);
  }
  return compared;
}

const isLost = async (): Promise<boolean> => {
  const path = `listeners/${id('l', 1)}.default.pem`;
  return (await ask(join(agent.run, 'haproxy/stats.sock'), `show ssl cert ${path}`)).includes('Unused');
};

describe('after each change of TLS', () => {
  it('HAProxy holds the certificates, lists and authorities that a restart would load', async () => {
    const series: [CertificatePem[], number][] = [
      [[first], 0],
      [[first, second], 0],
      [[third, second], 0],
      [[third, second], 1],
      [[third], 1],
      [[second, first, third], 1],
      [[second], 0],
    ];
    for (const [n, [certificates, authority]] of series.entries()) {
      // The default is replaced after the authority was, of which some versions lose it.
      const lost = n === 5 && (await isLost());
      const change = n === 0 ? 'start' : lost ? 'reload' : 'runtime';
      const clientCaPem = authorities[authority] ?? null;
      const tls = aTls(certificates, { clientAuthentication: 'OPTIONAL', clientCaPem });
      const listener = aListener(1, { protocol: 'TERMINATED_HTTPS', port, tls, connectionLimit: 100 });
      const outcome = await agent.put(aWanted({ generation: n + 1, listeners: [listener] }));
      expect(outcome).toMatchObject({ change, refused: [] });
      const all = await held();
      expect(all.some(({ path }) => path.endsWith('.ca.pem'))).toBe(true);
      expect(all.filter(({ path }) => path.endsWith('.pem'))).toHaveLength(certificates.length + 1);
      for (const { path, holds, file } of all) expect([path, ...holds]).toEqual([path, ...file]);
    }
  });
});
