/** One command of the Runtime API. It was taken when every line of its answer holds one of these; none: no answer. */
export interface Command {
  readonly text: string;
  readonly says: readonly string[];
}

/** What one part of a configuration needs, in order: what comes, what changes, what goes. */
export interface Steps {
  readonly coming: readonly Command[];
  readonly changing: readonly Command[];
  readonly leaving: readonly Command[];
  /** What they do, a kind for each thing done. */
  readonly kinds: readonly string[];
}

/** No way but a reload. `message` says why. */
export class NeedsReload extends Error {}
