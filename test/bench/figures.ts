/** Figures of a bench. */

const sorted = (values: readonly number[]): readonly number[] => values.toSorted((a, b) => a - b);

export const percentile = (values: readonly number[], share: number): number =>
  sorted(values)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;

export const median = (values: readonly number[]): number => percentile(values, 0.5);

/** A figure of some rounds, and between what it lies in 9 of 10 series of rounds that are drawn from these (bootstrap). */
export interface Estimate {
  readonly value: number;
  readonly from: number;
  readonly to: number;
}

const resamples = 1000;

export function medianEstimate(rounds: readonly number[]): Estimate {
  const drawn = Array.from({ length: resamples }, () =>
    median(rounds.map(() => rounds[Math.floor(Math.random() * rounds.length)] as number)),
  );
  return { value: median(rounds), from: percentile(drawn, 0.05), to: percentile(drawn, 0.95) };
}
