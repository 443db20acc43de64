/** Levels of a body. No legal one comes near; what keeps or quotes a value must not run out of stack. */
export const deepestJson = 100;

export function isTooDeep(value: unknown, levels = deepestJson): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isTooDeep(inner, levels - 1));
}
