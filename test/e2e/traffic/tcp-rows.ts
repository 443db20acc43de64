import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { run } from '../../../src/platform/run.ts';
import { eventually } from '../service.ts';
import { ask, raw } from './web-client.ts';
import { aPool, at, type Stage } from './stage.ts';

const grpc = ['/usr/bin/python3', join(import.meta.dirname, 'grpc-call.py')];

/** Listeners that carry bytes, and what runs over them. */
export function tcpRows(stage: () => Stage): void {
  const listener = (protocol: string, pool: string, protocol_port: number, values: object = {}) => ({
    name: `${protocol} ${pool}`,
    protocol,
    protocol_port,
    default_pool: { name: pool },
    ...values,
  });
  async function secured() {
    const { pki } = stage();
    const pair = await pki.server('member.example');
    const cert = readFileSync(pair.certificate, 'utf8') + readFileSync(pki.intermediate, 'utf8');
    return stage().member('secured', {
      tls: { key: readFileSync(pair.key, 'utf8'), cert, http2: true },
    });
  }

  describe('a TCP listener', () => {
    it('carries bytes as they are to pools of TCP, HTTP and PROXY, and closes at once without a pool', async () => {
      const ada = await stage().member('ada');
      const proxied = await stage().member('proxied', { proxy: true });
      const repeats = await parrot(stage().gateway);
      const balancer = await stage().balancer({
        pools: [
          aPool('raw', [repeats.at], { protocol: 'TCP' }),
          aPool('tcp', [at(ada)], { protocol: 'TCP' }),
          aPool('http', [at(ada)]),
          aPool('proxy', [at(proxied)], { protocol: 'PROXY' }),
        ],
        listeners: [
          listener('TCP', 'raw', 80),
          listener('TCP', 'tcp', 81),
          listener('TCP', 'http', 82),
          listener('TCP', 'proxy', 83),
          { name: 'bare', protocol: 'TCP', protocol_port: 84 },
        ],
      });
      expect(await raw(balancer.vip, 80, 'no \0 protocol\n')).toBe('heard no \0 protocol\n<quiet>');
      expect((await ask(`http://${balancer.vip}:81/`)).echo).toMatchObject({ member: 'ada', proxy: null });
      expect((await ask(`http://${balancer.vip}:82/`)).echo.member).toBe('ada');
      expect((await ask(`http://${balancer.vip}:83/`)).echo.proxy).toBe(
        `v1 TCP4 ${stage().gateway} to ${balancer.vip} 83`,
      );
      expect(await raw(balancer.vip, 84, 'anybody?')).toMatch(/^<(closed|reset)>$/);
      repeats.close();
      await balancer.remove();
    });

    it('keeps its timeouts and allowed CIDRs', async () => {
      const ada = await stage().member('ada');
      const balancer = await stage().balancer({
        pools: [aPool('tcp', [at(ada)], { protocol: 'TCP' })],
        listeners: [
          listener('TCP', 'tcp', 81, { timeout_client_data: 300 }),
          listener('TCP', 'tcp', 82, { name: 'guarded', allowed_cidrs: ['192.0.2.0/24'] }),
        ],
      });
      expect(await raw(balancer.vip, 81, 'half', 10_000)).toMatch(/<(closed|reset)>$/);
      expect((await ask(`http://${balancer.vip}:82/`, '--max-time', '2')).status).toBe(0);
      await balancer.change('PUT', `listeners/${balancer.idOf('guarded')}`, {
        listener: { allowed_cidrs: [`${stage().gateway}/32`] },
      });
      expect((await ask(`http://${balancer.vip}:82/`)).status).toBe(200);
      await balancer.remove();
    });
  });

  describe('a TCP listener with a connection limit', () => {
    it('holds back the connections beyond it, shows itself DEGRADED, and takes them when others go', async () => {
      const repeats = await parrot(stage().gateway);
      const balancer = await stage().balancer({
        pools: [aPool('raw', [repeats.at], { protocol: 'TCP' })],
        listeners: [listener('TCP', 'raw', 81, { connection_limit: 2 })],
      });
      const path = `listeners/${balancer.idOf('TCP raw')}`;
      const served = await Promise.all([saying('one', balancer.vip, 81), saying('two', balancer.vip, 81)]);
      for (const one of served) await one.hears(/^heard (one|two)$/);
      const waiting = await saying('three', balancer.vip, 81);
      await balancer.becomes(path, 'DEGRADED');
      await balancer.becomes(`loadbalancers/${balancer.id}`, 'DEGRADED');
      expect(waiting.heard()).toBe('');
      served[0]?.leave();
      await waiting.hears(/^heard three$/);
      served[1]?.leave();
      await balancer.becomes(path, 'ONLINE');
      waiting.leave();
      repeats.close();
      await balancer.remove();
    });
  });

  describe('an HTTPS listener', () => {
    it("passes TLS through: the member's own certificate, name and ALPN", async () => {
      const balancer = await stage().balancer({
        pools: [aPool('pool', [at(await secured())], { protocol: 'HTTPS' })],
        listeners: [listener('HTTPS', 'pool', 443)],
      });
      const resolve = ['--resolve', `member.example:443:${balancer.vip}`, '--cacert', stage().pki.root];
      const answer = await ask('https://member.example/', ...resolve, '--http2');
      expect(answer.version).toBe('2');
      expect(answer.echo.tls).toMatchObject({ sni: 'member.example', alpn: 'h2' });
      await balancer.remove();
    });
  });

  describe('gRPC', () => {
    it('is carried by a TCP listener, and from HTTP/2 to HTTP/2 by a TERMINATED_HTTPS listener', async () => {
      const { pki, gateway } = stage();
      const server = await pki.server('grpc.example');
      const chain = server.certificate.replace('.cert.pem', '.chain.pem');
      await run(['sh', '-c', 'cat "$0" "$1" > "$2"', server.certificate, pki.intermediate, chain]);
      const running = await grpcServer(gateway, server.key, chain);
      try {
        const balancer = await stage().balancer({
          pools: [
            aPool('plain', [{ address: gateway, protocol_port: running.plain }], { protocol: 'TCP' }),
            aPool('secured', [{ address: gateway, protocol_port: running.secured }], {
              tls_enabled: true,
              alpn_protocols: ['h2'],
            }),
          ],
          listeners: [
            listener('TCP', 'plain', 81),
            listener('TERMINATED_HTTPS', 'secured', 443, {
              default_tls_container_ref: await pki.bundle(await pki.server('www.example')),
            }),
          ],
        });
        const expected =
          'hello livia\nstream livia 0\nstream livia 1\nstream livia 2\nrefused INVALID_ARGUMENT no name\n';
        expect(await run([...grpc, 'call', `${balancer.vip}:81`])).toBe(expected);
        expect(await run([...grpc, 'call', `${balancer.vip}:443`, pki.root, 'www.example'])).toBe(expected);
        await balancer.remove();
      } finally {
        running.end();
      }
    });
  });

  describe('a PROMETHEUS listener', () => {
    it("tells the load balancer's metrics by Octavia's names, and nothing else", async () => {
      const ada = await stage().member('ada');
      const balancer = await stage().balancer({
        pools: [aPool('pool', [at(ada)])],
        listeners: [
          listener('HTTP', 'pool', 80),
          { name: 'metrics', protocol: 'PROMETHEUS', protocol_port: 9100 },
        ],
      });
      await ask(`http://${balancer.vip}/`);
      const { body } = await ask(`http://${balancer.vip}:9100/metrics`);
      expect(body).toMatch(
        new RegExp(
          `^octavia_listener_http_requests_total\\{listener="${balancer.idOf('HTTP pool')}"\\} [1-9]`,
          'm',
        ),
      );
      expect((await ask(`http://${balancer.vip}:9100/`)).status).toBe(404);
      await balancer.remove();
    });
  });

  describe('a burst of clients', () => {
    it('is served without an error', async () => {
      const ada = await stage().member('ada');
      const balancer = await stage().balancer({
        pools: [aPool('pool', [at(ada)])],
        listeners: [listener('HTTP', 'pool', 80)],
      });
      const said = await run(['wrk', '-t1', '-c50', '-d2s', `http://${balancer.vip}/`]);
      expect(Number(/(\d+) requests in/.exec(said)?.[1])).toBeGreaterThan(0);
      expect(said).not.toMatch(/Socket errors|Non-2xx/);
      await balancer.remove();
    });
  });
}

/** A member that says again what it hears, and leaves no connection by itself. */
async function parrot(address: string) {
  const server = createServer((socket) => {
    socket
      .on('error', () => {})
      .on('data', (bytes) => socket.write(Buffer.concat([Buffer.from('heard '), bytes])));
  }).listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { at: { address, protocol_port: port }, close: () => server.close() };
}

/** A connection over which something was said, and that stays. */
async function saying(what: string, address: string, port: number) {
  const socket = connect(port, address);
  await once(socket, 'connect');
  let heard = '';
  socket.on('error', () => {}).on('data', (bytes) => (heard += String(bytes)));
  socket.write(what);
  return {
    heard: () => heard,
    hears: (expected: RegExp) =>
      eventually(`${what} answered`, async () => (expected.test(heard) ? true : undefined)),
    leave: () => socket.destroy(),
  };
}

/** The ports of a gRPC server, without and with TLS. */
async function grpcServer(address: string, key: string, chain: string) {
  const child = spawn(grpc[0] ?? '', [...grpc.slice(1), 'serve', address, key, chain], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const [plain, secured] = line.split(' ').map(Number);
  return { plain, secured, end: () => child.kill('SIGKILL') };
}
