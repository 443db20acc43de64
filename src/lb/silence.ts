/**
 * A mass of silent amphorae is first of all a question to ourselves: our receiver, our network. Up to the given share
 * of all, and up to two, may be silent at once; beyond that silence alone is no reason to replace any.
 */
export function silenceLimit(allocated: number, share: number): number {
  return Math.max(2, Math.floor(share * allocated));
}
