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
