/** What a HAProxy can do at run time beyond version 2.6. */
export interface Abilities {
  /** A server that is added may have a cookie. */
  readonly serversWithCookie: boolean;
  /** A listener that is full takes another limit of connections: before, `set maxconn frontend` is a deadlock then. */
  readonly limitsWhenFull: boolean;
}

/** Of a version such as `2.6.12-1+deb12u4`; of one that is not understood, what every HAProxy can. */
export function abilitiesOf(version: string): Abilities {
  const [, major = 0, minor = 0] = (/^(\d+)\.(\d+)/.exec(version) ?? []).map(Number);
  return { serversWithCookie: major >= 3, limitsWhenFull: major > 3 || (major === 3 && minor >= 1) };
}
