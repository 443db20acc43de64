import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { claimInstance } from './instance.ts';
import { onFarewell, type Readiness, startTeller, tell } from './conversation.ts';
import { endLeftovers } from './leftovers.ts';
import { chooseWay, firstProcessOf, insideNewNamespaces, labelOf } from './namespaces.ts';
import { type Ports, portsFrom, refuseTaken } from './ports.ts';
import { openLog } from './program.ts';
import { Refusal } from './refusal.ts';
import { openRelay, publish } from './relay.ts';
import { type Parts, serve } from './serve.ts';
import { prepareStateDir, type StateDir, stateDirFrom } from './state-dir.ts';

/** What runs beside the service while it is up; made once the API answers. */
export interface Companion {
  /** `address:port` that people outside the namespaces want to reach. */
  readonly publish: string;
  stop(): Promise<void>;
}

export interface DemoPlace {
  readonly state: StateDir;
  readonly say: (line: string) => void;
  /** Where on 127.0.0.1 its VIP is reached from outside the namespaces; undefined: there is no inside. */
  readonly publishedPort: number | undefined;
  readonly signal: AbortSignal;
}

export interface Up {
  readonly parts: Parts;
  /** The command that started us, to be started again in another place. */
  readonly self: readonly string[];
  /** Makes the demonstration; undefined: none is wished. */
  readonly demonstrate: ((place: DemoPlace) => Promise<Companion>) | undefined;
}

/** Set in the environment of the process inside the namespaces; the one outside has done all that is before. */
const insideMark = 'LIVIA_INSIDE';
/** Set in the environment of the process in the background: it outlives whoever started it. */
const backgroundMark = 'LIVIA_BACKGROUND';

/** Runs Livia until it is told to end. Gives the exit code; throws a Refusal, one line, when it cannot. */
export async function up(options: Up): Promise<number> {
  const ports = portsFrom(process.env);
  const state = await prepareStateDir(stateDirFrom(process.env, process.cwd()));
  const background = process.env[backgroundMark] !== undefined;
  const ending = endingSignal(background);
  const say = (line: string): void => {
    console.log(background ? `${new Date().toISOString()} ${line}` : line);
    tell({ say: line });
  };
  try {
    if (process.env[insideMark] !== undefined)
      return await runInside(options, state, ports, say, ending.signal);
    const way = await chooseWay();
    const claim = await claimInstance(state.root, ports);
    ending.signal.addEventListener('abort', () => claim.say({ phase: 'stopping' }));
    try {
      const left = await endLeftovers(state, { keepInstances: way === 'root' });
      if (left.length > 0) say(`ended what an earlier Livia left running: ${left.join(', ')}`);
      await refuseTaken(ports.api);
      await refuseTaken(ports.cloud);
      const ready = (what: Readiness): void => {
        claim.say({ phase: 'ready' });
        tell({ ready: what });
        if (background) ending.forgetParent();
      };
      if (way === 'root') return await run(options, state, ports, say, undefined, ready, ending.signal);
      const namespaces = (namespacePid: number): void => claim.say({ namespacePid });
      return await runOutside(options.self, state, ports, say, ready, namespaces, ending.signal);
    } finally {
      claim.say({ phase: 'stopping' });
      await claim.release();
    }
  } catch (error) {
    if (ending.signal.aborted && error instanceof Refusal) return 130;
    tell({ refused: error instanceof Error ? error.message : String(error) });
    throw error;
  }
}

/** Starts ourselves again in the background and returns when that is ready. */
export async function upDetached(self: readonly string[]): Promise<number> {
  const state = await prepareStateDir(stateDirFrom(process.env, process.cwd()));
  const logFile = join(state.log, 'livia.log');
  const log = await openLog(logFile);
  let refused: string | undefined;
  const teller = startTeller(
    self,
    { stdio: ['ignore', log.fd, log.fd], env: { ...process.env, [backgroundMark]: '1' } },
    (message) => {
      if ('say' in message) console.log(message.say);
      if ('refused' in message) refused = message.refused;
    },
  );
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => teller.stop());
  const ready = await teller.ready;
  await log.close();
  if (ready === undefined) {
    await teller.exited;
    throw new Refusal(refused ?? `it ended while it started: see ${logFile}`);
  }
  teller.release();
  if (ready === 'all') return 0;
  console.error('livia: the service runs without its demonstration; npm stop ends it');
  return 1;
}

async function run(
  options: Up,
  state: StateDir,
  ports: Ports,
  say: (line: string) => void,
  publishedPort: number | undefined,
  ready: (what: Readiness) => void,
  signal: AbortSignal,
): Promise<number> {
  const service = await serve(state, ports, options.parts, say, signal);
  let companion: Companion | undefined;
  try {
    say(
      `Livia is up: Octavia API http://127.0.0.1:${ports.api}, Keystone http://127.0.0.1:${ports.cloud}/identity/v3`,
    );
    say(`  clients: . ${state.openrc}   (or OS_CLIENT_CONFIG_FILE=${state.clouds} and OS_CLOUD=livia)`);
    try {
      companion = await options.demonstrate?.({ state, say, publishedPort, signal });
      if (companion !== undefined) tell({ publish: companion.publish });
      ready('all');
    } catch (error) {
      if (!signal.aborted) say(`the demonstration failed: ${(error as Error).message}`);
      ready('service');
    }
    await aborted(signal);
    say('stopping');
    return 0;
  } finally {
    await companion?.stop();
    await service.stop();
    say('stopped, nothing is left running');
  }
}

async function runInside(
  options: Up,
  state: StateDir,
  ports: Ports,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<number> {
  // The numbers of an earlier namespace mean nothing here, and its processes are gone.
  await rm(join(state.postgres, 'postmaster.pid'), { force: true });
  const relay = await openRelay(join(state.run, 'relay.sock'));
  try {
    return await run(options, state, ports, say, ports.demo, (what) => tell({ ready: what }), signal);
  } finally {
    await relay.close();
  }
}

/** Our part outside: starts ourselves inside new namespaces, and publishes their ports here. */
async function runOutside(
  self: readonly string[],
  state: StateDir,
  ports: Ports,
  say: (line: string) => void,
  ready: (what: Readiness) => void,
  namespaces: (pid: number) => void,
  signal: AbortSignal,
): Promise<number> {
  await refuseTaken(ports.demo);
  let demo: string | undefined;
  let refused: string | undefined;
  const socket = join(state.run, 'relay.sock');
  const published = [
    await publish(socket, ports.api, () => `127.0.0.1:${ports.api}`),
    await publish(socket, ports.cloud, () => `127.0.0.1:${ports.cloud}`),
    await publish(socket, ports.demo, () => demo),
    await publish(socket, ports.metrics, () => `127.0.0.1:${ports.metrics}`),
  ];
  const teller = startTeller(
    insideNewNamespaces(labelOf(state.root), self),
    { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, [insideMark]: '1' } },
    (message) => {
      if ('say' in message) say(message.say);
      if ('publish' in message) demo = message.publish;
      if ('refused' in message) refused = message.refused;
    },
  );
  signal.addEventListener('abort', () => teller.stop());
  try {
    const what = await teller.ready;
    if (what !== undefined) {
      namespaces((await firstProcessOf(teller.child.pid ?? 0)) ?? 0);
      ready(what);
    }
    const code = await teller.exited;
    if (refused !== undefined) throw new Refusal(refused);
    return code;
  } finally {
    for (const port of published) await port.close();
  }
}

/** Aborts at SIGINT, SIGTERM, or when whoever started us is gone. */
function endingSignal(background: boolean): { readonly signal: AbortSignal; forgetParent(): void } {
  const controller = new AbortController();
  const end = (): void => controller.abort();
  let alone = false;
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  process.on('SIGHUP', background ? () => {} : end);
  onFarewell(() => {
    if (!alone) end();
  });
  return { signal: controller.signal, forgetParent: () => void (alone = true) };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
