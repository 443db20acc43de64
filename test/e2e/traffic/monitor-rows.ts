import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { eventually } from '../service.ts';
import type { EchoMember, Received } from './echo-member.ts';
import { aPool, at, type Balancer, type Stage } from './stage.ts';
import { ask, whoAnswers } from './web-client.ts';

/** Health monitors: what they ask, whom they believe, and what becomes of it in traffic and statuses. */
export function monitorRows(stage: () => Stage): void {
  const behind = async (members: readonly object[], monitor: object, pool: object = {}): Promise<Balancer> =>
    stage().balancer({
      pools: [
        aPool('pool', members, {
          healthmonitor: { delay: 1, timeout: 1, max_retries: 1, max_retries_down: 1, ...monitor },
          ...pool,
        }),
      ],
      listeners: [{ name: 'web', protocol: 'HTTP', protocol_port: 80, default_pool: { name: 'pool' } }],
    });
  const memberPath = (balancer: Balancer, name: string) =>
    `pools/${balancer.idOf('pool')}/members/${balancer.idOf(`pool/${name}`)}`;
  const becomes = (balancer: Balancer, name: string, status: string) =>
    balancer.becomes(memberPath(balancer, name), status);
  const monitor = async (balancer: Balancer, values: object) => {
    const { healthmonitor_id: id } = await balancer.show(`pools/${balancer.idOf('pool')}`);
    await balancer.change('PUT', `healthmonitors/${id}`, { healthmonitor: values });
  };
  /** The next request that looks like this. */
  const asked = (member: EchoMember, like: (one: Received) => boolean) =>
    eventually('the check', async () => member.received.find(like));
  /** A member that speaks TLS. */
  async function secured(name: string): Promise<EchoMember> {
    const pair = await stage().pki.server('member.example');
    const tls = { key: readFileSync(pair.key, 'utf8'), cert: readFileSync(pair.certificate, 'utf8') };
    return stage().member(name, { tls });
  }

  describe('a health monitor', () => {
    it('of HTTP asks by method, path, version and name, and believes the codes it is told', async () => {
      const ada = await stage().member('ada');
      const balancer = await behind([at(ada)], { type: 'HTTP' });
      await becomes(balancer, 'ada', 'ONLINE');
      expect(ada.received[0]).toMatchObject({ method: 'GET', url: '/', version: '1.0' });
      await monitor(balancer, {
        http_method: 'HEAD',
        url_path: '/health?of=me',
        http_version: 1.1,
        domain_name: 'health.example',
      });
      const check = await asked(ada, ({ url }) => url === '/health?of=me');
      expect(check).toMatchObject({ method: 'HEAD', version: '1.1' });
      expect(check.headers['host']).toBe('health.example');
      for (const [codes, status, wanted] of [
        ['200', 204, 'ERROR'],
        ['200-204', 203, 'ONLINE'],
        ['200-204', 205, 'ERROR'],
        ['201, 404', 404, 'ONLINE'],
        ['201, 404', 200, 'ERROR'],
      ] as const) {
        ada.status = status;
        await monitor(balancer, { expected_codes: codes });
        await becomes(balancer, 'ada', wanted);
      }
      await balancer.remove();
    });

    it('of HTTPS asks over TLS, with the name', async () => {
      const [plain, sealed] = [await stage().member('plain'), await secured('sealed')];
      const balancer = await behind(
        [at(plain), at(sealed)],
        { type: 'HTTPS', http_version: 1.1, domain_name: 'health.example', url_path: '/tls' },
        { protocol: 'HTTP' },
      );
      await becomes(balancer, 'sealed', 'ONLINE');
      await becomes(balancer, 'plain', 'ERROR');
      const check = await asked(sealed, ({ url }) => url === '/tls');
      expect(check.tls).toMatchObject({ sni: 'health.example' });
      await balancer.remove();
    });

    it('of TLS-HELLO needs a handshake, of TCP a connection', async () => {
      const [plain, sealed] = [await stage().member('plain'), await secured('sealed')];
      const nobody = { name: 'nobody', address: stage().gateway, protocol_port: 1 };
      const balancer = await behind([at(plain), at(sealed), nobody], { type: 'TLS-HELLO' });
      await becomes(balancer, 'sealed', 'ONLINE');
      await becomes(balancer, 'plain', 'ERROR');
      await becomes(balancer, 'nobody', 'ERROR');
      await balancer.remove();
      const byTcp = await behind([at(plain), at(sealed), nobody], { type: 'TCP' });
      await becomes(byTcp, 'plain', 'ONLINE');
      await becomes(byTcp, 'sealed', 'ONLINE');
      await becomes(byTcp, 'nobody', 'ERROR');
      await byTcp.remove();
    });

    it('asks at the monitor address and port of a member', async () => {
      const [ada, doctor] = [await stage().member('ada'), await stage().member('doctor')];
      const balancer = await behind(
        [at(ada, { monitor_address: doctor.address, monitor_port: doctor.port })],
        { type: 'HTTP', url_path: '/pulse' },
      );
      await becomes(balancer, 'ada', 'ONLINE');
      await asked(doctor, ({ url }) => url === '/pulse');
      expect(ada.received).toEqual([]);
      expect(await whoAnswers(2, `http://${balancer.vip}/`)).toEqual(['ada', 'ada']);
      doctor.status = 500;
      await becomes(balancer, 'ada', 'ERROR');
      await balancer.remove();
    });

    it('speaks through the TLS of a pool that re-encrypts, whatever ALPN is offered, and through PROXY', async () => {
      const sealed = await secured('sealed');
      const balancer = await behind([at(sealed)], { type: 'HTTP', url_path: '/re' }, { tls_enabled: true });
      await becomes(balancer, 'sealed', 'ONLINE');
      expect((await asked(sealed, ({ url }) => url === '/re')).tls).not.toBeNull();
      expect((await ask(`http://${balancer.vip}/`)).echo.member).toBe('sealed');
      await balancer.remove();
      const proxied = await stage().member('proxied', { proxy: true });
      const other = await behind(
        [at(proxied)],
        { type: 'HTTP', url_path: '/proxy' },
        { protocol: 'PROXYV2' },
      );
      await becomes(other, 'proxied', 'ONLINE');
      expect((await asked(proxied, ({ url }) => url === '/proxy')).proxy).toMatch(/^v2/);
      await other.remove();
    });

    it('takes a member out after so many failures and back after so many successes, and not before', async () => {
      const [ada, bob] = [await stage().member('ada'), await stage().member('bob')];
      const balancer = await behind([at(ada), at(bob)], {
        type: 'HTTP',
        url_path: '/check',
        max_retries: 3,
        max_retries_down: 2,
      });
      await becomes(balancer, 'bob', 'ONLINE');
      // A server that has not been checked yet is up until its first failure.
      await eventually('two checks', async () => (bob.received.length >= 2 ? true : undefined));
      const from = bob.received.length;
      const checks = () => bob.received.slice(from).filter(({ url }) => url === '/check').length;
      bob.status = 500;
      await becomes(balancer, 'bob', 'ERROR');
      expect(checks()).toBeGreaterThanOrEqual(2);
      expect(await whoAnswers(4, `http://${balancer.vip}/`)).toEqual(['ada', 'ada', 'ada', 'ada']);
      const back = checks();
      bob.status = 200;
      await becomes(balancer, 'bob', 'ONLINE');
      expect(checks() - back).toBeGreaterThanOrEqual(3);
      expect((await whoAnswers(4, `http://${balancer.vip}/`)).toSorted()).toEqual([
        'ada',
        'ada',
        'bob',
        'bob',
      ]);
      await balancer.remove();
    });

    it('asks nobody while it is switched off', async () => {
      const ada = await stage().member('ada');
      const balancer = await behind([at(ada)], { type: 'HTTP', url_path: '/check' });
      ada.status = 500;
      await becomes(balancer, 'ada', 'ERROR');
      await monitor(balancer, { admin_state_up: false });
      await becomes(balancer, 'ada', 'NO_MONITOR');
      ada.status = 200;
      expect((await ask(`http://${balancer.vip}/`)).echo.member).toBe('ada');
      ada.status = 500;
      await monitor(balancer, { admin_state_up: true });
      await becomes(balancer, 'ada', 'ERROR');
      await balancer.remove();
    });
  });

  describe('operating statuses', () => {
    it('tell of members and roll up the tree', async () => {
      const [ada, bob] = [await stage().member('ada'), await stage().member('bob')];
      const balancer = await behind(
        [at(ada), at(bob), at(bob, { name: 'off', protocol_port: 2, admin_state_up: false })],
        {
          type: 'HTTP',
        },
      );
      const pool = `pools/${balancer.idOf('pool')}`;
      const listener = `listeners/${balancer.idOf('web')}`;
      const all = async (member: string, ofPool: string, ofBalancer: string) => {
        await becomes(balancer, 'bob', member);
        await balancer.becomes(pool, ofPool);
        await balancer.becomes(`loadbalancers/${balancer.id}`, ofBalancer);
        await balancer.becomes(listener, 'ONLINE');
      };
      await becomes(balancer, 'off', 'OFFLINE');
      await becomes(balancer, 'ada', 'ONLINE');
      await all('ONLINE', 'ONLINE', 'ONLINE');
      await balancer.change('PUT', memberPath(balancer, 'bob'), { member: { weight: 0 } });
      await all('DRAINING', 'ONLINE', 'ONLINE');
      await balancer.change('PUT', memberPath(balancer, 'bob'), { member: { weight: 1 } });
      bob.status = 500;
      await all('ERROR', 'DEGRADED', 'DEGRADED');
      ada.status = 500;
      await all('ERROR', 'ERROR', 'ERROR');
      expect((await ask(`http://${balancer.vip}/`)).status).toBe(503);
      const tree = await stage().service.call('GET', `/v2/lbaas/loadbalancers/${balancer.id}/status`);
      const [seen] = tree.statuses.loadbalancer.listeners;
      expect(tree.statuses.loadbalancer).toMatchObject({
        operating_status: 'ERROR',
        provisioning_status: 'ACTIVE',
      });
      expect(seen.pools[0]).toMatchObject({ operating_status: 'ERROR' });
      [ada.status, bob.status] = [200, 200];
      await all('ONLINE', 'ONLINE', 'ONLINE');
      const { healthmonitor_id: id } = await balancer.show(pool);
      expect(await balancer.show(`healthmonitors/${id}`)).toMatchObject({ operating_status: 'ONLINE' });
      await balancer.change('DELETE', `healthmonitors/${id}`);
      await all('NO_MONITOR', 'ONLINE', 'ONLINE');
      await balancer.remove();
    });
  });
}
