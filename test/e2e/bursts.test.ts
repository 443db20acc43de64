/**
 * Changes as fast as the API takes them. A load balancer takes its next change when the one before is in its amphora
 * (until then: 409), so what comes at once in one amphora is what one request brings.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { externalSubnet } from './https-load-balancer.ts';
import { webMember, type WebMember } from './members.ts';
import { discard, makeService, pause } from './service.ts';

const service = makeService(21_150);
let subnet: { id: string; gateway: string };
let members: WebMember[];

beforeAll(async () => {
  await service.start();
  subnet = await externalSubnet(service);
  members = await Promise.all(['one', 'two'].map((name) => webMember(name, subnet.gateway)));
});
afterAll(async () => {
  await Promise.all(members.map((member) => member.close()));
  await discard(service);
});

interface PastChange {
  generation: number;
  change: string;
  why: string | null;
  duration_ms: number;
  refused: number;
}

const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, n) => from + n);
const membersFrom = (first: number) =>
  members.slice(first, first + 1).map(({ address, port }) => ({ address, protocol_port: port }));
const whole = (port: number): object => ({
  ...{ protocol: 'HTTP', protocol_port: port, connection_limit: 50 },
  default_pool: {
    ...{ name: `pool-${port}`, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
    members: membersFrom(0),
  },
});

interface Made {
  readonly id: string;
  readonly vip: string;
  readonly amphora: string;
  readonly pool: string;
}

async function make(listeners: readonly object[]): Promise<Made> {
  const { loadbalancer } = await service.call('POST', '/v2/lbaas/loadbalancers', {
    loadbalancer: { vip_subnet_id: subnet.id, listeners },
  });
  const { id, vip_address: vip } = await service.active(loadbalancer.id);
  const { amphorae } = await service.call('GET', `/v2/octavia/amphorae?loadbalancer_id=${id}`);
  return { id, vip, amphora: amphorae[0].id, pool: loadbalancer.pools[0].id };
}

/** As clients do that want it soon: again and again until it is taken. How often it was not. */
async function addListener({ id, pool }: Made, port: number): Promise<number> {
  const listener = {
    ...{ loadbalancer_id: id, default_pool_id: pool },
    ...{ protocol: 'HTTP', protocol_port: port, connection_limit: 50 },
  };
  for (let refusals = 0; ; refusals += 1) {
    const { status, body } = await service.request('POST', '/v2/lbaas/listeners', { listener });
    if (status === 201) return refusals;
    if (status !== 409) throw new Error(`a listener on ${port}: ${status} ${JSON.stringify(body)}`);
    await pause(5);
  }
}

const changesOf = async (amphora: string): Promise<PastChange[]> =>
  (await service.call('GET', `/livia/v1/amphorae/${amphora}/changes`)).changes;
const ask = async (vip: string, port: number): Promise<string> =>
  fetch(`http://${vip}:${port}/`, { headers: { connection: 'close' } }).then(
    (answer) => answer.text().then((text) => text.trim()),
    () => 'refused',
  );

it('what one request brings is one change: a whole load balancer, a batch of members', async () => {
  const ports = range(8000, 20);
  const made = await make(ports.map(whole));
  expect(await changesOf(made.amphora)).toMatchObject([{ change: 'start', refused: 0 }]);
  expect(await Promise.all(ports.map((port) => ask(made.vip, port)))).toEqual(ports.map(() => 'one'));

  const batch = range(0, 40).map((n) => ({
    address: subnet.gateway,
    protocol_port: 9000 + n,
    admin_state_up: false,
  }));
  await service.call('PUT', `/v2/lbaas/pools/${made.pool}/members`, {
    members: [...membersFrom(1), ...batch],
  });
  await service.active(made.id);
  const [newest, ...others] = await changesOf(made.amphora);
  expect([newest, others.length]).toMatchObject([{ change: 'runtime', refused: 0 }, 1]);
  const answers = await Promise.all(ports.map((port) => ask(made.vip, port)));
  expect(answers.toSorted()).toEqual([...ports.slice(1).map(() => 'one'), 'two']);
  await service.call('DELETE', `/v2/lbaas/loadbalancers/${made.id}?cascade=true`);
});

it('takes changes of many clients at once, each when the one before is there, and tells what became of each', async () => {
  const made = await make([whole(8000)]);
  // An answer that does not end, so that no worker that is reloaded may go.
  const held: AbortController[] = [];
  const hold = async () => {
    const controller = new AbortController();
    held.push(controller);
    await fetch(`http://${made.vip}:8000/slow`, { signal: controller.signal }).catch(() => undefined);
  };
  let workers = 0;
  let bound = Infinity;
  let done = false;
  const watching = (async () => {
    while (!done) {
      await hold();
      const { memory } = await service.call('GET', `/livia/v1/amphorae/${made.amphora}/memory`);
      workers = Math.max(
        workers,
        memory.measured.haproxy.filter(({ role }: any) => role !== 'master').length,
      );
      bound = memory.budget.max_reloads + 1;
    }
  })();
  const ports = range(8001, 25);
  const refused = await Promise.all(ports.map((port) => addListener(made, port)));
  await service.active(made.id);
  done = true;
  await watching;

  const changes = await changesOf(made.amphora);
  expect(changes.map(({ change, why, refused: left }) => ({ change, why, left }))).toEqual([
    ...ports.map(() => ({ change: 'reload', why: 'a listener came, or a pool behind one', left: 0 })),
    { change: 'start', why: null, left: 0 },
  ]);
  const generations = changes.map(({ generation }) => generation);
  expect(new Set(generations).size).toBe(changes.length);
  expect(generations).toEqual(generations.toSorted((one, other) => other - one));
  expect(changes.every(({ duration_ms }) => duration_ms > 0)).toBe(true);
  // They did come at once.
  expect(refused.filter((times) => times > 0).length).toBeGreaterThan(ports.length / 2);
  expect(workers).toBeGreaterThan(1);
  // One more is there while it loads.
  expect(workers).toBeLessThanOrEqual(bound + 1);
  expect(await Promise.all(ports.map((port) => ask(made.vip, port)))).toEqual(ports.map(() => 'one'));
  held.forEach((one) => one.abort());
  await service.call('DELETE', `/v2/lbaas/loadbalancers/${made.id}?cascade=true`);
});

it('takes changes of many load balancers at once', async () => {
  const made = await Promise.all(range(0, 6).map(() => make([whole(8000)])));
  const ports = [8001, 8002, 8003];
  await Promise.all(made.flatMap((one) => ports.map((port) => addListener(one, port))));
  for (const { id, vip, amphora } of made) {
    await service.active(id);
    expect((await changesOf(amphora)).map(({ change }) => change)).toEqual([
      ...ports.map(() => 'reload'),
      'start',
    ]);
    expect(await Promise.all([8000, ...ports].map((port) => ask(vip, port)))).toEqual([
      'one',
      'one',
      'one',
      'one',
    ]);
  }
});
