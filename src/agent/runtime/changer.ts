import { type RenderedHaproxy } from '../../plan/haproxy/render.ts';
import type { Abilities } from '../../plan/runtime/abilities.ts';
import { asWritten, backendsOf, type Loaded, runtimeChange } from '../../plan/runtime.ts';
import { removal } from '../../plan/runtime/servers.ts';
import type { Log } from '../../platform/log.ts';
import type { ConfigurationFiles } from '../haproxy/files.ts';
import { departing, dismiss, takeAtRuntime } from './runtime.ts';

const dismissEveryMs = 1000;

export interface ChangerOptions {
  readonly socket: string;
  readonly files: ConfigurationFiles;
  readonly abilities: Abilities;
  /** Does a piece of work when no wish is under way. */
  readonly inTurn: (work: () => Promise<void>) => Promise<void>;
  readonly log: Log;
}

/** What came of an attempt to change a running HAProxy. */
export type Attempt =
  | { readonly change: 'none'; readonly why?: undefined }
  | { readonly change: 'runtime'; readonly why: string }
  | { readonly change: 'reload'; readonly why: string };

/** Changes a HAProxy that serves without a reload. All methods but `stop` are for one caller at a time. */
export function runtimeChanger({ socket, files, abilities, inTurn, log }: ChangerOptions) {
  /** Deletions of servers and backends whose last connections live. */
  let deletions: readonly string[] = [];
  let loaded: Loaded = asWritten;
  let timer: NodeJS.Timeout | undefined;

  function dismissLater(): void {
    clearTimeout(timer);
    if (deletions.length === 0) return;
    timer = setTimeout(() => {
      inTurn(async () => {
        deletions = await dismiss(socket, deletions);
        dismissLater();
      }).catch((error: unknown) => log.warn({ err: error }, 'cannot delete servers that were removed'));
    }, dismissEveryMs);
    timer.unref();
  }

  return {
    /**
     * Files first, then the socket: a reload or a crash in between starts with the new configuration, and as long as
     * nobody knows what runs (`files.running`), the next wish is a reload. `reload` is the answer when there is no
     * other way, or HAProxy refused; then nothing is sure but that the files are as they were.
     */
    async attempt(before: RenderedHaproxy, after: RenderedHaproxy): Promise<Attempt> {
      const [was, fingerprint] = [files.fingerprint(before), files.fingerprint(after)];
      if ((await files.running()) !== was) {
        return { change: 'reload', why: 'it is not known what HAProxy serves' };
      }
      if (fingerprint === was) return { change: 'none' };
      const planned = runtimeChange(before, after, abilities, loaded);
      if (planned.kind === 'reload') return { change: 'reload', why: planned.why };
      const version = await files.write(after, before);
      try {
        await files.adopt(version, fingerprint, async () => {
          // Who comes back finds its name free. From 3.0 on idle connections outlive a deletion for some milliseconds.
          deletions = await dismiss(socket, deletions);
          const remaining = await takeAtRuntime(socket, planned, after.files);
          deletions = [...new Set([...deletions, ...remaining])];
        });
      } catch (error) {
        log.warn({ err: error }, 'HAProxy did not take a change at run time');
        return { change: 'reload', why: `tried without: ${error instanceof Error ? error.message : 'no'}` };
      }
      loaded = planned.loaded;
      dismissLater();
      return { change: 'runtime', why: planned.why };
    },

    /** Whether a server is deleted once its last connections have ended. */
    leaves: (backend: string, server: string): boolean =>
      deletions.includes(removal(backend, server)[1].text),

    /** Takes up what an agent before us has not seen to its end, in a HAProxy that is to serve this. */
    async adopt(running: RenderedHaproxy): Promise<void> {
      // Otherwise who seems to leave may have come with a wish that was not noted any more.
      if ((await files.running()) !== files.fingerprint(running)) return;
      deletions = await departing(socket, backendsOf(running));
      dismissLater();
    },

    /** A new worker has what the files say, and no servers beyond. */
    forget(): void {
      clearTimeout(timer);
      deletions = [];
      loaded = asWritten;
    },

    stop(): void {
      clearTimeout(timer);
    },
  };
}
