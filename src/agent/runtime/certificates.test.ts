import { once } from 'node:events';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { aCertificate, aListener, aTls, aWanted } from '../../plan/haproxy/wanted.fixture.ts';
import type { CertificatePem, WantedListener } from '../../wire/wanted.ts';
import { AgentUnderTest, freePort } from '../agent.fixture.ts';

const first = aCertificate('www.example.com');
const second = aCertificate('api.example.com');
const third = aCertificate('api.example.com');
const fourth = aCertificate('api.example.com');
const other = aCertificate('new.example.com');

let agent: AgentUnderTest;
let port: number;
let generation: number;

beforeEach(async () => {
  [agent, port] = await Promise.all([AgentUnderTest.start(), freePort()]);
  generation = 0;
});
afterEach(() => agent.remove());

function put(certificates: readonly CertificatePem[], changes: Partial<WantedListener> = {}) {
  generation += 1;
  const tls = certificates.length === 0 ? null : aTls(certificates, { alpn: [] });
  const protocol = tls === null ? 'HTTP' : 'TERMINATED_HTTPS';
  return agent.put(
    aWanted({
      generation,
      listeners: [aListener(1, { protocol, port, tls, connectionLimit: 100, ...changes })],
    }),
  );
}

/** The certificate that a client of this name is shown. */
async function shown(servername: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, servername, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { raw } = socket.getPeerCertificate();
  socket.destroy();
  return raw.toString('base64');
}
const leaf = ({ pem }: CertificatePem): string =>
  pem.slice(pem.indexOf('-----BEGIN CERTIFICATE')).replace(/-----[^-]+-----|\s/g, '');
const workers = async () =>
  (await agent.status()).memory.haproxy.filter(({ role }) => role !== 'master').map(({ pid }) => pid);

describe('a change of certificates', () => {
  it('takes no reload: renewed, another for SNI, one less', async () => {
    await put([first]);
    const before = await workers();
    expect(await put([other])).toMatchObject({ change: 'runtime', why: 'cert replaced' });
    expect(await shown('www.example.com')).toBe(leaf(other));

    expect(await put([first, second])).toMatchObject({ change: 'runtime' });
    expect(await shown('www.example.com')).toBe(leaf(first));
    expect(await shown('api.example.com')).toBe(leaf(second));

    expect(await put([first, third])).toMatchObject({ change: 'runtime' });
    expect(await shown('api.example.com')).toBe(leaf(third));

    expect(await put([first])).toMatchObject({ change: 'runtime', why: 'SNI removed' });
    expect(await shown('api.example.com')).toBe(leaf(first));
    expect(await workers()).toEqual(before);
  });

  it('is there after a reload as it was before', async () => {
    await put([first, second]);
    await put([other, third]);
    expect(await put([other, third], { timeoutClientData: 7000 })).toMatchObject({
      change: 'reload',
      why: expect.stringMatching(/^timeout client of frontend/),
    });
    expect(await shown('www.example.com')).toBe(leaf(other));
    expect(await shown('api.example.com')).toBe(leaf(third));
  });

  it('shows of two of one name the first, as after a restart', async () => {
    const changes: [CertificatePem[], string][] = [
      // The one that comes would be the last.
      [[first, second], 'start'],
      [[first, third, second], 'reload'],
      [[first, third], 'runtime'],
      [[first, third, second], 'runtime'],
      // So would be a default that is replaced.
      [[second, third, first], 'reload'],
      [[fourth, third, first], 'reload'],
      [[other, first, third], 'runtime'],
    ];
    for (const [certificates, change] of changes) {
      expect(await put(certificates)).toMatchObject({ change });
      const [theirs] = certificates.filter((one) => one !== first && one !== other) as [CertificatePem];
      expect(await shown('api.example.com')).toBe(leaf(theirs));
    }
  });

  it('that is no certificate is refused, and the one before is still shown', async () => {
    await put([first]);
    const outcome = await put([{ name: '0'.repeat(64), pem: 'garbage' }]);
    expect(outcome.refused).toMatchObject([{ reason: expect.stringContaining('HAProxy') }]);
    expect(await shown('www.example.com')).toBe(leaf(first));
    expect(await put([second])).toMatchObject({ refused: [] });
    expect(await shown('api.example.com')).toBe(leaf(second));
  });
});
