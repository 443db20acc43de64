import { readFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { demoHost, makeDemoCertificates } from './demo-certificates.ts';
import { type DemoMember, startDemoMember } from './demo-members.ts';
import { findCredentials, logIn, type Session } from './session.ts';

export interface DemoOptions {
  /** A folder of the demonstration's own. */
  readonly folder: string;
  readonly openrc: string;
  readonly say: (line: string) => void;
  /** Where on 127.0.0.1 the VIP is published; undefined: the VIP itself can be reached. */
  readonly publishedPort: number | undefined;
  /** Aborts what is under way. */
  readonly signal: AbortSignal;
}

export interface Demo {
  /** `address:port` of the load balancer. */
  readonly publish: string;
  stop(): Promise<void>;
}

interface Row {
  readonly id: string;
  readonly name: string;
}
interface LoadBalancer extends Row {
  readonly vip_address: string;
  readonly provisioning_status: string;
}
interface Member extends Row {
  readonly address: string;
  readonly protocol_port: number;
}
interface Subnet extends Row {
  readonly gateway_ip: string;
}

const deadlineMs = 120_000;
const lbaas = '/v2/lbaas';

/**
 * Two web servers behind a TERMINATED_HTTPS load balancer, made by the public APIs as any user makes one, then asked
 * six times. What an earlier demonstration made is used again.
 */
export async function demonstrate(options: DemoOptions): Promise<Demo> {
  const { say } = options;
  const members: DemoMember[] = [];
  const stop = async (): Promise<void> => {
    for (const member of members) await member.stop();
  };
  try {
    const session = await logIn(await findCredentials({}, options.openrc));
    const api = lbaasOf(session, options.signal);
    say('the demonstration:');
    const { subnets } = await session.request<{ subnets: Subnet[] }>(
      'network',
      'GET',
      '/v2.0/subnets?name=ext_net_subnet',
    );
    const subnet = subnets[0];
    if (subnet === undefined) throw new Error('there is no subnet ext_net_subnet');

    const loadBalancer = await timed(say, 'load balancer demo', async () => {
      const there = await api.find<LoadBalancer>('loadbalancers', 'demo');
      const made =
        there ?? (await api.create<LoadBalancer>('loadbalancer', { name: 'demo', vip_subnet_id: subnet.id }));
      return api.untilActive(made.id);
    });

    const ca = join(options.folder, 'ca.pem');
    const bundle = await makeDemoCertificates(ca, options.folder);
    const secretRef = bundle && (await storeSecret(session, bundle));
    await timed(say, 'listener demo, TERMINATED_HTTPS on port 443', async () => {
      const there = await api.find<Row>('listeners', 'demo', loadBalancer.id);
      const tls = secretRef === undefined ? {} : { default_tls_container_ref: secretRef };
      if (there === undefined) {
        const kind = { name: 'demo', protocol: 'TERMINATED_HTTPS', protocol_port: 443 };
        await api.create('listener', { ...kind, ...tls, loadbalancer_id: loadBalancer.id });
      } else if (secretRef !== undefined) await api.update('listener', there.id, tls);
      return api.untilActive(loadBalancer.id);
    });

    const pool = await timed(say, 'pool demo, ROUND_ROBIN', async () => {
      const there = await api.find<Row>('pools', 'demo', loadBalancer.id);
      const listener = await api.find<Row>('listeners', 'demo', loadBalancer.id);
      const kind = { name: 'demo', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', listener_id: listener?.id };
      const made = there ?? (await api.create<Row>('pool', kind));
      await api.untilActive(loadBalancer.id);
      return made;
    });

    const known = (await api.list<Member>(`pools/${pool.id}/members`, 'members')).filter(
      (member) => member.address === subnet.gateway_ip,
    );
    for (const name of ['member 1', 'member 2']) {
      const there = known.find((member) => member.name === name);
      const member = await startDemoMember(name, subnet.gateway_ip, there?.protocol_port);
      members.push(member);
      if (there?.protocol_port === member.port) continue;
      await timed(say, `${name}, a web server on ${member.address}:${member.port}`, async () => {
        if (there !== undefined) {
          await api.remove(`pools/${pool.id}/members/${there.id}`);
          await api.untilActive(loadBalancer.id);
        }
        const { address, port } = member;
        await api.create('member', { name, address, protocol_port: port }, `pools/${pool.id}/members`);
        await api.untilActive(loadBalancer.id);
      });
    }
    if ((await api.find<Row>('healthmonitors', 'demo')) === undefined) {
      await timed(say, 'health monitor demo, HTTP', async () => {
        const kind = { name: 'demo', type: 'HTTP', delay: 2, timeout: 1, max_retries: 2, url_path: '/' };
        await api.create('healthmonitor', { ...kind, pool_id: pool.id });
        await api.untilActive(loadBalancer.id);
      });
    }

    const caPem = await readFile(ca, 'utf8');
    await firstAnswer(loadBalancer.vip_address, caPem, options.signal);
    const answers: string[] = [];
    for (let n = 0; n < 6; n++) answers.push(await askOnce(loadBalancer.vip_address, caPem));
    say(`  six requests to https://${demoHost}/ at ${loadBalancer.vip_address} were answered by:`);
    say(`    ${answers.join(', ')}`);
    say('  go on by hand:');
    say(
      `    curl --cacert ${ca} ${way(loadBalancer.vip_address, options.publishedPort)} https://${demoHost}/`,
    );
    say('    openstack loadbalancer list');
    say('    openstack loadbalancer status show demo');
    return { publish: `${loadBalancer.vip_address}:443`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function way(vip: string, publishedPort: number | undefined): string {
  return publishedPort === undefined
    ? `--resolve ${demoHost}:443:${vip}`
    : `--connect-to ${demoHost}:443:127.0.0.1:${publishedPort}`;
}

async function timed<T>(say: (line: string) => void, what: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  say(`  ${what}: ACTIVE (${((performance.now() - started) / 1000).toFixed(2)} s)`);
  return result;
}

interface Lbaas {
  list<T>(path: string, key: string): Promise<readonly T[]>;
  /** By name, and below a load balancer when one is given. */
  find<T>(collection: string, name: string, loadBalancerId?: string): Promise<T | undefined>;
  create<T>(kind: string, fields: object, path?: string): Promise<T>;
  update(kind: string, id: string, fields: object): Promise<void>;
  remove(path: string): Promise<void>;
  untilActive(loadBalancerId: string): Promise<LoadBalancer>;
}

function lbaasOf(session: Session, signal: AbortSignal): Lbaas {
  const call = <T>(method: string, path: string, body?: unknown): Promise<T> =>
    session.request<T>('load-balancer', method, `${lbaas}/${path}`, body);
  const list = async <T>(path: string, key: string): Promise<readonly T[]> =>
    (await call<Record<string, T[]>>('GET', path))[key] ?? [];
  return {
    list,
    async find<T>(collection: string, name: string, loadBalancerId?: string) {
      const below = loadBalancerId === undefined ? '' : `&loadbalancer_id=${loadBalancerId}`;
      return (await list<T>(`${collection}?name=${name}${below}`, collection))[0];
    },
    async create<T>(kind: string, fields: object, path = `${kind}s`) {
      const made = await call<Record<string, T>>('POST', path, { [kind]: fields });
      return made[kind] as T;
    },
    update: (kind, id, fields) => call('PUT', `${kind}s/${id}`, { [kind]: fields }),
    remove: (path) => call('DELETE', path),
    async untilActive(id) {
      const end = Date.now() + deadlineMs;
      for (;;) {
        const { loadbalancer } = await call<{ loadbalancer: LoadBalancer }>('GET', `loadbalancers/${id}`);
        if (loadbalancer.provisioning_status === 'ACTIVE') return loadbalancer;
        if (Date.now() > end) {
          throw new Error(`load balancer ${loadbalancer.name} is still ${loadbalancer.provisioning_status}`);
        }
        await pause(50, undefined, { signal });
      }
    },
  };
}

async function storeSecret(session: Session, bundle: Buffer): Promise<string> {
  const { secret_ref } = await session.request<{ secret_ref: string }>('key-manager', 'POST', '/v1/secrets', {
    name: 'demo',
    payload: bundle.toString('base64'),
    payload_content_type: 'application/octet-stream',
    payload_content_encoding: 'base64',
  });
  return secret_ref;
}

/** The members' first health checks may still be on their way. */
async function firstAnswer(vip: string, ca: string, signal: AbortSignal): Promise<void> {
  const end = Date.now() + 60_000;
  for (;;) {
    try {
      await askOnce(vip, ca);
      return;
    } catch (error) {
      if (Date.now() > end)
        throw new Error(`no answer of a member: ${(error as Error).message}`, { cause: error });
    }
    await pause(50, undefined, { signal });
  }
}

/** One request on a connection of its own, with the certificate checked for its name. */
function askOnce(vip: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      host: vip,
      servername: demoHost,
      headers: { host: demoHost },
      ca,
      agent: false,
      timeout: 5000,
    };
    const request = httpsRequest(options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(body.trim());
        else reject(new Error(`status ${response.statusCode}`));
      });
    });
    request.on('timeout', () => request.destroy(new Error('no answer in 5 s')));
    request.on('error', reject);
    request.end();
  });
}
