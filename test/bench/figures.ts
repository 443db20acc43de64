/** Figures of a bench. */

const sorted = (values: readonly number[]): readonly number[] => values.toSorted((a, b) => a - b);

export const percentile = (values: readonly number[], share: number): number =>
  sorted(values)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;

export const median = (values: readonly number[]): number => percentile(values, 0.5);

/** A figure of some rounds, and between what it lies in 9 of 10 series of rounds that are drawn from these. */
export interface Estimate {
  readonly value: number;
  readonly from: number;
  readonly to: number;
}

const resamples = 400;

/** How much of a figure is chance (bootstrap): `of` gives the figure of the rounds at these places. */
export function estimate(rounds: number, of: (places: readonly number[]) => number): Estimate {
  const places = Array.from({ length: rounds }, (_, n) => n);
  const drawn = Array.from({ length: resamples }, () =>
    of(places.map(() => Math.floor(Math.random() * rounds))),
  );
  return { value: of(places), from: percentile(drawn, 0.05), to: percentile(drawn, 0.95) };
}
