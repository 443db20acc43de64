import { setTimeout as pause } from 'node:timers/promises';

/** A process that serves. */
export interface Running {
  readonly pid: number;
  /** Settles when it is gone, with how it went. */
  readonly exited: Promise<string>;
  /** Asks it to end, waits, and in the end does not ask any more. */
  stop(): Promise<void>;
}

/** A process that is started again whenever it dies. */
export interface Kept {
  /** Undefined between death and resurrection. */
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

/** Waits before the first, second … restart in a row; the last one holds from then on. */
const backoffMs = [100, 500, 1000, 2000, 5000, 10_000];
/** A process that served this long has earned a quick restart again. */
const steadyMs = 30_000;

/**
 * Starts and keeps running. `start` resolves when the process serves, and gives up, leaving nothing, when its signal
 * aborts. When the very first start fails, that is the caller's to know; later ones are tried for ever. After `signal`
 * aborted nothing is started any more; `stop` is still the caller's to call. `note` is told of every death.
 */
export async function keepRunning(
  name: string,
  start: (signal: AbortSignal) => Promise<Running>,
  note: (line: string) => void,
  signal?: AbortSignal,
): Promise<Kept> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end);
  let running: Running | undefined = await start(ending.signal);

  const watch = async (): Promise<void> => {
    let failures = 0;
    while (running !== undefined && !ending.signal.aborted) {
      const served = Date.now();
      const how = await running.exited;
      running = undefined;
      if (ending.signal.aborted) return;
      if (Date.now() - served > steadyMs) failures = 0;
      note(`${name} died (${how}), is started again`);
      while (running === undefined && !ending.signal.aborted) {
        await pause(backoffMs[Math.min(failures++, backoffMs.length - 1)], undefined, {
          signal: ending.signal,
        }).catch(() => {}); // only the abort rejects, and the loop's condition sees it
        if (ending.signal.aborted) return;
        running = await start(ending.signal).catch((error: unknown) => {
          if (!ending.signal.aborted) note(`${name} does not start: ${(error as Error).message}`);
          return undefined;
        });
      }
    }
  };
  const watching = watch();

  return {
    get pid() {
      return running?.pid;
    },
    async stop() {
      signal?.removeEventListener('abort', end);
      end();
      await running?.stop();
      await watching;
      await running?.stop(); // it may have come up just then
    },
  };
}
