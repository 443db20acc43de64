/** How many requests took so many microseconds. */
export type Latencies = ReadonlyMap<number, number>;

/** What lies at a share (0 to 1) of all the requests of some rounds together, in microseconds. */
export function pooledPercentile(rounds: readonly Latencies[], share: number): number {
  const all = new Map<number, number>();
  let total = 0;
  for (const round of rounds) {
    for (const [us, count] of round) {
      all.set(us, (all.get(us) ?? 0) + count);
      total += count;
    }
  }
  let seen = 0;
  for (const [us, count] of [...all].toSorted(([a], [b]) => a - b)) {
    seen += count;
    if (seen >= total * share) return us;
  }
  return Number.NaN;
}

const resamples = 200;

/**
 * The ratio of two sides' pooled percentile, and between what it lies in 9 of 10 series of rounds that are drawn from
 * these (bootstrap): how much of it is chance. `one[n]` and `other[n]` are of the same round.
 */
export function percentileRatio(
  one: readonly Latencies[],
  other: readonly Latencies[],
  share: number,
): { readonly ratio: number; readonly from: number; readonly to: number } {
  const of = (places: readonly number[]): number => {
    const taken = (side: readonly Latencies[]) => places.map((n) => side[n] as Latencies);
    return pooledPercentile(taken(one), share) / pooledPercentile(taken(other), share);
  };
  const places = one.map((_, n) => n);
  const drawn = Array.from({ length: resamples }, () =>
    of(places.map(() => Math.floor(Math.random() * places.length))),
  ).toSorted((a, b) => a - b);
  const at = (portion: number): number => drawn[Math.floor(portion * (resamples - 1))] ?? Number.NaN;
  return { ratio: of(places), from: at(0.05), to: at(0.95) };
}
