/** What a HAProxy can do at run time beyond version 2.6. */
export interface Abilities {
  /** A server that is added may have a cookie. */
  readonly serversWithCookie: boolean;
}

/** Of a version such as `2.6.12-1+deb12u4`; of one that is not understood, what every HAProxy can. */
export function abilitiesOf(version: string): Abilities {
  const major = Number(/^(\d+)\./.exec(version)?.[1] ?? 0);
  return { serversWithCookie: major >= 3 };
}
