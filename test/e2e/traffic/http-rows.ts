import { once } from 'node:events';
import { connect } from 'node:net';
import { Agent, WebSocket } from 'undici';
import { describe, expect, it } from 'vitest';
import { ask, raw, whoAnswers } from './web-client.ts';
import { aPool, at, type Balancer, type Stage } from './stage.ts';

/** HTTP listeners: what they carry, how they are switched, limited and guarded. */
export function httpRows(stage: () => Stage): void {
  describe('an HTTP listener', () => {
    it('carries HTTP/1.1 with method, path and headers, and several listeners share one default pool', async () => {
      const [ada, bob] = await twoMembers(stage());
      const balancer = await stage().balancer({
        pools: [aPool('web', [at(ada), at(bob)])],
        listeners: [listener('one', 80), listener('two', 8080)],
      });
      const { echo, version } = await ask(
        `http://${balancer.vip}/a/path?with=query`,
        ...['-X', 'PATCH', '-H', 'X-Mine: yes', '-d', 'body'],
      );
      expect(version).toBe('1.1');
      expect(echo).toMatchObject({ method: 'PATCH', url: '/a/path?with=query', version: '1.1' });
      expect(echo.headers).toMatchObject({ 'x-mine': 'yes', 'content-length': '4' });
      expect((await whoAnswers(4, `http://${balancer.vip}/`)).toSorted()).toEqual([
        'ada',
        'ada',
        'bob',
        'bob',
      ]);
      expect((await whoAnswers(4, `http://${balancer.vip}:8080/`)).toSorted()).toEqual([
        'ada',
        'ada',
        'bob',
        'bob',
      ]);
      const shown = await balancer.show(`pools/${balancer.idOf('web')}`);
      expect(shown.listeners.map(({ id }: any) => id).toSorted()).toEqual(
        [balancer.idOf('one'), balancer.idOf('two')].toSorted(),
      );
      await balancer.remove();
    });

    it('carries WebSockets', async () => {
      const [ada] = await twoMembers(stage());
      const balancer = await oneMember(stage(), ada);
      expect(await overWebSocket(`ws://${balancer.vip}/`, 'hello')).toBe('ada: hello');
      await balancer.remove();
    });

    it('answers 503 without a pool', async () => {
      const balancer = await stage().balancer({
        listeners: [listener('bare', 80, { default_pool: undefined })],
      });
      expect((await ask(`http://${balancer.vip}/`)).status).toBe(503);
      await balancer.remove();
    });

    it('tells the members who asked, at what port and by what protocol, and lets no client say otherwise', async () => {
      const [ada] = await twoMembers(stage());
      const balancer = await oneMember(stage(), ada, {
        insert_headers: {
          'X-Forwarded-For': 'true',
          'X-Forwarded-Port': 'TRUE',
          'X-Forwarded-Proto': 'True',
        },
      });
      const { echo } = await ask(
        `http://${balancer.vip}/`,
        '-H',
        'X-Forwarded-Port: 1',
        '-H',
        'X-Forwarded-Proto: gopher',
      );
      expect(echo.headers).toMatchObject({
        'x-forwarded-for': stage().gateway,
        'x-forwarded-port': '80',
        'x-forwarded-proto': 'http',
      });
      await balancer.change('PUT', `listeners/${balancer.idOf('web')}`, {
        listener: { insert_headers: { 'X-Forwarded-For': 'false' } },
      });
      const { headers } = (await ask(`http://${balancer.vip}/`)).echo;
      for (const name of ['for', 'port', 'proto']) expect(headers).not.toHaveProperty(`x-forwarded-${name}`);
      await balancer.remove();
    });

    it('keeps its timeouts: of the client, of the connection to a member, of its answer', async () => {
      const [ada] = await twoMembers(stage());
      const balancer = await oneMember(stage(), ada, { timeout_member_data: 300, timeout_client_data: 300 });
      const url = `http://${balancer.vip}`;
      expect((await ask(`${url}/delay/5000`)).status).toBe(504);
      expect(await raw(balancer.vip, 80, 'GET / HTTP/1.1\r\nHost: half', 10_000)).toMatch(
        / 408 [^]*<closed>$/,
      );
      const path = `listeners/${balancer.idOf('web')}`;
      await balancer.change('PUT', path, {
        listener: { timeout_member_data: 9000, timeout_client_data: 9000 },
      });
      expect((await ask(`${url}/delay/1000`)).status).toBe(200);
      // Nobody has the first address: its packets are answered by nobody for seconds.
      await balancer.change('POST', `pools/${balancer.idOf('pool')}/members`, {
        member: { address: '192.0.2.200', protocol_port: 80 },
      });
      await balancer.change('DELETE', `pools/${balancer.idOf('pool')}/members/${balancer.idOf('pool/ada')}`);
      await balancer.change('PUT', path, { listener: { timeout_member_connect: 100 } });
      expect((await ask(`${url}/`)).status).toBe(503);
      await balancer.remove();
    });

    it('holds back the connections beyond its limit, shows itself DEGRADED, and takes them when others go', async () => {
      const [ada] = await twoMembers(stage());
      const balancer = await oneMember(stage(), ada, { connection_limit: 2 });
      const held = [connect(80, balancer.vip), connect(80, balancer.vip)];
      for (const socket of held) {
        if (socket.connecting) await once(socket, 'connect');
        socket.write('GET / HTTP/1.1\r\nHost: not-yet');
      }
      expect(await ask(`http://${balancer.vip}/`, '--max-time', '2')).toMatchObject({ status: 0 });
      await balancer.becomes(`listeners/${balancer.idOf('web')}`, 'DEGRADED');
      await balancer.becomes(`loadbalancers/${balancer.id}`, 'DEGRADED');
      for (const socket of held) socket.destroy();
      expect((await ask(`http://${balancer.vip}/`)).echo.member).toBe('ada');
      await balancer.becomes(`listeners/${balancer.idOf('web')}`, 'ONLINE');
      await balancer.remove();
    });

    it('serves the clients alone that allowed_cidrs names, in IPv4 and IPv6', async () => {
      const [ada] = await twoMembers(stage());
      const { gateway, gateway6, subnet6Id } = stage();
      const balancer = await oneMember(
        stage(),
        ada,
        { allowed_cidrs: ['192.0.2.0/24', '2001:db8::/32'] },
        { additional_vips: [{ subnet_id: subnet6Id }] },
      );
      const { additional_vips: more } = await balancer.show(`loadbalancers/${balancer.id}`);
      const urls = [`http://${balancer.vip}/`, `http://[${more[0].ip_address}]/`];
      const statuses = () => Promise.all(urls.map(async (url) => (await ask(url, '--max-time', '2')).status));
      const allow = (...cidrs: string[]) =>
        balancer.change('PUT', `listeners/${balancer.idOf('web')}`, { listener: { allowed_cidrs: cidrs } });
      expect(await statuses()).toEqual([0, 0]);
      await allow(`${gateway}/32`);
      expect(await statuses()).toEqual([200, 0]);
      await allow(`${gateway6}/64`);
      expect(await statuses()).toEqual([0, 200]);
      await allow();
      expect(await statuses()).toEqual([200, 200]);
      await balancer.remove();
    });

    it('answers at an IPv6 VIP, with members of IPv4 and IPv6', async () => {
      const [ada] = await twoMembers(stage());
      const cyd = await stage().member('cyd', { address: stage().gateway6 });
      const balancer = await stage().balancer({
        vip_subnet_id: stage().subnet6Id,
        additional_vips: [{ subnet_id: stage().subnetId }],
        pools: [aPool('pool', [at(ada), at(cyd)])],
        listeners: [listener('web', 80, { default_pool: { name: 'pool' } })],
      });
      expect(balancer.vip).toContain(':');
      const { additional_vips: more } = await balancer.show(`loadbalancers/${balancer.id}`);
      for (const host of [`[${balancer.vip}]`, more[0].ip_address]) {
        expect((await whoAnswers(2, `http://${host}/`)).toSorted()).toEqual(['ada', 'cyd']);
      }
      await balancer.remove();
    });
  });

  describe('what is switched off', () => {
    it('serves nobody: load balancer, listener, pool, member, each and again', async () => {
      const [ada, bob] = await twoMembers(stage());
      const balancer = await stage().balancer({
        pools: [aPool('pool', [at(ada), at(bob)])],
        listeners: [listener('web', 80, { default_pool: { name: 'pool' } })],
      });
      const url = `http://${balancer.vip}/`;
      const both = ['ada', 'bob'];
      const pool = `pools/${balancer.idOf('pool')}`;
      const levels = [
        { path: `loadbalancers/${balancer.id}`, key: 'loadbalancer', off: 0 },
        { path: `listeners/${balancer.idOf('web')}`, key: 'listener', off: 0 },
        { path: pool, key: 'pool', off: 503 },
      ];
      for (const { path, key, off } of levels) {
        await balancer.change('PUT', path, { [key]: { admin_state_up: false } });
        expect(await ask(url, '--max-time', '2'), path).toMatchObject({ status: off });
        await balancer.becomes(path, 'OFFLINE');
        await balancer.change('PUT', path, { [key]: { admin_state_up: true } });
        expect((await whoAnswers(2, url)).toSorted(), path).toEqual(both);
        await balancer.becomes(path, 'ONLINE');
      }
      const member = `${pool}/members/${balancer.idOf('pool/ada')}`;
      await balancer.change('PUT', member, { member: { admin_state_up: false } });
      expect(await whoAnswers(3, url)).toEqual(['bob', 'bob', 'bob']);
      await balancer.becomes(member, 'OFFLINE');
      await balancer.change('PUT', member, { member: { admin_state_up: true } });
      expect((await whoAnswers(2, url)).toSorted()).toEqual(both);
      await balancer.becomes(member, 'NO_MONITOR');
      await balancer.remove();
    });
  });
}

const listener = (name: string, port: number, values: object = {}) => ({
  name,
  protocol: 'HTTP',
  protocol_port: port,
  default_pool: { name: 'web' },
  ...values,
});

async function twoMembers(stage: Stage) {
  return Promise.all([stage.member('ada'), stage.member('bob')]);
}

export async function oneMember(
  stage: Stage,
  member: Parameters<typeof at>[0],
  values: object = {},
  whole: object = {},
): Promise<Balancer> {
  return stage.balancer({
    pools: [aPool('pool', [at(member)])],
    listeners: [listener('web', 80, { default_pool: { name: 'pool' }, ...values })],
    ...whole,
  });
}

/** What comes back over a WebSocket for one message. */
export async function overWebSocket(
  url: string,
  say: string,
  tls: { readonly ca: string; readonly servername: string } | null = null,
): Promise<string> {
  const socket = new WebSocket(url, { dispatcher: new Agent({ allowH2: false, connect: { ...tls } }) });
  await new Promise((done, failed) => {
    socket.addEventListener('open', done);
    socket.addEventListener('error', (event) => failed(new Error(`no WebSocket: ${event.message}`)));
  });
  const heard = new Promise<string>((done) => {
    socket.addEventListener('message', ({ data }) => done(String(data)), { once: true });
  });
  socket.send(say);
  const text = await heard;
  socket.close();
  return text;
}
