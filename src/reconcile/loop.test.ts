import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { DriverError } from '../clouds/errors.ts';
import { reconcile } from './load-balancer.ts';
import { type Loop, type LoopOptions, startLoop } from './loop.ts';
import { makeScene, type Scene } from './scene.fixture.ts';

let scene: Scene;
let loops: Loop[] = [];
beforeAll(async () => {
  scene = await makeScene();
});
beforeEach(() => {
  scene.cloud.onCall = () => undefined;
});
afterEach(async () => {
  await Promise.all(loops.map((loop) => loop.stop()));
  loops = [];
});
afterAll(() => scene.drop());

async function start(options: Partial<LoopOptions> = {}): Promise<Loop> {
  const loop = await startLoop({
    work: scene.store.work,
    run: (key, run) => reconcile(key, scene.context, run),
    owner: `loop-${loops.length}`,
    log: scene.context.log,
    parallel: 4,
    leaseMs: 1500,
    slowMs: 200,
    ...options,
  });
  loops.push(loop);
  return loop;
}

const until = (check: () => Promise<unknown>) => vi.waitFor(check, { timeout: 20_000, interval: 20 });
const active = (id: string) => async () =>
  expect((await scene.tree(id)).loadBalancer.provisioningStatus).toBe('ACTIVE');
const gone = (id: string) => async () => expect(await scene.store.trees.read(id)).toBeUndefined();

describe('A loop', () => {
  it('takes up what is wished while it runs, several at once', async () => {
    await start();
    const ids = await Promise.all([scene.create(), scene.create(), scene.create()]);
    for (const id of ids) await until(active(id));
    for (const id of ids) await scene.remove(id);
    for (const id of ids) await until(gone(id));
  });

  it('takes up what was wished before it ran', async () => {
    const id = await scene.create();
    await start();
    await until(active(id));
  });

  it('tries again until a slow cloud is back, and keeps PENDING meanwhile', async () => {
    let refusals = 0;
    scene.cloud.onCall = (name) => {
      if (name === 'networking.ensurePort' && refusals++ < 6) {
        throw new DriverError('Neutron is away', { retry: 'later' });
      }
    };
    const seen = new Set<string>();
    const id = await scene.create();
    await start();
    await until(async () => {
      const { provisioningStatus } = (await scene.tree(id)).loadBalancer;
      seen.add(provisioningStatus);
      expect(provisioningStatus).toBe('ACTIVE');
    });
    expect([...seen]).toEqual(['PENDING_CREATE', 'ACTIVE']);
  });

  it('comes back by itself to what only somebody else can mend', async () => {
    const image = scene.cloud.imageId;
    scene.cloud.imageId = undefined;
    const id = await scene.create();
    await start();
    await until(async () => expect((await scene.tree(id)).loadBalancer.provisioningStatus).toBe('ERROR'));
    scene.cloud.imageId = image;
    await until(active(id));
  });

  it('takes over from one that died with a key in its hands', async () => {
    const id = await scene.create();
    // What the loop of the test before could not end may be on the queue too.
    const claims = await scene.store.work.claim('dead', 100, 300);
    expect(claims.map(({ key }) => key)).toContain(id);
    await start();
    await until(active(id));
  });

  it('keeps a key as long as it works on it', async () => {
    const runs: string[] = [];
    const id = await scene.create();
    const slow =
      (owner: string): LoopOptions['run'] =>
      async (key) => {
        if (key === id) runs.push(owner);
        await sleep(1500);
        return { kind: 'done' };
      };
    await start({ owner: 'a', run: slow('a'), leaseMs: 600 });
    await start({ owner: 'b', run: slow('b'), leaseMs: 600 });
    await until(async () => expect(await scene.store.work.claim('c', 1, 100)).toEqual([]));
    await until(async () => expect(runs).toHaveLength(1));
    await sleep(1600);
    expect(runs).toHaveLength(1);
    await scene.store.work.mark(id);
    await until(async () => expect(runs).toHaveLength(2));
  });

  it('hands over what it could not finish when it is stopped', async () => {
    const id = await scene.create();
    let started = false;
    const loop = await start({
      run: async (_key, { signal }) => {
        started = true;
        await sleep(60_000, undefined, { signal });
        return { kind: 'done' };
      },
    });
    await until(async () => expect(started).toBe(true));
    await loop.stop();
    await start();
    await until(active(id));
  });

  it('goes on after a run that threw', async () => {
    let throws = 2;
    const id = await scene.create();
    await start({
      run: (key, run) => {
        if (throws-- > 0) throw new Error('a bug');
        return reconcile(key, scene.context, run);
      },
    });
    await until(active(id));
  });
});
