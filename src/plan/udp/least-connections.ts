/** Of a member that may get new flows. */
export interface Load {
  readonly weight: number;
  /** Flows it has. */
  readonly flows: number;
}

/** New flows are dealt out in so many parts, or four for each member when there are many. */
const parts = 32;

/**
 * Which part of the new flows each member gets, so that its flows come level with those of the others by weight: whole
 * numbers, 0 for a member that has more than its share. Between two counts the kernel deals flows out by these parts;
 * so as many are dealt as make up a quarter of those there are, and with none there are the weights alone decide.
 */
export function leastConnections(members: readonly Load[]): number[] {
  const weights = members.reduce((sum, { weight }) => sum + weight, 0);
  const flows = members.reduce((sum, member) => sum + member.flows, 0);
  const coming = Math.max(weights, flows / 4);
  // Filled like vessels of different width from below: those that stand above the level get nothing.
  const lowest = members.toSorted((a, b) => a.flows / a.weight - b.flows / b.weight);
  let [level, width, held] = [0, 0, 0];
  for (const { weight, flows: own } of lowest) {
    if (width > 0 && own / weight >= level) break;
    width += weight;
    held += own;
    level = (coming + held) / width;
  }
  const inAll = Math.max(parts, 4 * members.length);
  return members.map(({ weight, flows: own }) => {
    const missing = level * weight - own;
    return missing > 0 ? Math.max(1, Math.round((missing / coming) * inAll)) : 0;
  });
}
