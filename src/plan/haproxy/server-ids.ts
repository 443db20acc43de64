/**
 * HAProxy's places of a server on the ring of `hash-type consistent` follow from the lowest 20 bits of its id. Without
 * one of its own it has the number of its line, so that clients move whenever a line before it goes; and HAProxy 2.6
 * gives all servers that are added at run time the same places, where only one of them is found.
 */
const ids = 2 ** 20;

/** An id for each server, 1 to 2^20 - 1, each once; it depends on nothing but its name, unless two want the same. */
export function serverIds(names: readonly string[]): ReadonlyMap<string, number> {
  const taken = new Set<number>();
  const made = new Map<string, number>();
  for (const name of names.toSorted()) {
    let id = wished(name);
    while (taken.has(id)) id = (id % (ids - 1)) + 1;
    taken.add(id);
    made.set(name, id);
  }
  return made;
}

/** FNV-1a, folded to 20 bits. */
function wished(name: string): number {
  let hash = 0x811c9dc5;
  for (const letter of name) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return ((hash >>> 20) ^ hash) & (ids - 1) || 1;
}
