/** What is known of a member from its checks. */
export interface Health {
  readonly up: boolean;
  /** How many checks in a row have said the contrary. */
  readonly contrary: number;
}

/** A member is taken for healthy until its checks have failed as often as its monitor says. */
export const healthy: Health = { up: true, contrary: 0 };

/** @param needed checks in a row that make a member up (`rise`) or down (`fall`) */
export function afterCheck(
  health: Health,
  passed: boolean,
  needed: { readonly rise: number; readonly fall: number },
): Health {
  if (passed === health.up) return { up: health.up, contrary: 0 };
  const contrary = health.contrary + 1;
  return contrary >= (passed ? needed.rise : needed.fall)
    ? { up: passed, contrary: 0 }
    : { up: health.up, contrary };
}

/** Whether an HTTP status is among the expected codes: `200`, `200,202` or `200-204`, or several of these. */
export function isExpected(status: number, expectedCodes: string | null): boolean {
  return (expectedCodes ?? '200').split(',').some((part) => {
    const [from = NaN, to = from] = part.split('-').map(Number);
    return from <= status && status <= to;
  });
}
