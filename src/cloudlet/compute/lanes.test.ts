import { describe, expect, it } from 'vitest';
import { makeLanes } from './lanes.ts';

const tick = () => new Promise((resolve) => setImmediate(resolve));

describe('lanes', () => {
  it('do the work of one key in order, a failure not stopping the next', async () => {
    const lanes = makeLanes(8);
    const done: number[] = [];
    const first = lanes.run('a', async () => {
      await tick();
      done.push(1);
      throw new Error('broken');
    });
    const second = lanes.run('a', async () => done.push(2));
    await expect(first).rejects.toThrow('broken');
    await second;
    expect(done).toEqual([1, 2]);
  });

  it('do no more at once than they are wide, and all in the end', async () => {
    const lanes = makeLanes(3);
    let busy = 0;
    let most = 0;
    let done = 0;
    for (let key = 0; key < 20; key += 1) {
      void lanes.run(String(key), async () => {
        most = Math.max(most, (busy += 1));
        await tick();
        busy -= 1;
        done += 1;
      });
    }
    await lanes.idle();
    expect([most, done]).toEqual([3, 20]);
  });
});
