import { readFile } from 'node:fs/promises';
import {
  type Admission,
  admissionOf,
  admissionTable,
  meanwhile,
  type RenderedAdmission,
  renderAdmission,
} from '../plan/admission.ts';
import { writeWhole } from '../platform/files.ts';
import type { Log } from '../platform/log.ts';
import { run, tryRun } from '../platform/run.ts';
import type { WantedAmphora } from '../wire/wanted.ts';

export interface AllowedClients {
  /** Takes up what an agent before us has left. */
  recall(): Promise<void>;
  /**
   * To be called before listeners change: who is no longer let in is shut out, and doors that go stay guarded.
   * Rejects with nft's own words; all is then as it was.
   */
  admit(wanted: WantedAmphora): Promise<{ changed: boolean; refused: RenderedAdmission['refused'] }>;
  /** To be called once the listeners are these and no others. */
  settle(wanted: WantedAmphora): Promise<void>;
  /** Loads the rules again when somebody has removed or changed them; looks every few seconds at most. */
  look(): Promise<void>;
}

/** A look takes a process of its own. */
const lookAgainMs = 5000;
const everybody: Admission = { vipAddresses: [], listeners: [] };

/** Allowed CIDRs in the kernel of the amphora's network namespace. `path`: where they are kept for the next agent. */
export function allowedClients({ path, log }: { path: string; log: Log }): AllowedClients {
  let admitted = everybody;
  /** The rules as the kernel tells them, right after they were loaded. */
  let told: string | undefined;
  let lookedAt = -Infinity;
  let turn: Promise<unknown> = Promise.resolve();

  const queued = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work);
    turn = mine.catch(() => {}); // the caller hears of it
    return mine;
  };

  const listed = async (): Promise<string> =>
    (await tryRun(['nft', 'list', 'table', ...admissionTable.split(' ')])).stdout;

  async function load({ text }: RenderedAdmission): Promise<void> {
    await run(['nft', '-f', '-'], { input: text });
    told = await listed();
  }

  /** The kernel is left alone as long as everybody was let in everywhere. */
  async function make(next: Admission): Promise<{ changed: boolean; refused: RenderedAdmission['refused'] }> {
    const [before, rendered] = [renderAdmission(admitted), renderAdmission(next)];
    const changed = rendered.text !== before.text;
    if (changed) {
      await load(rendered);
      admitted = next;
      await writeWhole(path, JSON.stringify(next));
    }
    return { changed, refused: rendered.refused };
  }

  async function lookNow(): Promise<void> {
    if (admitted.listeners.length === 0 || performance.now() - lookedAt < lookAgainMs) return;
    lookedAt = performance.now();
    if ((await listed()) === told) return;
    log.warn('the rules for allowed CIDRs are not what was loaded: they are loaded again');
    await load(renderAdmission(admitted));
  }

  const orLater = (work: () => Promise<void>): Promise<void> =>
    queued(work).catch((error: unknown) =>
      log.error({ err: error }, 'the rules for allowed CIDRs cannot be loaded'),
    );

  return {
    look: () => orLater(lookNow),
    async recall() {
      const text = await readFile(path, 'utf8').catch(() => undefined);
      if (text === undefined) return;
      admitted = JSON.parse(text) as Admission;
      await orLater(() => load(renderAdmission(admitted)));
    },
    admit: (wanted) => queued(() => make(meanwhile(admitted, wanted))),
    settle: (wanted) =>
      queued(async () => {
        await make(admissionOf(wanted));
      }),
  };
}
