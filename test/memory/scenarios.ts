import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentUnderTest, freePort, get } from '../../src/agent/agent.fixture.ts';
import {
  aCertificate,
  aListener,
  aMember,
  aPool,
  aTls,
  aWanted,
  id,
} from '../../src/plan/haproxy/wanted.fixture.ts';
import type { WantedAmphora, WantedListener, WantedPool } from '../../src/wire/wanted.ts';
import { establishedAt, type Held, holdAnswers, slowReaders } from './connections.ts';
import { type MemoryGroup, memoryGroup } from './memory-group.ts';
import { type UpstreamPolicy, upstreamAmphora } from './upstream.ts';

const miB = 1024 ** 2;

/** What a scenario did to an amphora. */
export interface Measured {
  readonly limitBytes: number;
  /** The left side of the budget's inequality for what was configured. */
  readonly budgetBytes: number;
  /** Of the whole group: agent, master, workers, checks. */
  readonly peakBytes: number;
  /** At rest before the last reload. */
  readonly steadyBytes: number;
  /** During the last reload. */
  readonly lastReloadPeakBytes: number;
  readonly lastReloadMs: number;
  readonly startMs: number;
  readonly reloads: number;
  readonly oomKills: number;
  /** The most in buffers of its TCP sockets: beside the peak with version 1 of cgroups, in it with version 2. */
  readonly tcpPeakBytes: number;
  /** The bound on them that the agent tells of. */
  readonly tcpLimitBytes: number | undefined;
  /** The listener answered a new client at the end. */
  readonly serves: boolean;
  /** Connections that its workers held when the last reload began. */
  readonly connections: number;
  /** As many as one worker takes. */
  readonly maxconn: number;
}

/** Runs the agent that follows with its files where an amphora has them, by which it knows the machine for its own. */
const onOwnMachine = [
  ...['unshare', '--mount', 'sh', '-c'],
  'files=$(dirname "$LIVIA_BOOT_FILE") && mount -t tmpfs tmpfs /run && mkdir /run/livia && ' +
    'mount --bind "$files" /run/livia && unset LIVIA_BOOT_FILE && exec "$0" "$@"',
];

/** A member whose `/slow` never ends and whose `/long` is longer than any buffer on the way. */
async function member() {
  const held = new Set<ServerResponse>();
  const long = Buffer.alloc(4 * miB, 'x');
  const server = createServer((asked, answer) => {
    if (asked.url === '/long') return answer.end(long);
    if (asked.url !== '/slow') return answer.end('one');
    answer.write('begun');
    return held.add(answer);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** One agent with its HAProxy in a memory group, and what it is wished to carry. */
class Amphora {
  readonly agent: AgentUnderTest;
  readonly group: MemoryGroup;
  readonly port: number;
  readonly held: Held[] = [];
  #generation = 0;
  #reloads = 0;
  #startMs = 0;
  #last = { steadyBytes: 0, peakBytes: 0, durationMs: 0, connections: 0 };
  #highestBytes = 0;
  #wanted: WantedAmphora = aWanted();

  private constructor(agent: AgentUnderTest, group: MemoryGroup, port: number) {
    this.agent = agent;
    this.group = group;
    this.port = port;
  }

  /** `asInstance`: its agent takes this process's network for its own, which has to be one (`own-network.ts`). */
  static async boot(memory: number | MemoryGroup, asInstance: boolean): Promise<Amphora> {
    const group = typeof memory === 'number' ? await memoryGroup(memory) : memory;
    const env = { LIVIA_MEMORY_LIMIT_BYTES: String(group.limitBytes) };
    const within = asInstance ? [...group.within, ...onOwnMachine] : group.within;
    // On tmpfs as in an amphora, where its files are part of its memory; heartbeats as by default.
    const agent = await AgentUnderTest.start(env, within, 1000, '/dev/shm');
    return new Amphora(agent, group, await freePort());
  }

  /** Carries this from now on; every call is a reload, for its wish differs in what only a reload can change. */
  async carry(
    listener: Partial<WantedListener>,
    pools: readonly WantedPool[],
    others: Partial<WantedAmphora> = {},
  ): Promise<void> {
    this.#generation += 1;
    this.#wanted = aWanted({
      generation: this.#generation,
      listeners: [
        aListener(1, { port: this.port, timeoutClientData: 600_000 + this.#generation, ...listener }),
      ],
      pools: [...pools],
      ...others,
    });
    this.#highestBytes = Math.max(this.#highestBytes, await this.group.peakBytes());
    await this.group.forgetPeak();
    const steadyBytes = await this.group.usedBytes();
    const connections = await establishedAt(this.port);
    const outcome = await this.agent.put(this.#wanted);
    if (outcome.refused.length > 0) throw new Error(JSON.stringify(outcome.refused));
    if (outcome.change === 'reload') this.#reloads += 1;
    else this.#startMs = outcome.durationMs;
    const peakBytes = await this.group.peakBytes();
    this.#last = { steadyBytes, peakBytes, durationMs: outcome.durationMs, connections };
  }

  async measured(): Promise<Measured> {
    const { memory } = await this.agent.status();
    return {
      limitBytes: this.group.limitBytes,
      budgetBytes: memory.budget?.worstCaseBytes ?? Infinity,
      peakBytes: Math.max(this.#highestBytes, await this.group.peakBytes()),
      steadyBytes: this.#last.steadyBytes,
      lastReloadPeakBytes: this.#last.peakBytes,
      lastReloadMs: this.#last.durationMs,
      startMs: this.#startMs,
      reloads: this.#reloads,
      oomKills: await this.group.oomKills(),
      tcpPeakBytes: await this.group.tcpPeakBytes(),
      tcpLimitBytes: memory.tcpLimitBytes,
      serves: (await get(this.port, '/', true)) === 'one',
      connections: this.#last.connections,
      maxconn: memory.maxconn,
    };
  }

  /** Ends agent and HAProxy; then how long HAProxy alone takes until it answers, on the files that they have left. */
  async startAlone(): Promise<number> {
    const pid = await this.agent.haproxyPid();
    await this.agent.kill();
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    const answers = async () => (await get(this.port, '/', true)) === 'one';
    while (await answers()) await sleep(5);
    const startedAt = performance.now();
    const files = join(this.agent.run, 'haproxy/current');
    const command = [...this.group.within, 'haproxy', '-W', '-C', files, '-f', 'haproxy.cfg'];
    const child = spawn('env', command, { stdio: 'ignore' });
    while (!(await answers())) {
      if (child.exitCode !== null) throw new Error('HAProxy alone has ended');
      await sleep(5);
    }
    return performance.now() - startedAt;
  }

  async remove(): Promise<void> {
    for (const group of this.held) group.end();
    await this.agent.remove();
    await this.group.remove();
  }
}

const certificate = aCertificate('www.example.com');
const https = (changes: Partial<WantedListener> = {}): Partial<WantedListener> => ({
  protocol: 'TERMINATED_HTTPS',
  tls: aTls([certificate], { alpn: [] }),
  defaultPoolId: id('p', 1),
  ...changes,
});

async function onAmphora(
  memory: number | MemoryGroup,
  story: (amphora: Amphora, pool: WantedPool) => Promise<void>,
  asInstance = false,
): Promise<Measured> {
  const [amphora, web] = await Promise.all([Amphora.boot(memory, asInstance), member()]);
  try {
    const pool = aPool(1, { members: [aMember(1, { address: '127.0.0.1', port: web.port })] });
    await story(amphora, pool);
    return await amphora.measured();
  } finally {
    await amphora.remove();
    web.close();
  }
}

/** What the report did: a TERMINATED_HTTPS listener, then a pool for it. */
export const theReport = (limitBytes: number) =>
  onAmphora(limitBytes, async (amphora, pool) => {
    await amphora.carry(https({ defaultPoolId: null }), []);
    await amphora.carry(https(), [pool]);
  });

/** As many reloads, one after the other without a pause, two new long-lived connections before each. */
export const manyReloads = (limitBytes: number, count: number) =>
  onAmphora(limitBytes, async (amphora, pool) => {
    await amphora.carry(https(), [pool]);
    for (let reload = 0; reload < count; reload += 1) {
      amphora.held.push(await holdAnswers(amphora.port, 2));
      await amphora.carry(https(), [pool]);
    }
  });

/** A reload while the listener is full of TLS clients that do not read their answers. */
export const fullOfSlowReaders = (memory: number | MemoryGroup, atMost: number) =>
  onAmphora(
    memory,
    async (amphora, pool) => {
      await amphora.carry(https({ connectionLimit: atMost }), [pool]);
      const { maxconn } = (await amphora.agent.status()).memory;
      // One place stays free for the client that asks at the end whether it serves.
      amphora.held.push(await slowReaders(amphora.port, Math.min(maxconn, atMost) - 1));
      await amphora.carry(https({ connectionLimit: atMost }), [pool]);
    },
    true,
  );

/** The kernel's own buffers of TCP: OOM kills until so many do not read, or until the first. */
export async function killsByBuffers(limitBytes: number, slow: number): Promise<number> {
  const [amphora, web] = await Promise.all([Amphora.boot(limitBytes, false), member()]);
  const pool = aPool(1, { members: [aMember(1, { address: '127.0.0.1', port: web.port })] });
  try {
    await amphora.carry(https(), [pool]);
    let all = false;
    void slowReaders(amphora.port, slow).then((readers) => {
      amphora.held.push(readers);
      all = true;
    });
    for (;;) {
      const kills = await amphora.group.oomKills();
      if (kills > 0 || all) return kills;
      await sleep(100);
    }
  } finally {
    await amphora.remove();
    web.close();
  }
}

/** As many slow readers as it takes on the worker before a reload, and on the worker after it, and one reload more. */
export const fullTwice = (limitBytes: number, atMost: number) =>
  onAmphora(
    limitBytes,
    async (amphora, pool) => {
      for (let round = 0; round < 2; round += 1) {
        await amphora.carry(https({ connectionLimit: atMost }), [pool]);
        const { maxconn } = (await amphora.agent.status()).memory;
        amphora.held.push(await slowReaders(amphora.port, Math.min(maxconn, atMost) - 1));
      }
      await amphora.carry(https({ connectionLimit: atMost }), [pool]);
    },
    true,
  );

/**
 * How many connections of each of three workers live after a reload, each worker having had so many, on an amphora
 * whose memory its stick table leaves for fewer than 200 connections.
 */
export async function heldByThree(connections: number): Promise<readonly number[]> {
  let alive: readonly number[] = [];
  await onAmphora(1024 * miB, async (amphora, pool) => {
    const sessionPersistence = {
      ...{ type: 'SOURCE_IP' as const, cookieName: null },
      ...{ persistenceTimeout: null, persistenceGranularity: null },
    };
    const reload = () =>
      amphora.carry(https(), [{ ...pool, sessionPersistence }], { stickTableEntries: 600_000 });
    await reload();
    for (let worker = 0; worker < 3; worker += 1) {
      amphora.held.push(await holdAnswers(amphora.port, connections));
      await reload();
    }
    await sleep(1000);
    alive = amphora.held.map((group) => group.alive());
  });
  return alive;
}

/** A listener with so many certificates that sends to so many members in all, a pool for each thousand. */
function bigTree(certificates: WantedListener['tls'], members: number, pool: WantedPool) {
  const perPool = 1000;
  const others = Array.from({ length: Math.ceil(members / perPool) }, (_, n) =>
    aPool(n + 2, {
      members: Array.from({ length: perPool }, (__, m) => {
        const number = n * perPool + m + 2;
        return aMember(number, { address: `127.1.${number >> 8}.${number & 255}`, port: 9 });
      }),
    }),
  );
  const l7Policies = others.map((other, n) => ({
    ...{ id: id('y', n + 1), action: 'REDIRECT_TO_POOL' as const, redirectPoolId: other.id },
    ...{ redirectUrl: null, redirectPrefix: null, redirectHttpCode: null },
    rules: [
      {
        ...{ id: id('r', n + 1), type: 'PATH' as const, compareType: 'EQUAL_TO' as const },
        ...{ key: null, value: `/pool-${n}`, invert: false },
      },
    ],
  }));
  return { listener: https({ tls: certificates, l7Policies }), pools: [pool, ...others] };
}

/** Reloads of a configuration with so many certificates and members. */
export const bigConfiguration = (limitBytes: number, certificates: WantedListener['tls'], members: number) =>
  onAmphora(limitBytes, async (amphora, pool) => {
    const { listener, pools } = bigTree(certificates, members, pool);
    for (let round = 0; round < 4; round += 1) {
      await amphora.carry(listener, pools);
      amphora.held.push(await holdAnswers(amphora.port, 2));
    }
    await amphora.carry(listener, pools);
  });

/** How long the agent takes to start that configuration, and HAProxy alone on the same files. */
export async function bigStart(limitBytes: number, certificates: WantedListener['tls'], members: number) {
  const [amphora, web] = await Promise.all([Amphora.boot(limitBytes, false), member()]);
  try {
    const pool = aPool(1, { members: [aMember(1, { address: '127.0.0.1', port: web.port })] });
    const { listener, pools } = bigTree(certificates, members, pool);
    await amphora.carry(listener, pools);
    const { startMs } = await amphora.measured();
    return { startMs, aloneMs: await amphora.startAlone() };
  } finally {
    await amphora.remove();
    web.close();
  }
}

/** What became of an amphora that sizes its cache as Octavia did. */
export interface UpstreamMeasured {
  readonly limitBytes: number;
  readonly oomKills: number;
  readonly peakBytes: number;
  /** The change at which something was killed, counted from 1; undefined: none. */
  readonly killedAt: number | undefined;
}

export async function upstreamReloads(
  policy: UpstreamPolicy,
  limitBytes: number,
  options: { readonly changes: number; readonly longLived: number },
): Promise<UpstreamMeasured> {
  const [group, web, port] = await Promise.all([memoryGroup(limitBytes), member(), freePort()]);
  const amphora = await upstreamAmphora({
    ...{ group, policy, port, memberPort: web.port },
    ...{ maxconn: 1000, certificatePem: certificate.pem },
  });
  const held: Held[] = [];
  try {
    let killedAt: number | undefined;
    for (let change = 1; change <= options.changes && killedAt === undefined; change += 1) {
      if (options.longLived > 0) held.push(await holdAnswers(port, options.longLived));
      if ((await amphora.change()) !== 'done') killedAt = change;
    }
    const [oomKills, peakBytes] = await Promise.all([group.oomKills(), group.peakBytes()]);
    return { limitBytes, oomKills, peakBytes, killedAt };
  } finally {
    for (const connection of held) connection.end();
    await amphora.remove();
    web.close();
  }
}
