import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';

/** Of what was asked for: the service alone, when the demonstration failed. */
export type Readiness = 'all' | 'service';

/**
 * What a Livia process says to the one that started it, over Node's channel: the process in the background to the
 * terminal, the process inside the namespaces to the one outside.
 */
export type Message =
  | { readonly say: string }
  /** `host:port` inside, to be reached from outside as the demonstration. */
  | { readonly publish: string }
  | { readonly ready: Readiness }
  /** It will end, for this reason. */
  | { readonly refused: string };

/** Says it to whoever started us, if they listen. */
export function tell(message: Message): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {}); // nobody listens any more: no matter
}

/** Whoever started us wants us to end, or is gone. */
export function onFarewell(end: () => void): void {
  if (process.send === undefined) return;
  process.on('disconnect', end);
  process.on('message', (message) => {
    if (message === 'stop') end();
  });
  process.channel?.unref(); // listening alone keeps no process alive
}

/** A Livia process that tells us how it gets on. */
export interface Teller {
  readonly child: ChildProcess;
  /** Undefined: it ended before it was. */
  readonly ready: Promise<Readiness | undefined>;
  readonly exited: Promise<number>;
  stop(): void;
  /** Lets it go on without us. */
  release(): void;
}

export function startTeller(
  command: readonly string[],
  options: {
    readonly env: NodeJS.ProcessEnv;
    /** Standard input, output, error. */
    readonly stdio: readonly ['ignore', number | 'ignore', number | 'inherit'];
  },
  hear: (message: Message) => void,
): Teller {
  const [file = '', ...args] = command;
  const stdio: StdioOptions = [...options.stdio, 'ipc'];
  const child = spawn(file, args, { env: options.env, stdio, detached: true });
  const exited = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
  const ready = new Promise<Readiness | undefined>((resolve) => {
    child.on('message', (message) => {
      const heard = message as Message;
      if ('ready' in heard) resolve(heard.ready);
      hear(heard);
    });
    exited.then(
      () => resolve(undefined),
      () => resolve(undefined),
    );
  });
  return {
    child,
    ready,
    exited,
    stop: () => {
      if (child.connected) child.send('stop');
    },
    release: () => {
      if (child.connected) child.disconnect();
      child.unref();
    },
  };
}
