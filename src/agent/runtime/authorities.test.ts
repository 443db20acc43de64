import fc from 'fast-check';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  aCertificate,
  aListener,
  aMember,
  aPool,
  aTls,
  aWanted,
  id,
} from '../../plan/haproxy/wanted.fixture.ts';
import { ticketKeys } from '../../pki/ticket-keys.ts';
import type { CertificatePem } from '../../wire/wanted.ts';
import { AgentUnderTest, freePort, testMember, type TestMember, textOf } from '../agent.fixture.ts';
import { ask } from '../haproxy/socket.ts';
import { anAuthority, type AuthorityWithClients, type Holder } from './authority.fixture.ts';

const certificates = ['www', 'new', 'api'].map((name) => aCertificate(`${name}.example.com`)) as [
  CertificatePem,
  CertificatePem,
  CertificatePem,
];
const authorities = [anAuthority('one'), anAuthority('two')] as const;
const crls = [0, 1].map((revoked) => authorities.map((one) => one.crls[revoked as 0 | 1]).join(''));

const { keys } = ticketKeys(Buffer.alloc(32, 1), id('b', 1), 1);

interface Wish {
  readonly default: 0 | 1;
  /** Whether api.example.com has a certificate of its own. */
  readonly api: boolean;
  readonly authority: 0 | 1;
  /** Whether those who may be are revoked. */
  readonly revoked: 0 | 1;
}
const bit = fc.constantFrom(0 as const, 1 as const);
const anyWish: fc.Arbitrary<Wish> = fc.record({
  ...{ default: bit, api: fc.boolean(), authority: bit, revoked: bit },
});
const first: Wish = { default: 0, api: false, authority: 0, revoked: 0 };

let member: TestMember;
beforeAll(async () => {
  member = await testMember('one');
});
afterAll(() => member.close());

class Listener {
  readonly agent: AgentUnderTest;
  readonly port: number;
  #generation = 0;

  private constructor(agent: AgentUnderTest, port: number) {
    [this.agent, this.port] = [agent, port];
  }
  static async start(): Promise<Listener> {
    return new Listener(await AgentUnderTest.start(), await freePort());
  }

  put(wish: Wish, timeoutClientData = 50_000) {
    this.#generation += 1;
    const tls = aTls([certificates[wish.default], ...(wish.api ? [certificates[2]] : [])], {
      ...{ alpn: [], clientAuthentication: 'MANDATORY' },
      ...{ clientCaPem: authorities[wish.authority].caPem, clientCrlPem: crls[wish.revoked] ?? null },
    });
    const own = { port: this.port, defaultPoolId: id('p', 1), connectionLimit: 100, timeoutClientData };
    return this.agent.put(
      aWanted({
        generation: this.#generation,
        listeners: [aListener(1, { ...own, protocol: 'TERMINATED_HTTPS', tls })],
        pools: [aPool(1, { members: [aMember(1, { address: '127.0.0.1', port: member.port })] })],
        ticketKeys: { period: 1, keys: [...keys] },
      }),
    );
  }

  ask(holder: Holder, path = '/') {
    const where = { host: '127.0.0.1', port: this.port, path, agent: false, rejectUnauthorized: false };
    return request({ ...where, ...holder }).end();
  }

  /** A request whose answer begins, and ends when the member finishes it. */
  async begin(holder: Holder): Promise<IncomingMessage> {
    const [answer] = (await once(this.ask(holder, '/slow'), 'response')) as [IncomingMessage];
    return answer;
  }

  async serves(holder: Holder): Promise<boolean> {
    try {
      const [answer] = (await once(this.ask(holder), 'response')) as [IncomingMessage];
      return (await textOf(answer)) === 'one';
    } catch {
      return false;
    }
  }

  async shown(servername: string, { client }: AuthorityWithClients): Promise<string> {
    const where = { host: '127.0.0.1', port: this.port, servername, rejectUnauthorized: false };
    const socket = connect({ ...where, ...client });
    await once(socket, 'secureConnect');
    const { raw } = socket.getPeerCertificate();
    socket.destroy();
    return raw.toString('base64');
  }

  async stats(command: string): Promise<string> {
    return ask(join(this.agent.run, 'haproxy/stats.sock'), command);
  }
}

const leaf = ({ pem }: CertificatePem): string =>
  pem.slice(pem.indexOf('-----BEGIN CERTIFICATE')).replace(/-----[^-]+-----|\s/g, '');

describe('another authority or list of revoked for the clients of a listener', () => {
  it('is in force at once, in any series with its certificates, and a request under way goes on', async () => {
    let runtime = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anyWish, { minLength: 12, maxLength: 20 }), async (series) => {
        const listener = await Listener.start();
        try {
          await listener.put(first);
          let held = await listener.begin(authorities[0].client);
          let before = first;
          for (const wish of series) {
            const path = `listeners/${id('l', 1)}.default.pem`;
            const isLost = (await listener.stats(`show ssl cert ${path}`)).includes('Status: Unused');
            const { change, why } = await listener.put(wish);
            // A certificate that HAProxy lost when its clients got another authority.
            const reload = isLost && wish.default !== before.default;
            expect([change === 'reload', why]).toEqual([reload, why]);
            if (change === 'runtime' && wish.authority !== before.authority) runtime += 1;
            const [own, other] = [authorities[wish.authority], authorities[1 - wish.authority]];
            expect(await listener.serves(own.client)).toBe(true);
            expect(await listener.serves(own.revoked)).toBe(wish.revoked === 0);
            expect(await listener.serves(other?.client ?? own.client)).toBe(false);
            expect(await listener.shown('www.example.com', own)).toBe(leaf(certificates[wish.default]));
            const api = wish.api ? certificates[2] : certificates[wish.default];
            expect(await listener.shown('api.example.com', own)).toBe(leaf(api));
            before = wish;
            if (change !== 'reload' && wish !== series.at(-1)) continue;
            member.finish();
            expect(await textOf(held)).toBe('begun, ended');
            // Not across many reloads: the eldest of the old workers is ended.
            held = await listener.begin(own.client);
          }
        } finally {
          member.finish();
          await listener.agent.remove();
        }
      }),
      { numRuns: Number(process.env['SERIES_RUNS'] ?? 2), endOnFailure: true },
    );
    expect(runtime).toBeGreaterThan(0);
  }, 600_000);

  it('asks those anew who have no ticket; who has one is known by it, as after a reload', async () => {
    const listener = await Listener.start();
    try {
      await listener.put(first);
      const where = { host: '127.0.0.1', port: listener.port, rejectUnauthorized: false };
      const open = (session?: Buffer): TLSSocket =>
        connect({ ...where, ...authorities[0].revoked, maxVersion: 'TLSv1.2', ...(session && { session }) });
      const socket = open();
      const [session] = (await once(socket, 'session')) as [Buffer];
      socket.destroy();
      const resumed = async () => {
        const again = open(session);
        await once(again, 'secureConnect');
        const is = again.isSessionReused();
        again.destroy();
        return is;
      };
      expect(await listener.put({ ...first, revoked: 1 })).toMatchObject({ change: 'runtime' });
      expect(await listener.serves(authorities[0].revoked)).toBe(false);
      expect(await resumed()).toBe(true);
      expect(await listener.put({ ...first, revoked: 1 }, 50_001)).toMatchObject({ change: 'reload' });
      expect(await listener.serves(authorities[0].revoked)).toBe(false);
      expect(await resumed()).toBe(true);
    } finally {
      await listener.agent.remove();
    }
  });
});
