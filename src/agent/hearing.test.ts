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

describe('hearing the workers of HAProxy', () => {
  let folder: string;
  let servers: Server[];
  /** Who lives, from the youngest, and what each has counted. */
  let workers: Map<number, number>;
  /** Who answers at the socket of the Runtime API; nobody when there is none. */
  let atSocket: number | undefined;
  let asked: string[];
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
    [servers, asked, workers, atSocket] = [[], [], new Map([[10, 5]]), 10];
    serve(join(folder, 'master'), (question) => {
      const counted = workers.get(Number(/^@!(\d+) /.exec(question)?.[1]));
      return counted === undefined ? "Can't find the target PID\n" : stat(counted);
    });
    serve(join(folder, 'stats'), () => {
      const counted = atSocket === undefined ? undefined : workers.get(atSocket);
      return counted === undefined ? '' : `Name: HAProxy\nPid: ${atSocket}\n\n${stat(counted)}`;
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
    expect(asked).toEqual(['show info;show stat']);
    expect(heardTotal()).toBe(7);
    expect(all.last().current).toMatchObject([{ proxy: 'listener', total: 7 }]);
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
    expect(asked).toEqual(['show info;show stat']);
  });

  it('hears through the master of one whose socket is silent', async () => {
    await all.hear();
    atSocket = undefined;
    workers.set(10, 9);
    await all.hear();
    expect(heardTotal()).toBe(9);
  });

  it('counts without asking for members, of whom what was heard last stands', async () => {
    await all.hear();
    const { current } = all.last();
    for (const pids of [[10], [11, 10]]) {
      workers = new Map(pids.map((pid) => [pid, 8]));
      atSocket = pids[0];
      asked = [];
      await all.count();
      expect(asked.filter((question) => !question.endsWith('show stat -1 1 -1'))).toEqual([]);
      expect(heardTotal()).toBe(8 * pids.length);
      expect(all.last().current).toBe(current);
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
