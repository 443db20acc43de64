import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Hearing, hearing } from './hearing.ts';
import { countersFor } from './traffic.ts';

/** What a worker of HAProxy, that has counted so many sessions, says of its one listener. */
const stat = (total: number): string =>
  `# pxname,svname,status,stot,bin,bout,ereq,\nlistener,FRONTEND,OPEN,${total},0,0,0,\n\n`;

/** And of its servers. */
const states = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight
3 pool 1 member 192.0.2.1 2 0 1 1 9 1 0 0 0 0 0 0 - 80 - 0 0 - - 0

`;
const question = 'show info;show stat -1 3 -1;show servers state';

describe('hearing the workers of HAProxy', () => {
  let folder: string;
  let servers: Server[];
  /** Who lives, from the youngest, and what each has counted. */
  let workers: Map<number, number>;
  /** Who answers at the socket of the Runtime API; nobody when there is none. */
  let atSocket: number | undefined;
  let asked: string[];
  let idlePercent: number;
  let all: Hearing;

  const heardTotal = () => countersFor(all.last().traffic, 'listener').totalConnections;

  function serve(path: string, answer: (question: string) => string): void {
    const server = createServer({ allowHalfOpen: true }, (client) => {
      client.on('data', (question) => {
        asked.push(question.toString().trim());
        client.end(answer(question.toString()));
      });
    });
    servers.push(server.listen(path));
  }

  const start = () =>
    hearing({
      paths: {
        counters: join(folder, 'counters'),
        masterSocket: join(folder, 'master'),
        statsSocket: join(folder, 'stats'),
      },
      haproxy: {
        workers: async () => [...workers.keys()].map((pid, reloads) => ({ pid, reloads })),
        loads: () => false,
      },
      carries: () => true,
    });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hearing-'));
    [servers, asked, workers, atSocket, idlePercent] = [[], [], new Map([[10, 5]]), 10, 100];
    serve(join(folder, 'master'), (question) => {
      const counted = workers.get(Number(/^@!(\d+) /.exec(question)?.[1]));
      if (counted === undefined) return "Can't find the target PID\n";
      if (question.includes('servers')) return states;
      return Number.isNaN(counted) ? '' : stat(counted);
    });
    serve(join(folder, 'stats'), () => {
      const counted = atSocket === undefined ? undefined : workers.get(atSocket);
      const info = `Name: HAProxy\nPid: ${atSocket}\nIdle_pct: ${idlePercent}\n\n`;
      return counted === undefined ? '' : `${info}${stat(counted)}${states}`;
    });
    all = await start();
  });
  afterEach(async () => {
    for (const server of servers) server.close();
    await rm(folder, { recursive: true });
  });

  it('asks one that is alone itself, by one question', async () => {
    await all.hear();
    workers.set(10, 7);
    asked = [];
    await all.hear();
    expect(asked).toEqual([question]);
    expect(heardTotal()).toBe(7);
    expect(all.last().current).toMatchObject([{ proxy: 'listener', total: 7 }]);
    expect(all.last().servers).toMatchObject([{ backend: 'pool', name: 'member', state: 'NO_CHECK' }]);
  });

  it('knows when it has less than three quarters of its time left', async () => {
    await all.hear();
    for (const [percent, busy] of [
      [74, true],
      [75, false],
      [0, true],
    ] as const) {
      idlePercent = percent;
      await all.hear();
      expect(all.busy()).toBe(busy);
    }
    [atSocket, idlePercent] = [11, 0];
    workers = new Map([11, 10].map((pid) => [pid, 1]));
    await all.hear();
    expect(all.busy()).toBe(true);
    atSocket = undefined;
    await all.hear();
    expect(all.busy()).toBe(false);
  });

  it('asks the current one itself when there are others too, and of the others only what they have counted', async () => {
    workers = new Map([11, 10].map((pid) => [pid, 3]));
    atSocket = 11;
    await all.hear();
    expect(asked).toEqual([question, '@!10 show stat -1 1 -1']);
    expect(heardTotal()).toBe(6);
    expect(all.last().servers).toMatchObject([{ backend: 'pool', name: 'member', state: 'NO_CHECK' }]);
  });

  it('tells of no servers of a worker that does not tell its pools', async () => {
    atSocket = undefined;
    workers = new Map([[10, Number.NaN]]);
    await all.hear();
    expect(all.last()).toMatchObject({ current: [], servers: [] });
  });

  it('takes no other for the one that was alone: what both count is added up', async () => {
    await all.hear();
    workers = new Map([
      [11, 2],
      [10, 6],
    ]);
    atSocket = 11;
    await all.hear();
    expect(heardTotal()).toBe(8);
    workers = new Map([[11, 3]]);
    await all.hear();
    expect(heardTotal()).toBe(9);
    asked = [];
    await all.hear();
    expect(asked).toEqual([question]);
  });

  it('hears through the master of one whose socket is silent', async () => {
    await all.hear();
    atSocket = undefined;
    workers.set(10, 9);
    await all.hear();
    expect(heardTotal()).toBe(9);
    expect(all.last().servers).toMatchObject([{ backend: 'pool', name: 'member', state: 'NO_CHECK' }]);
  });

  it('counts without asking for members, of whom what was heard last stands', async () => {
    await all.hear();
    const { current, servers: states } = all.last();
    for (const pids of [[10], [11, 10]]) {
      workers = new Map(pids.map((pid) => [pid, 8]));
      atSocket = pids[0];
      asked = [];
      await all.count();
      expect(asked.filter((question) => !question.endsWith('show stat -1 1 -1'))).toEqual([]);
      expect(heardTotal()).toBe(8 * pids.length);
      expect(all.last()).toMatchObject({ current, servers: states });
    }
  });

  it('goes on from what an agent before has counted', async () => {
    await all.hear();
    workers = new Map([[12, 1]]);
    all = await start();
    await all.hear();
    expect(heardTotal()).toBe(6);
  });
});
