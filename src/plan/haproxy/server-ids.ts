/**
 * HAProxy's places of a server on the ring of `hash-type consistent` follow from the lowest 20 bits of its id. Without
 * one of its own it has the number of its line, so that clients move whenever a line before it goes; and HAProxy 2.6
 * gives all servers that are added at run time the same places, where only one of them is found.
 */
const ids = 2 ** 20;

/** An id for each member, 1 to 2^20 - 1, each once; it depends on nothing but the member, unless two want the same. */
export function serverIds(memberIds: readonly string[]): ReadonlyMap<string, number> {
  const taken = new Set<number>();
  const made = new Map<string, number>();
  for (const memberId of memberIds.toSorted()) {
    let id = wished(memberId);
    while (taken.has(id)) id = (id % (ids - 1)) + 1;
    taken.add(id);
    made.set(memberId, id);
  }
  return made;
}

/** FNV-1a, folded to 20 bits. */
function wished(memberId: string): number {
  let hash = 0x811c9dc5;
  for (const letter of memberId) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return ((hash >>> 20) ^ hash) & (ids - 1) || 1;
}
