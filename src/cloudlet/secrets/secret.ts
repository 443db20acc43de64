import type { Held } from './access.ts';

export interface Secret extends Held {
  readonly name: string | null;
  readonly secret_type: string;
  readonly algorithm: string | null;
  readonly bit_length: number | null;
  readonly mode: string | null;
  /** ISO 8601, UTC. */
  readonly expiration: string | null;
  readonly created: string;
  readonly updated: string;
  readonly content_type: string | null;
  /** The payload in the vault, sealed for the secret's id; null until it is delivered. */
  readonly sealed: string | null;
  /** What users noted on it. */
  readonly metadata?: Readonly<Record<string, string>>;
}
