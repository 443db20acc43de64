import { createSocket } from 'node:dgram';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { makeLog } from '../platform/log.ts';
import type { Store } from '../store/store.ts';
import { encodeHeartbeat } from '../wire/heartbeat.ts';
import type { Report } from '../wire/report.ts';
import { freshStore } from '../../test/database.ts';
import { aFullTree, anAmphora, uuid } from '../../test/trees.ts';
import { heartbeatMetrics } from './metrics.ts';
import { type Receiver, startReceiver } from './receiver.ts';

const key = Buffer.alloc(32, 7);
const amphoraId = uuid(500);
let store: Store;
let drop: () => Promise<void>;
let receiver: Receiver;
const registry = new Registry();
let sequence = 1;
const socket = createSocket('udp4');

beforeAll(async () => {
  ({ store, drop } = await freshStore());
  await store.trees.create(aFullTree());
  receiver = await startReceiver({
    store,
    keyOf: () => key,
    host: '127.0.0.1',
    port: 0,
    log: makeLog('test', 'silent'),
    metrics: heartbeatMetrics(registry),
  });
});
beforeEach(async () => {
  await store.amphorae.save(anAmphora({ id: amphoraId, appliedGeneration: 1 }));
  for (const claim of await store.work.claim('test', 10, 10_000)) await store.work.release(claim);
});
afterAll(async () => {
  socket.close();
  await receiver.close();
  await drop();
});

const report = (member: 'UP' | 'DOWN', bytesOut = 0, generation = 1): Report => ({
  amphoraId,
  generation,
  listeners: {
    [uuid(2)]: {
      state: 'OPEN',
      activeConnections: 3,
      counters: { bytesIn: 1, bytesOut, totalConnections: 5, requestErrors: 0 },
    },
  },
  pools: { [uuid(3)]: { up: true, members: { [uuid(4)]: member } } },
});
const send = (datagram: Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.send(datagram, receiver.port, '127.0.0.1', (error) => (error ? reject(error) : resolve()));
  });
const heartbeat = (content: Report, by = key): Buffer =>
  encodeHeartbeat(content, ++sequence, by)[0] ?? Buffer.alloc(0);
const until = (check: () => Promise<unknown>) => vi.waitFor(check, { timeout: 20_000, interval: 20 });
const memberStatus = async () => (await store.trees.read(uuid(1)))?.members[0]?.operatingStatus;
/** What has become of datagrams, less what had before. */
const receptions = async (before: Record<string, number> = {}): Promise<Record<string, number>> => {
  const { values = [] } = (await registry.getSingleMetric('livia_heartbeats_total')?.get()) ?? {};
  const counts = values.map(({ labels, value }): [string, number] => {
    const outcome = String(labels['outcome']);
    return [outcome, value - (before[outcome] ?? 0)];
  });
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
};
const marked = async () => (await store.work.claim('test', 10, 10_000)).map((claim) => claim.key);

describe('A heartbeat', () => {
  it('becomes operating statuses, counters and a sign of life', async () => {
    await send(heartbeat(report('DOWN', 42)));
    await until(async () => expect(await memberStatus()).toBe('ERROR'));
    const tree = await store.trees.read(uuid(1));
    expect(tree?.loadBalancer.operatingStatus).toBe('DEGRADED');
    await until(async () =>
      expect(await store.statistics.ofListener(uuid(2))).toMatchObject({
        bytesOut: 42,
        activeConnections: 3,
      }),
    );
    expect((await store.amphorae.get(amphoraId))?.lastHeartbeatAt).toBeInstanceOf(Date);
    await send(heartbeat(report('UP')));
    await until(async () => expect(await memberStatus()).toBe('ONLINE'));
  });

  it('that is forged, broken, or sent again later changes nothing', async () => {
    const before = await receptions();
    const old = heartbeat(report('DOWN'));
    await send(heartbeat(report('UP')));
    await until(async () => expect(await memberStatus()).toBe('ONLINE'));
    await send(old);
    await send(heartbeat(report('DOWN'), Buffer.alloc(32, 8)));
    await send(Buffer.from('nonsense'));
    await send(heartbeat(report('UP', 99)));
    await until(async () =>
      expect(await store.statistics.ofListener(uuid(2))).toMatchObject({ bytesOut: 99 }),
    );
    expect(await memberStatus()).toBe('ONLINE');
    await until(async () =>
      expect(await receptions(before)).toEqual({ recorded: 2, repeated: 1, refused: 2 }),
    );
  });

  it('of an amphora that lost its tree calls the loop; one that has it does not', async () => {
    await store.trees.settle(uuid(1), (tree) => ({
      ...tree,
      loadBalancer: { ...tree.loadBalancer, provisioningStatus: 'ACTIVE' },
    }));
    await send(heartbeat(report('DOWN')));
    await until(async () => expect(await memberStatus()).toBe('ERROR'));
    expect(await marked()).toEqual([]);
    await send(heartbeat(report('UP', 0, -1)));
    await until(async () => expect(await marked()).toEqual([uuid(1)]));
  });
});
