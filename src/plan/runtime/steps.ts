/** One command of the Runtime API. It was taken when every line of its answer holds one of these; none: no answer. */
export interface Command {
  readonly text: string;
  readonly says: readonly string[];
  /** What is no success whatever else is said, and what that means. */
  readonly unless?: { readonly said: string; readonly why: string };
}

/** The whole content of a map, which takes the place of the one before at one stroke. */
export interface Replacement {
  /** Path of its file. */
  readonly map: string;
  /** `key value`. In order, each without a line break. */
  readonly entries: readonly string[];
}

/** Another limit of connections for a listener, by a HAProxy that must not be told so while that listener is full. */
export interface LimitChange {
  /** Name of the frontend. */
  readonly limits: string;
  readonly from: number;
  readonly to: number;
  /** `nbthread` of HAProxy. */
  readonly threads: number;
}

/** What one part of a configuration needs, in order: what comes, what changes, who is let in, what goes. */
export interface Steps {
  readonly coming: readonly Command[];
  readonly changing: readonly (Command | Replacement | LimitChange)[];
  readonly opening?: readonly Command[];
  readonly leaving: readonly Command[];
  /** What they do, a kind for each thing done. */
  readonly kinds: readonly string[];
}

/** No way but a reload. `message` says why. */
export class NeedsReload extends Error {}
